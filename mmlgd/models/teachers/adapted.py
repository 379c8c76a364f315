"""A teacher behind the crops of another one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from mmlgd.errors import TeacherError
from mmlgd.models.resizing import resize_images

from .base import BaseTeacher


class AdaptedTeacher(BaseTeacher):
    """A teacher that accepts crops of another size, mean and standard deviation.

    The crop is resized to the teacher's ``image_size`` and normalised again, with one
    scale and one shift for each channel. Filter weights sum to one, so the result is what
    the teacher's own preprocessing of the resized crop gives.

    Args:
        teacher (BaseTeacher): The teacher, with an image tower.
        image_mean (Sequence[float]): Mean that the crops are normalised with.
        image_std (Sequence[float]): Standard deviation of it.
        image_size (int): Side of the crops, in pixels.

    Attributes:
        adapted (BaseTeacher): The teacher itself.
    """

    def __init__(
        self,
        teacher: BaseTeacher,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        image_size: int,
    ) -> None:
        super().__init__()
        self.adapted = teacher
        self.text = teacher.text
        self.embed_dims = teacher.embed_dims
        self.image_mean, self.image_std = list(image_mean), list(image_std)
        self.image_size = image_size
        self.logit_scale = teacher.logit_scale
        self._identity, self._text_identity = teacher.identity, teacher.text_identity
        self._name = teacher.identity.rsplit('#', 1)[0]
        mean, std, own_mean, own_std = (
            torch.tensor(values, dtype=torch.float64)[:, None, None]
            for values in (image_mean, image_std, teacher.image_mean, teacher.image_std)
        )
        self.register_buffer('scale', (std / own_std).float())
        self.register_buffer('shift', ((mean - own_mean) / own_std).float())
        self.freeze()

    def view(self, inputs: Tensor) -> Tensor:
        """Turn crops (B, 3, image_size, image_size) into the teacher's input.

        Raises:
            TeacherError: The crops have another size.
        """
        if tuple(inputs.shape[-2:]) != (self.image_size, self.image_size):
            raise TeacherError(
                f'{self._name} is one of several teachers that share crops of '
                f'{self.image_size}x{self.image_size} pixels, the largest size among '
                f'them, but got {tuple(inputs.shape)}. Crop to that size in the pipeline, '
                'or set image_size of the largest teacher.'
            )
        resized = resize_images(inputs.float(), self.adapted.image_size)
        return resized * self.scale + self.shift

    def image_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) of the crops."""
        return self.adapted.image_features(self.view(inputs))

    def map_features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and the map (B, C, h, w) of the crops."""
        return self.adapted.map_features(self.view(inputs))

    def in_precision(self, device_type: str) -> AbstractContextManager:
        """See :meth:`BaseTeacher.in_precision`; the teacher's own."""
        return self.adapted.in_precision(device_type)

    def release_text_tower(self) -> None:
        """See :meth:`BaseTeacher.release_text_tower`."""
        self.adapted.release_text_tower()
        super().release_text_tower()
