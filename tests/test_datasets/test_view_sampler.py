from itertools import islice

import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmlgd.datasets import SeededViews, ViewSampler, view_sampler
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATA_SAMPLERS


def images(count):
    return SeededViews(list(range(count)))


@pytest.fixture
def ranks(monkeypatch):
    """Builds the samplers of W ranks."""

    def build(world_size, size, **kwargs):
        samplers = []
        for rank in range(world_size):
            monkeypatch.setattr(
                view_sampler, 'get_dist_info', lambda rank=rank: (rank, world_size)
            )
            samplers.append(ViewSampler(images(size), **kwargs))
        return samplers

    return build


def batches(sampler, size, count):
    stream = iter(sampler)
    return [list(islice(stream, size)) for _ in range(count)]


def test_registered():
    sampler = DATA_SAMPLERS.build(
        dict(type='ViewSampler', infinite=True),
        default_args=dict(dataset=images(1), seed=3),
    )
    assert sampler.seed == 3


def test_epoch_is_a_permutation_and_the_view():
    sampler = ViewSampler(images(10), seed=1)
    first = list(sampler)
    sampler.set_epoch(3)
    later = list(sampler)
    assert sorted(first) == list(range(10))
    assert sorted(later) == list(range(30, 40))
    assert [index - 30 for index in later] != first != sorted(first)
    assert list(ViewSampler(images(10), seed=1)) == first
    assert list(ViewSampler(images(10), seed=2)) != first


def test_unshuffled():
    sampler = ViewSampler(images(3), shuffle=False, infinite=True)
    assert list(islice(sampler, 7)) == [0, 1, 2, 3, 4, 5, 6]


def test_ranks_fill_up_the_last_round_from_the_start(ranks):
    first, second, third = ranks(3, 7, shuffle=False)
    assert list(first) == [0, 3, 6]
    assert list(second) == [1, 4, 0]
    assert list(third) == [2, 5, 1]
    assert [len(sampler) for sampler in (first, second, third)] == [3, 3, 3]


def test_more_ranks_than_images(ranks):
    assert [list(sampler) for sampler in ranks(5, 2, shuffle=False)] == [
        [0], [1], [0], [1], [0]
    ]  # fmt: skip


@pytest.mark.parametrize('infinite', [False, True])
@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_together_see_the_batches_of_one_process(ranks, infinite, world_size):
    # 12 images, so that the passes end within batches when infinite.
    (alone,) = ranks(1, 12, infinite=infinite)
    together = ranks(world_size, 12, infinite=infinite)
    count = 5 if infinite else 12 // (2 * world_size)
    expected = batches(alone, 2 * world_size, count)
    parts = [batches(sampler, 2, count) for sampler in together]
    for step, batch in enumerate(expected):
        union = [index for part in parts for index in part[step]]
        assert sorted(union) == sorted(batch)


def test_infinite_counts_the_passes_as_views():
    sampler = ViewSampler(images(4), infinite=True)
    sampler.set_epoch(7)
    stream = list(islice(sampler, 12))
    for view in range(3):
        indices = stream[4 * view : 4 * view + 4]
        assert sorted(indices) == list(range(4 * view, 4 * view + 4))


def test_skip_starts_where_the_run_stopped(ranks):
    for sampler in ranks(3, 7, infinite=True):
        expected = list(islice(sampler, 40))[23:]
        sampler.skip(23)
        assert list(islice(sampler, 17)) == expected
    # mmengine's arithmetic of skipping does not hold over epochs.
    assert not hasattr(ViewSampler(images(7)), 'skip')


def test_works_in_a_data_loader_with_workers():
    dataset = images(6)
    sampler = ViewSampler(dataset, infinite=True)
    loader = DataLoader(
        dataset,
        sampler=sampler,
        batch_size=4,
        num_workers=1,
        collate_fn=pseudo_collate,
    )
    expected = batches(sampler, 4, 3)
    expected = [[index % 6 for index in batch] for batch in expected]
    assert list(islice(loader, 3)) == expected


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError, match='empty SeededViews'):
        ViewSampler(images(0))
    with pytest.raises(ConfigError, match='list does not support.*SeededViews'):
        ViewSampler([0])
    with pytest.raises(ConfigError, match='seed'):
        ViewSampler(images(1), seed=-1)


@pytest.mark.parametrize('infinite', [False, True])
@pytest.mark.parametrize('world_size', [1, 2, 3, 4, 5])
def test_a_global_batch_is_the_same_on_any_number_of_ranks(ranks, world_size, infinite):
    options = dict(infinite=infinite, global_batch_size=10, multiple_of=4, seed=3)
    samplers = ranks(world_size, 22, **options)
    sizes = [len(range(rank, 10, world_size)) for rank in range(world_size)]
    parts = [batches(one, size, 2) for one, size in zip(samplers, sizes)]
    (order,) = ranks(1, 22, infinite=True, seed=3)
    order = list(islice(order, 20))
    for number in range(2):
        whole = [index for part in parts for index in part[number]]
        assert sorted(whole) == sorted(order[10 * number : 10 * number + 10])


@pytest.mark.parametrize('world_size', [1, 3, 4, 5])
def test_the_rest_of_a_pass_and_what_fills_it(ranks, world_size):
    options = dict(global_batch_size=10, multiple_of=4, shuffle=False)
    samplers = ranks(world_size, 22, **options)
    rests = []
    for rank, sampler in enumerate(samplers):
        drawn = list(sampler)
        assert len(drawn) == len(sampler)
        rests.append(drawn[2 * len(range(rank, 10, world_size)) :])
        assert [sampler.images_in(step) for step in (0, 1, 2, 5)] == [10, 10, 4, 4]
    # The images 20 and 21, and the first two of the pass.
    counting = [image for rest in rests[:4] for image in rest]
    assert sorted(counting) == [0, 1, 20, 21]
    # A further rank has one image, which does not count.
    assert [len(rest) for rest in rests[4:]] == [1] * len(rests[4:])


@pytest.mark.parametrize('world_size', [1, 3, 4])
def test_the_rest_is_dropped_alike_on_all_ranks(ranks, world_size):
    # 39 images are filled up to 40 by 4 ranks, so that the rest is 9 or 10 images.
    options = dict(global_batch_size=10, multiple_of=1, drop_last=True)
    for rank, sampler in enumerate(ranks(world_size, 39, **options)):
        size = len(range(rank, 10, world_size))
        loader = DataLoader(images(39), size, sampler=sampler, drop_last=True)
        assert len(loader) == 3
        assert len(list(sampler)) == 3 * size
        assert sampler.images_in(2) == sampler.images_in(3) == 10


def test_more_ranks_than_a_global_batch_has_images(ranks):
    with pytest.raises(ConfigError, match='3 images .* 4 ranks'):
        ranks(4, 9, global_batch_size=3)
