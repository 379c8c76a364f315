"""Suppression of library output on the terminal at start-up."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

from mmengine.logging import MMLogger

#: Lines printed before the log file exists.
_captured: list[str] = []
#: Warnings that users cannot fix.
_NOISE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')


@contextlib.contextmanager
def capture_prints() -> Iterator[None]:
    """Capture printed lines and Python's warnings for :func:`log_prints`.

    If the body raises, they are shown.
    """
    stream = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(stream),
            warnings.catch_warnings(record=True) as found,
        ):
            yield
    except BaseException:
        print(stream.getvalue(), end='')
        raise
    _captured.extend(stream.getvalue().splitlines())
    _captured.extend(f'{each.category.__name__}: {each.message}' for each in found)


def import_apis() -> None:
    """Import what most of :mod:`mmlgd.apis` needs, without what libraries print."""
    with capture_prints():
        import mmlgd.apis.inferencers  # noqa: F401


@contextlib.contextmanager
def without_root_messages() -> Iterator[None]:
    """Keep functions such as ``logging.error`` from giving the root logger a handler.

    With one, the messages of libraries that have a handler of their own appear twice.
    """
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


@contextlib.contextmanager
def only_warnings() -> Iterator[None]:
    """Hide what is below a warning of mmengine's current logger."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)


def log_prints(logger: logging.Logger) -> None:
    """Log what :func:`capture_prints` captured."""
    for line in _captured:
        logger.info(line)
    _captured.clear()


class StartupFilter(logging.Filter):
    """Passes warnings and the summary, and all records once ``open`` is set.

    It is meant for the handler of a terminal; the log file gets all records.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown on the terminal."""
        message = record.getMessage()
        if any(noise in message for noise in _NOISE):
            return False
        important = record.levelno >= logging.WARNING or hasattr(record, 'summary')
        return self.open or important


def mute_terminal(logger: MMLogger) -> None:
    """Show only warnings and the summary on the terminal until it is opened."""
    for handler in logger.handlers:
        is_terminal = not isinstance(handler, logging.FileHandler)
        known = any(isinstance(each, StartupFilter) for each in handler.filters)
        if is_terminal and not known:
            handler.addFilter(StartupFilter())


def open_terminal(logger: MMLogger) -> None:
    """Show all records on the terminal from now on."""
    for handler in logger.handlers:
        for each in handler.filters:
            if isinstance(each, StartupFilter):
                each.open = True
