"""The default recipe, and each option that a config may add to it, on a CPU."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.apis import ZeroShotClassifier
from mmlgd.engine import AmpOptimWrapper
from tests.test_configs.shrink import CONFIGS, NAMES, shrink, write_images


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('labelled'), per_class=True)


class Watch(Hook):
    """Keeps one of the backbone's weights after each iteration, and the losses."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.weights, self.losses = [], []

    def before_train(self, runner) -> None:
        self.weights.append(first_weight(runner.model.state_dict()))

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ) -> None:
        self.weights.append(first_weight(runner.model.state_dict()))
        self.losses.append(float(outputs['loss'].detach()))


def first_weight(state: dict) -> torch.Tensor:
    return (
        next(v for k, v in state.items() if k.startswith('backbone.')).detach().clone()
    )


def train(cfg: Config) -> tuple[Runner, Watch]:
    runner, watch = Runner.from_cfg(cfg), Watch()
    runner.register_hook(watch)
    runner.train()
    assert torch.tensor(watch.losses).isfinite().all()
    return runner, watch


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'lgd/{name}.py')


@pytest.mark.slow
def test_stock_recipe_with_mixed_precision_and_validation(images, labelled, tmp_path):
    stock = load('r50_mbv3')
    cfg = shrink(load('r50_mbv3'), images, tmp_path / 'run', labelled)
    cfg.optim_wrapper = stock.optim_wrapper

    runner, watch = train(cfg)

    assert isinstance(runner.optim_wrapper, AmpOptimWrapper)
    assert runner.iter == 2 and not torch.equal(watch.weights[0], watch.weights[-1])
    meta = torch.load(tmp_path / 'run/backbone.pth', weights_only=True)['meta']
    assert meta['category_names'] == NAMES and meta['to_rgb']
    for who in ('student', 'teacher'):
        top1, _ = runner.message_hub.get_scalar(f'val/zero_shot/{who}_top1').data
        assert 0 <= top1[-1] <= 100


def test_gradient_accumulation(images, tmp_path):
    cfg = shrink(load('r50_mbv3_1xb256-accum8'), images, tmp_path / 'run')
    assert cfg.optim_wrapper.accumulative_counts == 8
    cfg.optim_wrapper.accumulative_counts = 2

    _, watch = train(cfg)

    before, after_one, after_two = watch.weights
    assert torch.equal(before, after_one)
    assert not torch.equal(after_one, after_two)


@pytest.mark.slow
def test_fast_recipe(images, tmp_path):
    """bfloat16, channels-last, a compiled backbone; inductor would take minutes."""
    cfg = shrink(load('r50_mbv3_fast'), images, tmp_path / 'run')
    assert 'compile' not in cfg
    cfg.optim_wrapper = dict(load('r50_mbv3').optim_wrapper, cpu_dtype='bfloat16')
    for hook in cfg.custom_hooks:
        if hook.type == 'CompileHook':
            hook.backend = 'eager'
        if hook.type == 'ChannelsLastHook':
            hook.cuda_only = False
    # A student that is traced in seconds.
    cfg.model.backbone = load('r50_r18').model.backbone

    runner, watch = train(cfg)

    assert runner.optim_wrapper.cast_dtype == torch.bfloat16
    layout = torch.channels_last
    assert runner.model.backbone.conv1.weight.is_contiguous(memory_format=layout)
    assert first_weight(torch.load(tmp_path / 'run/backbone.pth')['state_dict']).equal(
        watch.weights[-1]
    )


@pytest.mark.slow
def test_dense_recipe_learns_locations_and_classifies_images(
    images, labelled, tmp_path
):
    cfg = shrink(load('r50_mbv3_dense'), images, tmp_path / 'run', labelled)
    runner, _ = train(cfg)
    assert runner.message_hub.get_scalar('train/loss_dense').current() > 0
    classifier = ZeroShotClassifier(tmp_path / 'run/epoch_1.pth')
    ((name, score),) = classifier([str(images / '0.png')])[0]
    assert name in NAMES and 1 / 3 <= score <= 1


@pytest.mark.slow
def test_ema_is_saved_exported_and_resumed(images, labelled, tmp_path):
    cfg = shrink(load('r50_mbv3_ema'), images, tmp_path / 'run', labelled)
    momentum = 0.25
    cfg.custom_hooks[-1].momentum = momentum

    _, watch = train(cfg)

    _, first, second = watch.weights
    wanted = (1 - momentum) * first + momentum * second
    saved = torch.load(tmp_path / 'run/epoch_1.pth', weights_only=False)
    exported = torch.load(tmp_path / 'run/backbone.pth', weights_only=True)
    torch.testing.assert_close(first_weight(saved['state_dict']), wanted)
    torch.testing.assert_close(first_weight(exported['state_dict']), wanted)
    raw = saved['ema_state_dict']['module.backbone.layer0.conv.weight']
    assert torch.equal(raw, second)
    # One bank, of the run itself.
    for key in (
        'visual_bank.embeddings',
        'visual_bank.seen',
        'textual_bank.embeddings',
    ):
        assert torch.equal(
            saved['state_dict'][key], saved['ema_state_dict'][f'module.{key}']
        )

    cfg.train_cfg.max_epochs = 2
    cfg.update(resume=True, experiment_name=f'{cfg.experiment_name}_resumed')
    runner, watch = train(cfg)
    assert runner.iter == 4
    assert torch.equal(watch.weights[0], second)


@pytest.mark.slow
def test_augmentation_on_the_device(images, labelled, tmp_path):
    """Teacher and student see the views of the stock config, up to rounding."""
    seen = {}
    for name in ('r50_mbv3_device-aug', 'r50_mbv3'):
        cfg = shrink(load(name), images, tmp_path / name / 'run', labelled)
        if name == 'r50_mbv3':
            # The same random numbers: a flip is drawn before the colours.
            pipeline = cfg.train_dataloader.dataset.dataset.pipeline
            pipeline.insert(1, pipeline.pop(4))
        runner = Runner.from_cfg(cfg)
        model, batches = runner.model, seen.setdefault(name, [])
        model.teacher.encode_image = note(model.teacher.encode_image, batches)
        model.backbone.forward = note(model.backbone.forward, batches)
        runner.train()

    ours, stock = seen.values()
    # Two iterations and the validation.
    assert len(ours) == len(stock) >= 6
    std = model.data_preprocessor.std
    for index, (view, wanted) in enumerate(zip(ours, stock)):
        if index >= 4:
            assert torch.equal(view, wanted)
        assert ((view - wanted) * std).abs().mean() < 2.5
    assert torch.equal(ours[0], ours[1]) and torch.equal(ours[2], ours[3])


def note(function, inputs: list):
    def noting(images):
        inputs.append(images.detach().clone())
        return function(images)

    return noting
