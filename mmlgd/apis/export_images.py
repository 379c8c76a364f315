"""Images of the user as inputs of an exported model."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from mmengine.logging import print_log

from mmlgd.datasets.image_folder import is_hidden, list_images
from mmlgd.errors import ConfigError, DataError
from mmlgd.evaluation.name_matching import match_classes
from mmlgd.export.model import ExportModel
from mmlgd.export.registry import ExportFormat
from mmlgd.utils.progress import track

from .images import iter_images, list_inputs
from .stored_pipeline import StoredPipeline, with_pipeline

#: Of more images, so many are drawn at equal distances: all are in memory at once.
MAX_CALIBRATION = 300
MAX_CHECK = 1000
_FEW = 50


def check_images_given(form: ExportFormat, calibration: object, check: object) -> None:
    """Check that images are given where they are needed, and only where they are used.

    Raises:
        ConfigError: Calibration images are missing or superfluous, or files of the format
            cannot be checked on this machine.
    """
    if check is not None and not form.runs_here:
        raise ConfigError(
            f'The file cannot be checked on images: {form.unchecked}; omit --check (in '
            'Python, check).'
        )
    if form.is_quantised and calibration is None:
        raise ConfigError(
            'int8 needs calibration images: pass --calibration (in Python, calibration), '
            'a folder or list of a few hundred images like those of the application. '
            'Labels are not used.'
        )
    if not form.is_quantised and calibration is not None:
        raise ConfigError(
            "Calibration images are used by int8 only; add --dtype int8 (dtype='int8') "
            'or omit them.'
        )


def read_images(model: ExportModel, images: object) -> torch.Tensor:
    """Read images as the test pipeline of the checkpoint does.

    Args:
        model (ExportModel): Its input determines size, dtype and normalisation.
        images (object): See :func:`~mmlgd.apis.images.iter_images`.

    Returns:
        torch.Tensor: (N, 3, H, W), N > 0.

    Raises:
        DataError: No image was found, or one cannot be read.
        CheckpointError: The checkpoint does not contain its preprocessing.
    """
    inputs = list_inputs(images)
    record = model.record
    record.require('image_mean', 'image_std', 'to_rgb')
    preprocessing = record.preprocessing
    assert preprocessing is not None  # required above
    pipeline = StoredPipeline(with_pipeline(record))
    mean, std = (
        torch.tensor(each).view(3, 1, 1)
        for each in (preprocessing.mean, preprocessing.std)
    )
    rows = []
    for each in track(inputs, 'Reading images'):
        for array in iter_images(each):
            image = pipeline(array)
            image = (image.flip(0) if preprocessing.to_rgb else image).float()
            if image.shape[1:] != model.image_size:
                (image,) = F.interpolate(
                    image[None], model.image_size, mode='bilinear', antialias=True
                )
            if model.input_type == 'uint8':
                image = image.round().clamp(0, 255).byte()
            rows.append((image - mean) / std if model.input_type is None else image)
    if not rows:
        raise DataError('No image was found to calibrate or check with; give a folder.')
    return torch.stack(rows)


def read_calibration(model: ExportModel, images: object) -> torch.Tensor:
    """Read calibration images, at most :data:`MAX_CALIBRATION`; warn about few ones.

    Raises:
        DataError, CheckpointError: See :func:`read_images`.
    """
    inputs = list_inputs(images)
    if len(inputs) < _FEW:
        print_log(
            f'There are only {len(inputs)} calibration images; with a few hundred, the '
            'ranges of int8 fit better.',
            'current',
            level=logging.WARNING,
        )
    return read_images(model, _spread(inputs, MAX_CALIBRATION, 'calibration'))


def read_check(model: ExportModel, images: object) -> torch.Tensor:
    """Read images of the check, at most :data:`MAX_CHECK`.

    Raises:
        DataError, CheckpointError: See :func:`read_images`.
    """
    return read_images(model, _spread(list_inputs(images), MAX_CHECK, 'the check'))


def _spread(items: list, limit: int, purpose: str) -> list:
    if len(items) <= limit:
        return items
    print_log(
        f'Of {len(items):,} images for {purpose}, {limit:,} at equal distances are used.',
        'current',
    )
    return [items[index * len(items) // limit] for index in range(limit)]


def read_labelled(
    model: ExportModel, folder: object, names: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read a folder with a subfolder per class, at most :data:`MAX_CHECK` images.

    Args:
        model (ExportModel): See :func:`read_images`.
        folder (object): The folder.
        names (Sequence[str]): The C names; subfolders are named like them.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Images (N, 3, H, W), and indices of their
        names (N,) int64.

    Raises:
        ConfigError: ``folder`` is not one folder, or a subfolder matches no name.
        DataError, CheckpointError: See :func:`read_images`.
    """
    if isinstance(folder, (list, tuple)) and len(folder) == 1:
        (folder,) = folder
    if not isinstance(folder, (str, Path)) or not Path(folder).is_dir():
        raise ConfigError(
            'Labels are read from the subfolders of one folder; give one folder to '
            '--check, with a subfolder per class.'
        )
    root = Path(cast(str, folder))
    classes = sorted(
        each.name
        for each in root.iterdir()
        if each.is_dir() and not is_hidden(each.name)
    )
    indices = match_classes(classes, names, str(root))
    labelled = [
        (path, index)
        for name, index in zip(classes, indices)
        for path in list_images(str(root / name))
    ]
    if not labelled:
        raise DataError(f'{root} has no subfolder with images; --labels needs them.')
    # In the order of the classes, so that all of them are represented.
    paths, labels = zip(*_spread(labelled, MAX_CHECK, 'the check'))
    return read_images(model, list(paths)), torch.tensor(labels)
