from types import SimpleNamespace

import pytest
from mmengine.dataset import InfiniteSampler
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmlgd.engine.hooks import BagsHook, bags_hook
from mmlgd.errors import ConfigError, DataError
from tests.bingo_runs import bingo_run_cfg, write_ring_bags
from tests.runs import write_images

LOOPS = dict(
    epochs=dict(train_cfg=dict(by_epoch=True, max_epochs=2)),
    iterations=dict(
        train_cfg=dict(by_epoch=False, max_iters=9, val_interval=20),
        sampler=dict(type='ViewSampler', infinite=True),
    ),
)


class Listener(nn.Module):
    """Hears the epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = []

    def set_epoch(self, epoch: int) -> None:
        self.heard.append(epoch)


@pytest.mark.slow
@pytest.mark.parametrize('loop', LOOPS)
def test_model_knows_the_pass_over_the_data(tmp_path, loop):
    write_ring_bags(write_images(tmp_path))
    cfg = bingo_run_cfg(tmp_path, tmp_path / 'run')
    options = dict(LOOPS[loop])
    cfg.train_cfg = options.pop('train_cfg')
    cfg.train_dataloader.update(options)
    cfg.default_hooks.checkpoint = None
    runner = Runner.from_cfg(cfg)
    seen, set_epoch = [], runner.model.set_epoch

    def watched(epoch):
        seen.append(epoch)
        set_epoch(epoch)

    runner.model.set_epoch = watched
    runner.train()
    # 16 images in batches of four.
    assert seen == [0] * 4 + [1] * 4 + ([2] if loop == 'iterations' else [])


def test_bags_of_another_teacher_stop_the_run(tmp_path):
    write_ring_bags(write_images(tmp_path))
    cfg = bingo_run_cfg(
        tmp_path, tmp_path / 'run', teacher=dict(type='ToyTeacher', seed=1)
    )
    with pytest.raises(
        DataError, match='built with ToyTeacher#.* learns from ToyTeacher#'
    ):
        Runner.from_cfg(cfg).train()


def test_data_without_bags_are_ignored():
    loader = SimpleNamespace(dataset=SimpleNamespace(dataset=[1, 2]))
    BagsHook().before_train(SimpleNamespace(train_dataloader=loader, model=Listener()))


def test_a_model_without_epochs_is_refused():
    with pytest.raises(ConfigError, match='but the model is Linear; remove the hook'):
        BagsHook().before_train(SimpleNamespace(model=nn.Linear(1, 1)))


def test_mmengines_endless_sampler_gives_each_rank_its_share(monkeypatch):
    # 16 images in batches of four, on two ranks: two batches a pass.
    monkeypatch.setattr(bags_hook, 'get_world_size', lambda: 2)
    images = range(16)
    loader = DataLoader(images, batch_size=4, sampler=InfiniteSampler(images))
    model = Listener()
    for step in range(5):
        runner = SimpleNamespace(train_dataloader=loader, iter=step, model=model)
        BagsHook().before_train_iter(runner, step)
    assert model.heard == [0, 0, 1, 1, 2]


def test_a_pass_without_a_whole_batch_counts_as_one_batch():
    loader = DataLoader(range(3), batch_size=4, drop_last=True)
    runner = SimpleNamespace(train_dataloader=loader, iter=3, model=Listener())
    BagsHook().before_train_iter(runner, 0)
    assert runner.model.heard == [3]
