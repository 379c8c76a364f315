from collections import Counter

import pytest
import torch
from mmengine.dataset import BaseDataset, default_collate
from torch.utils.data import DataLoader

from mmlgd.datasets import BagPairs, Bags, SeededViews, ViewSampler, image_list_digest
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS

# Of images 0 to 4.
NEIGHBOURS = [[1, 2, 3], [0, 2, 4], [3, 4, 0], [4, 1, 2], [0, 1, 3]]


def draw(results):
    """An item whose image is its index and one random number."""
    index = results['sample_idx']
    return dict(
        inputs=torch.tensor([index, torch.rand(()).item()], dtype=torch.float64),
        name=results['img_path'],
    )


@DATASETS.register_module(force=True)
class NumberedImages(BaseDataset):
    METAINFO = dict(classes=('a', 'b'))

    def __init__(self, **kwargs):
        super().__init__(pipeline=[draw], **kwargs)

    def load_data_list(self):
        return [dict(img_path=f'{number}.png') for number in range(5)]


@pytest.fixture
def bags(tmp_path):
    path = tmp_path / 'bags.pth'
    neighbours = torch.tensor(NEIGHBOURS, dtype=torch.int32)
    Bags(neighbours, 'net#1', image_list_digest(NumberedImages())).save(path)
    return path


def pairs(bags, seed=0, **options):
    return SeededViews(BagPairs(NumberedImages(), bags, **options), seed=seed)


def mate_of(item):
    return int(item['inputs'][1][0])


def test_anchor_is_paired_with_a_positive_from_its_bag(bags):
    dataset = pairs(bags)
    for index in range(200):
        item = dataset[index]
        anchor, positive = item['inputs']
        assert anchor[0] == index % 5
        assert int(positive[0]) in NEIGHBOURS[index % 5]
        assert item['name'] == f'{index % 5}.png'


def test_all_positives_are_drawn_equally_often(bags):
    dataset = pairs(bags)
    counts = Counter(mate_of(dataset[5 * view + 2]) for view in range(1500))
    # 500 each, give or take four standard deviations (18.3).
    assert set(counts) == {3, 4, 0}
    assert all(abs(count - 500) < 74 for count in counts.values())


def test_anchor_is_the_view_that_other_methods_see(bags):
    plain = SeededViews(NumberedImages(), seed=3)
    for index in (0, 4, 13):
        assert torch.equal(pairs(bags, 3)[index]['inputs'][0], plain[index]['inputs'])


def test_pair_depends_on_seed_view_and_image_only(bags):
    dataset = pairs(bags)
    wanted = [dataset[index]['inputs'] for index in range(40)]
    torch.rand(5), dataset[33]
    for index in reversed(range(40)):
        for found, view in zip(dataset[index]['inputs'], wanted[index]):
            assert torch.equal(found, view)
    other = pairs(bags, seed=1)
    assert [mate_of(other[index]) for index in range(40)] != [
        int(views[1][0]) for views in wanted
    ]


def test_positive_has_its_own_view(bags):
    anchor, positive = pairs(bags)[7]['inputs']
    assert anchor[1] != positive[1]


def test_teacher_may_have_its_own_views(bags):
    shared, separate = pairs(bags), pairs(bags, separate_teacher_views=True)
    for index in range(10):
        views = separate[index]['inputs']
        anchor, positive, teacher_anchor, teacher_positive = views
        assert len({float(view[1]) for view in views}) == 4
        assert anchor[0] == teacher_anchor[0] and positive[0] == teacher_positive[0]
        # The student's two are the same as without.
        for one, other in zip(shared[index]['inputs'], views):
            assert torch.equal(one, other)


@pytest.mark.parametrize('workers', [0, 2])
def test_batches_replay_from_any_position(bags, workers):
    def batches(start, number):
        dataset = pairs(bags)
        sampler = ViewSampler(dataset, seed=5, infinite=True)
        sampler.skip(2 * start)
        loader = DataLoader(
            dataset,
            batch_size=2,
            sampler=sampler,
            num_workers=workers,
            collate_fn=default_collate,
        )
        return [batch['inputs'] for batch, _ in zip(loader, range(number))]

    whole, resumed = batches(0, 9), batches(6, 3)
    for wanted, found in zip(whole[6:], resumed):
        assert [view.shape for view in found] == [(2, 2), (2, 2)]
        assert all(torch.equal(*both) for both in zip(wanted, found))


def test_wrapper_passes_on_what_others_ask_for(bags):
    dataset = pairs(bags)
    assert len(dataset) == 5
    assert dataset.metainfo['classes'] == ('a', 'b')
    assert dataset.get_data_info(13)['img_path'] == '3.png'
    assert dataset.dataset.bags.teacher == 'net#1'


def test_lazy_dataset_reads_the_file_later(tmp_path):
    cfg = dict(
        type='BagPairs',
        dataset=dict(type='NumberedImages', lazy_init=True),
        bags=str(tmp_path / 'none.pth'),
        lazy_init=True,
    )
    dataset = DATASETS.build(cfg)
    with pytest.raises(DataError, match='There is no bag file'):
        dataset.full_init()


def test_bags_of_other_images_are_refused(bags):
    with pytest.raises(DataError, match='5 images, but the training set has 4'):
        BagPairs(NumberedImages(indices=4), bags)


def test_other_types_than_datasets_are_refused(bags):
    with pytest.raises(ConfigError, match='length'):
        BagPairs(iter([1]), bags)
