"""Ranks, devices and process groups of a run, whatever started it."""

import datetime
import os
import subprocess
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import distributed

from mmlgd.errors import ConfigError

#: Where each launcher tells a process its rank, world size, local rank and local
#: world size. Slurm gives the last only if tasks per node were asked for.
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


@dataclass(frozen=True)
class Ranks:
    """Place of this process among the processes of a run."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1


def read_ranks(launcher: str) -> Ranks:
    """Read this process's place from the launcher's environment variables.

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
            'tools/dist_*.sh or tools/slurm_*.sh, or leave --launcher away.'
        )
    rank, world_size, local_rank = (int(os.environ[name]) for name in required)
    return Ranks(
        rank, world_size, local_rank, int(os.environ.get(local_size, local_rank + 1))
    )


def set_up_distributed(cfg: Config) -> None:
    """Make ``cfg.launcher`` work on the devices that this machine has.

    On CUDA everything stays mmengine's own, after a check that each process has a
    device. Without an accelerator, mmengine would still ask for CUDA devices, so
    the gloo group is started here, before the Runner, which then leaves it alone;
    and the model is wrapped in :class:`mmlgd.engine.AnyDeviceDDP`.

    Args:
        cfg (Config): Full config with ``launcher``; changed in place.

    Raises:
        ConfigError: More processes than CUDA devices, or no launcher environment.
    """
    if cfg.launcher == 'none':
        return
    ranks = read_ranks(cfg.launcher)
    # mmengine sets these for Slurm only, yet reads LOCAL_RANK under any launcher.
    os.environ.update(
        RANK=str(ranks.rank),
        WORLD_SIZE=str(ranks.world_size),
        LOCAL_RANK=str(ranks.local_rank),
    )
    if get_device() == 'cpu':
        _start_gloo(cfg, ranks)
        _wrap_for_cpu(cfg)
    elif get_device() == 'cuda':
        _check_device_count(ranks.local_world_size, torch.cuda.device_count())


def _check_device_count(processes: int, devices: int) -> None:
    if processes > devices:
        raise ConfigError(
            f'{processes} processes on this machine, but only {devices} CUDA device(s) '
            f'visible to them: start at most {devices}, make more visible, or set '
            'CUDA_VISIBLE_DEVICES=-1 to run on the CPU over gloo.'
        )


def _start_gloo(cfg: Config, ranks: Ranks) -> None:
    """Join the gloo process group; ``timeout`` (seconds) is the config's."""
    if ranks.rank == 0:
        print_log(
            f'No CUDA device here: {ranks.world_size} process(es) run on the CPU and '
            'talk over gloo.'
        )
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_host(cfg.launcher)
    cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})  # for the log
    timeout = cfg.env_cfg.dist_cfg.get('timeout')
    distributed.init_process_group(
        'gloo', timeout=timeout and datetime.timedelta(seconds=timeout)
    )


def _first_host(launcher: str) -> str:
    if launcher != 'slurm':
        raise ConfigError(
            f'--launcher {launcher} needs MASTER_ADDR: set it to the address of the '
            'machine that holds rank 0.'
        )
    command = ['scontrol', 'show', 'hostnames', os.environ['SLURM_JOB_NODELIST']]
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()[0]


def _wrap_for_cpu(cfg: Config) -> None:
    """Replace mmengine's model wrapper, which hands a CUDA device to torch's DDP."""
    wrapper = cfg.get('model_wrapper_cfg')
    if wrapper is None:
        # With a wrapper config, the Runner reads neither of these itself.
        cfg.model_wrapper_cfg = dict(
            type='mmlgd.AnyDeviceDDP',
            find_unused_parameters=cfg.get('find_unused_parameters', False),
            broadcast_buffers=False,
        )
    elif wrapper.get('type') in (None, 'MMDistributedDataParallel'):
        wrapper['type'] = 'mmlgd.AnyDeviceDDP'
