import os
from types import SimpleNamespace

import cv2
import mmcv.transforms  # noqa: F401  (registers LoadImageFromFile)
import numpy as np
import pytest

from mmlgd.datasets import SeededViews, UnlabeledImages
from mmlgd.engine.hooks import BrokenImagesHook, broken_images_hook
from mmlgd.errors import DataError


@pytest.fixture
def runner(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for number in range(6):
        cv2.imwrite(str(folder / f'{number}.png'), np.zeros((4, 4, 3), np.uint8))
    for number in (1, 4):
        (folder / f'{number}.png').write_bytes(b'broken')
    load = dict(type='LoadImageFromFile')
    dataset = UnlabeledImages(str(folder), max_broken=0.4, pipeline=[load])
    warnings = []
    return SimpleNamespace(
        iter=0,
        work_dir=str(tmp_path),
        train_dataloader=SimpleNamespace(dataset=SeededViews(dataset)),
        logger=SimpleNamespace(warning=warnings.append),
        warnings=warnings,
    )


def listed(tmp_path):
    return [line[-5:] for line in (tmp_path / 'broken_images.txt').read_text().split()]


def test_lists_what_is_new_at_intervals_and_at_the_end(runner, tmp_path):
    dataset = runner.train_dataloader.dataset
    hook = BrokenImagesHook(interval=2)
    hook.after_train_iter(runner, 0)
    hook.after_train_epoch(runner)
    assert runner.warnings == []
    dataset[1]
    hook.after_train_iter(runner, 0)
    assert runner.warnings == []
    runner.iter = 1
    hook.after_train_iter(runner, 1)
    assert listed(tmp_path) == ['1.png']
    dataset[4]
    hook.after_train_epoch(runner)
    hook.after_train_epoch(runner)
    assert listed(tmp_path) == ['1.png', '4.png']
    assert [text[:6] for text in runner.warnings] == ['1 of 6', '2 of 6']


def test_ranks_together_may_be_too_many(runner, tmp_path, monkeypatch):
    def other_rank_met_two(indices):
        return [indices, np.array([0, 4])]

    monkeypatch.setattr(broken_images_hook, 'all_gather_object', other_rank_met_two)
    runner.train_dataloader.dataset[1]
    with pytest.raises(DataError, match='3 of the 6'):
        BrokenImagesHook().after_train_epoch(runner)
    assert listed(tmp_path) == ['0.png', '1.png', '4.png']


def test_other_datasets_are_ignored(runner):
    runner.train_dataloader.dataset = [1, 2]
    BrokenImagesHook().after_train_epoch(runner)
    assert runner.warnings == []


def test_names_that_are_not_utf8_are_listed_one_a_line(tmp_path, runner):
    folder = os.fsencode(tmp_path / 'images')
    for number, name in ((1, b'1\xe9.png'), (4, b'4\n.png')):
        os.rename(tmp_path / f'images/{number}.png', os.path.join(folder, name))
    images = runner.train_dataloader.dataset.dataset
    load = dict(type='LoadImageFromFile')
    renamed = UnlabeledImages(images.data_root, max_broken=0.4, pipeline=[load])
    runner.train_dataloader.dataset = renamed
    for index in range(6):
        renamed[index]
    BrokenImagesHook().after_train_epoch(runner)
    lines = (tmp_path / 'broken_images.txt').read_text(encoding='utf-8').splitlines()
    assert [os.path.basename(line) for line in lines] == [r'1\udce9.png', r'4\n.png']
