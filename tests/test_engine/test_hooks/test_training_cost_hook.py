import json

import pytest
from mmengine.hooks import Hook

from mmlgd.engine.hooks import training_cost_hook
from tests.tiny_runner import tiny_runner


class Time:
    """Clocks that only advance during work."""

    now = 100.0


class Work(Hook):
    """7 s of preparation, 2 s an iteration before the step, 1 s after the last."""

    priority = 'VERY_HIGH'  # in order of registration: after the hook under test

    def before_run(self, runner):
        Time.now += 7

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        Time.now += 2

    def after_train(self, runner):
        Time.now += 1


@pytest.fixture(autouse=True)
def clocks(monkeypatch):
    monkeypatch.setattr(Time, 'now', 100.0)
    clocks = dict(cpu_seconds=lambda: Time.now, wall_seconds=lambda: 2 * Time.now)
    monkeypatch.setattr(training_cost_hook, '_CLOCKS', clocks)


def train(folder, iterations, **options):
    hooks = [dict(type='TrainingCostHook'), Work()]
    checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=3)
    runner = tiny_runner(
        folder,
        iterations,
        custom_hooks=hooks,
        default_hooks=dict(
            checkpoint=checkpoint, logger=dict(type='LoggerHook', interval=1)
        ),
        **options,
    )
    runner.train()
    return json.loads((folder / 'training_cost.json').read_text())


def test_preparation_and_steps_count(tmp_path):
    cost = train(tmp_path, 4)
    assert cost == dict(iterations=4, cpu_seconds=15, wall_seconds=30)
    (logged,) = tmp_path.glob('*/vis_data/scalars.json')
    steps = [json.loads(line) for line in logged.read_text().splitlines()]
    assert [step['cpu_seconds'] for step in steps] == [9, 11, 13, 15]
    # It must not be counted as a loss or an accuracy.
    assert all(step['loss'] < 100 for step in steps)


def test_a_resumed_run_adds_to_what_its_checkpoint_cost(tmp_path):
    train(tmp_path, 4)
    Time.now = 5.0
    cost = train(tmp_path, 5, resume=True, load_from=str(tmp_path / 'iter_3.pth'))
    # 7 + 3 * 2 up to the checkpoint; 7 of preparation again, two more steps.
    assert cost == dict(iterations=5, cpu_seconds=24, wall_seconds=48)


def test_a_run_from_weights_alone_starts_at_nothing(tmp_path):
    train(tmp_path, 4)
    cost = train(tmp_path, 2, load_from=str(tmp_path / 'iter_3.pth'))
    assert cost == dict(iterations=2, cpu_seconds=11, wall_seconds=22)
