"""`mmlgd distill` passes its options on."""

import pytest

from mmlgd.apis import distillation
from mmlgd.cli import distill
from mmlgd.errors import ConfigError


@pytest.fixture
def called(monkeypatch, tmp_path):
    """The arguments of the call."""
    got = {}

    def record(**options):
        got.update(options)
        return distillation.Distillation(*[tmp_path / 'epoch_1.pth'] * 3)

    monkeypatch.setattr(distillation, 'distill', record)
    return got


def test_one_value_is_a_place_and_several_are_a_list(called, capsys):
    distill.main(['--images', 'photos', '--names', 'names.txt'])
    assert (called['images'], called['names']) == ('photos', 'names.txt')
    assert called['student'] == 'mobilenetv4_conv_small'
    assert called['resume'] is False
    assert not called['plan']
    assert 'mmlgd classify' in capsys.readouterr().out
    distill.main(['--images', 'a.png', 'b.png', '--names', 'red fox', 'badger'])
    assert called['images'] == ['a.png', 'b.png']
    assert called['names'] == ['red fox', 'badger']


def test_options_and_settings(called):
    given = '--epochs 3 --batch-size 8 --devices 2 --resume --overwrite --plan'.split()
    settings = ['--cfg-options', 'model.alpha=0.3']
    distill.main(['--images', 'p', '--names', 'coco', *given, *settings])
    assert (called['epochs'], called['batch_size'], called['devices']) == (3, 8, 2)
    assert called['resume'] is True
    assert called['overwrite']
    assert called['plan']
    assert called['model.alpha'] == 0.3


def test_a_setting_that_is_an_option_is_refused(called):
    options = ['--cfg-options', 'resume=True']
    with pytest.raises(ConfigError, match='use --resume'):
        distill.main(['--images', 'p', '--names', 'coco', *options])
