import json

import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

import mmlgd.datasets  # noqa: F401
from mmlgd.datasets.pipeline_description import (
    check_pipeline,
    compare_pipelines,
    describe_pipeline,
)
from mmlgd.errors import ConfigError


class Images:
    """A dataset of nothing but a pipeline."""

    def __init__(self, transforms):
        init_default_scope('mmlgd')
        self.pipeline = Compose(transforms)


class Wrapper:
    def __init__(self, dataset):
        self.dataset = dataset


def crop(**options):
    return dict(type='mmpretrain.RandomResizedCrop', **{'scale': 32, **options})


def blur(low=0.1):
    options = dict(magnitude_range=(low, 2.0), magnitude_std='inf')
    return dict(
        type='RandomApply', transforms=[dict(type='mmpretrain.GaussianBlur', **options)]
    )


PACK = dict(type='mmpretrain.PackInputs')


def differences(first, second):
    stored = json.loads(json.dumps(describe_pipeline(Images(first))))
    return compare_pipelines(stored, describe_pipeline(Wrapper(Images(second))))


@pytest.mark.parametrize(
    'same',
    [
        [crop(), blur(), PACK],
        [crop(scale=(32, 32), crop_ratio_range=[0.08, 1.0]), blur(), PACK],
        [crop(), blur(), dict(PACK, meta_keys=('img_path',))],
    ],
    ids=['itself', 'defaults written out', 'meta keys'],
)
def test_pipelines_that_draw_the_same_do_not_differ(same):
    assert differences([crop(), blur(), PACK], same) == []


@pytest.mark.parametrize(
    ('other', 'option', 'stored', 'here'),
    [
        (
            [crop(crop_ratio_range=(0.2, 1)), blur(), PACK],
            'mmpretrain.RandomResizedCrop.crop_ratio_range',
            [0.08, 1.0],
            [0.2, 1],
        ),
        (
            [crop(), blur(low=0.5), PACK],
            'mmpretrain.GaussianBlur.magnitude_range',
            [0.1, 2.0],
            [0.5, 2.0],
        ),
        (
            [crop(), PACK],
            'pipeline',
            [
                'mmpretrain.RandomResizedCrop',
                'mmcv.RandomApply',
                'mmpretrain.PackInputs',
            ],
            ['mmpretrain.RandomResizedCrop', 'mmpretrain.PackInputs'],
        ),
    ],
    ids=['option', 'nested', 'absent'],
)
def test_a_difference_is_named(other, option, stored, here):
    (found,) = differences([crop(), blur(), PACK], other)
    assert found == (option, stored, here, False)


def test_the_size_of_a_crop_is_a_matter_of_resolution():
    found = differences([crop()], [crop(scale=24, interpolation='bicubic')])
    assert [(one.option.split('.')[-1], one.resolution) for one in found] == [
        ('interpolation', False),
        ('scale', True),
    ]


def test_the_size_of_other_transforms_is_not():
    first, second = (dict(type='mmcv.RandomResize', scale=(one, one)) for one in (8, 9))
    assert [one.resolution for one in differences([first], [second])] == [False]


def test_functions_have_names_and_datasets_may_have_no_pipeline():
    def darken(results):
        return results

    assert describe_pipeline(Images([darken]))[0].endswith('darken')
    assert describe_pipeline([1, 2]) is None
    assert compare_pipelines(None, None) == []
    assert compare_pipelines(None, [])[0].option == 'pipeline'


def test_only_another_size_can_be_allowed():
    stored, smaller, other = (
        describe_pipeline(Images([crop(**options), PACK]))
        for options in ({}, dict(scale=16), dict(scale=16, crop_ratio_range=(0.2, 1)))
    )
    assert check_pipeline('It', stored, stored)
    assert not check_pipeline('It', stored, smaller, other_size=True)
    with pytest.raises(
        ConfigError, match=r'It was made with .*scale = .* has \[16, 16'
    ):
        check_pipeline('It', stored, smaller)
    with pytest.raises(ConfigError, match=r'crop_ratio_range = .* has \[0.2, 1\]'):
        check_pipeline('It', stored, other, other_size=True)
