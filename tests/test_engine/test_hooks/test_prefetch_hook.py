"""Batches drawn ahead are the same, in the same order, and only what was used counts."""

import time
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader

from mmlgd.datasets import SeededViews, ViewSampler
from mmlgd.engine.prefetching import BatchesAhead, LoaderAhead, keep_on_host
from mmlgd.models.data_preprocessor import DistillDataPreprocessor
from tests.tiny_runner import Recorder, tiny_runner

SIZE = 7


def test_one_batch_is_drawn_ahead_in_order():
    drawn = []

    def batches():
        for number in range(4):
            drawn.append(number)
            yield number

    ahead = BatchesAhead(batches(), keep_on_host)
    assert drawn == []
    used = []
    for number in ahead:
        used.append(number)
        assert drawn == [*range(min(number + 2, 4))]
    assert used == [0, 1, 2, 3]


def test_an_error_comes_in_its_turn():
    def batches():
        yield from 'ab'
        raise ValueError('the third')

    ahead = BatchesAhead(batches(), keep_on_host)
    assert [next(ahead), next(ahead)] == ['a', 'b']
    with pytest.raises(ValueError, match='the third'):
        next(ahead)


def test_the_end_is_an_end_and_a_loader_starts_again():
    loader = LoaderAhead(DataLoader(range(5), batch_size=2), keep_on_host)
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3 and loader.batch_size == 2
    assert [*BatchesAhead(iter([]), keep_on_host)] == []


def test_random_numbers_are_drawn_as_without_it():
    states = []
    for wrap in (False, True):
        torch.manual_seed(3)
        loader = DataLoader(range(6), batch_size=2, shuffle=True)
        loader = LoaderAhead(loader, keep_on_host) if wrap else loader
        iterator = iter(loader)  # draws the seed of the workers
        states.append((torch.rand(1), [batch.tolist() for batch in iterator]))
    assert states[0] == states[1]


def test_operations_stay_on_the_host():
    # What the host reads would otherwise make it wait for the device.
    preprocessor = DistillDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3).to('meta')
    view = dict(image=torch.zeros(1, 3, 2, 2), operations=torch.zeros(1, 2, 2))
    for inputs in (view, [view, view]):
        sent = preprocessor.cast_data(dict(inputs=inputs))['inputs']
        for each in sent if isinstance(sent, list) else [sent]:
            assert each['image'].device.type == 'meta'
            assert each['operations'] is view['operations']


def numbered(number):
    return dict(inputs=torch.tensor(float(number)))


class Numbers:
    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        # So that the batch that is drawn ahead is not there by chance.
        time.sleep(0.01)
        return numbered(index)


def run(folder, ahead, iterations, batch_size=2, by_epoch=False, workers=1, **kwargs):
    """Train; the images, the runner, and the state of torch's generator."""
    hooks = [dict(type='SamplerPositionHook')]
    if ahead is not None:
        hooks.append(dict(type='PrefetchHook', **ahead))
    if by_epoch:
        kwargs['train_cfg'] = dict(by_epoch=True, max_epochs=iterations)
    model = Recorder()
    runner = tiny_runner(
        folder,
        iterations,
        model=model,
        loader=dict(
            dataset=SeededViews(Numbers()),
            batch_size=batch_size,
            num_workers=workers,
            sampler=dict(type='ViewSampler', seed=5, infinite=not by_epoch),
        ),
        custom_hooks=hooks,
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=by_epoch)
        ),
        **kwargs,
    )
    runner.train()
    return model.images, runner, torch.get_rng_state()


def order(count):
    sampler = ViewSampler(SeededViews(range(SIZE)), seed=5, infinite=True)
    return [index % SIZE for index in islice(sampler, count)]


AHEAD = dict(cuda_only=False)


@pytest.mark.slow
def test_a_run_and_its_random_numbers_are_those_without_it(tmp_path):
    plain, _, state = run(tmp_path / 'plain', None, 6)
    images, runner, same = run(tmp_path / 'ahead', AHEAD, 6)
    assert isinstance(runner.train_loop.dataloader_iterator, BatchesAhead)
    assert images == plain == order(12)
    assert torch.equal(state, same)


@pytest.mark.slow
def test_only_images_that_were_trained_on_count(tmp_path):
    images, _, _ = run(tmp_path, AHEAD, 5)
    for done in (1, 5):
        checkpoint = torch.load(tmp_path / f'iter_{done}.pth', weights_only=False)
        assert checkpoint['meta']['samples_seen'] == 2 * done
    rest, _, _ = run(tmp_path, AHEAD, 9, batch_size=4, resume=True)
    assert images + rest == order(10 + 16)


@pytest.mark.slow
def test_epochs_are_those_without_it(tmp_path):
    plain, _, state = run(tmp_path / 'plain', None, 3, by_epoch=True)
    images, runner, same = run(tmp_path / 'ahead', AHEAD, 3, by_epoch=True)
    assert isinstance(runner.train_dataloader, LoaderAhead)
    assert images == plain and len(images) == 3 * SIZE
    assert torch.equal(state, same)
    rest, _, _ = run(tmp_path / 'two', AHEAD, 2, by_epoch=True)
    rest += run(tmp_path / 'two', AHEAD, 3, by_epoch=True, resume=True)[0]
    assert rest == plain


@pytest.mark.parametrize('ahead', [{}, AHEAD])
def test_without_a_device_or_workers_nothing_changes(tmp_path, ahead):
    images, runner, _ = run(tmp_path, ahead, 3, workers=0)
    assert images == order(6)
    assert not isinstance(runner.train_loop.dataloader_iterator, BatchesAhead)
    assert isinstance(runner.train_dataloader, DataLoader)


@pytest.mark.slow
def test_the_default_on_a_cpu_is_without(tmp_path):
    _, runner, _ = run(tmp_path, {}, 1, by_epoch=True)
    assert isinstance(runner.train_dataloader, DataLoader)
