"""Runs resumed with another number of ranks or batch size draw the same images."""

from collections import Counter
from itertools import islice
from types import SimpleNamespace

import pytest
import torch

from mmlgd.datasets import SeededViews, ViewSampler, view_sampler
from mmlgd.engine.hooks import SamplerPositionHook, sampler_position_hook
from mmlgd.errors import CheckpointError
from tests.tiny_runner import Recorder, tiny_runner

SIZE = 7


class LoopIterator:
    """What mmengine's loop holds, of a class that no public name has."""

    def __init__(self, dataloader):
        self.dataloader = dataloader


class Loop:
    """mmengine's way of skipping: by the sampler, or by dropping what was loaded."""

    def __init__(self, sampler, batch_size, skips):
        self.dataloader = SimpleNamespace(sampler=sampler, batch_size=batch_size)
        self.skips = skips
        self.dataloader_iterator = LoopIterator(self.dataloader)

    def draw(self, start, count):
        sampler, size = self.dataloader.sampler, self.dataloader.batch_size
        if self.skips:
            sampler.skip(start * size)
            start = 0
        stream = islice(sampler, (start + count) * size)
        return list(stream)[start * size :]


class Run:
    """All ranks of a run, one after the other."""

    def __init__(self, monkeypatch, world_size, batch_size, skips=True):
        self.loops, self.warnings = [], []
        monkeypatch.setattr(sampler_position_hook, 'get_world_size', lambda: world_size)
        for rank in range(world_size):
            monkeypatch.setattr(
                view_sampler, 'get_dist_info', lambda rank=rank: (rank, world_size)
            )
            sampler = ViewSampler(SeededViews(list(range(SIZE))), seed=4, infinite=True)
            self.loops.append(Loop(sampler, batch_size, skips))

    def train(self, start, count, meta):
        """Iterations ``start`` to ``start + count``: returns the images and the last
        meta."""
        drawn, saved = [], None
        for loop in self.loops:
            runner = SimpleNamespace(
                iter=start,
                train_loop=loop,
                train_dataloader=loop.dataloader,
                logger=SimpleNamespace(warning=self.warnings.append),
            )
            hook = SamplerPositionHook()
            hook.after_load_checkpoint(runner, dict(meta=meta))
            hook.before_train(runner)
            drawn += loop.draw(start, count)
            saved = dict(meta=dict(iter=start + count))
            hook.before_save_checkpoint(runner, saved)
        return drawn, saved['meta']


@pytest.mark.parametrize('skips', [True, False], ids=['skip', 'drop'])
@pytest.mark.parametrize(
    'sizes',
    [[(2, 3), (1, 3)], [(1, 3), (2, 3)], [(1, 2), (1, 5)], [(3, 4), (2, 1), (1, 8)]],
)
def test_images_are_those_of_a_run_at_one_go(monkeypatch, sizes, skips):
    drawn, done, meta = [], 0, {}
    for world_size, batch_size in sizes:
        run = Run(monkeypatch, world_size, batch_size, skips)
        new, meta = run.train(done, 5, meta)
        drawn += new
        done += 5
        assert meta['samples_seen'] == len(drawn)
        assert not run.warnings
    # Worked out without a sampler's rank: the first images of the endless order.
    (whole,) = Run(monkeypatch, 1, 1).loops
    order = list(islice(whole.dataloader.sampler, len(drawn)))
    assert Counter(drawn) == Counter(order)
    # Each pass holds each image once.
    passes, rest = divmod(len(drawn), SIZE)
    counts = Counter(index % SIZE for index in drawn)
    assert all(passes <= counts[image] <= passes + bool(rest) for image in range(SIZE))


def test_old_checkpoints_resume_as_before_with_a_warning(monkeypatch):
    run = Run(monkeypatch, 1, 3)
    drawn, meta = run.train(2, 1, {})
    order = list(islice(Run(monkeypatch, 1, 3).loops[0].dataloader.sampler, 9))
    assert drawn == order[6:]
    assert len(run.warnings) == 1 and 'does not record' in run.warnings[0]


@pytest.mark.parametrize('value', ['12', -1, 2.5])
def test_damaged_records_are_refused(value):
    with pytest.raises(CheckpointError, match='samples_seen'):
        SamplerPositionHook().after_load_checkpoint(
            None, dict(meta=dict(samples_seen=value))
        )


def train(folder, batch_size, iterations, sampler='ViewSampler', **kwargs):
    data = [dict(inputs=torch.tensor(float(number))) for number in range(SIZE)]
    options = dict(infinite=True) if sampler == 'ViewSampler' else {}
    model = Recorder()
    runner = tiny_runner(
        folder,
        iterations,
        model=model,
        loader=dict(
            dataset=SeededViews(data),
            batch_size=batch_size,
            sampler=dict(type=sampler, seed=5, **options),
        ),
        custom_hooks=[dict(type='SamplerPositionHook')],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False)),
        **kwargs,
    )
    runner.train()
    return model.images


def test_mmengines_loop_resumes_where_it_stopped(tmp_path):
    first = train(tmp_path, 2, 5)
    rest = train(tmp_path, 4, 9, resume=True)
    order = list(
        islice(ViewSampler(SeededViews(range(SIZE)), seed=5, infinite=True), 26)
    )
    assert first + rest == [index % SIZE for index in order]


def test_other_samplers_are_warned_about(tmp_path):
    train(tmp_path, 2, 5, sampler='InfiniteSampler')
    train(tmp_path, 4, 6, sampler='InfiniteSampler', resume=True)
    logs = ''.join(path.read_text() for path in tmp_path.glob('*/*.log'))
    assert 'InfiniteSampler resumes at image 20' in logs
