"""One training of the transfer demo: its config, its process, its predictions."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import find_latest_checkpoint, load_checkpoint

from demo import ROOT
from mmlgd.errors import ConfigError, MMLGDError
from mmlgd.registry import DATASETS, MODELS

CONFIGS = dict(
    detection='configs/demo/scenes_mask-rcnn_mbv3_small.py',
    segmentation='configs/demo/scenes_fpn_mbv3_small.py',
)
# Name in a summary: (name in the log, title, factor to percent).
METRICS = dict(
    detection=dict(
        box_ap=('coco/bbox_mAP', 'box AP', 100),
        mask_ap=('coco/segm_mAP', 'mask AP', 100),
    ),
    segmentation=dict(mIoU=('mIoU', 'mIoU', 1), aAcc=('aAcc', 'aAcc', 1)),
)


def load_config(
    task: str, checkpoint: str | None, seed: int, work_dir: Path, short: bool
) -> Config:
    """The config of one run.

    Args:
        task (str): 'detection' or 'segmentation'.
        checkpoint (str | None): Initial weights of the backbone; None for random
            initialisation. Nothing else differs.
        seed (int): Seed of the run.
        work_dir (Path): Its work directory. The scenes are in a folder next to it.
        short (bool): Whether to stop after two iterations.

    Raises:
        ConfigError: The task is unknown.
    """
    if task not in CONFIGS:
        raise ConfigError(f'there is no task {task!r}; there are {", ".join(CONFIGS)}.')
    cfg = Config.fromfile(CONFIGS[task])
    cfg.work_dir = str(work_dir)
    cfg.randomness = dict(seed=seed)
    scenes = str(work_dir.parent / 'scenes')
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = scenes
    if task == 'detection':
        for split in ('val', 'test'):
            cfg[f'{split}_evaluator'].ann_file = f'{scenes}/annotations/val.json'
    if checkpoint is None:
        del cfg.model.backbone['init_cfg']
    else:
        cfg.model.backbone.init_cfg.checkpoint = checkpoint
    if short:
        shorten(cfg)
    return cfg


def shorten(cfg: Config) -> None:
    """Limit a run to two iterations with two scenes."""
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.interval = 2
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(
            batch_size=2, num_workers=0, persistent_workers=False
        )


def train(cfg: Config, threads: int) -> dict:
    """Train from the start and read the logged metrics.

    Args:
        cfg (Config): Config whose ``work_dir`` is deleted and created again.
        threads (int): Threads of the process.

    Returns:
        dict: Metrics of the last validation, and ``seconds`` of the whole run.

    Raises:
        MMLGDError: The process failed, or logged nothing.
    """
    folder = Path(cfg.work_dir)
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.monotonic()
    run_training(cfg, threads)
    return dict(_last_logged(folder), seconds=time.monotonic() - begin)


def _last_logged(folder: Path) -> dict:
    pattern = '*/vis_data/scalars.json'
    try:
        (scalars,) = folder.glob(pattern)
        return json.loads(scalars.read_text(encoding='utf-8').splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise MMLGDError(
            f'the training in {folder} wrote no readable {pattern}; '
            f'see {folder / "output.txt"}.'
        ) from error


def run_training(cfg: Config, threads: int) -> None:
    """Run tools/train.py of this repository in a separate process.

    Args:
        cfg (Config): Written into its ``work_dir`` as run.py, where the output of the
            process is appended to output.txt.
        threads (int): Threads of the process.

    Raises:
        MMLGDError: The process failed.
    """
    folder = Path(cfg.work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(folder / 'run.py')
    command = [str(ROOT / 'tools/train.py'), str(folder / 'run.py')]
    run_process(command, threads, folder / 'output.txt')


def run_process(
    command: list[str],
    threads: int,
    output: Path,
    python: str | Path = sys.executable,
) -> float:
    """Run a script or module of this repository, with this mmlgd.

    Args:
        command (list[str]): Arguments of the interpreter.
        threads (int): Threads of the process.
        output (Path): File to which its output is appended.
        python (str | Path): The interpreter. Defaults to that of this process.

    Returns:
        float: CPU seconds of the process and of its children.

    Raises:
        MMLGDError: The process failed.
    """
    # First in the path, so that a clone does not use an installed mmlgd.
    paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = dict(
        os.environ, OMP_NUM_THREADS=str(threads), PYTHONPATH=os.pathsep.join(paths)
    )
    with open(output, 'a', encoding='utf-8') as stream:
        process = subprocess.Popen(
            [str(python), *command],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = output.read_text('utf-8', errors='replace').splitlines()
        reason = lines[-1] if lines else f'exit status {process.returncode}'
        raise MMLGDError(
            f'{" ".join(command[:2])} failed: {reason} ({output} has the rest)'
        )
    return usage.ru_utime + usage.ru_stime


@torch.no_grad()
def predict(cfg: Config, count: int) -> list:
    """The first validation scenes (RGB), with ground truth and predictions."""
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    load_checkpoint(model, find_latest_checkpoint(cfg.work_dir), map_location='cpu')
    model.eval()
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(min(count, len(dataset)))])
    images = [image.flip(0).permute(1, 2, 0).numpy() for image in batch['inputs']]
    return list(zip(images, model.test_step(batch)))
