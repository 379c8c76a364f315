"""Runs the downstream configs with reduced sizes, in their own folder."""

import copy
import functools
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import mmlgd
from mmlgd.registry import MODELS
from tests.test_configs.shrink import CONFIGS

TIMM_STUDENTS = ('mobilenetv4_conv_small', 'repvit_m1_0', 'fastvit_mci0')
STUDENTS = ('r18', 'mbv2', 'mbv3', 'effb0', *TIMM_STUDENTS)
CLIP = dict(
    image_mean=[122.7709383, 116.7460125, 104.09373615],
    image_std=[68.5005327, 66.6321579, 70.32316305],
)


def configs_of(folder: str) -> list[str]:
    """Names of all configs of a folder, without suffix."""
    return sorted(path.stem for path in (CONFIGS / folder).glob('*.py'))


def student_of(name: str) -> str:
    """The student in the name of a config."""
    (found,) = (student for student in STUDENTS if student in name)
    return found


def write_student(path: Path, student: str) -> None:
    """A distillation checkpoint with random tensors, including statistics."""
    init_default_scope('mmlgd')
    cfg = Config.fromfile(CONFIGS / f'_base_/students/{student}.py')
    cfg = cfg.student.backbone.to_dict()
    generator = torch.Generator().manual_seed(len(student))
    state = {'projector.layers.0.weight': torch.ones(4, 4)}
    for key, value in MODELS.build(cfg).state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            # Gains and variances around one; small weights, of both signs.
            small = value.ndim > 1 or key.endswith(('bias', 'mean'))
            value = 0.1 * (noise - 0.5) if small else 0.5 + noise
        state[f'backbone.{key}'] = value
    meta = dict(CLIP, to_rgb=True, mmlgd_version=mmlgd.__version__, backbone=cfg)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=state, meta=meta), path)


@functools.cache
def _read(path: Path) -> Config:
    """A config with bases in other packages takes a second to read."""
    return Config.fromfile(path)


def stock(folder: str, name: str) -> Config:
    """A config as it is shipped."""
    return copy.deepcopy(_read(CONFIGS / folder / f'{name}.py'))


def load(folder: str, name: str, work_dir: Path) -> Config:
    """A config with settings that do not depend on the task reduced to a small run."""
    cfg = stock(folder, name)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    if cfg.train_cfg.get('type') == 'IterBasedTrainLoop':
        cfg.train_cfg.update(max_iters=2, val_interval=2)
    else:
        cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
    cfg.randomness = dict(seed=0)
    cfg.work_dir = str(work_dir)
    # Unique: mmengine keeps loggers and message hubs by this name.
    cfg.experiment_name = f'{name}_{time.time_ns()}'
    return cfg


def set_sizes(pipeline: list, scale: tuple | int, crop: tuple | int | None = None):
    """Set the sizes in every step of a pipeline; the crop equals the scale."""
    sizes = dict(scale=scale, img_scale=scale, size=scale, scales=[scale])
    sizes['crop_size'] = crop or scale
    for step in pipeline:
        step.update({key: size for key, size in sizes.items() if key in step})


class Witness(Hook):
    """Records the backbone before the first iteration, gradients and losses.

    Attributes:
        start: The backbone's state before the first iteration.
        unused: Trainable parameters that got no gradient.
        losses: One per iteration.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.start, self.unused, self.losses = {}, set(), []

    def before_train(self, runner) -> None:
        state = runner.model.backbone.state_dict()
        self.start = {key: value.clone() for key, value in state.items()}
        for name, parameter in runner.model.named_parameters():
            if parameter.requires_grad:
                self.unused.add(name)
                parameter.register_post_accumulate_grad_hook(
                    lambda _, name=name: self.unused.discard(name)
                )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(float(outputs['loss'].detach()))


def train(cfg: Config) -> tuple[Runner, Witness]:
    """Two iterations and a validation; returns the Runner and its witness."""
    runner, witness = Runner.from_cfg(cfg), Witness()
    runner.register_hook(witness)
    runner.train()
    assert runner.iter == 2
    assert len(witness.losses) == 2 and torch.tensor(witness.losses).isfinite().all()
    return runner, witness


def metrics_of(runner: Runner) -> dict[str, float]:
    """The last value of everything that validation reported."""
    scalars = runner.message_hub.log_scalars.items()
    times = ('val/time', 'val/data_time')
    return {
        key.removeprefix('val/'): buffer.current()
        for key, buffer in scalars
        if key.startswith('val/') and key not in times
    }


def assert_equals_checkpoint(
    start: dict[str, torch.Tensor], student: str, without: tuple[str, ...] = ()
) -> None:
    """Every tensor of the checkpoint is in the backbone, except those of
    ``without``."""
    stored = torch.load(f'work_dirs/r50_{student}/backbone.pth', weights_only=False)
    stored = {
        key.removeprefix('backbone.'): value
        for key, value in stored['state_dict'].items()
        if key.startswith('backbone.')
    }
    wanted = {key: v for key, v in stored.items() if not key.startswith(without)}
    assert start.keys() == wanted.keys()
    for key, value in wanted.items():
        assert torch.equal(start[key], value), key
