"""Batches that are drawn, and copied to the device, one step before they are needed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from typing import Any

import torch

#: Starts to copy a batch; its result returns the copied batch.
Start = Callable[[Any], Callable[[], Any]]


class BatchesAhead(Iterator):
    """An iterator that is one batch ahead of its user, with the same batches and order.

    An error, and the end, of the batches is raised in its turn. Other attributes are those
    of the wrapped iterator.

    Args:
        batches: The iterator. Nothing is drawn before the first batch is asked for.
        start: See :data:`Start`.
    """

    def __init__(self, batches: Iterator, start: Start) -> None:
        self._batches, self._start = batches, start
        self._ahead: Callable[[], Any] | Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['_batches'], name)

    def __next__(self) -> Any:
        current = self._draw() if self._ahead is None else self._ahead
        self._ahead = None
        if isinstance(current, Exception):
            raise current
        self._ahead = self._draw()
        return current()

    def _draw(self) -> Callable[[], Any] | Exception:
        try:
            batch = next(self._batches)
        except Exception as error:  # StopIteration, too
            return error
        return self._start(batch)


class LoaderAhead(Iterable, Sized):
    """A data loader whose iterators are :class:`BatchesAhead`.

    Args:
        loader: The data loader; other attributes are its own.
        start: See :data:`Start`.
    """

    def __init__(self, loader: Any, start: Start) -> None:
        self._loader, self._start = loader, start

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['_loader'], name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> BatchesAhead:
        # The loader's iterator draws its workers' seed now, as without the wrapper.
        return BatchesAhead(iter(self._loader), self._start)


class SideStream:
    """Copies batches to a CUDA device on a stream of its own.

    Copies from pinned memory thus overlap with the kernels of the current step.

    Args:
        device: The device.
        cast: Copies a batch to the device, without blocking if its memory is pinned.
    """

    def __init__(self, device: torch.device, cast: Callable[[Any], Any]) -> None:
        self._device, self._cast = device, cast
        self._stream = torch.cuda.Stream(device)

    def start(self, batch: Any) -> Callable[[], Any]:
        """See :data:`Start`."""
        with torch.cuda.stream(self._stream):
            copies = self._cast(batch)
            # Not wait_stream, which would also wait for the copy of the next batch.
            copied = self._stream.record_event()
        return partial(self._take, copies, copied)

    def _take(self, copies: Any, copied: torch.cuda.Event) -> Any:
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(copied)
        for tensor in _cuda_tensors(copies):
            # Allocated for the side stream: its memory must not be used again before the
            # step is done with it.
            tensor.record_stream(stream)
        return copies


def keep_on_host(batch: Any) -> Callable[[], Any]:
    """A :data:`Start` that copies nothing."""
    return lambda: batch


def _cuda_tensors(data: Any) -> Iterator[torch.Tensor]:
    if isinstance(data, torch.Tensor):
        if data.is_cuda:
            yield data
    elif isinstance(data, Mapping):
        for each in data.values():
            yield from _cuda_tensors(each)
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        for each in data:
            yield from _cuda_tensors(each)
