"""Comparison of the speed of several variants in one process."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.provenance import dump_rows, provenance
from mmlgd.utils.atomic import write_atomically

#: CPU time hardly depends on other programs, but excludes the GPU and adds up the
#: threads of a process. Wall time is what a user waits.
CLOCKS = dict(cpu=time.process_time, wall=time.perf_counter)

Times = dict[str, list[float]]


def alternate(
    sides: dict[str, Callable[[], object]], rounds: int, warm_up: int
) -> dict[str, Times]:
    """Measure every variant once per round, under the same state of the machine.

    The order is reversed in every other round. A GPU is synchronised before a clock is
    read.

    Args:
        sides (dict[str, Callable]): Variants to measure, by name.
        rounds (int): Number of measured rounds.
        warm_up (int): Number of rounds before them that are not measured.

    Returns:
        dict[str, dict[str, list[float]]]: For each of :data:`CLOCKS`, the seconds of
        each variant in each round.
    """
    times = {clock: {name: [] for name in sides} for clock in CLOCKS}
    for number in range(warm_up + rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            spent = measure(sides[name])
            if number >= warm_up:
                for clock, seconds in spent.items():
                    times[clock][name].append(seconds)
    return times


def measure(side: Callable[[], object]) -> dict[str, float]:
    """Seconds of one call, by clock of :data:`CLOCKS`."""
    _wait_for_device()
    begin = {name: clock() for name, clock in CLOCKS.items()}
    side()
    _wait_for_device()
    return {name: clock() - begin[name] for name, clock in CLOCKS.items()}


def _wait_for_device() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def deciding_clock(device: str) -> str:
    """The clock for ratios: CPU time, or wall time on a GPU."""
    return 'cpu' if torch.device(device).type == 'cpu' else 'wall'


def ratio(times: Times, over: str, under: str) -> dict[str, float]:
    """Ratio of the times of two variants, computed per round.

    Args:
        times (dict[str, list[float]]): Times of one clock.
        over (str): Variant in the numerator.
        under (str): Variant in the denominator.

    Returns:
        dict[str, float]: ``median`` of the rounds' ratios, and the quartiles ``low``
        and ``high`` (the extremes for fewer than four rounds).
    """
    return spread([a / b for a, b in zip(times[over], times[under])])


def spread(values: Sequence[float]) -> dict[str, float]:
    """``median``, and the quartiles ``low`` and ``high``, of a list of numbers."""
    if len(values) < 4:
        low, high = min(values), max(values)
    else:
        low, _, high = statistics.quantiles(values, n=4, method='inclusive')
    return dict(median=statistics.median(values), low=low, high=high)


def product_gflop(device: str, precision: str, size: int | None = None) -> float:
    """Peak performance of this machine in 10^9 operations per second.

    Args:
        device (str): Device to measure.
        precision (str): Name of torch's dtype.
        size (int, optional): Side of the two square matrices whose product is timed.
            Defaults to None: 2048, or 8192 on a GPU.
    """
    size = size or (2048 if deciding_clock(device) == 'cpu' else 8192)
    matrix = torch.randn(size, size, device=device, dtype=getattr(torch, precision))
    clock = deciding_clock(device)
    fastest = min(measure(lambda: matrix @ matrix)[clock] for _ in range(4))
    return 2 * size**3 / fastest / 1e9


def machine(device: str, threads: int) -> dict:
    """Conditions of the measurement, in addition to :func:`provenance`."""
    is_cpu = torch.device(device).type == 'cpu'
    name = 'CPU' if is_cpu else torch.cuda.get_device_name(device)
    return dict(device=name, threads=threads, clock=deciding_clock(device))


def write_result(path: str | Path | None, result: dict) -> None:
    """Write results and their origin as JSON, if there is a ``path``."""
    told = dict(provenance(), **result)
    if path is not None:
        write_atomically(Path(path), dump_rows(told))
        print(f'Written: {path}')
