from types import SimpleNamespace

import pytest
from mmengine.runner import Runner
from torch import nn

from mmlgd.engine.hooks import BagsHook
from mmlgd.errors import DataError
from tests.bingo_runs import bingo_run_cfg, write_ring_bags
from tests.runs import write_images

LOOPS = dict(
    epochs=dict(train_cfg=dict(by_epoch=True, max_epochs=2)),
    iterations=dict(
        train_cfg=dict(by_epoch=False, max_iters=9, val_interval=20),
        sampler=dict(type='ViewSampler', infinite=True),
    ),
)


@pytest.mark.parametrize('loop', LOOPS)
def test_model_knows_the_pass_over_the_data(tmp_path, loop):
    write_ring_bags(write_images(tmp_path))
    cfg = bingo_run_cfg(tmp_path, tmp_path / 'run')
    options = dict(LOOPS[loop])
    cfg.train_cfg = options.pop('train_cfg')
    cfg.train_dataloader.update(options)
    cfg.default_hooks.checkpoint = None
    runner = Runner.from_cfg(cfg)
    seen, loss = [], runner.model.loss

    def watched(*args):
        seen.append(runner.model.epoch)
        return loss(*args)

    runner.model.loss = watched
    runner.train()
    # 16 images in batches of four.
    assert seen == [0] * 4 + [1] * 4 + ([2] if loop == 'iterations' else [])


def test_bags_of_another_teacher_stop_the_run(tmp_path):
    write_ring_bags(write_images(tmp_path))
    cfg = bingo_run_cfg(
        tmp_path, tmp_path / 'run', teacher=dict(type='ToyTeacher', seed=1)
    )
    with pytest.raises(
        DataError, match='made by ToyTeacher#.* learns from ToyTeacher#'
    ):
        Runner.from_cfg(cfg).train()


def test_data_without_bags_are_left_alone():
    loader = SimpleNamespace(dataset=SimpleNamespace(dataset=[1, 2]))
    BagsHook().before_train(SimpleNamespace(train_dataloader=loader))


def test_a_pass_without_a_whole_batch_counts_as_one_batch():
    runner = SimpleNamespace(train_dataloader=[], iter=3, model=nn.Module())
    BagsHook().before_train_iter(runner, 0)
    assert runner.model.epoch == 3
