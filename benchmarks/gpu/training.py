"""Rows that start the tests, the launcher, and a distillation of the demo."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.gpu.demo_parts import demo_config
from benchmarks.gpu.outcome import Outcome, Setting, needs_gpu
from demo.run import CONFIG, distil
from mmlgd.apis import ZeroShotClassifier

#: On a CPU, runs of the demo reached 85.3 to 86.25 %, and its teacher 88.6 %.
ACCURACY = 84.0


def gpu_tests(setting: Setting) -> Outcome:
    """The tests that are marked `gpu`."""
    command = [sys.executable, '-m', 'pytest', '-m', 'gpu', '-q', 'tests/test_gpu']
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    figure = re.sub(r' in [\d.:s ()]+$', '', (done.stdout.splitlines() or ['?'])[-1])
    if not setting.on_gpu and done.returncode == 0:
        return needs_gpu(figure)
    return Outcome(done.returncode == 0 and 'skipped' not in figure, figure)


def launcher(setting: Setting) -> Outcome:
    """``tools/dist_train.sh`` on all GPUs: AMP, DDP, validation, checkpoint, export."""
    demo_config()
    ranks = torch.cuda.device_count() if setting.on_gpu else 1
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *('bash', 'tools/dist_train.sh', CONFIG, str(ranks), '--amp'),
            *('--work-dir', folder, '--cfg-options', 'train_cfg.max_epochs=1'),
            f'train_dataloader.batch_size={setting.pick(128, 8)}',
            f'train_dataloader.dataset.dataset.indices={setting.pick(8000, 16)}',
            f'val_dataloader.dataset.indices={setting.pick(2000, 8)}',
            'train_cfg.val_interval=1',
            'default_hooks.checkpoint.interval=1',
        ]
        env = dict(os.environ, PYTHON=sys.executable)
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        print(done.stdout, done.stderr)
        written = [name.name for name in Path(folder).glob('*.pth')]
    passed = done.returncode == 0 and {'epoch_1.pth', 'backbone.pth'} <= {*written}
    found = re.findall(r'student_top1: ([\d.]+)', done.stdout + done.stderr)
    figure = f'{ranks} rank(s), top-1 {found[-1] if found else "?"} % after 1 epoch'
    return Outcome(passed, figure)


def distillation(setting: Setting) -> Outcome:
    """The demo, and the throughput of its zero-shot classifier."""
    config = demo_config()
    config.optim_wrapper.update(type='AmpOptimWrapper')
    if setting.dry:
        workers = dict(num_workers=0, persistent_workers=False)
        config.train_dataloader.update(workers, batch_size=8)
        config.val_dataloader.update(workers)
        config.train_dataloader.dataset.dataset.indices = 16
        config.val_dataloader.dataset.indices = 8
        config.train_cfg.update(max_epochs=2, val_interval=2)
        config.param_scheduler[1].update(T_max=1, end=2)
        config.default_hooks.checkpoint.interval = 2
    with tempfile.TemporaryDirectory() as folder:
        config.work_dir = folder
        runner, summary = distil(config)
        (checkpoint,) = Path(folder).glob('epoch_*.pth')
        classifier = ZeroShotClassifier(checkpoint, device=setting.device)
    dataset = runner.val_dataloader.dataset
    data = [dataset.get_data_info(index) for index in range(len(dataset))]
    images = [each['img'] for each in data]
    classifier.scores(images[:8])
    begin = time.perf_counter()
    scores = classifier.scores(images, batch_size=256)
    rate = len(images) / (time.perf_counter() - begin)
    labels = torch.tensor([int(each['gt_label']) for each in data])
    classified = 100 * (scores.argmax(dim=1) == labels).double().mean().item()
    # Validation is under autocast, the classifier in float32.
    agrees = abs(classified - summary['student_top1']) <= setting.pick(1.0, 100.0)
    figure = (
        f'student {summary["student_top1"]:.1f} % (teacher '
        f'{summary["teacher_top1"]:.1f} %), {summary["seconds"]:.0f} s of training; '
        f'ZeroShotClassifier {classified:.1f} %, {rate:.0f} images/s'
    )
    passed = agrees and summary['student_top1'] >= setting.pick(ACCURACY, 0)
    return Outcome(passed, figure, summary)
