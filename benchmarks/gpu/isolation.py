"""Runs each row in a process of its own, with a time limit and a log file."""

import contextlib
import multiprocessing as mp
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.gpu.outcome import Outcome, Setting
from mmlgd.utils.printable import describe_error

Run = Callable[[Setting], Outcome]


def run_isolated(run: Run, setting: Setting, limit: float, log: Path) -> Outcome:
    """Run a row in a process; a crash, an exit or a timeout is a failed outcome.

    Args:
        run (Callable): The row, importable by name.
        setting (Setting): Its argument.
        limit (float): Seconds after which the process and its children are killed.
        log (Path): File for their output.
    """
    # A forked process saves the imports, but cannot use CUDA.
    context = mp.get_context('spawn' if setting.on_gpu else 'fork')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(run, setting, log, sender))
    process.start()
    sender.close()
    try:
        if receiver.poll(limit):
            return receiver.recv()
        return _crash(f'stopped after {limit:.0f} s', log)
    except EOFError:
        process.join()
        return _crash(f'died with exit code {process.exitcode}', log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


def _crash(reason: str, log: Path) -> Outcome:
    return Outcome(False, f'{reason}; see {log}', crashed=True)


def _work(run: Run, setting: Setting, log: Path, sender: Connection) -> None:
    os.setsid()
    if setting.on_gpu:
        torch.backends.cudnn.benchmark = True  # as in the default runtime
    with open(log, 'w', encoding='utf-8') as stream:
        # Output of Python, and of libraries and children.
        sys.stdout = sys.stderr = stream
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        try:
            outcome = run(setting)
        # SystemExit, too: a benchmark ends so if its variants disagree.
        except BaseException as error:
            traceback.print_exc()
            outcome = _crash(describe_error(error, 200), log)
    sender.send(outcome)
