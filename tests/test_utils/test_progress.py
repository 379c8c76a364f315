"""A bar appears on a terminal only, and the items are not changed."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mmlgd.utils.progress import track

CODE = """
from mmlgd.utils.progress import track
print(list(track(range(3), 'Embedding images')))
"""


def test_nothing_is_written_without_a_terminal(capfd):
    assert list(track(range(3), 'Embedding images')) == [0, 1, 2]
    assert list(track(iter('ab'), 'Embedding images')) == ['a', 'b']
    assert capfd.readouterr() == ('', '')


@pytest.mark.slow
def test_a_terminal_shows_what_is_done(tmp_path):
    master, slave = pty.openpty()
    environment = {**os.environ, 'TERM': 'xterm', 'COLUMNS': '80'}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, '-c', CODE],
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment,
        cwd=root,
        timeout=120,
    )
    os.close(slave)
    shown = os.read(master, 65536).decode()
    assert done.stdout == b'[0, 1, 2]\n'
    assert 'Embedding images' in shown and '100%' in shown
