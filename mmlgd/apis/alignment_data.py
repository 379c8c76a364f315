"""Data for the fit of a projection, preprocessed for two models."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mmlgd.errors import ConfigError, DataError
from mmlgd.models.device_augmentation import augment
from mmlgd.models.resizing import resize_images
from mmlgd.models.teachers import BaseTeacher
from mmlgd.registry import DATASETS
from mmlgd.utils.checks import check_in_range


def split_loaders(
    dataloader: dict, held_out: float, num_images: int | None, seed: int
) -> tuple[DataLoader, DataLoader]:
    """Build the data loaders of the fit and of the held-out images.

    Args:
        dataloader (dict): See :func:`~mmlgd.apis.align_teacher.align_teacher`, also for
            the other arguments.

    Raises:
        ConfigError: ``held_out`` or ``num_images`` is out of range.
        DataError: Fewer than three images.
    """
    dataset = DATASETS.build(dataloader['dataset'])
    changes = dict(
        # Each image once over all ranks.
        sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
        drop_last=False,
    )
    fit, held = (
        Runner.build_dataloader(
            {**dataloader, 'dataset': Subset(dataset, part), **changes}, seed=seed
        )
        for part in split_indices(len(dataset), held_out, num_images, seed)
    )
    return fit, held


def split_indices(
    total: int, held_out: float, num_images: int | None, seed: int
) -> tuple[list[int], list[int]]:
    """Draw the images of the fit and the held-out ones.

    Args:
        total (int): Size of the dataset.
        held_out (float): Share of held-out images, in (0, 1); at least one image.
        num_images (int, optional): Number of images to draw in total. None uses all.
        seed (int): Seed of the drawing.

    Returns:
        tuple[list[int], list[int]]: Sorted and disjoint.

    Raises:
        ConfigError: ``held_out`` or ``num_images`` is out of range.
        DataError: Fewer than three images.
    """
    check_in_range('held_out', held_out, 0, 1, low_open=True, high_open=True)
    if num_images is not None and not 3 <= num_images <= total:
        raise ConfigError(
            f'num_images is {num_images}, but the dataset has {total} images and a '
            'fit needs 3. Omit it to use all images.'
        )
    if total < 3:
        raise DataError(
            f'The dataset has {total} images; a fit needs at least 3, one of them held '
            'out. Check data_root of the dataloader.'
        )
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(total, generator=generator)[:num_images].tolist()
    count = min(max(1, round(held_out * len(drawn))), len(drawn) - 2)
    return sorted(drawn[count:]), sorted(drawn[:count])


def view_of(images: Tensor, teacher: BaseTeacher) -> Tensor:
    """Resize and normalise a batch of crops for a model.

    Args:
        images (Tensor): (B, 3, H, W) in BGR order, 0 to 255.
        teacher (BaseTeacher): Defines size, mean and std.

    Returns:
        Tensor: (B, 3, image_size, image_size) float32, RGB, normalised.
    """
    pixels = resize_images(images.flip(1).float(), teacher.image_size)
    mean = pixels.new_tensor(teacher.image_mean).view(3, 1, 1)
    std = pixels.new_tensor(teacher.image_std).view(3, 1, 1)
    return (pixels - mean) / std


def stacked(inputs: Any, device: str | torch.device = 'cpu') -> Tensor:
    """Stack the images of a batch, independent of the collate function.

    The operations that ``PackForDevice`` has drawn are applied, as in training.

    Args:
        inputs (Tensor | Sequence | Mapping): (B, 3, H, W), or B images (3, H, W), or one
            of these with operations.
        device (str | torch.device): Where the images are sent. Defaults to 'cpu'.

    Returns:
        Tensor: (B, 3, H, W) uint8, or float32 after operations, of 0 to 255.

    Raises:
        ConfigError: Several sizes, several views, or another number of channels.
    """
    if isinstance(inputs, Sequence) and isinstance(inputs[0], Mapping):
        inputs = {key: [each[key] for each in inputs] for key in inputs[0]}
    if isinstance(inputs, Mapping):
        images, operations = stacked(inputs['image'], device), inputs['operations']
        if not isinstance(operations, Tensor):
            operations = torch.stack(list(operations))
        return augment(images, operations)
    if not isinstance(inputs, Tensor):
        shapes = {tuple(image.shape) for image in inputs}
        if len(shapes) > 1:
            raise ConfigError(
                f'The images of a batch have several sizes: {sorted(shapes)[:3]}. End '
                'the pipeline of the dataloader with a crop to one size.'
            )
        inputs = torch.stack(list(inputs))
    if inputs.dim() != 4 or inputs.shape[1] != 3:
        raise ConfigError(
            f'The dataloader returns images of shape {tuple(inputs.shape)}, not (B, 3, H, '
            'W). Use one view with three channels; GrayToBGR converts gray images.'
        )
    return inputs.to(device)
