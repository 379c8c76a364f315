"""Data loaders that torch or mmengine would refuse."""

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader

from mmlgd.errors import ConfigError
from mmlgd.utils.loaders import check_batches, remove_unused_worker_options


def test_options_for_workers_go_where_there_are_none(capsys):
    workers = dict(num_workers=2, persistent_workers=True, prefetch_factor=4)
    cfg = Config(
        dict(
            train_dataloader=dict(workers, num_workers=0),
            val_dataloader=workers,
            test_dataloader=None,
        )
    )
    keys = ['train_dataloader', 'val_dataloader', 'test_dataloader']
    remove_unused_worker_options(cfg, keys)
    assert cfg.train_dataloader.to_dict() == dict(num_workers=0)
    assert cfg.val_dataloader.to_dict() == workers
    DataLoader([1], **cfg.train_dataloader)  # torch takes them
    assert 'train_dataloader.persistent_workers' in capsys.readouterr().out


def test_fewer_images_than_a_batch_name_a_size_that_works():
    with pytest.raises(
        ConfigError, match=r'7 image.* batch of 8.*batch_size=3 \(at most 7\)'
    ):
        check_batches(DataLoader(range(7), batch_size=8, drop_last=True))
    check_batches(DataLoader(range(7), batch_size=8))
    check_batches(DataLoader(range(7), batch_size=7, drop_last=True))
