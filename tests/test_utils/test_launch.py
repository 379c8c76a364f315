"""Ranks and devices of a run."""

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


def test_a_launcher_that_did_not_start_us(environment):
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
        'No CUDA device here: 1 process(es) run on the CPU' in capsys.readouterr().out
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
