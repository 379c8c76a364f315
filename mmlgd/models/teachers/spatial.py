"""Spatial features of a teacher: one feature vector per location of an image."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlgd.errors import TeacherError


class SpatialFeatures(NamedTuple):
    """Outputs of one forward pass of a teacher, without gradient.

    Attributes:
        embeddings (torch.Tensor): t, (B, D) float32, unit rows.
        feature_map (torch.Tensor): (B, C, h, w) float32, unnormalised.
        dense (torch.Tensor | None): (B, D, h, w) float32, of unit length over D, in the
            space of ``embeddings``; None if not requested.
    """

    embeddings: Tensor
    feature_map: Tensor
    dense: Tensor | None = None


class SpatialEncoder:
    """Mixin of ``BaseTeacher`` for spatial features.

    A teacher with a feature map defines :meth:`map_features`, and one with dense
    embeddings also :meth:`dense_features`.
    """

    image_size: int
    device: torch.device
    in_precision: Callable[[str], AbstractContextManager]
    _name: str
    _feature_map_dims: int | None = None

    def map_features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Unnormalised features (B, D) and the feature map (B, C, h, w)."""
        raise TeacherError(
            f'{self._name} has no feature map. Spatial methods need a teacher that '
            'has one: an OpenCLIPTeacher, a TIMMTeacher, or an MMPretrainTeacher whose '
            'backbone returns maps.'
        )

    def dense_features(self, feature_map: Tensor) -> Tensor:
        """Unnormalised embeddings (B, D, h, w) of a feature map."""
        raise TeacherError(
            f'{self._name} has no embeddings of single locations, only a feature map. '
            'Use encode_feature_map, or a CLIP with a ResNet or a plain ViT.'
        )

    @property
    def feature_map_dims(self) -> int:
        """Channels C of the feature map, determined with one black image.

        Raises:
            TeacherError: The teacher has no feature map.
        """
        if self._feature_map_dims is None:
            size = self.image_size
            black = torch.zeros(1, 3, size, size, device=self.device)
            self._feature_map_dims = self.encode_feature_map(black).shape[1]
        return self._feature_map_dims

    def encode_feature_map(self, inputs: Tensor) -> Tensor:
        """The feature map of images, see :meth:`encode_spatial`.

        Returns:
            Tensor: (B, C, h, w) float32, unnormalised, without gradient.
        """
        return self.encode_spatial(inputs).feature_map

    def encode_dense(self, inputs: Tensor) -> Tensor:
        """The embedding of each location of images, see :meth:`encode_spatial`.

        Returns:
            Tensor: (B, D, h, w) float32, unit over D, without gradient.
        """
        return self.encode_spatial(inputs, dense=True).dense

    @torch.no_grad()
    def encode_spatial(self, inputs: Tensor, dense: bool = False) -> SpatialFeatures:
        """Encode images and their locations in one pass, like ``encode_image``.

        Args:
            inputs (Tensor): (B, 3, H, W) float, RGB, normalised with
                ``image_mean`` and ``image_std``.
            dense (bool): Whether to also embed each location. Defaults to False.

        Returns:
            SpatialFeatures: Embeddings, feature map and, if requested, the embedding of
            each location.

        Raises:
            TeacherError: The teacher has no feature map, or no dense embeddings.
        """
        kind = inputs.device.type
        with self.in_precision(kind):
            features, feature_map = self.map_features(inputs.float())
            rows = self.dense_features(feature_map) if dense else None
        with torch.autocast(kind, enabled=False):
            return SpatialFeatures(
                embeddings=F.normalize(features.float(), dim=1),
                feature_map=feature_map.float(),
                dense=None if rows is None else F.normalize(rows.float(), dim=1),
            )
