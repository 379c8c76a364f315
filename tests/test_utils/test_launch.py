"""Ranks and devices of a run."""

import os
import subprocess
import types

import pytest
from mmengine.config import Config
from torch import distributed

from mmlgd.errors import ConfigError
from mmlgd.utils import launch
from mmlgd.utils.ports import choose_port


@pytest.fixture
def environment(monkeypatch):
    """Set the launcher's variables; forget whatever the code under test sets."""
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, '')  # recorded, so that the end restores it
        monkeypatch.delenv(name)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return set_variables


SLURM = dict(SLURM_PROCID=9, SLURM_NTASKS=16, SLURM_LOCALID=1)


@pytest.mark.parametrize(
    ('launcher', 'variables', 'expected'),
    [
        ('none', {}, (0, 1, 0, 1)),
        (
            'pytorch',
            dict(RANK=5, WORLD_SIZE=8, LOCAL_RANK=1, LOCAL_WORLD_SIZE=4),
            (5, 8, 1, 4),
        ),
        ('slurm', dict(SLURM, SLURM_NTASKS_PER_NODE=8), (9, 16, 1, 8)),
        # Without tasks per node, all that is known is that ranks 0 and 1 are here.
        ('slurm', SLURM, (9, 16, 1, 2)),
    ],
)
def test_each_launchers_ranks(environment, monkeypatch, launcher, variables, expected):
    monkeypatch.delenv('SLURM_NTASKS_PER_NODE', raising=False)
    environment(**variables)
    assert launch.read_ranks(launcher) == launch.Ranks(*expected)


def test_variables_of_another_launcher_are_ignored(environment):
    environment(RANK=0)
    with pytest.raises(ConfigError, match='pytorch needs .*WORLD_SIZE, LOCAL_RANK'):
        launch.read_ranks('pytorch')


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (
            dict(find_unused_parameters=True),
            dict(
                type='mmlgd.AnyDeviceDDP',
                find_unused_parameters=True,
                broadcast_buffers=False,
            ),
        ),
        (
            dict(model_wrapper_cfg=dict(static_graph=True)),
            dict(type='mmlgd.AnyDeviceDDP', static_graph=True),
        ),
        (dict(model_wrapper_cfg=dict(type='Own')), dict(type='Own')),
    ],
)
def test_gloo_starts_by_itself_without_a_device(
    environment, monkeypatch, capsys, given, expected
):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    environment(
        RANK=0, WORLD_SIZE=1, LOCAL_RANK=0, MASTER_ADDR='127.0.0.1',
        MASTER_PORT=choose_port(),
    )  # fmt: skip
    cfg = Config(dict(launcher='pytorch', **given))
    launch.set_up_distributed(cfg)
    try:
        assert distributed.get_backend() == 'gloo'
    finally:
        distributed.destroy_process_group()
    assert cfg.model_wrapper_cfg.to_dict() == expected
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'
    assert (
        'No CUDA device found: 1 process(es) run on the CPU' in capsys.readouterr().out
    )


@pytest.mark.parametrize(('devices', 'works'), [(4, True), (3, False)])
def test_each_process_needs_a_gpu(environment, monkeypatch, devices, works):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(launch.torch.cuda, 'device_count', lambda: devices)
    environment(RANK=0, WORLD_SIZE=8, LOCAL_RANK=0, LOCAL_WORLD_SIZE=4)
    cfg = Config(dict(launcher='pytorch'))
    if works:
        launch.set_up_distributed(cfg)
        assert 'model_wrapper_cfg' not in cfg  # mmengine's own way is left alone
    else:
        with pytest.raises(ConfigError, match='4 processes .*only 3 CUDA'):
            launch.set_up_distributed(cfg)


def test_slurms_first_host_is_asked_for(environment, monkeypatch):
    environment(SLURM_JOB_NODELIST='n[3-4]')
    answer = types.SimpleNamespace(stdout='n3\nn4\n')
    monkeypatch.setattr(subprocess, 'run', lambda command, **_: answer)
    assert launch._first_host('slurm') == 'n3'
    with pytest.raises(ConfigError, match='mpi needs MASTER_ADDR'):
        launch._first_host('mpi')


def as_slurm_task(environment, **variables) -> None:
    """Local rank 1 of 4 on this machine, rank 5 of 8."""
    environment(
        SLURM_PROCID=5, SLURM_NTASKS=8, SLURM_LOCALID=1, SLURM_NTASKS_PER_NODE=4,
        MASTER_ADDR='10.0.0.1', **variables,
    )  # fmt: skip


@pytest.fixture
def cuda(monkeypatch):
    """A machine with CUDA as each process of it sees it; what it set up."""
    done = dict(device=None, group=None)

    def pretend(devices: int) -> dict:
        monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
        monkeypatch.setattr(launch.torch.cuda, 'device_count', lambda: devices)
        return done

    monkeypatch.setattr(
        launch.torch.cuda, 'set_device', lambda device: done.update(device=device)
    )
    monkeypatch.setattr(
        launch.distributed,
        'init_process_group',
        lambda backend, timeout: done.update(group=(backend, timeout.total_seconds())),
    )
    return pretend


@pytest.mark.parametrize(
    'variable', ['SLURM_GPUS_PER_TASK', 'SLURM_TRES_PER_TASK', 'SLURM_GPU_BIND']
)
def test_a_slurm_task_with_a_device_of_its_own_uses_it(environment, cuda, variable):
    as_slurm_task(environment, **{variable: '1'})
    done = cuda(devices=1)
    cfg = Config(dict(launcher='slurm', env_cfg=dict(dist_cfg=dict(timeout=60))))
    launch.set_up_distributed(cfg)
    # Its only device is number 0 there; DDP and mmengine read LOCAL_RANK.
    assert done == dict(device=0, group=('nccl', 60))
    assert os.environ['LOCAL_RANK'] == '0'
    # Which rank of the machine it is stays known.
    assert launch.read_ranks('slurm').local_rank == 1


def test_slurm_tasks_that_share_all_devices_are_mmengines(environment, cuda):
    as_slurm_task(environment)
    done = cuda(devices=4)
    launch.set_up_distributed(Config(dict(launcher='slurm')))
    assert done == dict(device=None, group=None)
    assert os.environ['LOCAL_RANK'] == '1'


def test_one_device_for_several_unbound_tasks_is_refused(
    environment, cuda, monkeypatch
):
    for name in ('SLURM_GPUS_PER_TASK', 'SLURM_TRES_PER_TASK', 'SLURM_GPU_BIND'):
        monkeypatch.delenv(name, raising=False)
    as_slurm_task(environment)
    cuda(devices=1)
    with pytest.raises(ConfigError, match='4 processes .*only 1 CUDA.*gpus-per-task'):
        launch.set_up_distributed(Config(dict(launcher='slurm')))


@pytest.mark.parametrize(
    ('given', 'limit', 'start'),
    [
        ({}, 1800, 3600),
        (dict(dist_cfg=dict(timeout=60)), 60, 3600),
        (dict(start_up_timeout=7200), 1800, 7200),
    ],
)
def test_waiting_has_documented_limits(environment, cuda, capsys, given, limit, start):
    environment(RANK=0, WORLD_SIZE=8, LOCAL_RANK=0, LOCAL_WORLD_SIZE=4)
    cuda(devices=4)
    cfg = Config(dict(launcher='pytorch', env_cfg=given))
    launch.set_up_distributed(cfg)
    assert cfg.env_cfg.dist_cfg.timeout == limit
    out = capsys.readouterr().out
    assert f'up to {start} s while' in out and 'env_cfg.start_up_timeout' in out
    assert f'up to {limit} s in' in out and 'env_cfg.dist_cfg.timeout' in out


@pytest.mark.parametrize('value', [0, -1, '60', None])
def test_a_limit_that_is_not_a_time_is_refused(value):
    cfg = Config(dict(launcher='none', env_cfg=dict(start_up_timeout=value)))
    with pytest.raises(ConfigError, match='env_cfg.start_up_timeout'):
        launch.set_up_distributed(cfg)


TORCHRUN = dict(RANK=0, WORLD_SIZE=2, LOCAL_RANK=0, LOCAL_WORLD_SIZE=2)
STEP = dict(SLURM_PROCID=0, SLURM_NTASKS=4, SLURM_LOCALID=0, SLURM_STEP_NUM_TASKS=4)


@pytest.mark.parametrize(
    ('variables', 'launcher'),
    [
        ({}, 'none'),
        (TORCHRUN, 'pytorch'),
        (dict(TORCHRUN, WORLD_SIZE=1), 'none'),
        (dict(WORLD_SIZE=2), 'none'),  # left over from something else
        (STEP, 'slurm'),
        (dict(STEP, SLURM_STEP_NUM_TASKS=1), 'none'),
        (dict(SLURM_PROCID=0, SLURM_NTASKS=4), 'none'),  # a job's batch script
        ({**STEP, **TORCHRUN}, 'pytorch'),  # torchrun within a Slurm task
    ],
)
def test_the_launcher_is_detected(
    environment, monkeypatch, capsys, variables, launcher
):
    for name in (*TORCHRUN, *STEP):
        monkeypatch.delenv(name, raising=False)
    environment(**variables)
    assert launch.detect_launcher() == launcher
    assert (f'--launcher {launcher}' in capsys.readouterr().out) == (launcher != 'none')


@pytest.mark.parametrize(
    ('launcher', 'local_rank', 'order'),
    [
        ('none', 0, ['body', 'wait']),
        ('pytorch', 0, ['body', 'wait']),
        ('pytorch', 3, ['wait', 'body']),
    ],
)
def test_one_rank_of_a_machine_comes_first(
    environment, monkeypatch, launcher, local_rank, order
):
    environment(RANK=9, WORLD_SIZE=16, LOCAL_RANK=local_rank)
    done = []
    monkeypatch.setattr(launch, 'meet', lambda what: done.append('wait'))
    with launch.first_on_each_machine(launcher, 'working'):
        done.append('body')
    assert done == order
