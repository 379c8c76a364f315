"""Bag files: for each image, the nearest images according to a teacher."""

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
    """Contents of a bag file.

    Attributes:
        neighbours (torch.Tensor): (N, k) int32; for image i, the indices of its k
            nearest other images, nearest first.
        teacher (str): ``identity`` of the teacher of the embeddings.
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
        """Number of images in a bag, without the anchor."""
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
        """Refuse bags of other images, since their indices would be wrong.

        Args:
            path (str | Path): The bag file, for the message.
            dataset (Sized): The training images.

        Raises:
            DataError: The number, names or order of the images differ.
        """
        fix = f'write bags of these images: `python tools/build_bags.py CONFIG --out {path}`'
        if len(self.neighbours) != len(dataset):
            raise DataError(
                f'The bag file {path} was built for {len(self.neighbours)} images, but '
                f'the training set has {len(dataset)}; {fix}.'
            )
        if self.images != image_list_digest(dataset):
            raise DataError(
                f'The bag file {path} was built for as many images as the training set '
                f'has, but for other images or another order; {fix}.'
            )

    def check_teacher(self, path: str | Path, identity: str) -> None:
        """Refuse bags of another teacher.

        Raises:
            DataError: The teachers differ.
        """
        if not same_identity(self.teacher, identity):
            raise DataError(
                f'The bag file {path} was built with {self.teacher}, but the student learns '
                f'from {identity}; build bags with this teacher (tools/build_bags.py), or '
                f'set the same teacher.{explain_difference(self.teacher, identity)}'
            )


def image_list_digest(dataset: Sized) -> str:
    """SHA-256 of the images of a dataset, in order.

    A file is identified by its path relative to the dataset's folder, so the folder may
    be moved. An image in memory is identified by its pixels.

    Args:
        dataset (Sized): With ``get_data_info``, as in mmengine.

    Returns:
        str: 64 hexadecimal digits.

    Raises:
        ConfigError: The dataset provides neither paths nor pixels.
    """
    digest = hashlib.sha256()
    for name, source in list_images_of(dataset):
        item: Any = encode_name(name) + b'\0' if name else source
        digest.update(item)
    return digest.hexdigest()
