"""Settings that suit the number of images and the device, each with its reason."""

import math
import os
from dataclasses import dataclass, fields
from typing import Any

import torch
from mmengine.device import get_device

from mmlgd.engine.amp_optim_wrapper import gpu_has_bfloat16
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.checks import check_count, check_in_range

#: Below so many steps, running means with the published momenta end far from the mean.
SHORT_RUN = 5000
#: From so many steps on, the published learning rate is used.
LONG_RUN = 100_000
# Learning rate for 256 images: of the demo, chosen for 600 steps, and of the paper.
_SHORT_LR, _LONG_LR = 0.48, 0.03
# Images seen in a run, and limits of the epochs.
_VIEWS = dict(cpu=250_000, gpu=30_000_000)
_EPOCHS = dict(cpu=(10, 100), gpu=(20, 200))
_SMALLEST_BATCH = 16


@dataclass(frozen=True)
class Choice:
    """A setting and why it has this value.

    Attributes:
        value (Any): For the config.
        reason (str): One line.
        shown (str): The value as text; '' shows ``value``.
    """

    value: Any
    reason: str
    shown: str = ''

    def __str__(self) -> str:
        return self.shown or str(self.value)


@dataclass(frozen=True)
class Choices:
    """All settings of a run that depend on the images or on the device.

    The names are those of the lines that are printed. ``batch`` and ``workers`` are of
    each process. ``steps`` is the number of iterations.
    """

    batch: Choice
    workers: Choice
    precision: Choice
    epochs: Choice
    steps: Choice
    learning_rate: Choice
    student_norms: Choice
    visual_bank: Choice
    student_size: Choice
    augmentation: Choice

    def lines(self) -> list[str]:
        """A line for each setting: name, value, reason."""
        shown = [
            (each.name.replace('_', ' '), getattr(self, each.name))
            for each in fields(self)
        ]
        return [f'{name:<14}{choice!s:<12}{choice.reason}' for name, choice in shown]


def choose(
    images: int,
    teacher_size: int,
    slow_statistics: bool,
    devices: int = 1,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    workers: int | None = None,
) -> Choices:
    """Choose the settings of a run.

    Args:
        images (int): Number of images.
        teacher_size (int): Side of the teacher's images, in pixels.
        slow_statistics (bool): Whether the student's BatchNorm has a momentum below 0.1.
        devices (int): Number of processes. Defaults to 1.
        epochs (int, optional): Given by the user, as are the next ones.
        batch_size (int, optional): Images per step and device.
        learning_rate (float, optional): Peak learning rate.
        workers (int, optional): Loading processes per device.

    Raises:
        ConfigError: A given value is out of range.
        DataError: There are too few images.
    """
    # Mixed precision and batches on the device are not for Apple's GPUs.
    on_gpu = get_device() not in ('cpu', 'mps')
    if images < 2 * devices:
        raise DataError(
            f'There are {images} images for {devices} device(s), but a step needs at '
            'least two per device; give more images.'
        )
    batch = _batch(images, devices, on_gpu, batch_size)
    length = images // devices // batch.value
    rounds = _epochs(images, on_gpu, epochs)
    steps = length * rounds.value
    is_short = steps < SHORT_RUN
    return Choices(
        batch=batch,
        workers=_workers(devices, on_gpu, workers),
        precision=_precision(on_gpu),
        epochs=rounds,
        steps=Choice(steps, f'{length} an epoch'),
        learning_rate=_learning_rate(batch.value * devices, steps, learning_rate),
        student_norms=_norms(is_short, slow_statistics),
        visual_bank=Choice(
            0.99 if is_short else 0.999,
            f'momentum; 0.999 averages over 1000 steps, too many for {steps}'
            if is_short
            else 'momentum, as published',
        ),
        student_size=Choice(
            min(teacher_size, 224),
            f'pixels; the teacher sees {teacher_size}',
        ),
        augmentation=Choice(
            'device' if on_gpu else 'workers',
            'colours and blur are changed on the GPU, in batches'
            if on_gpu
            else 'there is no GPU',
        ),
    )


def _batch(images: int, devices: int, on_gpu: bool, given: int | None) -> Choice:
    share = images // devices
    if given is not None:
        check_count('batch_size', given, 2)
        if given > share:
            raise ConfigError(
                f'batch_size is {given}, but each of {devices} device(s) has only {share} '
                f'images; set at most {share}.'
            )
        return Choice(given, 'images per device, as given')
    largest, why = 128, 'suits a CPU'
    if on_gpu:
        largest, why = _largest_on_gpu()
    wanted = 2 ** int(math.log2(max(share // 16, 1)))
    size = min(largest, max(wanted, _SMALLEST_BATCH), share)
    if size < largest:
        why = 'all images' if size == share else f'small enough for {share} images'
    return Choice(size, f'images per device; {why}')


def _largest_on_gpu() -> tuple[int, str]:
    if get_device() != 'cuda':
        return 64, 'fits most devices'
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    size = 256 if memory > 20 else 128 if memory > 10 else 64
    return size, f'fits {memory:.0f} GiB'


def _workers(devices: int, on_gpu: bool, given: int | None) -> Choice:
    if given is not None:
        return Choice(check_count('workers', given, 0), 'as given')
    cores = _cores()
    count = min(16, max(cores // devices, 1)) if on_gpu else min(2, cores)
    return Choice(count, f'loading processes per device; {cores} CPU cores')


def _cores() -> int:
    # The cores that this process may use, where the system knows them.
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _precision(on_gpu: bool) -> Choice:
    if not on_gpu:
        return Choice('float32', 'there is no GPU')
    if get_device() == 'cuda' and gpu_has_bfloat16():
        return Choice(
            'bfloat16', 'mixed; this GPU has it, and it needs no loss scaling'
        )
    return Choice('float16', 'mixed, with loss scaling; there is no native bfloat16')


def _epochs(images: int, on_gpu: bool, given: int | None) -> Choice:
    if given is not None:
        return Choice(check_count('epochs', given, 1), 'as given')
    kind = 'gpu' if on_gpu else 'cpu'
    fewest, most = _EPOCHS[kind]
    count = min(max(math.ceil(_VIEWS[kind] / images), fewest), most)
    return Choice(count, f'{count * images:,} views of {images:,} images')


def _learning_rate(batch: int, steps: int, given: float | None) -> Choice:
    if given is not None:
        check_in_range('learning_rate', given, 0, 100, low_open=True)
        return Choice(float(given), 'as given')
    # On a logarithmic scale between the two.
    share = math.log(max(steps, 1) / SHORT_RUN) / math.log(LONG_RUN / SHORT_RUN)
    share = min(max(share, 0.0), 1.0)
    per_256 = _SHORT_LR * (_LONG_LR / _SHORT_LR) ** share
    value = float(f'{per_256 * batch / 256:.3g}')
    return Choice(value, f'{per_256:.2g} per 256 images for {steps:,} steps')


def _norms(is_short: bool, slow_statistics: bool) -> Choice:
    if is_short and slow_statistics:
        return Choice(
            0.1,
            "momentum; with the student's 0.01, a short run ends before they settle",
        )
    return Choice(None, 'BatchNorm momentum of the student', 'unchanged')
