"""Makes a shipped config small enough to run on a CPU in a second or two."""

from pathlib import Path

import numpy as np
from mmengine.config import Config, ConfigDict
from PIL import Image

import mmlgd  # noqa: F401  (registers the scope before configs are read)
from tests.helpers import tiny_teacher_cfg
from tests.shards import write_tar

CONFIGS = Path(__file__).parents[2] / 'configs'
IMAGE_SIZE = 64
# As 256 is to 224.
FURTHER_SIZE = 256 * IMAGE_SIZE // 224
NAMES = ['circle', 'square', 'star']
# Of a config that guides by other names than it predicts.
GUIDES = ['zovobi', 'pomini', 'repeke', 'varipu']


def distillation_configs() -> list[str]:
    """Every config of a distillation run, relative to ``configs/``."""
    return sorted(
        str(path.relative_to(CONFIGS))
        # demo/ holds downstream configs, too.
        for pattern in ('demo/fashion_mnist_*.py', 'lgd/*.py')
        for path in CONFIGS.glob(pattern)
    )


def write_images(folder: Path, number: int = 8, per_class: bool = False) -> Path:
    """Noise images of various sizes; with ``per_class``, one folder per name."""
    rng = np.random.default_rng(0)
    for index in range(number):
        target = folder / NAMES[index % len(NAMES)] if per_class else folder
        target.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (70 + index, 90 - index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(target / f'{index}.png')
    return folder


def with_tiny_teacher(cfg: Config) -> Config:
    """Swap the teacher for a tiny CLIP with random weights and 64-pixel images."""
    if 'teachers' in cfg.model:
        further = cfg.model.teachers[1:]
        cfg.model.teachers = [tiny_teacher_cfg(), *map(_tiny_entry, further)]
    else:
        cfg.model.teacher = ConfigDict(tiny_teacher_cfg())
    if 'student_size' in cfg.model:
        cfg.model.student_size = IMAGE_SIZE // 2
    if 'img_size' in cfg.model.backbone:
        cfg.model.backbone.img_size = (IMAGE_SIZE, IMAGE_SIZE)
    return cfg


def _tiny_entry(entry: ConfigDict) -> ConfigDict:
    """The entry of a further teacher, with a tiny net of timm and its random weights."""
    side = FURTHER_SIZE
    tiny = dict(type='TIMMTeacher', model_name='test_resnet', image_size=side)
    return ConfigDict({**entry, 'teacher': tiny})


def _shrink_data(cfg: ConfigDict | list, images: Path) -> None:
    """Eight images of the folder, and crops by the share that the teacher's shrank."""
    if isinstance(cfg, dict):
        if 'data_root' in cfg:
            cfg.update(data_root=str(images), indices=8)
        if cfg.get('type') == 'UnlabeledShards':
            shards = images.with_name(f'{images.name}_shards')
            files = sorted(images.glob('*.png'))
            write_tar(shards / '0.tar', [(one.name, one.read_bytes()) for one in files])
            cfg.data_root = str(shards)
        if str(cfg.get('type')).endswith('RandomResizedCrop'):
            cfg.scale = cfg.scale * IMAGE_SIZE // 224
        cfg = list(cfg.values())
    for part in cfg:
        if isinstance(part, (dict, list)):
            _shrink_data(part, images)


def shrink(
    cfg: Config, images: Path, work_dir: Path, labelled: Path | None = None
) -> Config:
    """Two iterations of four 64-pixel images under three names, in float32.

    The recipe itself (model, hooks, schedule, pipelines) is left as it is, but for the
    report.

    Args:
        cfg: A config for distillation, changed in place.
        images: A folder of at least eight images.
        work_dir: Where the run writes; also names the experiment.
        labelled: A folder with one subfolder per name, to validate on after the epoch.
            Defaults to None: no validation.

    Returns:
        Config: The same config.
    """
    with_tiny_teacher(cfg)
    names = dict(categories=NAMES, templates=['a photo of a {}.'])
    if 'zero_shot_bank' in cfg.model:
        cfg.model.zero_shot_bank.update(names)
        names['categories'] = GUIDES
    if 'textual_bank' in cfg.model:
        cfg.model.textual_bank.update(names)
    loader = dict(
        batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False
    )
    cfg.train_dataloader.update(loader)
    _shrink_data(cfg.train_dataloader.dataset, images)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.optim_wrapper.update(type='OptimWrapper')
    cfg.optim_wrapper.pop('dtype')
    cfg.custom_hooks[0].cache_dir = None
    # Drawing the report takes longer than the run; it has tests of its own.
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'ReportHook']
    cfg.default_hooks.logger.interval = 1
    cfg.update(work_dir=str(work_dir), experiment_name=work_dir.parent.name)
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'test_{part}'] = None
        if labelled is None:
            cfg[f'val_{part}'] = None
    if labelled is not None:
        cfg.val_dataloader.update(loader)
        dataset = cfg.val_dataloader.dataset
        dataset.pop('split')
        dataset.update(type='mmpretrain.CustomDataset', data_root=str(labelled))
        dataset.pipeline[1].scale = IMAGE_SIZE + 8
        dataset.pipeline[2].crop_size = IMAGE_SIZE
    return cfg
