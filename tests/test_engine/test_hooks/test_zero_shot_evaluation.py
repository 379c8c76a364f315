"""Zero-shot evaluation in a Runner: class order, the teacher, each class's file."""

import json

import pytest
import torch
from mmengine.runner import Runner

from mmlgd.errors import ConfigError, DataError
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyTeacher, toy_lgd_cfg

SORTED = sorted(NAMES)


@pytest.fixture
def calls(monkeypatch):
    """Batches that the teacher's image tower was given in eval of the model."""
    found = []
    encode = ToyTeacher.image_features
    monkeypatch.setattr(
        ToyTeacher,
        'image_features',
        lambda self, inputs: found.append(len(inputs)) or encode(self, inputs),
    )
    return found


def run_cfg(root, work_dir, names=SORTED, **overrides):
    cfg = toy_run_cfg(root, work_dir, toy_lgd_cfg(names), **overrides)
    # The folders name the classes.
    del cfg.val_dataloader.dataset['classes']
    return cfg


def validate(cfg):
    torch.manual_seed(0)
    runner = Runner.from_cfg(cfg)
    return runner.val(), runner


@pytest.mark.slow
def test_folders_in_another_order_than_the_names_give_the_same_accuracy(tmp_path):
    root = write_images(tmp_path / 'images')
    wanted, _ = validate(run_cfg(root, tmp_path / 'a'))
    # The same names in other orders, where chance would give other accuracies.
    for number, names in enumerate((NAMES, SORTED[::-1])):
        found, _ = validate(run_cfg(root, tmp_path / f'b{number}', names))
        for who in ('student', 'teacher'):
            for kind in ('top1', 'balanced'):
                key = f'zero_shot/{who}_{kind}'
                assert found[key] == pytest.approx(wanted[key])


@pytest.mark.slow
def test_numbered_folders_give_the_accuracy_of_named_ones(tmp_path):
    names = [f'kind {i:02}' for i in range(12)]
    named = write_images(tmp_path / 'named', 24, names)
    numbered = write_images(tmp_path / 'numbered', 24, [str(i) for i in range(12)])
    wanted, _ = validate(run_cfg(named, tmp_path / 'a', names))
    found, runner = validate(run_cfg(numbered, tmp_path / 'b', names))
    assert runner.val_dataloader.dataset.metainfo['classes'][:3] == ('0', '1', '10')
    assert found == pytest.approx(wanted)


def test_unknown_folders_and_empty_sets_are_refused_before_training(tmp_path):
    root = write_images(tmp_path / 'images', names=['cat', 'dgo', 'bird', 'fish'])
    runner = Runner.from_cfg(run_cfg(root, tmp_path / 'a'))
    with pytest.raises(ConfigError, match="val_dataloader .*'dgo': Did you mean 'dog'"):
        runner.train()
    cfg = run_cfg(root, tmp_path / 'b', ['cat', 'dgo', 'bird', 'fish'])
    cfg.val_dataloader.dataset.update(indices=[], serialize_data=False)
    with pytest.raises(DataError, match='val_dataloader has no images'):
        Runner.from_cfg(cfg).train()


@pytest.mark.slow
def test_a_concatenated_validation_set_is_matched(tmp_path):
    root = write_images(tmp_path / 'images')
    wanted, _ = validate(run_cfg(root, tmp_path / 'a'))
    cfg = run_cfg(root, tmp_path / 'b', NAMES)
    part = dict(type='RepeatDataset', times=2, dataset=cfg.val_dataloader.dataset)
    cfg.val_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, part])
    found, _ = validate(cfg)
    key = 'zero_shot/student_top1'
    assert found[key] == pytest.approx(wanted[key])


def test_another_metric_is_warned_about(tmp_path, capsys):
    root = write_images(tmp_path / 'images')
    for names, expected in ((SORTED, False), (NAMES, True)):
        cfg = run_cfg(root, tmp_path / str(expected), names)
        cfg.val_evaluator = dict(type='mmpretrain.Accuracy')
        Runner.from_cfg(cfg).val()
        said = 'another metric that compares labels' in capsys.readouterr().out
        assert said is expected


@pytest.mark.parametrize('hooks', [[], [dict(type='EMAHook')]], ids=['plain', 'ema'])
def test_the_teacher_classifies_once_a_run_and_is_reported_each_time(
    tmp_path, calls, hooks
):
    root = write_images(tmp_path / 'images')
    cfg = run_cfg(root, tmp_path / 'a')
    cfg.custom_hooks += hooks
    cfg.train_cfg.max_epochs = 3
    runner = Runner.from_cfg(cfg)
    runner.train()
    # Of 16 images, in batches of 4: four steps in each of 3 epochs, and one validation.
    assert len(calls) == 3 * 4 + 4
    assert runner.model.predict_teacher
    (file,) = (tmp_path / 'a').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    found = [
        line['zero_shot/teacher_top1']
        for line in lines
        if 'zero_shot/student_top1' in line
    ]
    assert len(found) == 3
    assert len({*found}) == 1


def test_each_class_is_written_beside_the_log(tmp_path):
    root = write_images(tmp_path / 'images')
    found, runner = validate(run_cfg(root, tmp_path / 'a', NAMES))
    (file,) = (tmp_path / 'a').glob('*/per_class/zero_shot_val.json')
    assert len(list(file.parents[1].glob('*.log'))) == 1
    written = json.loads(file.read_text())
    assert [row['name'] for row in written['classes']] == NAMES
    assert [row['images'] for row in written['classes']] == [4] * 4
    mean = sum(row['student'] for row in written['classes']) / 4
    assert mean == pytest.approx(found['zero_shot/student_balanced'])
    assert written['metrics'] == found
