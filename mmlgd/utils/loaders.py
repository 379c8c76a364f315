"""Options of data loaders: those that torch refuses, and batches that never fill."""

from collections.abc import Sequence

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch.utils.data import DataLoader

from mmlgd.errors import ConfigError

#: torch takes these with worker processes only.
_FOR_WORKERS = ('persistent_workers', 'prefetch_factor')


def use_loader_options_that_work(cfg: Config, dataloaders: Sequence[str]) -> None:
    """Remove the options for worker processes where ``num_workers`` is 0.

    Args:
        cfg (Config): Full config; changed in place.
        dataloaders (Sequence[str]): Keys of the loaders that are about to be used.
    """
    for key in dataloaders:
        loader = cfg.get(key) or {}
        if not isinstance(loader, dict) or loader.get('num_workers', 0):
            continue
        for option in _FOR_WORKERS:
            if loader.pop(option, None):
                print_log(f'{key}.{option} is ignored, since num_workers is 0.')


def check_batches(loader: DataLoader) -> None:
    """Refuse a training loader that has no batch to give.

    Args:
        loader (DataLoader): With a finite sampler.

    Raises:
        ConfigError: There are fewer images than a batch, and ``drop_last`` is set.
            Names a batch size that works.
    """
    if len(loader):
        return
    ranks = get_world_size()
    images = len(loader.dataset) // ranks
    each = f' on each of {ranks} ranks' if ranks > 1 else ''
    raise ConfigError(
        f'train_dataloader has {images} image(s){each}, fewer than a batch of '
        f'{loader.batch_size}, and drop_last leaves out a smaller one; set '
        f'--cfg-options train_dataloader.batch_size={max(images // 2, 1)} (at most '
        f'{images}), or train_dataloader.drop_last=False.'
    )
