"""Ranks, devices and process groups of a run, for all launchers."""

import contextlib
import datetime
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import distributed

from mmlgd.errors import ConfigError

from .checks import check_in_range
from .first_rank import (
    OPTION,
    START_UP_TIMEOUT,
    meet,
    prepare_to_meet,
    set_start_up_timeout,
)

#: Environment variables of each launcher for rank, world size, local rank and local
#: world size. Slurm sets the last only if tasks per node were requested.
_RANK_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_NTASKS_PER_NODE'),
    'mpi': (
        'OMPI_COMM_WORLD_RANK',
        'OMPI_COMM_WORLD_SIZE',
        'OMPI_COMM_WORLD_LOCAL_RANK',
        'OMPI_COMM_WORLD_LOCAL_SIZE',
    ),
}


_NAMES = {'pytorch': 'torchrun', 'slurm': 'srun'}
#: Seconds that a rank waits in a collective if the config sets no limit. torch's own
#: default for NCCL, ten minutes, may be too short for the metrics that rank 0 computes.
COLLECTIVE_TIMEOUT = 1800


@dataclass(frozen=True)
class Ranks:
    """Ranks of this process, and the number of processes of the run."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1


def read_ranks(launcher: str) -> Ranks:
    """Read this process's ranks from the launcher's environment variables.

    Raises:
        ConfigError: The launcher did not start this process.
    """
    if launcher == 'none':
        return Ranks()
    *required, local_size = _RANK_VARIABLES[launcher]
    absent = [name for name in required if name not in os.environ]
    if absent:
        raise ConfigError(
            f'--launcher {launcher} needs the environment variable(s) '
            f'{", ".join(absent)}, which that launcher sets; start through '
            'tools/dist_*.sh or tools/slurm_*.sh, or omit --launcher.'
        )
    rank, world_size, local_rank = (int(os.environ[name]) for name in required)
    return Ranks(
        rank, world_size, local_rank, int(os.environ.get(local_size, local_rank + 1))
    )


def detect_launcher() -> str:
    """The launcher whose environment this process runs in, otherwise ``none``.

    torchrun is checked first, since it may run as a Slurm task.
    """
    pytorch = all(name in os.environ for name in _RANK_VARIABLES['pytorch'])
    # The batch script of a Slurm job is not a step and does not have this variable.
    slurm = 'SLURM_PROCID' in os.environ and 'SLURM_STEP_NUM_TASKS' in os.environ
    for launcher, found, size in (
        ('pytorch', pytorch, 'WORLD_SIZE'),
        ('slurm', slurm, 'SLURM_STEP_NUM_TASKS'),
    ):
        if found and int(os.environ[size]) > 1:
            if read_ranks(launcher).rank == 0:
                print_log(
                    f'{os.environ[size]} processes were started by {_NAMES[launcher]}: '
                    f'they train together (--launcher {launcher}). For independent '
                    'runs, set --launcher none.'
                )
            return launcher
    return 'none'


def set_up_distributed(cfg: Config) -> None:
    """Set up ``cfg.launcher`` for the devices of this machine.

    On CUDA, mmengine sets up the group, after a check that each process has a device.
    Only if each task sees a single device, to which mmengine would assign the local
    rank as its number, the group is started here. Without an accelerator, mmengine
    would still use CUDA devices. Then the gloo group is started here, before the Runner,
    which uses an existing group, and the model is wrapped in
    :class:`mmlgd.engine.AnyDeviceDDP`.

    While one rank lists images, downloads weights and encodes names, the others wait at
    most ``env_cfg.start_up_timeout`` seconds (default 3600). Any other collective ends
    after ``env_cfg.dist_cfg.timeout`` seconds (default :data:`COLLECTIVE_TIMEOUT`).

    Args:
        cfg (Config): Full config with ``launcher``; changed in place.

    Raises:
        ConfigError: There are more processes than CUDA devices, the launcher did not
            start this process, or ``start_up_timeout`` is not a number of seconds.
    """
    wait = (cfg.get('env_cfg') or {}).get('start_up_timeout', START_UP_TIMEOUT)
    set_start_up_timeout(check_in_range(OPTION, wait, 0, 1e6, low_open=True))
    if cfg.launcher == 'none':
        return
    ranks = read_ranks(cfg.launcher)
    # mmengine sets these for Slurm only, yet reads LOCAL_RANK under any launcher.
    os.environ.update(
        RANK=str(ranks.rank),
        WORLD_SIZE=str(ranks.world_size),
        LOCAL_RANK=str(ranks.local_rank),
    )
    _limit_waiting(cfg, ranks, wait)
    if get_device() == 'cpu':
        if ranks.rank == 0:
            print_log(
                f'No CUDA device found: {ranks.world_size} process(es) run on the CPU '
                'and communicate over gloo.'
            )
        cfg.env_cfg.dist_cfg.backend = 'gloo'  # for the log
        _start_group(cfg)
        _wrap_for_cpu(cfg)
    elif get_device() == 'cuda':
        devices = torch.cuda.device_count()
        if _has_own_device(cfg.launcher, ranks, devices):
            # torch numbers the devices that a process sees.
            os.environ['LOCAL_RANK'] = '0'
            torch.cuda.set_device(0)
            _start_group(cfg)
        else:
            _check_device_count(ranks.local_world_size, devices)


def _limit_waiting(cfg: Config, ranks: Ranks, wait: float) -> None:
    options = (cfg.get('env_cfg') or {}).get('dist_cfg') or dict(backend='nccl')
    options = {'timeout': COLLECTIVE_TIMEOUT, **options}
    cfg.merge_from_dict({'env_cfg.dist_cfg': options})
    if ranks.rank == 0 and ranks.world_size > 1:
        print_log(
            f'Ranks wait up to {wait:g} s while one of them lists images, downloads '
            f'weights or encodes names ({OPTION}), and up to {options["timeout"]} s in '
            'any other collective (env_cfg.dist_cfg.timeout).'
        )


def _has_own_device(launcher: str, ranks: Ranks, devices: int) -> bool:
    """Whether each task of this machine sees a single device of its own.

    Slurm does so with ``--gpus-per-task`` and ``--gpu-bind``.
    """
    bound = any(
        name in os.environ
        for name in ('SLURM_GPUS_PER_TASK', 'SLURM_TRES_PER_TASK', 'SLURM_GPU_BIND')
    )
    return launcher == 'slurm' and bound and devices == 1 and ranks.local_world_size > 1


def _check_device_count(processes: int, devices: int) -> None:
    if processes > devices:
        raise ConfigError(
            f'{processes} processes on this machine, but only {devices} CUDA device(s) '
            f'visible to them: start at most {devices}, make more visible, or set '
            'CUDA_VISIBLE_DEVICES=-1 to run on the CPU over gloo. Under Slurm, '
            '--gpus-per-task=1 gives each task its own device.'
        )


def _start_group(cfg: Config) -> None:
    """Join the process group, with the backend and timeout (seconds) of the config."""
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_host(cfg.launcher)
    options = cfg.env_cfg.dist_cfg
    distributed.init_process_group(
        options.get('backend', 'nccl'),
        timeout=datetime.timedelta(seconds=options.timeout),
    )


@contextlib.contextmanager
def first_on_each_machine(launcher: str, what: str) -> Iterator[None]:
    """Run the body on one rank of each machine first, then on the others.

    The others find in the cache what the first one downloads.

    Args:
        launcher (str): Launcher of the run; with ``none`` the body simply runs.
        what (str): What the body does, for the message of ranks that waited too long.
    """
    first = launcher == 'none' or read_ranks(launcher).local_rank == 0
    prepare_to_meet()
    if not first:
        meet(what)
    yield
    if first:
        meet(what)


def _first_host(launcher: str) -> str:
    if launcher != 'slurm':
        raise ConfigError(
            f'--launcher {launcher} needs MASTER_ADDR: set it to the address of the '
            'machine of rank 0.'
        )
    command = ['scontrol', 'show', 'hostnames', os.environ['SLURM_JOB_NODELIST']]
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()[0]


def _wrap_for_cpu(cfg: Config) -> None:
    """Replace mmengine's model wrapper, which passes a CUDA device to torch's DDP."""
    wrapper = cfg.get('model_wrapper_cfg')
    if wrapper is None:
        # With a wrapper config, the Runner does not set these options.
        cfg.model_wrapper_cfg = dict(
            type='mmlgd.AnyDeviceDDP',
            find_unused_parameters=cfg.get('find_unused_parameters', False),
            broadcast_buffers=False,
        )
    elif wrapper.get('type') in (None, 'MMDistributedDataParallel'):
        wrapper['type'] = 'mmlgd.AnyDeviceDDP'
