"""Misspelt options and types are named before anything is built."""

import copy
import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from mmengine.optim import OptimWrapper
from timm.layers import BatchNormAct2d

import mmlgd  # noqa: F401
from mmlgd.errors import ConfigError
from mmlgd.models.backbones import TIMMBackbone
from mmlgd.utils.config_check import check_config
from mmlgd.utils.config_fields import (
    check_option_fields,
    check_sync_bn,
    warn_about_compile,
    warn_about_misspelt_fields,
)
from mmlgd.utils.config_types import class_name, scope_of
from mmlgd.utils.signatures import options_of

CONFIGS = Path(__file__).parents[2] / 'configs'
EVERY = sorted(
    str(path.relative_to(CONFIGS))
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts and 'benchmarks' not in path.parts
)


@pytest.fixture(scope='module')
def stock() -> Config:
    return Config.fromfile(CONFIGS / 'lgd/r50_mbv3.py')


def test_a_stock_config_passes(stock):
    check_config(stock)


@pytest.mark.slow
@pytest.mark.parametrize('folder', sorted({Path(name).parts[0] for name in EVERY}))
def test_every_config_passes(folder):
    for name in EVERY:
        if Path(name).parts[0] == folder:
            check_config(Config.fromfile(CONFIGS / name))


@pytest.mark.parametrize(
    ('key', 'value', 'what'),
    [
        ('model.alfa', 0.5, "model.alfa: LGD has no option 'alfa'. Did you mean 'alpha'?"),
        ('model.teacher.pretraind', 'x', "OpenCLIPTeacher has no option.*'pretrained'"),
        ('model.projector.out_dim', 1, 'model.projector.out_dim: Projector has no'),
        ('model.textual_bank.template', [], "Did you mean 'templates'"),
        ('train_dataloader.batchsize', 4, "DataLoader has no.*'batch_size'"),
        ('train_dataloader.sampler.shufle', True, "ViewSampler has no.*'shuffle'"),
        ('train_dataloader.dataset.dataset.data_rot', 'x', "no option.*'data_root'"),
        ('optim_wrapper.optimizer.learning_rate', 1, "SGD has no option 'learning_rate'"),
        ('optim_wrapper.optimizer.momentun', 1, "'momentum'"),
        ('optim_wrapper.acumulative_counts', 2, "'accumulative_counts'"),
        ('param_scheduler.0.strat_factor', 1, "LinearLR has no.*'start_factor'"),
        ('train_cfg.max_epoch', 3, "EpochBasedTrainLoop has no.*'max_epochs'"),
        ('custom_hooks.0.bankfile', 'x', "SemanticsBankHook has no.*'bank_file'"),
        ('default_hooks.checkpoint.intervall', 1, "'interval'"),
        ('default_hooks.chekpoint', dict(interval=1), "no type.*'checkpoint'"),
        ('visualizer.vis_backend', [], "'vis_backends'"),
        ('log_processor.window', 1, "'window_size'"),
        ('model.type', 'LDG', r"model.type 'LDG' is not registered.*'LGD'"),
        ('optim_wrapper.optimizer.type', 'SDG', "'SDG' is not registered.*'SGD'"),
        ('custom_hooks.0.type', 'SemanticBankHook', "Did you mean 'SemanticsBankHook'"),
    ],
)  # fmt: skip
def test_a_misspelling_is_named_with_place_class_and_the_right_name(
    stock, key, value, what
):
    cfg = copy.deepcopy(stock)
    cfg.merge_from_dict({key: value})
    with pytest.raises(ConfigError, match=what):
        check_config(cfg)


def test_a_transform_of_another_library_is_named(stock):
    cfg = copy.deepcopy(stock)
    pipeline = cfg.train_dataloader.dataset.dataset.pipeline
    pipeline.append(dict(type='mmpretrain.ColorJiter', brightness=0.1))
    with pytest.raises(ConfigError, match=r'mmpretrain\.ColorJitter'):
        check_config(cfg)
    pipeline[-1] = dict(type='mmpretrain.ColorJitter', brigtness=0.1)
    with pytest.raises(ConfigError, match=rf'\.{len(pipeline) - 1}\.brig.*brightness'):
        check_config(cfg)


def test_several_are_named_at_once(stock):
    cfg = copy.deepcopy(stock)
    cfg.merge_from_dict({'model.alfa': 1, 'train_cfg.max_epoch': 1})
    with pytest.raises(ConfigError) as error:
        check_config(cfg)
    assert 'alfa' in str(error.value)
    assert 'max_epoch:' in str(error.value)


class Base(BaseModule):
    def __init__(self, width, init_cfg=None):
        super().__init__(init_cfg)


class Forwards(Base):
    def __init__(self, depth=1, **kwargs):
        super().__init__(**kwargs)


class HandsOn(Base):
    def __init__(self, depth=1, **kwargs):
        super().__init__(4)
        self.options = dict(**kwargs)


class Pops(Base):
    def __init__(self, **kwargs):
        kwargs.pop('old', None)
        super().__init__(**kwargs)


def test_keyword_arguments_are_followed_where_they_only_go_to_the_base():
    assert options_of(Forwards) == {'depth', 'width', 'init_cfg'}
    assert options_of(HandsOn) is None
    assert options_of(Pops) is None
    assert options_of(lambda a, b=1: None) == {'a', 'b'}
    assert options_of(lambda **options: None) is None


class OwnHook(Hook):
    def __init__(self, level):
        pass


def test_classes_as_types_are_checked_alike():
    cfg = Config(
        dict(
            custom_hooks=[dict(type=OwnHook, level=1, priority=10)],
            optim_wrapper=dict(type=OptimWrapper, optimizer=dict(type='SGD', lr=1)),
        )
    )
    check_config(cfg)
    cfg.custom_hooks[0]['levle'] = 2
    with pytest.raises(ConfigError, match="OwnHook has no option 'levle'.*'level'"):
        check_config(cfg)


@pytest.mark.parametrize(
    ('key', 'what'),
    [
        ('optim_wraper.optimizer.lr', "reads a field 'optim_wraper'.*'optim_wrapper'"),
        ('custom_hook', "'custom_hooks'"),
        ('modle.alpha', "'model'"),
        ('pipeline.0.scale', 'variable.*train_dataloader.dataset.pipeline instead'),
        ('width', 'variable of the config file'),
    ],
)
def test_options_that_would_change_nothing_are_refused(key, what):
    pipeline = [dict(type='Resize', scale=4), dict(type='PackInputs')]
    cfg = Config(
        dict(
            width=8,
            pipeline=pipeline,
            train_dataloader=dict(dataset=dict(type='X', pipeline=pipeline)),
            val_dataloader=None,
        )
    )
    with pytest.raises(ConfigError, match=what):
        check_option_fields(cfg, [key], read=['alignment'])
    right = [
        'alignment.held_out',
        'train_dataloader.dataset.pipeline.0.scale',
        'compile',
    ]
    check_option_fields(cfg, right, read=['alignment'])


@pytest.mark.parametrize(
    ('field', 'close'),
    [
        ('optim_wraper', 'optim_wrapper'),
        ('custom_hook', 'custom_hooks'),
        ('train_pipeline', None),
        ('test_pipeline', None),
        ('norm_cfg', None),
        ('data_root', None),
        ('width', None),
    ],
)
def test_a_variable_that_looks_like_a_field_is_warned_about(field, close, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmlgd.utils.config_fields.print_log',
        lambda text, logger, level: said.append((text, level)),
    )
    warn_about_misspelt_fields(Config({field: dict(a=1), 'model': dict(type='X')}))
    assert len(said) == (close is not None)
    if close:
        assert f'Did you mean {close!r}' in said[0][0]
        assert said[0][1] == logging.WARNING


def test_types_are_named_alike_as_text_and_as_classes():
    assert class_name('mmpretrain.ResNet') == class_name('ResNet') == 'ResNet'
    assert scope_of('mmpretrain.ResNet') == 'mmpretrain'
    assert scope_of('ResNet') == ''
    assert (class_name(OptimWrapper), scope_of(OptimWrapper)) == (
        'OptimWrapper',
        'mmengine',
    )


@pytest.mark.parametrize(
    ('field', 'key', 'closest'),
    [
        ('env_cfg', 'cudnn_benchmrk', 'cudnn_benchmark'),
        ('randomness', 'sed', 'seed'),
        ('auto_scale_lr', 'base_batchsize', 'base_batch_size'),
    ],
)
def test_keys_that_nothing_reads_are_named_in_plain_fields(stock, field, key, closest):
    cfg = copy.deepcopy(stock)
    cfg[field] = dict(cfg.get(field) or {}, **{key: 1})
    with pytest.raises(ConfigError, match=f'{field}.{key}.*{closest!r}'):
        check_config(cfg)


def test_the_compile_option_of_mmengine_is_warned_of(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmlgd.utils.config_fields.print_log',
        lambda text, logger, level: said.append((text, level)),
    )
    warn_about_compile(Config(dict(compile=False)))
    assert not said
    warn_about_compile(Config(dict(compile=dict(backend='eager'))))
    assert 'CompileHook' in said[0][0] and said[0][1] == logging.WARNING


@pytest.mark.parametrize(
    'type_', ['mmlgd.TIMMBackbone', 'mmpretrain.TIMMBackbone', TIMMBackbone]
)
def test_synchronised_norms_of_a_runner_are_refused_for_timm(stock, type_):
    """torch's conversion of timm's norms changes what the network computes."""
    norm = BatchNormAct2d(4).eval()
    images = torch.randn(1, 4, 2, 2)
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(norm).eval()
    assert norm(images).min() == 0 > converted(images).min()

    cfg = Config(dict(model=dict(backbone=dict(type=type_))))
    check_sync_bn(cfg)
    cfg.sync_bn = 'torch'
    with pytest.raises(ConfigError, match=r'model\.backbone\.sync_bn=True'):
        check_sync_bn(cfg)
    check_sync_bn(Config(dict(stock, sync_bn='torch')))
