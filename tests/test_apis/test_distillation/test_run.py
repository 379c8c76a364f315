"""`distill` from the images to the checkpoint, over the toys."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import mmlgd
from mmlgd.apis import ZeroShotClassifier
from mmlgd.cli import train
from mmlgd.errors import ConfigError, DataError, TeacherError
from tests.runs import write_images
from tests.toys import NAMES

TOYS = dict(
    student=dict(backbone=dict(type='ToyBackbone')),
    teacher=dict(type='ToyTeacher'),
    workers=0,
)
CUSTOM = dict(custom_imports=dict(imports=['tests.toys']))


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / 'data', num=20) / 'train'


def state_of(path: Path) -> dict:
    return torch.load(path, weights_only=True)['state_dict']


@pytest.mark.slow
def test_a_run_gives_a_classifier_a_backbone_and_a_config_that_repeats_it(
    images, tmp_path, capsys
):
    out = tmp_path / 'run'
    run = mmlgd.distill(images, NAMES, out=out, epochs=2, seed=3, **TOYS)
    shown = capsys.readouterr().out
    for fact in (
        f'images        20 in {images}',
        'names         4: cat, dog, bird, ...',
        'batch         16          images per device',
        'epochs        2           as given',
        'precision     float32     there is no GPU',
    ):
        assert fact in shown, fact
    assert run.config == out / 'config.py'
    assert run.checkpoint == out / 'epoch_2.pth'
    assert run.backbone.is_file()
    classifier = ZeroShotClassifier(run.checkpoint)
    assert classifier.category_names == NAMES
    assert classifier.scores(images).shape == (20, 4)

    text = run.config.read_text()
    assert '# epochs        2           as given' in text
    assert str(out) not in text  # the folder may be moved
    train.main([str(run.config), '--work-dir', str(tmp_path / 'again')])
    first, second = state_of(run.checkpoint), state_of(tmp_path / 'again/epoch_2.pth')
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert run.config.read_text() == text


@pytest.mark.slow
def test_a_run_is_resumed_and_a_used_folder_refused(images, tmp_path):
    out = tmp_path / 'run'
    mmlgd.distill(images, NAMES, out=out, epochs=1, **TOYS)
    before = (out / 'config.py').read_text()
    with pytest.raises(
        ConfigError, match='of an earlier run.*another folder with --out'
    ):
        mmlgd.distill(images, NAMES, out=out, epochs=2, **TOYS)
    assert (out / 'config.py').read_text() == before
    run = mmlgd.distill(images, NAMES, out=out, epochs=2, resume=True, **TOYS)
    assert run.checkpoint.name == 'epoch_2.pth'
    meta = torch.load(run.checkpoint, weights_only=True)['meta']
    assert (meta['epoch'], meta['iter']) == (2, 2)
    run = mmlgd.distill(images, NAMES, out=out, epochs=1, overwrite=True, **TOYS)
    assert run.checkpoint.name == 'epoch_1.pth'


@pytest.mark.slow
def test_a_plan_names_steps_time_and_disk_and_leaves_nothing(
    images, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    before = sorted(tmp_path.rglob('*'))
    found = mmlgd.distill(images, NAMES, out='run', epochs=40, plan=True, **TOYS)
    assert sorted(tmp_path.rglob('*')) == before
    shown = capsys.readouterr().out
    assert 'steps         40          1 an epoch' in shown
    assert 'on cpu, estimated' in shown
    assert 'MiB of checkpoints' in shown
    assert found.seconds == pytest.approx(
        40 * found.seconds_per_step + found.seconds_text
    )
    # Two checkpoints (weights, banks, momentum) and three backbones; see the counts of
    # the toys: conv 3 * 12 * 9 + 12, projector 12 -> 16.
    conv = 4 * (3 * 12 * 9 + 12)
    assert 3 * conv < found.disk < 100 * conv


@pytest.mark.slow
def test_the_estimate_of_the_disk_is_that_of_a_run(images, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    options = dict(TOYS, student=dict(backbone=dict(type='ToyBackbone', width=600)))
    found = mmlgd.distill(images, NAMES, epochs=3, plan=True, **options)
    mmlgd.distill(images, NAMES, out=tmp_path / 'run', epochs=3, **options)
    written = sum(each.stat().st_size for each in (tmp_path / 'run').glob('*.pth'))
    assert found.disk == pytest.approx(written, rel=0.1)


def test_overrides_reach_the_config_and_unknown_ones_are_refused(
    images, tmp_path, monkeypatch
):
    monkeypatch.setattr('mmlgd.apis.distillation.run._train', lambda *_: None)
    monkeypatch.setattr(
        'mmlgd.apis.distillation.run.find_latest_checkpoint', lambda _: 'epoch_1.pth'
    )
    run = mmlgd.distill(
        *(images, NAMES),
        out=tmp_path / 'run',
        model=dict(alpha=0.25),
        **{'train_dataloader.dataset.dataset.max_broken': 0.5},
        **TOYS,
    )
    cfg = Config.fromfile(run.config)
    assert cfg.model.alpha == 0.25
    assert cfg.model.student_temperature == 0.2
    assert cfg.optim_wrapper.type == 'OptimWrapper'  # float32, on a CPU
    assert cfg.train_dataloader.dataset.dataset.max_broken == 0.5
    assert cfg.work_dir == str(tmp_path / 'run')
    for changes, what in (
        (dict(modle=dict(alpha=1)), "field 'modle'. Did you mean 'model'"),
        (dict(train_cfg=dict(max_epochs=3)), 'use epochs'),
        ({'work_dir': 'x'}, 'use out'),
    ):
        with pytest.raises(ConfigError, match=what):
            mmlgd.distill(images, NAMES, out=tmp_path / 'no', **changes, **TOYS)
    assert not (tmp_path / 'no/config.py').exists()


@pytest.mark.parametrize(
    ('changes', 'error', 'what'),
    [
        (dict(images='absent'), DataError, 'does not exist'),
        (dict(names='absent.txt'), ConfigError, 'absent.txt'),
        (dict(student='mbv5'), ConfigError, "no student 'mbv5'"),
        (dict(teacher='clip'), ConfigError, "no teacher 'clip'"),
        (dict(teacher='a/clip.pt'), TeacherError, "no weight file 'a/clip.pt'"),
        (dict(teacher='/a/clip.pt'), TeacherError, "file '/a/clip.pt' does not exist"),
        (dict(out='/dev/null/run'), ConfigError, 'cannot be written'),
        (dict(devices=0), ConfigError, 'devices must be a whole number'),
        (dict(epochs=0), ConfigError, 'epochs must be'),
    ],
)
def test_a_wrong_input_is_refused_before_a_model_is_built_for_training(
    images, tmp_path, monkeypatch, changes, error, what
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        'mmlgd.apis.distillation.run.train_config', lambda *_: pytest.fail('trained')
    )
    given = dict(images=images, names=NAMES, out='run', **TOYS)
    with pytest.raises(error, match=what):
        mmlgd.distill(**{**given, **changes})
    assert not Path('run/config.py').exists()


def test_processes_of_a_launcher_are_refused(images, monkeypatch):
    for name, value in dict(
        RANK='0', WORLD_SIZE='2', LOCAL_RANK='0', LOCAL_WORLD_SIZE='2'
    ).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match='starts the processes .* itself'):
        mmlgd.distill(images, NAMES, **TOYS)


@pytest.mark.slow
def test_a_real_teacher_and_a_network_of_timm(images, tmp_path):
    teacher = Path(__file__).parents[3] / 'demo/teacher/fashion-clip.pt'
    run = mmlgd.distill(
        [*images.iterdir()],
        ['a trouser', 'an ankle boot', 'a bag'],
        student='test_resnet',
        teacher=teacher,
        out=tmp_path / 'run',
        epochs=1,
        workers=0,
        model=dict(textual_bank=dict(templates=['a photo of {}.'])),
    )
    checkpoint = torch.load(run.checkpoint, weights_only=True)
    assert checkpoint['meta']['image_size'] == 64
    assert checkpoint['meta']['teacher'].startswith('open_clip/fashion-clip/')
    # The teacher is built again from its config in the checkpoint.
    found = mmlgd.ZeroShotInferencer(run.checkpoint, ['a shirt', 'a coat'], 'cpu')(
        images
    )
    assert len(found) == 20
    scores = [each['pred_scores'].sum() for each in found]
    assert scores == pytest.approx([1] * 20, abs=1e-5)


@pytest.mark.slow
def test_two_devices_train_together(images, tmp_path, capfd):
    out = tmp_path / 'run'
    run = mmlgd.distill(images, NAMES, out=out, epochs=1, devices=2, **CUSTOM, **TOYS)
    assert '2 ranks' in capfd.readouterr().out
    assert run.checkpoint.is_file()


@pytest.mark.slow
def test_the_package_has_the_function_and_imports_lazily():
    code = """
import sys, mmlgd
assert 'torch' not in sys.modules
assert 'distill' in dir(mmlgd)
try:
    mmlgd.distil
except AttributeError as error:
    assert "no attribute 'distil'" in str(error)
assert callable(mmlgd.distill)
"""
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
