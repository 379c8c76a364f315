"""Two gloo processes that are signalled or killed, started by dist_train.sh."""

import socket
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from tests.preemption_toy import losses
from tests.toy_tool_run import TOOLS, run_tool

# Each test starts torchrun two or three times.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# 24 images in batches of two on each of two ranks: six iterations an epoch.
CONFIG = """
default_scope = 'mmlgd'
custom_imports = dict(imports=['tests.resume_toy', 'tests.preemption_toy'])
model = dict(type='NoisyLinear')
train_dataloader = dict(
    dataset=dict(
        type='SeededViews',
        dataset=dict(
            type='UnlabeledImages', data_root={data!r},
            pipeline=[dict(type='LoadImageFromFile'), dict(type='ToyAugment')])),
    sampler=dict(type='ViewSampler'), batch_size=2, num_workers=1)
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-4, momentum=0.9))
param_scheduler = dict(type='LinearLR', start_factor=0.5, end=12, by_epoch=False)
default_hooks = dict(checkpoint=dict(type='AtomicCheckpointHook', interval=1))
custom_hooks = [
    dict(type='StatelessSeedHook'),
    dict(type='PreemptionHook', check_interval=2),
    dict(type='LogLosses')]
randomness = dict(seed=3)
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp('elastic')
    (root / 'images').mkdir()
    noise = np.random.default_rng(0)
    for number in range(24):
        image = noise.integers(0, 255, (8, 8, 3), np.uint8)
        cv2.imwrite(str(root / 'images' / f'{number:02}.png'), image)
    path = root / 'c.py'
    path.write_text(CONFIG.format(data=str(root / 'images')))
    return path


def launch(config, folder, *options, hit=None, processes=2, **variables):
    """Train in ``folder/run``; ``hit`` is (what, iteration)."""
    path = folder / 'c.py'
    path.write_text(f'_base_ = [{str(config)!r}]\n')
    if hit:
        hook = dict(type='HitOnce', what=hit[0], at=hit[1])
        path.write_text(
            f'_base_ = [{str(config)!r}]\n'
            f'custom_hooks = [*_base_.custom_hooks, {hook!r}]\n'
        )
    return run_tool(
        *('bash', TOOLS / 'dist_train.sh', path, processes),
        *('--work-dir', folder / 'run'),
        *options,
        cwd=folder,
        CUDA_VISIBLE_DEVICES='-1',
        **variables,
    )


@pytest.fixture(scope='module')
def whole(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    result = launch(config, folder)
    assert result.returncode == 0, result.stderr
    found, _ = losses(folder / 'run')
    assert [len(rank) for rank in found] == [12, 12]
    # The ranks draw different images.
    assert found[0].items() != found[1].items()
    return found


def names(folder):
    return sorted(path.name for path in folder.glob('run/*.pth'))


def test_a_signal_to_one_rank_and_its_workers_stops_both(config, whole, tmp_path):
    result = launch(config, tmp_path, hit=('signal', 3))
    assert result.returncode == 75, result.stderr
    assert names(tmp_path) == ['iter_4.pth']
    assert [len(rank) for rank in losses(tmp_path / 'run')[0]] == [4, 4]
    result = launch(config, tmp_path, '--resume')
    assert result.returncode == 0, result.stderr
    assert losses(tmp_path / 'run') == (whole, 2)
    assert names(tmp_path) == ['epoch_1.pth', 'epoch_2.pth']


def test_a_killed_rank_is_restarted_and_resumes_by_itself(config, whole, tmp_path):
    result = launch(config, tmp_path, hit=('kill', 8), MAX_RESTARTS='1')
    assert result.returncode == 0, result.stderr
    assert 'it resumes from its last checkpoint' in result.stdout
    found, starts = losses(tmp_path / 'run')
    assert (found, starts) == (whole, 2)


def test_a_signalled_launcher_exits_with_75_and_its_next_start_resumes(
    config, whole, tmp_path
):
    options = dict(MAX_RESTARTS='3', RDZV_ID='one-run')
    result = launch(config, tmp_path, hit=('launcher', 2), **options)
    assert result.returncode == 75, result.stderr
    # torchrun did not restart the ranks, which had stopped on purpose.
    assert losses(tmp_path / 'run')[1] == 1
    # Another launch is refused, also when torchrun restarts it.
    other = launch(config, tmp_path, MAX_RESTARTS='1')
    assert other.returncode not in (0, 75)
    assert 'contains checkpoints of an earlier run' in other.stderr
    result = launch(config, tmp_path, **options)
    assert result.returncode == 0, result.stderr
    assert losses(tmp_path / 'run') == (whole, 2)


def test_launchers_of_two_machines_stop_together(config, whole, tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as server:
        endpoint = f'localhost:{server.getsockname()[1]}'
    options = dict(processes=1, NNODES='2', RDZV_ENDPOINT=endpoint, RDZV_ID='two')
    with ThreadPoolExecutor() as pool:
        machines = [
            pool.submit(launch, config, tmp_path, hit=('launcher', 2), **options)
            for _ in range(2)
        ]
    for machine in machines:
        assert machine.result().returncode == 75, machine.result().stderr
    assert names(tmp_path) == ['iter_4.pth']
    found, starts = losses(tmp_path / 'run')
    assert starts == 1
    for rank, wanted in zip(found, whole):
        assert rank == {key: wanted[key] for key in rank}
