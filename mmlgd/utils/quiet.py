"""Keeps what libraries print at start-up off the terminal."""

import contextlib
import io
import logging
from collections.abc import Iterator

from mmengine.logging import MMLogger

#: What is printed before the log file exists waits here for it.
_aside: list[str] = []
#: Warnings that no user can do anything about.
_NOISE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')


@contextlib.contextmanager
def set_prints_aside() -> Iterator[None]:
    """Keep what is printed for :func:`log_prints`, or show it if the body raises."""
    stream = io.StringIO()
    try:
        with contextlib.redirect_stdout(stream):
            yield
    except BaseException:
        print(stream.getvalue(), end='')
        raise
    _aside.extend(stream.getvalue().splitlines())


def log_prints(logger: logging.Logger) -> None:
    """Write what :func:`set_prints_aside` kept into the log."""
    for line in _aside:
        logger.info(line)
    _aside.clear()


class StartupFilter(logging.Filter):
    """Passes warnings and the summary, and everything once ``open`` is set.

    Meant for a terminal's handler; the log file takes all records.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record reaches the terminal."""
        message = record.getMessage()
        if any(noise in message for noise in _NOISE):
            return False
        important = record.levelno >= logging.WARNING or hasattr(record, 'summary')
        return self.open or important


def quieten(logger: MMLogger) -> None:
    """Let only warnings and the summary reach the terminal until it is opened."""
    for handler in logger.handlers:
        is_terminal = not isinstance(handler, logging.FileHandler)
        known = any(isinstance(each, StartupFilter) for each in handler.filters)
        if is_terminal and not known:
            handler.addFilter(StartupFilter())


def open_terminal(logger: MMLogger) -> None:
    """Let everything reach the terminal from now on."""
    for handler in logger.handlers:
        for each in handler.filters:
            if isinstance(each, StartupFilter):
                each.open = True
