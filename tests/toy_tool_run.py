"""A classification run of a second, for the tools that need a whole run."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

TOOLS = Path(__file__).parents[1] / 'tools'

CONFIG = """
default_scope = 'mmpretrain'
dataset = dict(
    type='CustomDataset',
    data_root={data!r},
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dataset,
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dataset,
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1,))
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True, num_classes=2),
    backbone=dict(type='ResNet', depth=18, stem_channels=4, base_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead', num_classes=2, in_channels=32,
        loss=dict(type='CrossEntropyLoss')))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
auto_scale_lr = dict(base_batch_size=8)
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = dict()
test_cfg = dict()
randomness = dict(seed=0)
"""


def run_tool(
    *command: object, cwd: Path, **variables: str
) -> subprocess.CompletedProcess:
    """Run a command as a user would: from elsewhere, with one thread."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}
    environment.update(variables)
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope='session')
def toy_config(tmp_path_factory) -> Path:
    """A config over eight 32 px images: dull ones (a) and red ones (b)."""
    root = tmp_path_factory.mktemp('toy')
    noise = np.random.default_rng(0)
    for category, red in (('a', 40), ('b', 200)):
        (root / 'data' / category).mkdir(parents=True)
        for index in range(4):
            image = noise.integers(0, 50, (32, 32, 3), dtype=np.uint8)
            image[..., 2] = red
            cv2.imwrite(str(root / 'data' / category / f'{category}{index}.png'), image)
    path = root / 'toy.py'
    path.write_text(CONFIG.format(data=str(root / 'data')))
    return path


@pytest.fixture(scope='session')
def trained(toy_config, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """Folder and output of ``train.py``, called from another folder."""
    cwd = tmp_path_factory.mktemp('elsewhere')
    options = ['--amp', '--auto-scale-lr', '--global-batch-size', 4]
    result = run_tool(sys.executable, TOOLS / 'train.py', toy_config, *options, cwd=cwd)
    return cwd / 'work_dirs' / 'toy', result
