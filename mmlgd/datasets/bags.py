"""The file of the bags: for every image, the images that a teacher finds nearest."""

import hashlib
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from mmlgd.errors import DataError
from mmlgd.utils.identity import explain_difference, same_identity
from mmlgd.utils.tensor_file import TensorFile, check_tensor

from .image_list import encode_name, list_images_of


@dataclass
class Bags(TensorFile):
    """What a bag file holds.

    Attributes:
        neighbours (torch.Tensor): (N, k) int32, for image i the indices of its k
            nearest others, nearest first.
        teacher (str): ``identity`` of the teacher whose embeddings were compared.
        images (str): :func:`image_list_digest` of the dataset.
    """

    KIND: ClassVar[str] = 'bag file'
    TOOL: ClassVar[str] = 'tools/build_bags.py'
    ERROR: ClassVar[type] = DataError

    neighbours: torch.Tensor
    teacher: str
    images: str

    @property
    def k(self) -> int:
        """Images in a bag, the anchor not counted."""
        return self.neighbours.shape[1]

    def validate(self) -> None:
        """See :meth:`TensorFile.validate`."""
        check_tensor('neighbours', self.neighbours, torch.int32, 2)
        size = len(self.neighbours)
        if self.neighbours.min() < 0 or self.neighbours.max() >= size:
            raise ValueError(f'neighbours are not indices of {size} images')
        own = torch.arange(size, dtype=torch.int32)[:, None]
        if (self.neighbours == own).any():
            raise ValueError('an image is its own neighbour')

    def check_images(self, path: str | Path, dataset: Sized) -> None:
        """Refuse bags of other images, whose indices would mean others.

        Args:
            path (str | Path): The bag file, for the message.
            dataset (Sized): The images to train on.

        Raises:
            DataError: Number, names or order of the images differ.
        """
        fix = f'write bags of these images: `python tools/build_bags.py CONFIG --out {path}`'
        if len(self.neighbours) != len(dataset):
            raise DataError(
                f'The bag file {path} was made of {len(self.neighbours)} images, but the '
                f'training set has {len(dataset)}; {fix}.'
            )
        if self.images != image_list_digest(dataset):
            raise DataError(
                f'The bag file {path} was made of as many images as the training set has, '
                f'but of others, or in another order; {fix}.'
            )

    def check_teacher(self, path: str | Path, identity: str) -> None:
        """Refuse bags that another teacher made.

        Raises:
            DataError: The teachers differ.
        """
        if not same_identity(self.teacher, identity):
            raise DataError(
                f'The bag file {path} was made by {self.teacher}, but the student learns '
                f'from {identity}; write bags of this teacher with tools/build_bags.py, or '
                f'set the same teacher.{explain_difference(self.teacher, identity)}'
            )


def image_list_digest(dataset: Sized) -> str:
    """SHA-256 of which images a dataset has, in their order.

    Files count by their path below the dataset's folder, so that the folder may
    be moved; images held in memory count by their pixels.

    Args:
        dataset (Sized): With ``get_data_info``, as mmengine's have it.

    Returns:
        str: 64 hexadecimal digits.

    Raises:
        ConfigError: The dataset has neither paths nor pixels.
    """
    digest = hashlib.sha256()
    for name, source in list_images_of(dataset):
        item: Any = encode_name(name) + b'\0' if name else source
        digest.update(item)
    return digest.hexdigest()
