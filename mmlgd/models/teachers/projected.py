"""Teachers whose features reach the space of text through a projection."""

from typing import Any

import torch
from torch import Tensor, nn

from mmlgd.errors import TeacherError
from mmlgd.registry import MODELS

from .base import BaseTeacher, fingerprint
from .open_clip_teacher import OpenCLIPTeacher
from .projection import build_projection, check_target, check_teacher


class ProjectedTeacher(BaseTeacher):
    """A teacher of images only, which may borrow the text side of a CLIP.

    A subclass builds its image modules, assigns the attributes of :class:`BaseTeacher`
    with the width of its own features as ``embed_dims``, and calls :meth:`borrow_text`
    and :meth:`freeze`; what it computes it hands to :meth:`project`.

    Args:
        precision (str): See :class:`BaseTeacher`. Defaults to 'auto'.

    Attributes:
        projection (nn.Module | None): From the own features to ``embed_dims``.
    """

    def __init__(self, precision: str = 'auto') -> None:
        super().__init__(precision)
        self.projection: nn.Module | None = None
        self._feature_identity: str | None = None

    def borrow_text(
        self, projection: dict | str | None, text_encoder: dict | None
    ) -> None:
        """Add a projection, and the text tower and ``logit_scale`` of a CLIP.

        Args:
            projection (dict | str, optional): Maps the features into the text tower's
                space: a config (type 'LinearProjection' unless named; its
                ``in_channels`` is found, its ``checkpoint`` is loaded), or the path of
                a linear map's state dict. A file that tools/align_teacher.py wrote
                knows the models it was fitted for; others are refused.
            text_encoder (dict, optional): Arguments of an :class:`OpenCLIPTeacher`.

        Raises:
            ConfigError: The projection is configured for another width.
            TeacherError: The projection cannot be read, does not fit, or was fitted for
                other models; or the widths of image and text differ.
        """
        meta: dict[str, Any] = {}
        if projection is not None:
            width = self.embed_dims
            self.projection, meta = build_projection(projection, width)
            check_teacher(meta, self)
            self.embed_dims = self.project(torch.zeros(1, width)).shape[1]
        if text_encoder is not None:
            encoder = MODELS.build({'type': OpenCLIPTeacher, **text_encoder})
            self.text = encoder.text
            # The features were fitted to that CLIP's, and are compared as they are.
            self.logit_scale = encoder.logit_scale
            self._check_widths()
            check_target(meta, encoder)

    @property
    def feature_identity(self) -> str:
        """As ``identity``, without the projection: what one is fitted for."""
        if self._feature_identity is None:
            tensors = [
                (key, value)
                for key, value in self._image_tensors()
                if not key.startswith('projection.')
            ]
            self._feature_identity = f'{self._name}#{fingerprint(tensors)[:8]}'
        return self._feature_identity

    def _remember_identity(self) -> None:
        super()._remember_identity()
        self._feature_identity = self.feature_identity

    @property
    def projects_places(self) -> bool:
        """Whether the projection may be applied to each place of a map."""
        return isinstance(self.projection, nn.Linear | None)

    def project(self, features: Tensor) -> Tensor:
        """Features (..., C) in the space of text, (..., D)."""
        if self.projection is None:
            return features
        # A fitted map may have entries that cancel: half precision would show.
        with torch.autocast(features.device.type, enabled=False):
            return self.projection(features.float())

    def _check_widths(self) -> None:
        assert self.text is not None  # called where there is a text tower
        if self.embed_dims == self.text.embed_dims:
            return
        raise TeacherError(
            f'Embedding widths differ: {self._name} gives {self.embed_dims}, the text '
            f'tower {self.text.name} gives {self.text.embed_dims}. Set projection to '
            f'a map to {self.text.embed_dims} that was trained for this pair, or take '
            'a text_encoder of that width.'
        )
