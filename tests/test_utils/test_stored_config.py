"""Configs in checkpoints can only build students, transforms and teachers."""

import sys

import pytest
from mmengine.logging import MMLogger

from mmlgd.errors import CheckpointError
from mmlgd.registry import MODELS, TRANSFORMS
from mmlgd.utils.stored_config import building, trusted_config

MBV3 = dict(type='mmpretrain.MobileNetV3', arch='small')


@pytest.mark.parametrize(
    'config',
    [
        MBV3,
        dict(MBV3, norm_cfg=dict(type='BN', eps=1e-3)),
        dict(type='MobileNetV3', arch='small', _scope_='mmpretrain'),
        dict(type='ToyBackbone'),
        dict(type='mmlgd.ToyBackbone', width=3),
        dict(
            MBV3,
            init_cfg=[dict(type='Constant', layer=['BatchNorm2d'], val=1.0)],
        ),
        dict(type='mmpretrain.TIMMBackbone', model_name='resnet18', norm_layer='BN2d'),
        dict(type='mmlgd.TIMMBackbone', model_name='vit_tiny_patch16_224', pooled=True),
    ],
)
def test_students_of_the_registries_are_taken(config):
    assert trusted_config(config, 'f.pth') == config


@pytest.mark.parametrize(
    'config',
    [
        dict(type='os.system', command='true'),
        dict(type='subprocess.Popen', args=['true']),
        dict(type='some_evil_package.Backbone'),
        dict(MBV3, type='mmpretrain.models.backbones.MobileNetV3'),
        dict(MBV3, _scope_='some_evil_package'),
        dict(MBV3, norm_cfg=dict(type='some_evil_package.Norm')),
        dict(MBV3, norm_cfg=dict(type='BN', _scope_='some_evil_package')),
        dict(MBV3, deep=[dict(a=(dict(type='builtins.exec'),))]),
        dict(type='some_evil_package'),
        dict(type='mmpretrain.'),
        dict(type=''),
        dict(type=3),
        dict(type=['ToyBackbone']),
        # Registered, but not parts of a student: they read or download files.
        dict(type='mmlgd.OpenCLIPTeacher', model_name='RN50', pretrained='openai'),
        dict(type='mmpretrain.ImageClassifier', backbone=MBV3),
        dict(type='mmpretrain.Blip2Caption'),
        dict(type='mmpretrain.HuggingFaceClassifier', model_name='x'),
        dict(MBV3, neck=dict(type='mmpretrain.TimmClassifier', model_name='x')),
        dict(type='mmlgd.LoadImageFromFile'),
        dict(type='mmseg.VPD', diffusion_cfg=dict(checkpoint='x')),
        dict(type='mmpretrain.TIMMBackbone', model_name='hf-hub:evil/model'),
        dict(type='mmpretrain.TIMMBackbone', model_name='hf_hub:evil/model'),
        dict(type='mmlgd.TIMMBackbone', model_name='hf-hub:evil/model'),
        dict(type='mmpretrain.TIMMBackbone', model_name='local-dir:/tmp/evil'),
        dict(
            type='mmpretrain.TIMMBackbone', model_name='resnet18', norm_layer='os.abc'
        ),
        dict(MBV3, arch='http://host/arch.py'),
    ],
    ids=lambda config: str(config)[:60],
)
def test_everything_else_is_refused_and_nothing_imported(config, tmp_path, monkeypatch):
    (tmp_path / 'some_evil_package').mkdir()
    for name in ('__init__', 'registry'):
        (tmp_path / f'some_evil_package/{name}.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        CheckpointError, match='f.pth contains a config that is not built'
    ):
        trusted_config(config, 'f.pth')
    assert 'some_evil_package' not in sys.modules


def test_weights_to_start_from_are_dropped():
    fetch = dict(type='Pretrained', checkpoint='http://host/evil.pth')
    config = dict(
        MBV3,
        init_cfg=fetch,
        pretrained='torchvision://resnet50',
        norm_cfg=dict(type='BN', init_cfg=[dict(type='Constant', val=1), fetch]),
    )
    found = trusted_config(config, 'f.pth')
    assert found == dict(
        MBV3, norm_cfg=dict(type='BN', init_cfg=[dict(type='Constant', val=1)])
    )
    nested = dict(type='Constant', val=1, override=dict(fetch, name='conv'))
    found = trusted_config(dict(MBV3, init_cfg=nested), 'f.pth')
    assert found['init_cfg'] == dict(type='Constant', val=1)
    timm = dict(type='mmpretrain.TIMMBackbone', model_name='resnet18')
    options = dict(pretrained=True, checkpoint_path='/x', pretrained_cfg=dict(url='u'))
    assert trusted_config({**timm, **options}, 'f.pth') == timm


@pytest.mark.parametrize(
    'step',
    [
        dict(type='LoadImageFromFile'),
        dict(type='mmpretrain.Albumentations', transforms=[dict(type='Lambda')]),
        dict(type='torchvision/Lambda', lambd='x'),
        # mmpretrain evaluates this option.
        dict(type='torchvision/Resize', size=8, dtype='x if exit() else 0'),
        dict(type='torchvision/ConvertImageDtype', dtype='float32'),
        dict(type='RandomApply', transforms=[dict(type='os.system')]),
        dict(type='MobileNetV3'),
    ],
)
def test_transforms_that_read_or_evaluate_are_refused(step):
    with pytest.raises(
        CheckpointError, match='f.pth contains a config that is not built'
    ):
        trusted_config(step, 'f.pth', 'TRANSFORMS')


def test_transforms_of_tests_are_taken():
    for step in (
        dict(type='mmlgd.GrayToBGR'),
        dict(type='Resize', scale=(8, 8)),
        dict(type='mmpretrain.ResizeEdge', scale=8, edge='short'),
        dict(type='mmpretrain.CenterCrop', crop_size=8),
        dict(type='mmpretrain.torchvision/CenterCrop', size=8),
        dict(type='mmpretrain.PackInputs', meta_keys=('img_path',)),
    ):
        assert trusted_config(step, 'f.pth', 'TRANSFORMS') == step
        with building('f.pth', 'pipeline'):
            TRANSFORMS.build(step)


@pytest.mark.parametrize(
    'config',
    [
        dict(type='mmlgd.OpenCLIPTeacher', model_name='hf-hub:evil/model'),
        dict(
            type='mmlgd.OpenCLIPTeacher', model_name='RN50', pretrained='http://h/x.pt'
        ),
        dict(
            type='mmlgd.MMPretrainTeacher', backbone=MBV3, checkpoint='https://h/x.pth'
        ),
        dict(
            type='mmlgd.MMPretrainTeacher',
            backbone=dict(
                type='mmpretrain.TIMMBackbone', model_name='resnet18', pretrained=True
            ),
        ),
        dict(type='mmlgd.TIMMTeacher', model_name='hf-hub:evil/model'),
        dict(type='mmlgd.TIMMTeacher', model_name='a', pretrained='http://h/x.pt'),
        dict(type='os.system'),
    ],
)
def test_teachers_that_fetch_by_address_are_refused(config):
    with pytest.raises(
        CheckpointError, match='f.pth contains a config that is not built'
    ):
        trusted_config(config, 'f.pth', 'TEACHERS')


def test_teachers_of_a_tag_or_a_local_file_are_taken():
    for kind, name, tag in (
        ('OpenCLIPTeacher', 'RN50', 'openai'),
        ('TIMMTeacher', 'test_vit', 'r160_in1k'),
    ):
        for pretrained in (tag, 'weights/file.pt', None):
            config = dict(type=kind, model_name=name, pretrained=pretrained)
            assert trusted_config(config, 'f.pth', 'TEACHERS') == config


def test_errors_of_foreign_constructors_name_the_file():
    with pytest.raises(CheckpointError, match='f.pth: its backbone cannot be built'):
        with building('f.pth', 'backbone'):
            MODELS.build(dict(MBV3, arch='gigantic'))


@pytest.mark.parametrize('kind', [None, 3, ['Pretrained'], {}])
def test_an_initialisation_without_a_name_is_refused_or_dropped(kind):
    config = dict(MBV3, init_cfg=dict(type=kind))
    with pytest.raises(CheckpointError, match=r'f\.pth'):
        with building('f.pth', 'backbone'):
            MODELS.build(trusted_config(config, 'f.pth'))


@pytest.mark.parametrize(
    'config',
    [
        dict(type='mmpretrain.ResNet', depth=18, base_channels=10**9),
        # Many thousand layers are built before there are too many.
        pytest.param(
            dict(
                type='mmpretrain.VisionTransformer',
                arch=dict(
                    embed_dims=8, num_layers=10**6, num_heads=1, feedforward_channels=8
                ),
            ),
            marks=pytest.mark.slow,
        ),
        dict(type='mmpretrain.VisionTransformer', arch='s', img_size=10**7),
    ],
    ids=['width', 'depth', 'positions'],
)
def test_a_short_config_does_not_fill_the_memory(config):
    backbone = trusted_config(config, 'f.pth')
    with pytest.raises(CheckpointError, match='f.pth.*more than 1,073,741,824'):
        with building('f.pth', 'backbone'):
            MODELS.build(backbone)


def test_a_student_of_usual_size_may_be_built():
    with building('f.pth', 'backbone'):
        model = MODELS.build(dict(type='mmpretrain.ResNet', depth=50))
    assert sum(weight.numel() for weight in model.parameters()) == 23_508_032


@pytest.mark.parametrize(
    'option',
    [dict(scale=(10**5, 10**5)), dict(scale=10**5), dict(scale_factor=1000.0)],
)
def test_a_stored_pipeline_makes_no_huge_images(option):
    with pytest.raises(CheckpointError, match='f.pth.*is more than'):
        trusted_config(dict(type='Resize', **option), 'f.pth', 'TRANSFORMS')


def test_building_from_a_checkpoint_shows_warnings_only(capfd):
    logger = MMLogger.get_instance('building', log_level='INFO')
    with building('x.pth', 'backbone'):
        # It logs its channels and strides.
        MODELS.build(
            dict(
                type='mmpretrain.TIMMBackbone',
                model_name='resnet10t',
                features_only=True,
            )
        )
        logger.warning('something is wrong')
    logger.info('later')
    shown = ''.join(capfd.readouterr())
    assert 'out_strides' not in shown
    assert 'something is wrong' in shown and 'later' in shown
