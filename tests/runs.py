"""Complete small runs: images on disk, a config, a Runner."""

from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

import mmlgd  # noqa: F401
from tests.toys import NAMES, toy_lgd_cfg

_LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.RandomResizedCrop', scale=16, crop_ratio_range=(0.3, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmpretrain.PackInputs'),
]
_TEST = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.ResizeEdge', scale=16, edge='short'),
    dict(type='mmpretrain.CenterCrop', crop_size=16),
    dict(type='mmpretrain.PackInputs'),
]


def write_images(folder: Path, num: int = 16, names=NAMES) -> Path:
    """Coloured images: train/ flat, val/<name>/ with one folder per class."""
    rng = np.random.default_rng(0)
    for i in range(num):
        image = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        image = cv2.resize(image, (24, 20), interpolation=cv2.INTER_CUBIC)
        for path in (folder / 'train', folder / 'val' / names[i % len(names)]):
            path.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path / f'{i:03}.png'), image)
    return folder


def toy_run_cfg(root: Path, work_dir: Path, model: dict = None, **overrides) -> Config:
    """An epoch-based run of an LGD over the toys: 16 images, batch 4, 2 epochs."""
    train = dict(
        type='SeededViews',
        dataset=dict(
            type='UnlabeledImages', data_root=str(root / 'train'), pipeline=_LOAD
        ),
    )
    val = dict(
        type='mmpretrain.CustomDataset',
        data_root=str(root / 'val'),
        classes=sorted(NAMES),
        pipeline=_TEST,
    )
    loader = dict(batch_size=4, num_workers=0, collate_fn=dict(type='default_collate'))
    cfg = dict(
        default_scope='mmlgd',
        model=model or toy_lgd_cfg(sorted(NAMES)),
        train_dataloader=dict(
            loader, dataset=train, drop_last=True, sampler=dict(type='ViewSampler')
        ),
        val_dataloader=dict(
            loader, dataset=val, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        val_evaluator=dict(type='ZeroShotAccuracy'),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        default_hooks=dict(
            runtime_info=dict(type='DeferredRuntimeInfoHook'),
            checkpoint=dict(type='AtomicCheckpointHook', interval=1),
            logger=dict(type='LoggerHook', interval=2),
        ),
        custom_hooks=[
            dict(type='SemanticsBankHook', cache_dir=None, interval=2),
            dict(type='CheckpointMetaHook'),
            dict(type='ExportBackboneHook'),
            dict(type='NonFiniteLossHook'),
            dict(type='StatelessSeedHook'),
        ],
        randomness=dict(seed=0),
        log_level='WARNING',
        work_dir=str(work_dir),
        # Runs of one name that start in the same second share a log file.
        experiment_name=str(work_dir),
    )
    cfg = Config(cfg)
    cfg.merge_from_dict(overrides)
    return cfg


def trained_toy(folder: Path) -> tuple[Path, Path]:
    """A trained toy run: its images, see :func:`write_images`, and its work dir."""
    root, work_dir = write_images(folder / 'images'), folder / 'run'
    Runner.from_cfg(toy_run_cfg(root, work_dir)).train()
    return root, work_dir
