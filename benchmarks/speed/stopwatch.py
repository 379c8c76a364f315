"""Times of the phases of training iterations."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from benchmarks.speed.timing import measure


class Stopwatch:
    """Accumulates the time of phases within an iteration.

    Args:
        clock (str): One of ``benchmarks.speed.timing.CLOCKS``.

    Attributes:
        iterations (list[dict]): Seconds by phase for each completed iteration.
    """

    def __init__(self, clock: str) -> None:
        self.clock = clock
        self.iterations: list[dict[str, float]] = []
        self._now: dict[str, float] = defaultdict(float)

    def watch(self, owner: object, method: str, phase: str) -> None:
        """Attribute the calls of an object's method to a phase."""
        setattr(owner, method, self.watched(getattr(owner, method), phase))

    def watched(self, call: Callable, phase: str) -> Callable:
        """Wrap a function so that its time is attributed to a phase."""

        def timed(*args, **kwargs):
            results = []
            spent = measure(lambda: results.append(call(*args, **kwargs)))
            self._now[phase] += spent[self.clock]
            return results[0]

        return timed

    def close(self) -> None:
        """End an iteration."""
        self.iterations.append(dict(self._now))
        self._now.clear()


class WatchedLoader:
    """An iterator over batches whose time is attributed to loading.

    Args:
        batches (Iterator): Batches of the training loop.
        stopwatch (Stopwatch): Its iteration ends before each batch except the first.
    """

    def __init__(self, batches: Iterator, stopwatch: Stopwatch) -> None:
        self._next = stopwatch.watched(batches.__next__, 'loading and collation')
        self._close = stopwatch.close
        self._begun = False

    def __next__(self) -> dict:
        if self._begun:
            self._close()
        self._begun = True
        return self._next()
