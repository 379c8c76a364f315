"""Distillation in one call."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import find_latest_checkpoint

from mmlgd.apis.training import train_config
from mmlgd.errors import ConfigError, MMLGDError
from mmlgd.utils.atomic import check_output_folder, write_atomically
from mmlgd.utils.checks import check_count
from mmlgd.utils.launch import detect_launcher
from mmlgd.utils.ports import choose_port
from mmlgd.utils.quiet import capture_prints
from mmlgd.utils.resume import check_work_dir

from .choices import Choices, choose
from .config import apply_overrides, build_config, config_text
from .inputs import CONFIG_FOLDER, FoundImages, Images, find_images, find_names
from .models import FoundStudent, FoundTeacher, find_student, find_teacher
from .plan import Estimate, estimate

CONFIG_NAME = 'config.py'


@dataclass(frozen=True)
class Distillation:
    """The files of a run.

    Attributes:
        config (Path): The config, which repeats the run.
        checkpoint (Path): The last checkpoint, for :class:`~mmlgd.ZeroShotInferencer`.
        backbone (Path): The backbone, for other tasks.
    """

    config: Path
    checkpoint: Path
    backbone: Path


@dataclass(frozen=True)
class _Prepared:
    """A run that is checked, but not started."""

    cfg: Config
    files: dict[str, str]
    choices: Choices
    summary: list[str]


def distill(
    images: Images,
    names: str | Path | Sequence[str] | Mapping,
    student: str | Mapping = 'mobilenetv4_conv_small',
    teacher: str | Path | Mapping = 'ViT-B-16/dfn2b',
    out: str | Path = 'work_dirs/distill',
    epochs: int | None = None,
    *,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    workers: int | None = None,
    devices: int = 1,
    seed: int = 0,
    resume: bool | str | Path = False,
    overwrite: bool = False,
    plan: bool = False,
    **overrides: Any,
) -> Distillation | Estimate:
    """Distil a teacher into a student on unlabeled images.

    The settings that are not given are chosen by the number of images and the device, and
    are printed with their reasons. The complete config is written to ``out/config.py``
    and trained as ``python tools/train.py out/config.py`` would.

    Args:
        images (str | Path | Sequence): A folder, tar shards, or a list of image files.
        names (str | Path | Sequence | Mapping): A text file with one category name per
            line, a list, or a built-in set such as 'coco'.
        student (str | Mapping): A name of :func:`~mmlgd.apis.list_students`, any other
            name of timm, or ``dict(backbone=..., neck=...)``. Defaults to
            'mobilenetv4_conv_small'.
        teacher (str | Path | Mapping): A name of :func:`~mmlgd.apis.list_teachers`;
            'MODEL/pretrained-tag' or 'MODEL/weight-file' of open_clip; a weight file with
            its model JSON beside it; a folder with ``open_clip_config.json``; or a
            config. Defaults to 'ViT-B-16/dfn2b', which is downloaded once.
        out (str | Path): Folder of the run. Defaults to 'work_dirs/distill'.
        epochs (int, optional): Passes over the images.
        batch_size (int, optional): Images per step and device.
        learning_rate (float, optional): Peak learning rate.
        workers (int, optional): Loading processes per device.
        devices (int): Number of GPUs, or of processes without a GPU. More than one are
            started by torchrun. Defaults to 1.
        seed (int): Seed of the run. Defaults to 0.
        resume (bool | str | Path): Whether to resume the run in ``out``, or the
            checkpoint to resume from. Defaults to False.
        overwrite (bool): Whether to start a new run in a used folder. Defaults to False.
        plan (bool): Only print the plan with an estimate of time and disk. Nothing is
            trained or kept. Defaults to False.
        **overrides: Further settings of the config: ``model=dict(alpha=0.3)``, or
            ``**{'model.alpha': 0.3}``.

    Returns:
        Distillation | Estimate: The files of the run; with ``plan``, the estimate.

    Raises:
        ConfigError: A name, a setting or the folder cannot be used.
        DataError: The images cannot be used.
        TeacherError: The teacher cannot be loaded.

    Example:
        >>> import mmlgd
        >>> run = mmlgd.distill('photos/', 'names.txt', out='work_dirs/photos')
        >>> mmlgd.ZeroShotInferencer(run.checkpoint)('photo.jpg')[0]['pred_class']
        'otter'
    """
    _check_launch(devices)
    out = Path(os.path.abspath(os.path.expanduser(out)))
    if not plan:
        check_output_folder(out, 'out')
        if not resume:
            check_work_dir(Config(dict(work_dir=str(out))), overwrite, '--out')
    options = dict(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        workers=workers,
        devices=devices,
    )
    run = _prepare(
        images, names, student, teacher, None if plan else out, options, seed, overrides
    )
    print('\n'.join([*run.summary, *run.choices.lines()]))
    text = config_text(run.cfg, run.choices)
    if plan:
        with TemporaryDirectory() as folder:
            config = _write(Path(folder), text, run.files)
            with capture_prints():
                found = estimate(Config.fromfile(config), run.choices.steps.value)
        print('\n'.join(found.lines()))
        return found
    config = _write(out, text, run.files)
    print(f'config        {config}')
    _train(config, devices, resume, overwrite)
    checkpoint = find_latest_checkpoint(str(out))
    return Distillation(config, Path(checkpoint), out / 'backbone.pth')


def _prepare(
    images: Images,
    names: Any,
    student: Any,
    teacher: Any,
    out: Path | None,
    options: dict,
    seed: int,
    overrides: Mapping,
) -> _Prepared:
    init_default_scope('mmlgd')
    built_in, category_names = find_names(names)
    with capture_prints():
        found_teacher = find_teacher(teacher)
        size = min(found_teacher.image_size, 224)
        found_student = find_student(student, size)
    found_images = find_images(images, out)
    choices = choose(
        found_images.count,
        found_teacher.image_size,
        found_student.quick_norms is not None,
        **options,
    )
    files = dict(found_images.files)
    if not built_in:
        files['names.json'] = json.dumps(category_names, indent=0, ensure_ascii=False)
    cfg = build_config(
        found_images,
        built_in or f'{CONFIG_FOLDER}/names.json',
        found_teacher,
        found_student,
        choices,
        seed,
    )
    apply_overrides(cfg, overrides)
    summary = _summary(found_images, category_names, found_teacher, found_student)
    return _Prepared(cfg, files, choices, summary)


def _summary(
    images: FoundImages, names: list[str], teacher: FoundTeacher, student: FoundStudent
) -> list[str]:
    more = ', ...' if len(names) > 3 else ''
    return [
        f'images        {images.count:,} in {images.place}',
        f'names         {len(names):,}: {", ".join(names[:3])}{more}',
        f'teacher       {teacher.name}, {teacher.image_size} pixels',
        f'student       {student.name}, {student.parameters / 1e6:.1f} M parameters',
    ]


def _check_launch(devices: int) -> None:
    check_count('devices', devices, 1)
    if detect_launcher() != 'none':
        raise ConfigError(
            'mmlgd.distill starts the processes of several devices itself: call it in one '
            'process, with devices=N. Under torchrun or Slurm, train a config with '
            '`mmlgd train`.'
        )
    found = torch.cuda.device_count()
    if get_device() == 'cuda' and devices > found:
        raise ConfigError(f'devices is {devices}, but this machine has {found} GPU(s).')


def _write(folder: Path, text: str, files: Mapping[str, str]) -> Path:
    """Write the config and the files beside it; return the config's path."""
    for name, content in files.items():
        write_atomically(folder / name, content.encode('utf-8', 'surrogateescape'))
    write_atomically(folder / CONFIG_NAME, text)
    return folder / CONFIG_NAME


def _train(
    config: Path, devices: int, resume: bool | str | Path, overwrite: bool
) -> None:
    checkpoint = 'auto' if resume is True else str(resume) if resume else None
    if devices == 1:
        cfg = Config.fromfile(config)
        cfg.launcher = 'none'
        train_config(cfg, checkpoint, overwrite)
        return
    options = ['--resume', checkpoint] if checkpoint else []
    options += ['--overwrite'] if overwrite else []
    command = [
        *(sys.executable, '-m', 'torch.distributed.run'),
        *('--nproc_per_node', str(devices), '--master_port', str(choose_port())),
        *('-m', 'mmlgd', 'train', str(config), '--launcher', 'pytorch', *options),
    ]
    code = subprocess.run(command).returncode
    if code:
        raise MMLGDError(
            f'The training on {devices} devices ended with exit code {code}; its messages '
            f'are above, and its log is in {config.parent}.'
        )
