"""A whole run over toys: banks prepared, meta stamped, backbone exported."""

import copy
import json

import pytest
import torch
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint

import mmlgd
from mmlgd.errors import BankError, ConfigError
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyTeacher, toy_lgd_cfg

SORTED = sorted(NAMES)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    root = write_images(tmp_path_factory.mktemp('images'))
    work_dir = tmp_path_factory.mktemp('run')
    runner = Runner.from_cfg(toy_run_cfg(root, work_dir))
    runner.train()
    return root, work_dir, runner


def test_bank_was_built_and_the_text_tower_released(finished):
    _, _, runner = finished
    teacher = ToyTeacher()
    for row, name in zip(runner.model.textual_bank.embeddings, SORTED):
        expected = teacher.encode_text([f'a {name}.', f'the {name}.']).mean(0)
        torch.testing.assert_close(row, expected / expected.norm())
    assert not runner.model.teacher.has_text_tower


def test_statistics_and_accuracies_are_logged(finished):
    _, work_dir, runner = finished
    (file,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    train = [line for line in lines if 'loss_textual' in line]
    assert len(train) == 4
    for line in train:
        assert 0 <= line['teacher_student_agreement'] <= 1
        assert 0 <= line['assignment_entropy'] <= 1.3863
    assert train[-1]['categories_hit'] == int(runner.model.visual_bank.seen.sum())
    val = [line for line in lines if 'zero_shot/student_top1' in line]
    assert len(val) == 2
    # Top-5 of four names would always be 100 %: it is left out.
    assert 'zero_shot/student_top5' not in val[0]
    assert 0 <= val[0]['zero_shot/teacher_top1'] <= 100


def test_training_checkpoint_holds_no_teacher_and_loads_weights_only(
    finished, monkeypatch
):
    _, work_dir, runner = finished
    load = torch.load
    modes = []
    monkeypatch.setattr(
        torch,
        'load',
        lambda *a, **k: modes.append(k.get('weights_only')) or load(*a, **k),
    )
    checkpoint = _load_checkpoint(str(work_dir / 'epoch_2.pth'), map_location='cpu')
    # mmengine tries weights-only first; a second call would be its unsafe fallback.
    assert len(modes) == 1 and modes[0] is not False
    assert not [key for key in checkpoint['state_dict'] if 'teacher' in key]
    assert sum(len(g['params']) for g in checkpoint['optimizer']['param_groups']) == 6
    meta = checkpoint['meta']
    assert meta['mmlgd_version'] == mmlgd.__version__
    assert meta['category_names'] == SORTED
    assert meta['teacher'] == ToyTeacher().identity
    assert (meta['image_mean'], meta['image_std']) == ([120, 110, 100], [60, 61, 62])
    assert meta['to_rgb'] is True


def test_exported_backbone_loads_with_plain_torch(finished):
    _, work_dir, runner = finished
    contents = torch.load(work_dir / 'backbone.pth', weights_only=True)
    live = runner.model.backbone.state_dict()
    assert set(contents['state_dict']) == {f'backbone.{key}' for key in live}
    for key, value in live.items():
        assert torch.equal(contents['state_dict'][f'backbone.{key}'], value)
    assert contents['meta']['image_mean'] == [120, 110, 100]
    assert contents['meta']['backbone'] == dict(type='ToyBackbone')


@pytest.mark.slow
def test_resume_under_another_teacher_or_names_is_refused(finished, tmp_path):
    root, work_dir, _ = finished
    resume = dict(resume=True, load_from=str(work_dir / 'epoch_1.pth'))
    model = toy_lgd_cfg(SORTED, teacher=dict(type='ToyTeacher', seed=1))
    with pytest.raises(BankError, match='distilled from ToyTeacher'):
        Runner.from_cfg(toy_run_cfg(root, tmp_path / 'a', model, **resume)).train()
    model = toy_lgd_cfg(['ape', *SORTED[1:]])
    with pytest.raises(BankError, match="number 0: 'bird' there, 'ape' in the config"):
        Runner.from_cfg(toy_run_cfg(root, tmp_path / 'b', model, **resume)).train()


def test_resumed_run_keeps_its_bank_without_a_text_tower(
    finished, tmp_path, monkeypatch
):
    root, work_dir, _ = finished
    monkeypatch.setattr(ToyTeacher, 'encode_text', None)
    resume = dict(resume=True, load_from=str(work_dir / 'epoch_1.pth'))
    runner = Runner.from_cfg(toy_run_cfg(root, tmp_path / 'run', **resume))
    runner.train()
    assert runner.model.textual_bank.embeddings.any()


def test_bank_file_replaces_the_text_tower(finished, tmp_path, monkeypatch):
    root, _, runner = finished
    bank = runner.model.textual_bank
    other = copy.deepcopy(bank)
    other.embeddings.copy_(bank.embeddings.flip(0))
    other.save(tmp_path / 'bank.pth', ToyTeacher())
    monkeypatch.setattr(ToyTeacher, 'encode_text', None)
    cfg = toy_run_cfg(root, tmp_path / 'run')
    cfg.custom_hooks[0].bank_file = str(tmp_path / 'bank.pth')
    again = Runner.from_cfg(cfg)
    again.train()
    assert torch.equal(again.model.textual_bank.embeddings, bank.embeddings.flip(0))


def test_validation_set_of_other_size_is_refused_before_training(finished, tmp_path):
    root, _, _ = finished
    cfg = toy_run_cfg(root, tmp_path / 'run', toy_lgd_cfg(['cat', 'dog']))
    with pytest.raises(ConfigError, match='4 classes .* the 2 names.*zero_shot_bank'):
        Runner.from_cfg(cfg).train()
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_ema_checkpoint_exports_the_average(finished, tmp_path):
    root, _, _ = finished
    cfg = toy_run_cfg(root, tmp_path / 'run')
    cfg.custom_hooks.append(dict(type='EMAHook', momentum=0.5))
    runner = Runner.from_cfg(cfg)
    runner.train()
    exported = torch.load(tmp_path / 'run' / 'backbone.pth', weights_only=True)
    average = runner.hooks[
        [type(h).__name__ for h in runner.hooks].index('EMAHook')
    ].ema_model
    key = 'conv.weight'
    assert torch.equal(
        exported['state_dict'][f'backbone.{key}'],
        average.module.backbone.state_dict()[key],
    )
    assert not torch.equal(
        exported['state_dict'][f'backbone.{key}'],
        runner.model.backbone.state_dict()[key],
    )
    assert average.module.teacher is runner.model.teacher
