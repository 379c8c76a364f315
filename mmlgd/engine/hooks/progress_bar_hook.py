"""A progress bar for the terminal."""

import logging
import shutil
import sys
import time
from datetime import timedelta
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmlgd.registry import HOOKS

_CLEAR_LINE = '\r\x1b[K'
_BAR_WIDTH = 24
# Seconds between two drawings: faster ones cost time and cannot be read.
_MIN_PAUSE = 0.1


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Draws one line with iteration, loss, speed and remaining time below the log.

    Only rank 0 draws, and only if the standard output is a terminal. Nothing is written
    to a file or a pipe, and mmengine's log lines are not changed. On the terminal, each
    log line first clears the bar, which is then drawn again below it. The remaining time
    is estimated from the mean since the end of this process's first iteration,
    validation included.
    """

    # After the LoggerHook and the hooks that save, so that the bar stays below.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._stream: Any = None
        self._handlers: list[logging.Handler] = []
        self._begin: tuple[float, int] | None = None
        self._last_drawn = 0.0

    def before_train(self, runner) -> None:
        """Start drawing if the output is a terminal."""
        if not is_main_process() or not sys.stdout.isatty():
            return
        self._stream = sys.stdout
        self._begin = None
        for handler in runner.logger.handlers:
            stream = getattr(handler, 'stream', None)
            if stream is not None and stream.isatty():
                handler.addFilter(self._clear)
                self._handlers.append(handler)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Draw the state of the training.

        Args:
            runner (Runner): Its ``iter``, ``max_iters`` and last logged ``loss`` are
                shown.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: Unused.
        """
        if self._stream is None:
            return
        done, total = runner.iter + 1, runner.max_iters
        if self._begin is None:
            self._begin = time.monotonic(), done
        if not self._due(done == total):
            return
        filled = _BAR_WIDTH * done // total
        text = f'[{"#" * filled}{"-" * (_BAR_WIDTH - filled)}] {done}/{total}'
        # The value read for the log: reading the outputs would wait for the device.
        history = runner.message_hub.log_scalars.get('train/loss')
        if history is not None:
            text += f'  loss {history.current():.4g}'
        self._draw(text + self._speed_and_eta(done, total))

    def after_val_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Draw the state of a validation within the training."""
        done, total = batch_idx + 1, len(runner.val_dataloader)
        if self._stream is not None and self._due(done == total):
            self._draw(f'validation {done}/{total}')

    def after_train(self, runner) -> None:
        """Remove the bar."""
        if self._stream is None:
            return
        self._clear()
        for handler in self._handlers:
            handler.removeFilter(self._clear)
        self._handlers.clear()
        self._stream = None

    def _due(self, last: bool) -> bool:
        return last or time.monotonic() - self._last_drawn >= _MIN_PAUSE

    def _speed_and_eta(self, done: int, total: int) -> str:
        assert self._begin is not None  # set at the first step
        begin, first = self._begin
        if done == first:
            return '  ETA ...'
        seconds = max(time.monotonic() - begin, 1e-9) / (done - first)
        left = timedelta(seconds=round(seconds * (total - done)))
        return f'  {1 / seconds:.1f} it/s  ETA {left}'

    def _draw(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        self._stream.write(_CLEAR_LINE + text[: columns - 1])
        self._stream.flush()
        self._last_drawn = time.monotonic()

    def _clear(self, record: logging.LogRecord | None = None) -> bool:
        """Clear the line; as a filter of a log handler, accept the record."""
        self._stream.write(_CLEAR_LINE)
        self._stream.flush()
        return True
