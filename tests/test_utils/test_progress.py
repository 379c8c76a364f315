"""A bar appears on a terminal only, and the items are not changed."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from mmlgd.apis import align_teacher
from mmlgd.datasets.neighbours import nearest_neighbours
from mmlgd.datasets.shards.build import build_index
from mmlgd.datasets.shards.storage import LocalStorage
from mmlgd.evaluation.linear_probe import fit_linear_probes
from mmlgd.models.banks import TextualSemanticsBank, textual_bank
from mmlgd.stores.build import open_store, write_shards
from mmlgd.utils import progress
from mmlgd.utils.progress import track
from tests import shards
from tests.toys import NAMES, ToyTeacher
from tests.view_stores import in_memory, toy_manifest

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


@pytest.fixture
def bars(monkeypatch):
    """[description, total, items] of each bar that a terminal would show."""
    shown = []

    class Recorder:
        def __init__(self, **options):
            pass

        def track(self, items, total, description):
            shown.append([description, total, 0])
            for item in items:
                shown[-1][2] += 1
                yield item

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(progress, 'Progress', Recorder)
    monkeypatch.setattr(progress, 'shows_progress', lambda: True)
    return shown


def test_neighbours_of_bags(bars):
    # 8 bytes a row, and 20 for each of k + 8 candidates and 4 values: two rows a chunk.
    nearest_neighbours(torch.randn(20, 4), 1, chunk_bytes=2 * (8 * 20 + 20 * 9 * 4))
    assert bars == [['Finding neighbours', 10, 10]]


def test_epochs_of_linear_probes(bars):
    fit_linear_probes(torch.randn(8, 3), torch.arange(8) % 2, 2, [0.1], epochs=5)
    assert bars == [['Fitting linear probes', 5, 5]]


def test_names_of_a_bank(bars, monkeypatch):
    monkeypatch.setattr(textual_bank, '_PROMPTS_AT_ONCE', 4)
    teacher = ToyTeacher()
    templates = ['a {}.', 'the {}.', 'one {}.']
    TextualSemanticsBank(NAMES, teacher.embed_dims, templates).build(teacher)
    # One name at a time.
    assert bars == [['Encoding names', len(NAMES), len(NAMES)]]


def test_shards_of_an_index(bars, tmp_path):
    names = [path.name for path in shards.write_shards(tmp_path, [1, 2, 1])]
    build_index(LocalStorage(str(tmp_path)), names, ['.png'], tmp_path / 'index')
    assert bars == [['Indexing shards', 3, 3]]


def test_batches_of_stored_views(bars, tmp_path):
    class Source:
        batch_size = 3

        def embed(self, indices, batches):
            for batch in batches:
                size = len(batch)
                hashes = np.zeros((size, 16), np.uint8)
                yield np.zeros(size, np.uint32), np.ones((size, 3)), hashes, []

    plan = open_store(tmp_path / 'store', toy_manifest(), in_memory(*range(6)), 2)
    write_shards(plan, plan.target(plan.manifest).view_shards(), Source())
    # Shards of 4 and 2 rows, in batches of 3, for each of two views.
    assert bars == [['Storing views', 6, 6]]


@pytest.mark.parametrize('what', ['Fitting', 'Measuring'])
def test_images_of_an_alignment(bars, monkeypatch, what):
    for name in ('stacked', 'view_of'):
        monkeypatch.setattr(align_teacher, name, lambda images, _: images)
    model = Mock(**{'encode_image.return_value': 0, 'encode_features.return_value': 0})
    align_teacher._feed(Mock(), [dict(inputs=0)] * 4, model, model, what)
    assert bars == [[f'{what} the projection', 4, 4]]
