"""A progress bar around a loop, on a terminal only."""

import sys
from collections.abc import Generator, Iterable, Sized
from typing import TypeVar

from mmengine.dist import is_main_process
from rich.console import Console
from rich.progress import Progress

Item = TypeVar('Item')


def shows_progress() -> bool:
    """Whether :func:`track` shows a bar: lines about the same are not needed then."""
    return is_main_process() and sys.stderr.isatty()


def track(
    items: Iterable[Item], description: str, total: int | None = None
) -> Generator[Item, None, None]:
    """Yield the items, with a bar on the standard error of the main process.

    Nothing is written if that is not a terminal. The bar disappears at the end.

    Args:
        items (Iterable): With a length, the remaining time is shown.
        description (str): What is done, such as 'Embedding images'.
        total (int, optional): Number of items without a length.
    """
    if not shows_progress():
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=description)
