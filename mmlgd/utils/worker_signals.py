"""Workers of a data loader that survive the signals of a scheduler."""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from functools import partial

from torch.utils.data import DataLoader

from .torchrun import SIGNALS


def shield_workers(loader: DataLoader) -> None:
    """Let the workers of a loader ignore SIGTERM and SIGUSR1, except from their parent.

    Slurm and torchrun signal all processes of a rank. A worker that ends makes the
    loader fail before the rank has saved its checkpoint. The workers end with the rank,
    which torch's loader checks every few seconds. macOS cannot tell who sent a signal;
    its workers are left alone.

    Args:
        loader: A loader whose workers have not started; changed in place.
    """
    if loader.num_workers and hasattr(signal, 'sigwaitinfo'):
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)


def _start_worker(inner: Callable[[int], None] | None, number: int) -> None:
    # Threads that start later inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_end_with_parent, args=(SIGNALS,), daemon=True).start()
    if inner is not None:
        inner(number)


def _end_with_parent(signals: Iterable[signal.Signals]) -> None:
    while True:
        received = signal.sigwaitinfo(signals)
        if received.si_signo == signal.SIGTERM and received.si_pid == os.getppid():
            # The code that torch's own handler exits with.
            os._exit(0)
