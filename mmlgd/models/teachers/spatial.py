"""The spatial side of a teacher: one feature vector for each place of an image."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlgd.errors import TeacherError


class SpatialFeatures(NamedTuple):
    """What one forward pass of a teacher gives, without gradient.

    Attributes:
        embeddings (torch.Tensor): t, (B, D) float32, unit rows.
        feature_map (torch.Tensor): (B, C, h, w) float32, as the network gives it.
        dense (torch.Tensor | None): (B, D, h, w) float32, of unit length over D,
            in the space of ``embeddings``; None where it was not asked for.
    """

    embeddings: Tensor
    feature_map: Tensor
    dense: Tensor | None = None


class SpatialEncoder:
    """What every teacher can be asked about places; mixed into ``BaseTeacher``.

    A teacher with a feature map defines :meth:`map_features`, one whose places
    have embeddings too :meth:`dense_features`.
    """

    image_size: int
    device: torch.device
    in_precision: Callable[[str], AbstractContextManager]
    _name: str
    _feature_map_dims: int | None = None

    def map_features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D), not yet unit rows, and the feature map (B, C, h, w)."""
        raise TeacherError(
            f'{self._name} has no feature map. Spatial methods need a teacher that '
            'has one: an OpenCLIPTeacher, a TIMMTeacher, or an MMPretrainTeacher whose '
            'backbone gives maps.'
        )

    def dense_features(self, feature_map: Tensor) -> Tensor:
        """Embeddings (B, D, h, w), not yet of unit length, of a feature map."""
        raise TeacherError(
            f'{self._name} has no embeddings of single places, only a feature map. '
            'Use encode_feature_map, or a CLIP with a ResNet or a plain ViT.'
        )

    @property
    def feature_map_dims(self) -> int:
        """Channels C of the feature map, found by one black image.

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
            Tensor: (B, C, h, w) float32, un-normalised, without gradient.
        """
        return self.encode_spatial(inputs).feature_map

    def encode_dense(self, inputs: Tensor) -> Tensor:
        """The embedding of each place of images, see :meth:`encode_spatial`.

        Returns:
            Tensor: (B, D, h, w) float32, unit over D, without gradient.
        """
        return self.encode_spatial(inputs, dense=True).dense

    @torch.no_grad()
    def encode_spatial(self, inputs: Tensor, dense: bool = False) -> SpatialFeatures:
        """Encodes images and their places in one pass, as ``encode_image`` does.

        Args:
            inputs (Tensor): (B, 3, H, W) float, RGB, normalised with
                ``image_mean`` and ``image_std``.
            dense (bool): Whether to embed each place, too. Defaults to False.

        Returns:
            SpatialFeatures: Embeddings, feature map and, where asked for, the
            embedding of each place.

        Raises:
            TeacherError: The teacher has no feature map, or no embeddings of
                places.
        """
        kind = inputs.device.type
        with self.in_precision(kind):
            features, feature_map = self.map_features(inputs.float())
            places = self.dense_features(feature_map) if dense else None
        with torch.autocast(kind, enabled=False):
            return SpatialFeatures(
                embeddings=F.normalize(features.float(), dim=1),
                feature_map=feature_map.float(),
                dense=None if places is None else F.normalize(places.float(), dim=1),
            )
