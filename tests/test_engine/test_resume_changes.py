"""Resuming a distillation with other data, names or teacher."""

import copy

import pytest
from mmengine.runner import Runner

from mmlgd.engine.hooks import ResumeHook
from mmlgd.errors import BankError
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES


def train(cfg, resume=None):
    cfg = copy.deepcopy(cfg)
    cfg.update(
        resume=resume is not None, load_from=resume, experiment_name=str(cfg.work_dir)
    )
    runner = Runner.from_cfg(cfg)
    runner.register_hook(ResumeHook())
    runner.train()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A config of two epochs, and the checkpoint of the first."""
    folder = tmp_path_factory.mktemp('first')
    cfg = toy_run_cfg(write_images(folder / 'images'), folder / 'run')
    train(cfg)
    return cfg, str(folder / 'run' / 'epoch_1.pth')


@pytest.fixture
def first(trained, tmp_path):
    cfg = copy.deepcopy(trained[0])
    cfg.work_dir = str(tmp_path / 'second')
    return cfg, trained[1]


@pytest.mark.parametrize(
    'change',
    [
        dict(teacher=dict(type='ToyTeacher', seed=1)),
        dict(textual_bank=dict(categories=NAMES)),  # another order
        dict(textual_bank=dict(categories=[*sorted(NAMES), 'cow'])),
        dict(textual_bank=dict(templates=['a {}.', 'one {}.'])),
    ],
    ids=['teacher', 'order', 'number', 'templates'],
)
def test_other_names_or_another_teacher_are_refused(first, change):
    cfg, checkpoint = first
    cfg.merge_from_dict(dict(model=change))
    with pytest.raises(BankError):
        train(cfg, checkpoint)


def test_other_data_are_accepted_and_named(first, tmp_path, capsys):
    cfg, checkpoint = first
    other = write_images(tmp_path / 'others', num=12)
    cfg.train_dataloader.dataset.seed = 7
    cfg.train_dataloader.dataset.dataset.data_root = str(other / 'train')
    train(cfg, checkpoint)
    said = capsys.readouterr()
    text = said.out + said.err
    assert 'images 16 -> 12' in text
    assert 'seed=7' in text and str(other / 'train') in text
