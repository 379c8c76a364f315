"""`mmlgd build-stored-views`, from the command line to files and exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmlgd.errors import ConfigError, DataError
from mmlgd.stores import ViewStore
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import build, files_of, last_line
from tests.two_ranks import run_on_two_ranks

TOOL = Path(__file__).parents[2] / 'tools/build_stored_views.py'
REPOSITORY = TOOL.parents[1]


def write_config(root: Path, transform: dict | None = None) -> Path:
    write_images(root)
    cfg = toy_run_cfg(root, root / 'run')
    cfg.custom_imports = dict(imports=['tests.toys'])
    if transform:
        cfg.train_dataloader.dataset.dataset.pipeline.insert(0, transform)
        cfg.custom_imports.imports.append('kill_transform')
    cfg.dump(root / 'cfg.py')
    return root


def rows_of(store: Path) -> dict:
    """Content of a store: checksum and embedding by (view, row)."""
    reader = ViewStore(store)
    return {
        (view, row): reader.read(view, row)
        for view in range(reader.num_views)
        for row in range(reader.num_images)
    }


def assert_same_rows(first: Path, second: Path) -> None:
    one, two = rows_of(first), rows_of(second)
    assert one.keys() == two.keys()
    for place, (pixels, embedding) in one.items():
        assert two[place][0] == pixels
        # Other ranges of images give other batches, which may change the rounding.
        assert np.allclose(two[place][1], embedding, atol=1e-3)


@pytest.mark.slow
def test_the_summary_says_what_was_built_and_what_it_takes(tmp_path, capsys):
    root, out = write_config(tmp_path), tmp_path / 'store'
    assert build(root, out, '--views', 2, '--dtype', 'int8') == 0
    summary = last_line(capsys)
    assert (summary['views'], summary['images'], summary['embed_dims']) == (2, 16, 16)
    assert (summary['rows_written'], summary['finished']) == (32, True)
    assert summary['row_bytes'] == 4 + 4 + 4 + 16
    size = sum(path.stat().st_size for path in out.rglob('*') if path.is_file())
    assert summary['bytes_a_view'] == round(size / 32, 1)
    # 28 bytes of 1,281,167 images, ten times.
    assert summary['imagenet_10_views_gb'] == 0.4
    assert 0 < summary['mean_cosine_loss'] < summary['worst_cosine_loss'] < 1e-3

    # A second run has nothing to do; the layout is the store's.
    assert build(root, out, '--views', 2) == 0
    assert last_line(capsys)['rows_written'] == 0
    assert build(root, out, '--verify') == 0
    assert last_line(capsys)['faults'] == []
    with pytest.raises(ConfigError, match="begun with embedding_dtype = 'int8'"):
        build(root, out, '--views', 2, '--dtype', 'float16')


@pytest.mark.slow
def test_verifying_ends_with_1_where_there_is_a_fault(tmp_path, capsys):
    root, out = write_config(tmp_path), tmp_path / 'store'
    build(root, out, '--views', 1)
    assert build(root, out, '--verify', 3) == 0
    shard = out / 'views/000/000000010.records'
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert build(root, out, '--verify', 0) == 1
    (fault,) = last_line(capsys)['faults']
    assert fault.startswith(f'The shard {shard} has a wrong checksum')


@pytest.mark.slow
def test_int8_loses_more_than_float16_and_both_little(tmp_path, capsys):
    root, losses = write_config(tmp_path), {}
    for dtype in ('float16', 'int8'):
        build(root, tmp_path / dtype, '--views', 1, '--dtype', dtype)
        losses[dtype] = last_line(capsys)['worst_cosine_loss']
    assert losses['float16'] < 1e-6 < losses['int8'] < 1e-3


@pytest.mark.slow
def test_views_and_images_are_added(tmp_path, capsys):
    root, out = write_config(tmp_path), tmp_path / 'store'
    few = ('--cfg-options', 'train_dataloader.dataset.dataset.indices=7')
    build(root, out, '--views', 1, *few)
    build(root, out, '--views', 2, *few)
    assert last_line(capsys)['rows_written'] == 7
    build(root, out, '--views', 2)
    summary = last_line(capsys)
    assert (summary['rows_written'], summary['views']) == (18, 2)
    build(root, tmp_path / 'at_once', '--views', 2)
    assert_same_rows(tmp_path / 'at_once', out)


KILL_TRANSFORM = """
import os
import signal
from mmcv.transforms import BaseTransform
from mmlgd.registry import TRANSFORMS

@TRANSFORMS.register_module(force=True)
class KillAt(BaseTransform):
    _calls = 0

    def transform(self, results):
        self._calls += 1
        if self._calls == int(os.environ.get('KILL_AT', 0)):
            os.kill(os.getpid(), signal.SIGKILL)
        return results
"""


@pytest.mark.slow
def test_a_killed_build_resumes_at_its_shard(tmp_path, capsys, monkeypatch):
    (tmp_path / 'kill_transform.py').write_text(KILL_TRANSFORM)
    root, out = write_config(tmp_path, dict(type='KillAt')), tmp_path / 'store'
    options = ('--out', out, '--shard-size', 5, '--device', 'cpu', '--views', 2)
    path = os.pathsep.join(map(str, (tmp_path, REPOSITORY)))
    killed = subprocess.run(
        [sys.executable, *map(str, (TOOL, root / 'cfg.py', *options))],
        # The first image is drawn once to learn its shape; then come batches of 4.
        env={**os.environ, 'PYTHONPATH': path, 'KILL_AT': str(1 + 8)},
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    # A complete shard of five, which is kept; nothing of the second.
    first = out / 'views/000/000000000.records'
    before = first.stat().st_mtime_ns
    assert len(list(out.glob('views/*/*'))) == 1
    with pytest.raises(DataError, match='not finished'):
        ViewStore(out)

    monkeypatch.syspath_prepend(str(tmp_path))
    assert build(root, out, '--views', 2) == 0
    assert last_line(capsys)['rows_written'] == 32 - 5
    assert first.stat().st_mtime_ns == before
    assert not list(out.rglob('*.mmlgd-tmp'))
    build(root, tmp_path / 'undisturbed', '--views', 2)
    # Batches end at shard boundaries, so everything is bit-identical.
    assert files_of(out) == files_of(tmp_path / 'undisturbed')


def _build_on_rank(rank: int, root: str, part: str) -> int:
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank))
    options = ('--views', 2, '--launcher', 'pytorch', '--part', part)
    return build(Path(root), Path(root) / 'store', *options)


@pytest.mark.slow
def test_two_ranks_on_each_of_two_machines_share_the_work(
    tmp_path, monkeypatch, capsys
):
    root = write_config(tmp_path)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')  # The end of the test restores them.
    # The first machine's ranks have shards 0, 4 and 1, 5 of the eight, and begin the
    # store at the same time.
    assert run_on_two_ranks(_build_on_rank, tmp_path, str(root), '1/2') == [0, 0]
    shards = [int(path.stem) for path in (root / 'store').glob('views/*/*.records')]
    assert sorted(shards) == [0, 0, 5, 5]
    with pytest.raises(DataError, match='not finished'):
        ViewStore(root / 'store')
    # Whichever of the second's is last finishes the store.
    finished = []
    for rank in (1, 0):
        _build_on_rank(rank, str(root), '2/2')
        finished.append(last_line(capsys)['finished'])
    assert finished == [False, True]
    build(root, root / 'alone', '--views', 2)
    assert files_of(root / 'alone') == files_of(root / 'store')


@pytest.mark.parametrize('part', ['0/2', '3/2', '2', 'a/b', '1/0'])
def test_invalid_parts_are_refused(tmp_path, part):
    with pytest.raises(ConfigError, match=f"must be I/N .* but is '{part}'"):
        build(write_config(tmp_path), tmp_path / 'store', '--views', 1, '--part', part)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['model.teacher=None'], 'has no teacher that sees images'),
        (['model.teacher.type=StoredTeacher'], 'has no teacher that sees images'),
        (
            ['train_dataloader.dataset.type=BagPairs'],
            "must be SeededViews .* 'BagPairs'",
        ),
    ],
)
def test_configs_without_teacher_or_views_are_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        build(
            *(write_config(tmp_path), tmp_path / 'store', '--views', 1),
            *('--cfg-options', *options),
        )
    assert not (tmp_path / 'store').exists()


def test_a_folder_that_cannot_be_written_is_refused_before_the_teacher_is_built(
    tmp_path, monkeypatch
):
    root, out = write_config(tmp_path), tmp_path / 'file'
    out.write_text('not a folder')
    built = []
    monkeypatch.setattr('tests.toys.ToyTeacher.__init__', lambda *args: built.append(1))
    for place in (out, out / 'below'):
        with pytest.raises(ConfigError, match='file'):
            build(root, place, '--views', 1)
    assert not built


def test_options_for_workers_do_not_stop_a_build_without_workers(tmp_path, capsys):
    option = 'train_dataloader.persistent_workers=True'
    root, out = write_config(tmp_path), tmp_path / 'store'
    assert build(root, out, '--views', 1, '--cfg-options', option) == 0
    assert last_line(capsys)['finished']
