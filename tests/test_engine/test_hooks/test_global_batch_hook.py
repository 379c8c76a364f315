import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict

from mmlgd.datasets import SeededViews
from mmlgd.engine.hooks import GlobalBatchHook, PrefetchHook
from mmlgd.engine.tool_runner import TrainRunner
from mmlgd.errors import ConfigError
from mmlgd.utils.global_batch import GlobalBatch
from tests.tiny_runner import OneWeight, tiny_runner


class Watched(OneWeight):
    """Keeps the images of each forward pass."""

    def __init__(self):
        super().__init__()
        self.passes = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.passes.append([int(each) for each in inputs])
        return super().forward(inputs, data_samples, mode)


def train(folder, hook, model=None, num_workers=0, ahead=False):
    model = model or Watched()
    data = [dict(inputs=torch.tensor(float(number))) for number in range(7)]
    sampler = dict(type='ViewSampler', infinite=True, shuffle=False)
    runner = tiny_runner(
        folder,
        iterations=3,
        model=model,
        loader=dict(
            dataset=SeededViews(data),
            batch_size=5,
            sampler=sampler,
            num_workers=num_workers,
        ),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False)),
    )
    if ahead:
        runner.register_hook(PrefetchHook(cuda_only=False))
    if hook is not None:
        runner.register_hook(hook)
    runner.train()
    return model


@pytest.mark.parametrize('num_workers, ahead', [(0, False), (2, False), (2, True)])
def test_one_step_for_each_global_batch_with_the_same_result(
    tmp_path, num_workers, ahead
):
    whole = train(tmp_path / 'a', None)
    batch = GlobalBatch(size=5, ranks=1, part=2, config=5)
    split = train(
        tmp_path / 'b', GlobalBatchHook(batch), num_workers=num_workers, ahead=ahead
    )
    assert whole.passes == [[0, 1, 2, 3, 4], [5, 6, 0, 1, 2], [3, 4, 5, 6, 0]]
    assert split.passes == [
        [0, 1], [2, 3], [4],
        [5, 6], [0, 1], [2],
        [3, 4], [5, 6], [0],
    ]  # fmt: skip
    torch.testing.assert_close(split.weight, whole.weight)
    meta = torch.load(tmp_path / 'b' / 'iter_3.pth', weights_only=False)['meta']
    assert meta['iter'] == 3
    assert meta['global_batch'] == dict(size=5, ranks=1, part=2, config=5)


def test_nothing_changes_if_the_share_fits(tmp_path):
    batch = GlobalBatch(size=5, ranks=1, part=5, config=5)
    assert train(tmp_path, GlobalBatchHook(batch)).passes[0] == [0, 1, 2, 3, 4]


def test_a_loss_of_the_whole_batch_is_not_computed_in_parts(tmp_path):
    model = Watched()
    model.needs_whole_batch = True
    batch = GlobalBatch(size=5, ranks=1, part=2, config=5)
    with pytest.raises(
        ConfigError, match='Watched .*share of 5 .*--micro-batch-size 5'
    ):
        train(tmp_path, GlobalBatchHook(batch), model)
    assert not model.passes


def test_several_optimizers_are_not_supported(tmp_path):
    runner = tiny_runner(tmp_path)
    optimizer = torch.optim.SGD(runner.model.parameters(), 0.1)
    runner.optim_wrapper = OptimWrapperDict(one=OptimWrapper(optimizer))
    batch = GlobalBatch(size=2, ranks=1, part=1, config=2)
    with pytest.raises(ConfigError, match='several optimizers'):
        GlobalBatchHook(batch).before_train(runner)


class Scaled:
    """What ``TrainRunner.scale_lr`` reads."""

    def __init__(self, runner, **sampler):
        self.cfg = runner.cfg
        self.cfg.train_dataloader = dict(sampler=sampler)
        self.logger = runner.logger


def test_the_learning_rate_is_scaled_to_the_global_batch(tmp_path):
    runner = tiny_runner(tmp_path)
    wrapper = OptimWrapper(torch.optim.SGD(runner.model.parameters(), 0.1))
    auto = dict(enable=True, base_batch_size=512)
    # 86 images on one of three ranks would be 258.
    scaled = Scaled(runner, type='ViewSampler', global_batch_size=256)
    TrainRunner.scale_lr(scaled, wrapper, auto)
    assert wrapper.get_lr()['lr'] == [0.05]
