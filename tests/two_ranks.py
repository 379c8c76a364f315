"""Runs a function on two gloo processes and returns what each returned."""

import socket
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmlgd.utils.tool import leave_group


def _work(
    rank: int, function, port: int, out: str, args: tuple, limit: timedelta | None
) -> None:
    torch.set_num_threads(1)
    # They may start at different times, whatever the limit is.
    store = dist.TCPStore('127.0.0.1', port, 2, rank == 0, timedelta(minutes=5))
    dist.init_process_group('gloo', store=store, rank=rank, world_size=2, timeout=limit)
    torch.save(function(rank, *args), Path(out) / f'{rank}.pth')
    # As a run ends, without waiting for threads of gloo that may abort the process.
    leave_group(0)


def run_on_two_ranks(
    function, out: Path, *args, limit: timedelta | None = None
) -> list:
    """``function(rank, *args)`` on both ranks, importable by name; their results.

    ``limit`` is the timeout of their process group.
    """
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    mp.spawn(_work, (function, port, str(out), args, limit), nprocs=2)
    return [torch.load(out / f'{rank}.pth', weights_only=True) for rank in (0, 1)]
