"""A downstream run either starts from the given backbone or does not start."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmlgd.engine.hooks import BackboneLoadCheckHook
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.preprocessing import Preprocessing
from tests.backbone_files import CLIP_MEAN, CLIP_STD, R18, meta_of, write_backbone
from tests.runs import write_images

SMALL = dict(R18, base_channels=4, stem_channels=4)
OTHER_MEAN, OTHER_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.CenterCrop', crop_size=16),
    dict(type='mmpretrain.PackInputs'),
]


@pytest.fixture(autouse=True)
def light_runner(monkeypatch):
    """A Runner asks compilers for their versions and beautifies its config, twice."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    monkeypatch.setattr(
        'yapf.yapflib.yapf_api.FormatCode', lambda text, **options: (text, True)
    )


@pytest.fixture
def checkpoint(tmp_path):
    write_backbone(tmp_path / 'epoch_1.pth', SMALL)
    return tmp_path / 'epoch_1.pth'


def config(tmp_path, init, backbone=SMALL, hook=None, mean=CLIP_MEAN, **overrides):
    """Linear probe on 16 pictures of four classes, one epoch."""
    root = tmp_path / 'images'
    if not root.exists():
        write_images(root)
    loader = dict(
        batch_size=8,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='mmpretrain.CustomDataset',
            data_root=str(root / 'val'),
            pipeline=PIPELINE,
        ),
    )
    std = CLIP_STD if mean is CLIP_MEAN else OTHER_STD
    cfg = dict(
        default_scope='mmlgd',
        model=dict(
            type='ImageClassifier',
            _scope_='mmpretrain',
            backbone=dict(backbone, init_cfg=init),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(
                type='LinearClsHead',
                num_classes=4,
                in_channels=8 * backbone['base_channels'],
                topk=(1,),
            ),
        ),
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor', mean=mean, std=std, to_rgb=True
        ),
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=dict(type='mmpretrain.Accuracy', topk=(1,)),
        test_evaluator=dict(type='mmpretrain.Accuracy', topk=(1,)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg=dict(),
        test_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5)),
        custom_hooks=[dict(type='mmlgd.BackboneLoadCheckHook', **(hook or {}))],
        work_dir=str(tmp_path / 'run'),
        experiment_name=tmp_path.name + str(len(list(tmp_path.iterdir()))),
        randomness=dict(seed=0),
    )
    cfg = Config(cfg)
    cfg.merge_from_dict(overrides)
    return cfg


def pretrained(path, prefix='backbone.'):
    return dict(type='Pretrained', checkpoint=str(path), prefix=prefix)


def start(cfg, monkeypatch):
    """Begin to train; return the Runner as it was before the first iteration."""

    class Started(Exception):
        pass

    def stop(*args, **kwargs):
        raise Started

    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr(type(runner.model), 'train_step', stop, raising=False)
    with pytest.raises(Started):
        runner.train()
    return runner


def sorted_logs(runner):
    return sorted(Path(runner.work_dir).glob('*/*.log'))


def log_of(runner):
    return ' '.join(file.read_text() for file in sorted_logs(runner))


def test_all_tensors_match(tmp_path, checkpoint, monkeypatch):
    runner = start(config(tmp_path, pretrained(checkpoint)), monkeypatch)
    stored = torch.load(checkpoint)['state_dict']
    for key, value in runner.model.backbone.state_dict().items():
        assert torch.equal(value, stored[f'backbone.{key}'])
    # 20 convolutions, and 20 BatchNorms of four tensors.
    assert '100 of 100 tensors of the backbone equal' in log_of(runner)


def test_bare_keys_match_without_a_prefix(tmp_path, checkpoint, monkeypatch):
    contents = torch.load(checkpoint)
    keys = [key for key in contents['state_dict'] if key.startswith('backbone.')]
    bare = {key[9:]: contents['state_dict'][key] for key in keys}
    torch.save(dict(contents, state_dict=bare), tmp_path / 'bare.pth')
    runner = start(
        config(tmp_path, pretrained(tmp_path / 'bare.pth', None)), monkeypatch
    )
    assert '100 of 100 tensors' in log_of(runner)


def test_a_backbone_without_its_last_stage_matches(tmp_path, checkpoint, monkeypatch):
    short = dict(SMALL, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1))
    cfg = config(tmp_path, pretrained(checkpoint), dict(short, out_indices=(2,)))
    cfg.model.head.in_channels = 16
    runner = start(cfg, monkeypatch)
    # Layer 4 holds 5 convolutions and 5 BatchNorms; then comes the projector.
    assert '75 of 75 tensors' in log_of(runner)
    assert '25 of the file belong to layers after' in log_of(runner)


@pytest.mark.parametrize(
    'backbone, prefix, message',
    [
        (SMALL, 'student.', "no key under 'student.'.*backbone., projector."),
        (SMALL, None, r'0 of 100 tensors \(0.0 %\)'),
        (
            dict(SMALL, base_channels=8, stem_channels=8),
            'backbone.',
            'of another shape',
        ),
        (
            dict(SMALL, depth=34),
            'backbone.',
            'missing in the checkpoint .layer1.2.conv1',
        ),
        (
            dict(SMALL, type='mmpretrain.ResNetV1c'),
            'backbone.',
            'missing in the checkpoint .stem.0',
        ),
    ],
)
def test_mismatched_checkpoints_are_refused(
    tmp_path, checkpoint, backbone, prefix, message
):
    runner = Runner.from_cfg(config(tmp_path, pretrained(checkpoint, prefix), backbone))
    with pytest.raises(CheckpointError, match=message):
        runner.train()
    assert runner.iter == 0


def test_a_deeper_checkpoint_is_refused_though_every_live_tensor_loads(tmp_path):
    path = tmp_path / 'r34.pth'
    write_backbone(path, dict(SMALL, depth=34))
    runner = Runner.from_cfg(config(tmp_path, pretrained(path)))
    with pytest.raises(CheckpointError, match='unexpected in the checkpoint') as error:
        runner.train()
    assert "'depth': 34" in str(error.value)


def test_weights_that_change_after_loading_are_found(tmp_path, checkpoint, monkeypatch):
    runner = Runner.from_cfg(config(tmp_path, pretrained(checkpoint)))
    init = type(runner.model).init_weights

    def spoil(self):
        init(self)
        self.backbone.layer1[0].bn2.weight.data.zero_()

    monkeypatch.setattr(type(runner.model), 'init_weights', spoil)
    with pytest.raises(
        CheckpointError, match=r'with other values \(layer1.0.bn2.weight\)'
    ):
        runner.train()
    assert runner.iter == 0


def test_min_share_allows_for_additional_layers(tmp_path, checkpoint, monkeypatch):
    deeper = dict(SMALL, depth=34)
    hook = dict(min_share=0.3)
    runner = start(config(tmp_path, pretrained(checkpoint), deeper, hook), monkeypatch)
    assert '100 of 180 tensors' in log_of(runner)


@pytest.mark.parametrize(
    'content, message',
    [
        (b'<!DOCTYPE html><html>404</html>', 'web page'),
        ('truncated', 'truncated'),
        (None, 'There is no checkpoint'),
    ],
)
def test_broken_files_are_refused(tmp_path, checkpoint, content, message):
    path = tmp_path / 'broken.pth'
    if content == 'truncated':
        content = checkpoint.read_bytes()[:-2000]
    if content is not None:
        path.write_bytes(content)
    runner = Runner.from_cfg(config(tmp_path, pretrained(path)))
    with pytest.raises(CheckpointError, match=message):
        runner.train()


@pytest.mark.slow
def test_files_of_others_are_refused_until_told_to_ignore(
    tmp_path, checkpoint, monkeypatch
):
    contents = torch.load(checkpoint)
    contents['meta'] = dict(dataset_meta={})
    torch.save(contents, tmp_path / 'mmpretrain.pth')
    state = contents['state_dict']
    torch.save({k[9:]: v for k, v in state.items()}, tmp_path / 'torchvision.pth')
    for name in ('mmpretrain.pth', 'torchvision.pth'):
        runner = Runner.from_cfg(config(tmp_path, pretrained(tmp_path / name)))
        with pytest.raises(CheckpointError, match='not a checkpoint of mmlgd'):
            runner.train()
    ignore = dict(preprocessing='ignore')
    init = pretrained(tmp_path / 'torchvision.pth')
    runner = Runner.from_cfg(config(tmp_path, init, hook=ignore))
    with pytest.raises(CheckpointError, match='no key under'):
        runner.train()
    init = pretrained(tmp_path / 'mmpretrain.pth')
    start(config(tmp_path, init, hook=ignore), monkeypatch)


@pytest.mark.slow
def test_another_normalisation_stops_the_run_unless_ignored(
    tmp_path, checkpoint, monkeypatch
):
    init = pretrained(checkpoint)
    runner = Runner.from_cfg(config(tmp_path, init, mean=OTHER_MEAN))
    with pytest.raises(CheckpointError, match=r'mean \[122.77.*mean \[123.68'):
        runner.train()
    cfg = config(tmp_path, init)
    cfg.data_preprocessor.to_rgb = False
    with pytest.raises(CheckpointError, match='RGB, but .* BGR'):
        Runner.from_cfg(cfg).train()
    cfg = config(tmp_path, init, hook=dict(preprocessing='ignore'), mean=OTHER_MEAN)
    runner = start(cfg, monkeypatch)
    assert runner.model.data_preprocessor.mean[0].item() == pytest.approx(123.675)


def test_take_normalises_alike_in_training_test_and_the_saved_config(
    tmp_path, checkpoint
):
    """The metric of a test is that of training though the config says otherwise."""
    hook = dict(preprocessing='take')
    cfg = config(tmp_path, pretrained(checkpoint), hook=hook, mean=OTHER_MEAN)
    runner = Runner.from_cfg(cfg)
    runner.train()
    expected = runner.val_loop.run()
    saved = tmp_path / 'run' / 'epoch_1.pth'
    torch.testing.assert_close(
        runner.model.data_preprocessor.mean.flatten(), torch.tensor(CLIP_MEAN)
    )
    contents = torch.load(saved, weights_only=False)
    told = Config.fromstring(contents['meta']['cfg'], '.py').data_preprocessor
    assert told.mean == pytest.approx(CLIP_MEAN, abs=1e-3)
    assert told.std == pytest.approx(CLIP_STD, abs=1e-3)
    assert told.to_rgb is True
    assert contents['meta']['image_mean'] == pytest.approx(CLIP_MEAN, abs=1e-3)
    (dumped,) = (tmp_path / 'run').glob('*.py')
    assert Config.fromfile(dumped).data_preprocessor.mean == told.mean

    checkpoint.unlink()  # A test only needs the finished checkpoint.
    cfg.load_from = str(saved)
    tester = Runner.from_cfg(cfg)
    assert tester.model.data_preprocessor.mean[0].item() == pytest.approx(123.675)
    assert tester.test() == expected
    torch.testing.assert_close(
        tester.model.data_preprocessor.std.flatten(), torch.tensor(CLIP_STD)
    )


def test_take_refuses_to_test_checkpoints_without_normalisation(tmp_path, checkpoint):
    cfg = config(tmp_path, pretrained(checkpoint), hook=dict(preprocessing='take'))
    contents = torch.load(checkpoint)
    contents['meta'] = {}
    torch.save(contents, tmp_path / 'silent.pth')
    cfg.load_from = str(tmp_path / 'silent.pth')
    with pytest.raises(CheckpointError, match='does not contain the mean'):
        Runner.from_cfg(cfg).test()


def test_a_changed_config_is_refused_at_test_time(tmp_path, checkpoint):
    cfg = config(tmp_path, pretrained(checkpoint), mean=OTHER_MEAN)
    cfg.load_from = str(checkpoint)
    with pytest.raises(CheckpointError, match='was trained with mean'):
        Runner.from_cfg(cfg).test()


@pytest.mark.slow
def test_resume_and_load_from_are_not_compared(tmp_path, checkpoint, monkeypatch):
    cfg = config(tmp_path, pretrained(checkpoint))
    # One auto-resume that finds nothing is a fresh start, and is compared.
    cfg.resume = True
    first = Runner.from_cfg(cfg)
    first.train()
    assert '100 of 100 tensors' in log_of(first)
    for changes in (
        dict(resume=True),
        dict(load_from=str(tmp_path / 'run/epoch_1.pth')),
    ):
        cfg = config(tmp_path, pretrained(checkpoint), **changes)
        cfg.train_cfg.max_epochs = 2
        cfg.work_dir = str(tmp_path / 'run')
        # Runs of the same second write into one file.
        before = len(log_of(first))
        runner = start(cfg, monkeypatch)
        monkeypatch.undo()
        text = log_of(runner)[before:]
        assert 'resumes or starts from load_from' in text
        assert 'of 100 tensors' not in text


def test_no_checkpoint_is_said_and_allowed(tmp_path, monkeypatch):
    runner = start(config(tmp_path, None), monkeypatch)
    assert 'starts from random weights' in log_of(runner)


@pytest.mark.parametrize(
    'options', [dict(preprocessing='adopt'), dict(min_share=0), dict(min_share=1.5)]
)
def test_unknown_options_are_refused(options):
    with pytest.raises(ConfigError):
        BackboneLoadCheckHook(**options)


def test_a_model_without_backbone_is_refused(tmp_path, checkpoint):
    cfg = config(tmp_path, pretrained(checkpoint))
    runner = Runner.from_cfg(cfg)
    del runner.model.backbone
    with pytest.raises(ConfigError, match='model.backbone'):
        BackboneLoadCheckHook().before_save_checkpoint(runner, dict(meta={}))


@pytest.mark.parametrize('turned', [{}, dict(rgb_to_bgr=True)])
@pytest.mark.parametrize(
    'build',
    [
        lambda **k: MODELS.build(dict(type='mmdet.DetDataPreprocessor', **k)),
        lambda **k: MODELS.build(
            dict(type='mmseg.SegDataPreProcessor', size=(8, 8), **k)
        ),
    ],
)
def test_preprocessors_of_mmdet_and_mmseg_take_a_normalisation(build, turned):
    config = dict(mean=OTHER_MEAN, std=OTHER_STD, **turned)
    module = build(**config)
    clip = CheckpointMeta.from_meta(meta_of(SMALL), '').preprocessing
    assert not clip.equals(Preprocessing.from_module(module))
    clip.apply_to(module)
    clip.write_to(config, module)
    assert clip.equals(Preprocessing.from_module(module))
    # The saved config builds the same.
    assert set(config) == {'mean', 'std', 'bgr_to_rgb'}
    image = torch.randint(0, 255, (3, 8, 8), dtype=torch.uint8)
    told = build(**config)
    mine, theirs = ([m._channel_conversion, m.mean, m.std] for m in (module, told))
    torch.testing.assert_close(mine, theirs)
    outputs = module(dict(inputs=[image], data_samples=None), training=False)
    expected = (image.flip(0) - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(
        CLIP_STD
    ).view(3, 1, 1)
    torch.testing.assert_close(outputs['inputs'][0], expected)


def test_a_preprocessor_that_does_not_normalise_takes_nothing():
    module = MODELS.build(dict(type='mmdet.DetDataPreprocessor'))
    assert Preprocessing.from_module(module) is None
    with pytest.raises(ConfigError, match='does not normalise three channels'):
        CheckpointMeta.from_meta(meta_of(SMALL), '').preprocessing.apply_to(module)
