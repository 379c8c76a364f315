"""The demo data with their labels, as a linear probe or k-NN reads them."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from demo.fashion_mnist import prepare_demo_data, read_split
from mmlgd.datasets import load_category_names
from mmlgd.registry import DATASETS


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    return str(prepare_demo_data(tmp_path_factory.mktemp('fashion_mnist')))


# The second is what a config based on mmpretrain's gets: there only names with a
# prefix reach mmlgd.
OURS = dict(
    type='mmpretrain.FashionMNIST',
    pipeline=[dict(type='GrayToBGR'), dict(type='mmpretrain.PackInputs')],
)
THEIRS = dict(
    type='FashionMNIST',
    _scope_='mmpretrain',
    pipeline=[dict(type='mmlgd.GrayToBGR'), dict(type='PackInputs')],
)


@pytest.mark.filterwarnings('ignore:The given NumPy array is not writable')
@pytest.mark.parametrize('config', [OURS, THEIRS], ids=['mmlgd', 'mmpretrain'])
def test_three_channels_labels_and_names(data_root, config):
    with DefaultScope.overwrite_default_scope('mmlgd'):
        dataset = DATASETS.build(dict(config, data_root=data_root, split='train'))
    images, labels = read_split(data_root, 'train')
    assert len(dataset) == 8000
    for index in (0, 4321):
        sample = dataset[index]
        assert sample['inputs'].shape == (3, 28, 28)
        assert sample['inputs'].dtype == torch.uint8
        assert (sample['inputs'].numpy() == images[index]).all()
        assert sample['data_samples'].gt_label.item() == labels[index]
    names = [name.replace('/', ' or ') for name in dataset.metainfo['classes']]
    assert names == load_category_names('fashion_mnist')
    found = [dataset.get_data_info(index)['gt_label'] for index in range(8000)]
    assert (np.bincount(found) == 800).all()
