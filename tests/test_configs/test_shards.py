"""The config on shards, compared with its counterpart on a folder."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from tests.test_configs.shrink import CONFIGS, shrink, write_images


def read(name):
    return Config.fromfile(CONFIGS / f'lgd/{name}.py')


def test_it_differs_from_its_sibling_in_the_images_alone():
    shards, folder = (read(name).to_dict() for name in ('r50_mbv3_shards', 'r50_mbv3'))
    images = shards['train_dataloader']['dataset'].pop('dataset')
    replaced = folder['train_dataloader']['dataset'].pop('dataset')
    assert images == dict(
        type='UnlabeledShards',
        data_root='data/imagenet_shards',
        shards='*.tar',
        pipeline=replaced['pipeline'],
    )
    assert shards == folder


@pytest.mark.slow
def test_it_trains_and_lists_what_is_broken(tmp_path):
    images = write_images(tmp_path / 'images')
    (images / '3.png').write_bytes(b'broken')
    cfg = shrink(read('r50_mbv3_shards'), images, tmp_path / 'run')
    cfg.train_dataloader.update(num_workers=2)
    cfg.train_dataloader.dataset.dataset.max_broken = 0.2
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    listed = (tmp_path / 'run/broken_images.txt').read_text()
    assert listed == f'{tmp_path}/images_shards/0.tar/3.png\n'
