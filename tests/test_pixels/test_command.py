"""Stores by `mmlgd build-stored-views`, with pixels and over shards, until trained from."""

import os
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmlgd.errors import ConfigError, DataError
from mmlgd.pixels.dataset import StoredPixels
from mmlgd.stores import ViewStore
from tests.runs import toy_run_cfg, write_images
from tests.shards import write_tar
from tests.stored_runs import build, files_of, last_line, stored_run_cfg


def write_config(root: Path, shards: bool = False) -> Path:
    """Sixteen images, in a folder or in three shards, and an online config."""
    write_images(root)
    cfg = toy_run_cfg(root, root / 'run')
    cfg.custom_imports = dict(imports=['tests.toys'])
    if shards:
        images = sorted((root / 'train').iterdir())
        for number in range(3):
            part = images[number::3]
            members = [(path.name, path.read_bytes()) for path in part]
            write_tar(root / f'shards/{number}.tar', members)
        shutil.rmtree(root / 'train')
        dataset = cfg.train_dataloader.dataset.dataset
        dataset.update(type='UnlabeledShards', data_root=str(root / 'shards'))
    cfg.dump(root / 'cfg.py')
    return root


def from_store(root: Path, store: Path, kind: str) -> Config:
    """The config of a run from a store, with the images of the online one."""
    images = Config.fromfile(root / 'cfg.py').train_dataloader.dataset.dataset
    cfg = stored_run_cfg(root, store, root / 'stored_run')
    cfg.train_dataloader.dataset.update(type=kind, dataset=images)
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('codec', ['jpeg', 'webp'])
def test_pixels_are_built_extended_verified_and_trained_from(tmp_path, capsys, codec):
    root, out = write_config(tmp_path), tmp_path / 'store'
    assert build(root, out, '--views', 1, '--pixels', codec, '--quality', 92) == 0
    told = last_line(capsys)
    assert told['pixels'] == dict(codec=codec, quality=92, height=16, width=16)
    assert 0 < told['pixel_cosine_loss'] < told['view_cosine_loss']
    size = sum(path.stat().st_size for path in out.glob('views/000/*.tar'))
    assert told['pixel_bytes'] == round(size / 16, 1)
    wanted = (told['row_bytes'] + size / 16) * 1_281_167 * 30 / 1e9
    assert told['imagenet_30_views_gb'] == pytest.approx(wanted, abs=0.06)

    # Codec and quality of a store need not be repeated, and cannot change.
    assert build(root, out, '--views', 2) == 0
    assert last_line(capsys)['rows_written'] == 16
    with pytest.raises(ConfigError, match="begun with pixels = .*'quality': 92"):
        build(root, out, '--views', 2, '--quality', 80)
    assert build(root, out, '--verify') == 0
    assert last_line(capsys)['faults'] == []
    build(root, tmp_path / 'at_once', '--views', 2, '--pixels', codec, '--quality', 92)
    assert files_of(tmp_path / 'at_once').keys() == files_of(out).keys()

    shutil.rmtree(root / 'train')
    cfg = from_store(root, out, 'StoredPixels')
    cfg.train_dataloader.num_workers = 2
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2 * 16 // 4

    tar = out / 'views/001/000000010.tar'
    content = bytearray(tar.read_bytes())
    content[-1600] ^= 1  # Within the last view, before padding and end mark.
    content[600] ^= 1
    tar.write_bytes(content)
    write_images(root)
    assert build(root, out, '--verify') == 1
    (fault,) = last_line(capsys)['faults']
    assert fault.startswith(f'The shard {tar} has a wrong checksum')
    # As the message says.
    tar.with_suffix('.records').unlink()
    assert build(root, out, '--views', 2) == 0
    assert last_line(capsys)['rows_written'] == 5
    assert build(root, out, '--verify') == 0


@pytest.mark.slow
@pytest.mark.parametrize('pixels', [(), ('--pixels', 'webp')], ids=['drawn', 'pixels'])
def test_two_machines_build_a_store_over_shards_that_is_trained_from(
    tmp_path, capsys, pixels
):
    root, out = write_config(tmp_path, shards=True), tmp_path / 'store'
    options = ('--views', 2, *pixels)
    finished = []
    for part in ('1/2', '2/2'):
        assert build(root, out, *options, '--part', part) == 0
        finished.append(last_line(capsys)['finished'])
    assert finished == [False, True]
    build(root, root / 'alone', *options)
    assert files_of(root / 'alone') == files_of(out)
    store = ViewStore(out)
    # In the order of the shards: the first has every third image, from 0 to 15.
    names = [f'0.tar/{3 * number:03}.png' for number in range(6)]
    assert [store.table().name(row) for row in range(6)] == names
    assert build(root, out, '--verify') == 0

    kind = 'StoredPixels' if pixels else 'StoredViews'
    runner = Runner.from_cfg(from_store(root, out, kind))
    runner.train()
    assert runner.iter == 2 * 16 // 4

    shard = root / 'shards/1.tar'
    content = bytearray(shard.read_bytes())
    stamp = shard.stat().st_mtime_ns
    # A pixel of its first image, whose size and place stay, as well as the file's time.
    content[512 + 60] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(stamp, stamp))
    assert build(root, out, '--verify') == 1
    (fault,) = last_line(capsys)['faults']
    assert fault.startswith('The image 1.tar/001.png is not what the teacher')
    if not pixels:
        with pytest.raises(DataError, match='The image 1.tar/001.png is not what'):
            Runner.from_cfg(from_store(root, out, kind)).train()
    # Any other change is found by the index of the shards.
    shard.write_bytes(bytes(content) + bytes(512))
    with pytest.raises(
        DataError, match=f'The shard {shard} changed since it was indexed'
    ):
        build(root, out, '--verify')
    shutil.rmtree(root / 'shards')
    if pixels:
        # The shards are not needed any more.
        Runner.from_cfg(from_store(root, out, kind)).train()


def test_a_quality_needs_a_codec_and_both_are_checked_early(tmp_path, monkeypatch):
    root = write_config(tmp_path)
    built = []
    monkeypatch.setattr('tests.toys.ToyTeacher.__init__', lambda *args: built.append(1))
    with pytest.raises(ConfigError, match='--quality is that of --pixels'):
        build(root, tmp_path / 'store', '--views', 1, '--quality', 90)
    with pytest.raises(ConfigError, match='1 to 100, but is 0'):
        build(
            root, tmp_path / 'store', '--views', 1, '--pixels', 'jpeg', '--quality', 0
        )
    assert not built and not (tmp_path / 'store').exists()


def test_a_store_by_command_has_the_pixels_of_a_smaller_student(tmp_path, capsys):
    root, out = write_config(tmp_path), tmp_path / 'store'
    option = ('--cfg-options', 'model.student_size=8')
    build(root, out, '--views', 1, '--pixels', 'jpeg', *option)
    assert last_line(capsys)['pixels'] == dict(
        codec='jpeg', quality=90, height=8, width=8
    )
    assert StoredPixels(out)[3]['inputs'].shape == (3, 8, 8)
