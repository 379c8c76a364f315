"""A progress bar around a loop, on a terminal only."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from mmengine.dist import is_main_process
from rich.console import Console
from rich.progress import Progress

Item = TypeVar('Item')


def track(items: Iterable[Item], description: str) -> Iterator[Item]:
    """Yield the items, with a bar on the standard error of the main process.

    Nothing is written if that is not a terminal. The bar disappears at the end.

    Args:
        items (Iterable): With a length, the remaining time is shown.
        description (str): What is done, such as 'Embedding images'.
    """
    if not is_main_process() or not sys.stderr.isatty():
        yield from items
        return
    total = len(items) if isinstance(items, Sized) else None
    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=description)
