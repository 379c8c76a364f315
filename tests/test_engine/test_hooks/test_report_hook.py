"""The report is written at the end of a training, and cannot end it."""

from dataclasses import replace

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

import mmlgd.report
from mmlgd.report import read_sample
from tests.runs import write_images
from tests.test_report.conftest import report_run_cfg
from tests.toys import NAMES


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path / 'data')


def test_a_run_without_validation_samples_its_training_images(root, tmp_path, capsys):
    none = dict(val_dataloader=None, val_evaluator=None, val_cfg=None, log_level='INFO')
    cfg = report_run_cfg(root, tmp_path / 'run', NAMES, dict(num_images=10), **none)
    Runner.from_cfg(cfg).train()
    sample = read_sample(tmp_path / 'run')
    assert (sample.source, sample.correct) == ('train_dataloader', 'teacher')
    assert (sample.images, sample.available) == (10, 16)
    assert (sample.epoch, sample.iter) == (2, 8)
    page = (tmp_path / 'run/report.html').read_text()
    assert '10 of the 16 images of train_dataloader, drawn at random' in page
    share = f'{10 * sum(sample.agreed)}.0 % of 10 images of train_dataloader'
    assert f'Same name as the teacher: {share}' in capsys.readouterr().out


def test_a_student_with_one_name_for_all_images_is_a_warning(
    root, tmp_path, monkeypatch, capsys
):
    def collapse(*args, **kwargs):
        # The teacher's commonest name for all images.
        sample = measure(*args, **kwargs)
        counts = [3, 9, 3, 1]
        chosen = dict(student_counts=[0, 16, 0, 0], agreed=[0, 9, 0, 0])
        return replace(sample, teacher_counts=counts, **chosen)

    measure = mmlgd.report.measure_sample
    monkeypatch.setattr(mmlgd.report, 'measure_sample', collapse)
    Runner.from_cfg(report_run_cfg(root, tmp_path / 'run', NAMES)).train()
    assert 'it assigns one name to all images' in capsys.readouterr().out


def test_a_failure_is_a_warning_and_the_run_is_complete(
    root, tmp_path, monkeypatch, capsys
):
    def fail(*args, **kwargs):
        raise OSError('the disk is full')

    monkeypatch.setattr(mmlgd.report, 'write_report', fail)
    Runner.from_cfg(report_run_cfg(root, tmp_path / 'run', NAMES)).train()
    shown = capsys.readouterr().out
    assert 'OSError: the disk is full). The training is complete' in shown
    assert (tmp_path / 'run/epoch_2.pth').is_file()


def test_averaged_weights_are_measured_as_they_are_saved(root, tmp_path, monkeypatch):
    cfg = report_run_cfg(root, tmp_path / 'run', NAMES)
    cfg.custom_hooks.append(dict(type='EMAHook', momentum=0.3))
    seen = {}

    def note(model, *args, **kwargs):
        seen.update({k: v.clone() for k, v in model.state_dict().items()})
        return measure(model, *args, **kwargs)

    measure = mmlgd.report.measure_sample
    monkeypatch.setattr(mmlgd.report, 'measure_sample', note)
    runner = Runner.from_cfg(cfg)
    runner.train()
    saved = torch.load(tmp_path / 'run/epoch_2.pth', weights_only=True)['state_dict']
    torch.testing.assert_close(
        seen['backbone.conv.weight'], saved['backbone.conv.weight']
    )
    after = runner.model.backbone.conv.weight
    assert not torch.equal(after, saved['backbone.conv.weight'])


def test_every_distillation_config_has_the_hook():
    runtime = Config.fromfile('configs/_base_/default_runtime.py')
    assert dict(type='ReportHook') in runtime.custom_hooks


def test_without_images_the_page_shows_the_log(root, tmp_path):
    cfg = report_run_cfg(root, tmp_path / 'run', NAMES, dict(num_images=0))
    Runner.from_cfg(cfg).train()
    assert read_sample(tmp_path / 'run') is None
    assert 'Learning curves' in (tmp_path / 'run/report.html').read_text()
