"""Checks of data loaders: worker options, batch size and lists of images."""

import os.path as osp
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch.utils.data import DataLoader

from mmlgd.errors import ConfigError

from .config_types import class_name
from .dataset_configs import innermost_datasets

#: torch accepts these only with worker processes.
_WORKER_OPTIONS = ('persistent_workers', 'prefetch_factor')


def remove_unused_worker_options(cfg: Config, dataloaders: Sequence[str]) -> None:
    """Remove the options for worker processes if ``num_workers`` is 0.

    Args:
        cfg (Config): Full config; changed in place.
        dataloaders (Sequence[str]): Keys of the loaders that are about to be used.
    """
    for key in dataloaders:
        loader = cfg.get(key) or {}
        if not isinstance(loader, dict) or loader.get('num_workers', 0):
            continue
        for option in _WORKER_OPTIONS:
            if loader.pop(option, None):
                print_log(f'{key}.{option} is ignored, since num_workers is 0.')


def keep_image_lists(cfg: Config, dataloaders: Sequence[str]) -> None:
    """Keep the lists of image folders in the work dir, for other ranks and later runs.

    Sets ``cache_dir`` of each ``UnlabeledImages`` that has none and a local folder.

    Args:
        cfg (Config): Full config with ``work_dir``; changed in place.
        dataloaders (Sequence[str]): Keys of the loaders that are about to be used.
    """
    for key in dataloaders:
        loader = cfg.get(key) or {}
        dataset = loader.get('dataset') if isinstance(loader, dict) else None
        for each in innermost_datasets(dataset):
            if (
                isinstance(each, dict)
                and class_name(each.get('type', '')) == 'UnlabeledImages'
                and '://' not in str(each.get('data_root'))
                and each.get('share_listing', True)
                and not each.get('backend_args')
            ):
                each.setdefault('cache_dir', osp.join(cfg.work_dir, 'image_lists'))


def check_batches(loader: DataLoader) -> None:
    """Check that a training loader has at least one batch.

    Args:
        loader (DataLoader): A loader with a finite sampler.

    Raises:
        ConfigError: There are fewer images than a batch, and ``drop_last`` is set.
            The message suggests a batch size.
    """
    if len(loader):
        return
    ranks = get_world_size()
    images = len(loader.dataset) // ranks
    each = f' on each of {ranks} ranks' if ranks > 1 else ''
    raise ConfigError(
        f'train_dataloader has {images} image(s){each}, fewer than a batch of '
        f'{loader.batch_size}, and drop_last drops incomplete batches; set '
        f'--cfg-options train_dataloader.batch_size={max(images // 2, 1)} (at most '
        f'{images}), or train_dataloader.drop_last=False.'
    )
