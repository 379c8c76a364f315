"""Linear probe on the features of images in class folders."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mmlgd.datasets.image_folder import is_hidden, list_images
from mmlgd.errors import DataError
from mmlgd.evaluation import choose_lr, fit_linear_probes, predict, summarize
from mmlgd.utils.checks import check_in_range

from .inferencers import EmbeddingInferencer


def probe_folders(
    checkpoint: str | Path,
    train: str | Path,
    test: str | Path,
    share: float = 1.0,
    learning_rates: Sequence[float] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    epochs: int = 100,
    seed: int = 0,
    batch_size: int = 32,
    device: str | torch.device | None = None,
) -> dict:
    """Train a linear classifier on frozen features, and test it.

    Features are standardised by the mean and standard deviation of the training images,
    so that learning rates suit any backbone.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        train (str | Path): Folder with a subfolder of images per class.
        test (str | Path): The same, with the same names of subfolders or fewer.
        share (float): Share of the training images of each class, in (0, 1]; at least
            one image of each. Defaults to 1.
        learning_rates (Sequence[float]): Candidates; one is not chosen, but used.
        epochs (int): Of the probe. Defaults to 100.
        seed (int): Of the drawing and of the probe. Defaults to 0.
        batch_size (int): Images in memory at a time. Defaults to 32.
        device (str | torch.device, optional): Defaults to None: the GPU, if any.

    Returns:
        dict: ``top1`` and ``balanced`` accuracy in percent, ``learning_rate`` and the
        numbers of images and classes.

    Raises:
        DataError: A folder has no classes, the test folder has other ones, both have a
            file in common, or an image cannot be read.
        CheckpointError: The checkpoint cannot be used.
        ConfigError: ``share`` is out of range.
    """
    check_in_range('share', share, 0, 1, low_open=True)
    classes = _classes(train)
    unknown = sorted({*_classes(test)} - {*classes})
    if unknown:
        raise DataError(
            f'{test} has {len(unknown)} class folder(s) that {train} does not have, such '
            f'as {unknown[0]!r}; rename or remove them.'
        )
    drawn, labels = _images(train, classes, share, seed)
    queries, targets = _images(test, classes, 1.0, seed)
    _check_apart(drawn, queries, train, test)
    inferencer = EmbeddingInferencer(checkpoint, device, part='features')
    features, tests = (
        torch.from_numpy(
            np.concatenate(
                [rows for _, rows in inferencer.stream(paths, what, batch_size)]
            )
        )
        for paths, what in ((drawn, 'Training images'), (queries, 'Test images'))
    )
    std, mean = torch.std_mean(features, dim=0, correction=0)
    features, tests = ((each - mean) / (std + 1e-6) for each in (features, tests))
    count, rates = len(classes), [*learning_rates]
    rate = rates[0]
    if len(rates) > 1:
        rate = choose_lr(features, labels, count, rates, epochs=epochs, seed=seed)
    weights = fit_linear_probes(
        features, labels, count, [rate], epochs=epochs, seed=seed
    )
    (found,) = predict(weights, tests)
    return dict(
        summarize(targets, found == targets, count),
        learning_rate=rate,
        num_train_images=len(features),
        num_test_images=len(tests),
        num_classes=count,
    )


def _classes(folder: str | Path) -> list[str]:
    if not os.path.isdir(folder):
        raise DataError(f'The folder {str(folder)!r} does not exist; correct the path.')
    found = sorted(
        each.name
        for each in Path(folder).iterdir()
        if each.is_dir() and not is_hidden(each.name)
    )
    if not found:
        raise DataError(
            f'{folder} has no subfolders; put the images of a class in one.'
        )
    return found


def _check_apart(
    drawn: Sequence[str], queries: Sequence[str], train: str | Path, test: str | Path
) -> None:
    files = {os.path.realpath(path) for path in drawn}
    common = [path for path in queries if os.path.realpath(path) in files]
    if common:
        raise DataError(
            f'{len(common)} of the {len(queries)} test images in {test} are also '
            f'training images in {train}, such as {common[0]}, so the accuracy would be '
            'too high; put each image into one of the two folders.'
        )


def _images(
    folder: str | Path, classes: Sequence[str], share: float, seed: int
) -> tuple[list[str], torch.Tensor]:
    """Drawn images and their labels (N,); a class without a folder has none."""
    generator = torch.Generator().manual_seed(seed)
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        place = os.path.join(folder, name)
        found = list_images(place) if os.path.isdir(place) else []
        count = math.ceil(share * len(found))
        order = torch.randperm(len(found), generator=generator)[:count]
        paths += [found[index] for index in sorted(order.tolist())]
        labels += [label] * count
    return paths, torch.tensor(labels)
