"""The file of the bags: for every image, the images that a teacher finds nearest."""

import hashlib
from collections.abc import Sized
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mmlgd.errors import DataError
from mmlgd.utils.atomic import replace_file

from .image_list import list_images_of


@dataclass
class Bags:
    """What a bag file holds.

    Attributes:
        neighbours (torch.Tensor): (N, k) int32, for image i the indices of its k
            nearest others, nearest first.
        teacher (str): ``identity`` of the teacher whose embeddings were compared.
        images (str): :func:`image_list_digest` of the data set.
    """

    neighbours: torch.Tensor
    teacher: str
    images: str

    @property
    def k(self) -> int:
        """Images in a bag, the anchor not counted."""
        return self.neighbours.shape[1]

    def save(self, path: str | Path) -> None:
        """Write a file that ``torch.load`` reads weights-only, or none at all."""
        with replace_file(path) as part:
            torch.save(asdict(self), part)

    @classmethod
    def read(cls, path: str | Path) -> 'Bags':
        """Read a bag file.

        Raises:
            DataError: The file is absent, truncated or no bag file.
        """
        if not Path(path).is_file():
            raise DataError(
                f'There is no bag file {path}; write one with '
                f'`python tools/build_bags.py CONFIG --out {path}`.'
            )
        try:
            bags = cls(**torch.load(path, map_location='cpu', weights_only=True))
            _check_indices(bags.neighbours)
        except Exception as error:  # The unpickler raises anything on broken bytes.
            raise DataError(
                f'{path} is no whole bag file ({type(error).__name__}: {error}); write '
                'it anew with tools/build_bags.py.'
            ) from error
        return bags

    def check_images(self, path: str | Path, dataset: Sized) -> None:
        """Refuse bags of other images, whose indices would mean others.

        Args:
            path (str | Path): The bag file, for the message.
            dataset (Sized): The images to train on.

        Raises:
            DataError: Number, names or order of the images differ.
        """
        mend = f'write bags of these images: `python tools/build_bags.py CONFIG --out {path}`'
        if len(self.neighbours) != len(dataset):
            raise DataError(
                f'The bag file {path} was made of {len(self.neighbours)} images, but the '
                f'training set has {len(dataset)}; {mend}.'
            )
        if self.images != image_list_digest(dataset):
            raise DataError(
                f'The bag file {path} was made of as many images as the training set has, '
                f'but of others, or in another order; {mend}.'
            )

    def check_teacher(self, path: str | Path, identity: str) -> None:
        """Refuse bags that another teacher made.

        Raises:
            DataError: The teachers differ.
        """
        if self.teacher != identity:
            raise DataError(
                f'The bag file {path} was made by {self.teacher}, but the student learns '
                f'from {identity}; write bags of this teacher with tools/build_bags.py, or '
                'set the same teacher.'
            )


def _check_indices(neighbours: torch.Tensor) -> None:
    if (
        neighbours.dtype != torch.int32
        or neighbours.ndim != 2
        or not neighbours.numel()
    ):
        raise ValueError(
            f'neighbours are {neighbours.dtype} of shape {tuple(neighbours.shape)}'
        )
    if neighbours.min() < 0 or neighbours.max() >= len(neighbours):
        raise ValueError('neighbours are out of range')


def image_list_digest(dataset: Sized) -> str:
    """SHA-256 of which images a data set has, in their order.

    Files count by their path below the data set's folder, so that the folder may
    be moved; images held in memory count by their pixels.

    Args:
        dataset (Sized): With ``get_data_info``, as mmengine's have it.

    Returns:
        str: 64 hexadecimal digits.

    Raises:
        ConfigError: The data set tells neither paths nor pixels.
    """
    digest = hashlib.sha256()
    for name, source in list_images_of(dataset):
        digest.update(f'{name}\0'.encode() if name else source)
    return digest.hexdigest()
