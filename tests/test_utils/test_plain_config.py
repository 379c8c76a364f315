"""What counts as plain data, and what of a run's config is stored as such."""

import pytest
from mmengine.config import Config
from torch import nn

from mmlgd.registry import MODELS
from mmlgd.utils.plain_config import check_plain, find_test_pipeline, plain_config
from tests.toys import ToyBackbone


def test_only_plain_data_counts_as_a_config():
    good = dict(a=[1, 2.5, (None, True)], b={'c': 'd', 3: 'e'})
    assert check_plain(good) == good
    endless = []
    endless.append(endless)
    for bad in (
        dict(a=object()),
        dict(a=nn.ReLU),
        {(1, 2): 3},
        dict(a=float('nan')),
        dict(a='x' * 20_000),
        [0] * 100_000,
        dict(a=b'x'),
        endless,
    ):
        with pytest.raises(ValueError):
            check_plain(dict(bad=bad))


def test_classes_of_new_style_configs_become_names():
    assert plain_config(dict(type=ToyBackbone)) == dict(type='mmlgd.ToyBackbone')
    assert MODELS.get('mmlgd.ToyBackbone') is ToyBackbone


def test_the_test_pipeline_is_found_inside_wrappers():
    steps = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    inner = dict(type='A', pipeline=steps)
    wrapped = dict(type='ConcatDataset', datasets=[dict(type='Repeat', dataset=inner)])
    config = Config(dict(val_dataloader=dict(dataset=wrapped)))
    assert find_test_pipeline(config) == [dict(type='PackInputs')]
    for dataset in (dict(type='A'), 'x', None, dict(datasets=[])):
        assert find_test_pipeline(dict(test_dataloader=dict(dataset=dataset))) is None


def test_a_config_without_datasets_to_test_on_may_have_a_test_pipeline():
    steps = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    config = Config(dict(test_pipeline=steps, val_dataloader=None))
    assert find_test_pipeline(config) == steps[1:]
    own = [dict(type='LoadImageFromFile'), dict(type='Resize')]
    config.val_dataloader = dict(dataset=dict(type='A', pipeline=own))
    assert find_test_pipeline(config) == own[1:]
