import io
import re
import shutil
import sys

import pytest

from mmlgd.engine.hooks import progress_bar_hook
from tests.tiny_runner import tiny_runner


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def width(monkeypatch):
    def set_width(columns):
        size = shutil.os.terminal_size((columns, 24))
        monkeypatch.setattr(shutil, 'get_terminal_size', lambda: size)

    set_width(120)
    monkeypatch.setattr(progress_bar_hook, '_MIN_PAUSE', 0)
    return set_width


def train(tmp_path, monkeypatch, stream, **options):
    # The logger writes to the standard output of the time when it was made.
    monkeypatch.setattr(sys, 'stdout', stream)
    runner = tiny_runner(
        tmp_path,
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        custom_hooks=[dict(type='ProgressBarHook')],
        **options,
    )
    runner.train()
    return stream.getvalue()


def screen_lines(text):
    """What each line held in turn: the terminal clears it at CR + ESC [K."""
    return [part for line in text.split('\n') for part in line.split('\r\x1b[K')]


def test_bar_shows_iteration_loss_and_time_left(tmp_path, monkeypatch, width):
    lines = screen_lines(train(tmp_path, monkeypatch, Terminal()))
    bars = [line for line in lines if line.startswith('[')]
    assert len(bars) == 4
    assert re.fullmatch(r'\[#{6}-{18}\] 1/4  loss [\d.]+  ETA \.\.\.', bars[0])
    assert re.fullmatch(
        r'\[#{18}-{6}\] 3/4  loss [\d.]+  [\d.]+ it/s  ETA \d:\d\d:\d\d', bars[2]
    )
    assert bars[3].startswith('[' + '#' * 24 + '] 4/4')


def test_log_lines_are_not_garbled(tmp_path, monkeypatch, width):
    lines = screen_lines(train(tmp_path, monkeypatch, Terminal()))
    logged = [line for line in lines if 'Iter(train)' in line]
    assert len(logged) == 4
    for line in logged:
        assert re.match(r'\d\d/\d\d \d\d:\d\d:\d\d - ', line)
    assert lines[-1] == '', 'the bar is left behind'


def test_speed_and_time_left(tmp_path, monkeypatch):
    hook = progress_bar_hook.ProgressBarHook()
    hook._begin = 100.0, 10
    monkeypatch.setattr(progress_bar_hook.time, 'monotonic', lambda: 150.0)
    # 20 iterations took 50 s, 3,600 are left.
    assert hook._speed_and_eta(30, 3630) == '  0.4 it/s  ETA 2:30:00'


def test_narrow_terminal_gets_one_line(tmp_path, monkeypatch, width):
    width(20)
    lines = screen_lines(train(tmp_path, monkeypatch, Terminal()))
    bars = [line for line in lines if line.startswith('[')]
    assert len(bars) == 4
    assert all(len(bar) == 19 for bar in bars)


def test_validation_is_shown(tmp_path, monkeypatch, width):
    text = train(tmp_path, monkeypatch, Terminal(), accuracies=[1.0] * 4)
    assert screen_lines(text).count('validation 1/2') == 4


def test_nothing_without_a_terminal(tmp_path, monkeypatch, width):
    text = train(tmp_path, monkeypatch, io.StringIO())
    assert '\r' not in text
    assert '##' not in text
    assert text.count('Iter(train)') == 4


def test_nothing_on_other_ranks(tmp_path, monkeypatch, width):
    monkeypatch.setattr(progress_bar_hook, 'is_main_process', lambda: False)
    assert '##' not in train(tmp_path, monkeypatch, Terminal())


def test_log_file_stays_plain(tmp_path, monkeypatch, width):
    train(tmp_path, monkeypatch, Terminal())
    (log,) = tmp_path.glob('*/*.log')
    text = log.read_text()
    assert text.count('Iter(train)') == 4
    assert '\r' not in text
    assert '\x1b' not in text
