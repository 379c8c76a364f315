"""Datasets with their teachers: training images, test images, files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import mmcv.transforms  # noqa: F401  (registers Resize)
import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmpretrain.datasets import CustomDataset, FashionMNIST

from demo.cifar10 import prepare_cifar10
from demo.fashion_mnist import (
    prepare_demo_data,
    prepare_full_data,
    read_split,
)

TEACHER_DIR = Path(__file__).parent / 'teacher'
PACK = dict(type='mmpretrain.PackInputs')


@dataclass(frozen=True)
class TeacherData:
    """A dataset, and the teacher trained on it.

    Attributes:
        categories: Built-in set of category names.
        stem: Name of the teacher's files.
        tested_on: Description of the test images.
        train_dir: Default folder of the training images.
        test_dir: Default folder of the test images.
        read_train: Training images (N, C, H, W), RGB or gray, and labels (N,), both
            uint8, from a folder that is filled if necessary.
        read_test: Dataset of the test images as seen by a student (uint8 BGR), from
            such a folder and the teacher's input size in pixels.
    """

    categories: str
    stem: str
    tested_on: str
    train_dir: Path
    test_dir: Path
    read_train: Callable[[Path], tuple[torch.Tensor, torch.Tensor]]
    read_test: Callable[[Path, int], BaseDataset]

    @property
    def model_config(self) -> Path:
        """The teacher's model config, for open_clip."""
        return TEACHER_DIR / f'{self.stem}.json'

    @property
    def weights(self) -> Path:
        """The teacher's state dict."""
        return TEACHER_DIR / f'{self.stem}.pt'


def fashion_mnist_train(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All 60,000 training images, gray."""
    images, labels = read_split(prepare_full_data(folder), 'train')
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels)


def fashion_mnist_test(folder: Path, image_size: int) -> BaseDataset:
    """The 2,000 embedded test images."""
    size = (image_size, image_size)
    # Without test_mode the class reads the training files for any split.
    return FashionMNIST(
        data_root=str(prepare_demo_data(folder)),
        split='test',
        test_mode=True,
        pipeline=[
            dict(type='mmlgd.GrayToBGR'),
            dict(type='Resize', scale=size, interpolation='bilinear'),
            PACK,
        ],
        download=False,
    )


def cifar10_train(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The 45,000 training images outside the validation split, RGB."""
    root = prepare_cifar10(folder)
    lines = (root / 'meta' / 'train.txt').read_text().splitlines()
    paths, labels = zip(*(line.split() for line in lines))
    images = np.stack([cv2.imread(str(root / path))[..., ::-1] for path in paths])
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    labels = torch.tensor([int(label) for label in labels], dtype=torch.uint8)
    return torch.from_numpy(images), labels


def cifar10_test(folder: Path, image_size: int) -> BaseDataset:
    """All 10,000 test images."""
    size = (image_size, image_size)
    return CustomDataset(
        data_root=str(prepare_cifar10(folder)),
        ann_file='meta/test.txt',
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=size, interpolation='bilinear'),
            PACK,
        ],
    )


TEACHER_DATA = dict(
    fashion_mnist=TeacherData(
        categories='fashion_mnist',
        stem='fashion-clip',
        tested_on='the 2,000 embedded test images of Fashion-MNIST',
        train_dir=Path('work_dirs/demo/full_data'),
        test_dir=Path('work_dirs/demo/data'),
        read_train=fashion_mnist_train,
        read_test=fashion_mnist_test,
    ),
    cifar10=TeacherData(
        categories='cifar10',
        stem='cifar-clip',
        tested_on='the 10,000 test images of CIFAR-10',
        train_dir=Path('data/cifar10'),
        test_dir=Path('data/cifar10'),
        read_train=cifar10_train,
        read_test=cifar10_test,
    ),
)
