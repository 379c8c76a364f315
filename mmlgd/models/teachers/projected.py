"""Teachers whose features are projected into the space of a text tower."""

from typing import Any

import torch
from torch import Tensor, nn

from mmlgd.errors import TeacherError
from mmlgd.registry import MODELS

from .base import BaseTeacher, fingerprint
from .open_clip_teacher import OpenCLIPTeacher
from .projection import build_projection, check_target, check_teacher


class ProjectedTeacher(BaseTeacher):
    """An image encoder that may use the text tower of a CLIP.

    A subclass builds its image modules, sets the attributes of :class:`BaseTeacher`
    with the width of its own features as ``embed_dims``, and calls :meth:`borrow_text`
    and :meth:`freeze`. It passes its features to :meth:`project`.

    Args:
        precision (str): See :class:`BaseTeacher`. Defaults to 'auto'.

    Attributes:
        projection (nn.Module | None): From the backbone's features to ``embed_dims``.
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
                space: a config (``type`` defaults to 'LinearProjection', ``in_channels``
                is filled in, ``checkpoint`` is loaded), or the path of a linear map's
                state dict. A file written by tools/align_teacher.py records the models
                it was fitted for; other models are refused.
            text_encoder (dict, optional): Arguments of an :class:`OpenCLIPTeacher`.

        Raises:
            ConfigError: The projection is configured for another width.
            TeacherError: The projection cannot be read, does not match, or was fitted
                for other models; or the widths of image and text differ.
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
            # The features were fitted to that CLIP's, so its scale applies.
            self.logit_scale = encoder.logit_scale
            self._check_widths()
            check_target(meta, encoder)

    @property
    def feature_identity(self) -> str:
        """The ``identity`` without the projection, for which a projection is fitted."""
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
    def projects_locations(self) -> bool:
        """Whether the projection can be applied to each location of a map."""
        return isinstance(self.projection, nn.Linear | None)

    def project(self, features: Tensor) -> Tensor:
        """Project features (..., C) into the space of text, (..., D)."""
        if self.projection is None:
            return features
        # Entries of a fitted map may cancel, so half precision is too coarse.
        with torch.autocast(features.device.type, enabled=False):
            return self.projection(features.float())

    def _check_widths(self) -> None:
        assert self.text is not None  # only called with a text tower
        if self.embed_dims == self.text.embed_dims:
            return
        raise TeacherError(
            f'Embedding widths differ: {self._name} has {self.embed_dims}, the text '
            f'tower {self.text.name} has {self.text.embed_dims}. Set projection to '
            f'a map to {self.text.embed_dims} that was trained for this pair, or use '
            'a text_encoder of that width.'
        )
