import random

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from torch.utils.data import DataLoader

from mmlgd.datasets import SeededViews
from mmlgd.errors import ConfigError


def draw(results):
    drawn = random.random(), np.random.rand(), torch.rand(1, dtype=torch.double).item()
    return dict(
        index=results['sample_idx'], drawn=torch.tensor(drawn, dtype=torch.double)
    )


class Numbers(BaseDataset):
    METAINFO = dict(classes=('a', 'b'))

    def load_data_list(self):
        return [dict(name=f'image {number}') for number in range(5)]


def views(seed=0):
    return SeededViews(Numbers(pipeline=[draw]), seed=seed)


def test_index_holds_view_and_image():
    dataset = views()
    assert len(dataset) == 5
    assert dataset.split(13) == (2, 3)
    assert dataset.split(-1) == (0, 4)
    assert dataset[13]['index'] == 3
    assert dataset.get_data_info(13)['name'] == 'image 3'
    assert dataset.metainfo['classes'] == ('a', 'b')
    with pytest.raises(IndexError):
        dataset[-6]


def test_view_depends_on_seed_view_and_image_only():
    dataset = views()
    expected = dataset[8]['drawn']
    dataset[1], torch.rand(3), np.random.rand(2)
    assert torch.equal(dataset[8]['drawn'], expected)
    for other in (dataset[3], dataset[9], views(seed=1)[8]):
        assert (other['drawn'] != expected).all()


def test_caller_keeps_its_random_state():
    def state():
        return random.random(), np.random.rand(), torch.rand(1).item()

    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    expected = state()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    views()[2]
    assert state() == expected


@pytest.mark.parametrize('workers', [0, 1, 2])
def test_workers_do_not_matter(workers):
    dataset = views()
    order = [7, 2, 13, 0, 11]
    loader = DataLoader(dataset, sampler=order, batch_size=1, num_workers=workers)
    loaded = torch.cat([batch['drawn'] for batch in loader])
    expected = torch.stack([dataset[index]['drawn'] for index in order])
    assert torch.equal(loaded, expected)


def test_iterating_ends_after_the_first_view():
    assert [sample['index'] for sample in views()] == [0, 1, 2, 3, 4]


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match='length'):
        SeededViews(iter([1]))
    with pytest.raises(ConfigError, match='seed'):
        SeededViews([1], seed=-1)
