"""Several teachers as one, for a store of their embeddings."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmlgd.utils.identity import joint_identity

from .base import BaseTeacher


class JointTeacher(BaseTeacher):
    """Teachers whose unit embeddings stand side by side.

    Its features are (B, D_0 + D_1 + ...). Text, normalisation and size of the crops are
    those of the first teacher; the others accept the same crops.

    Args:
        teachers (Sequence[BaseTeacher]): Two or more.

    Attributes:
        members (list[dict]): ``teacher`` (identity) and ``embed_dims`` of each.
    """

    def __init__(self, teachers: Sequence[BaseTeacher]) -> None:
        # Each teacher computes in its own precision.
        super().__init__('fp32')
        first = teachers[0]
        self.teachers = nn.ModuleList(teachers)
        self.text = first.text
        self.image_mean, self.image_std = first.image_mean, first.image_std
        self.image_size, self.logit_scale = first.image_size, first.logit_scale
        self.members = [
            dict(teacher=one.identity, embed_dims=one.embed_dims) for one in teachers
        ]
        self.embed_dims = sum(one.embed_dims for one in teachers)
        self._identity = joint_identity([one.identity for one in teachers])
        self._text_identity = first.text_identity
        self._name = self._identity.rsplit('#', 1)[0]
        self.freeze()

    def image_features(self, inputs: Tensor) -> Tensor:
        """Unit rows of each teacher, side by side."""
        return torch.cat([one.encode_image(inputs) for one in self.teachers], dim=1)

    def release_text_tower(self) -> None:
        """See :meth:`BaseTeacher.release_text_tower`."""
        self.teachers[0].release_text_tower()
        super().release_text_tower()
