"""Teacher embeddings of the images of a distillation config."""

import copy

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmlgd.errors import ConfigError, DataError
from mmlgd.models.teachers import BaseTeacher, batch_encoder
from mmlgd.utils.progress import track

from .features import as_prepared


def unlabeled_loader(cfg: Config) -> DataLoader:
    """Build a loader of a config's training images, each once and in order.

    Wrappers of the training set, which augment or pair images, are removed; concatenated
    datasets stay concatenated. Pipeline and batch size are those of ``val_dataloader``,
    or of ``test_dataloader`` if there is none.

    Args:
        cfg (Config): With ``train_dataloader`` and one of the other two.

    Raises:
        ConfigError: A loader is missing, or a dataset has no pipeline.
    """
    train = cfg.get('train_dataloader')
    test = cfg.get('val_dataloader') or cfg.get('test_dataloader')
    if train is None or test is None:
        raise ConfigError(
            'the config must have train_dataloader, whose images are embedded, and '
            'val_dataloader or test_dataloader, whose pipeline prepares them.'
        )
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    loader = dict(
        test,
        dataset=as_prepared(train.dataset, test.dataset),
        sampler=dict(type='DefaultSampler', shuffle=False),
        drop_last=False,
    )
    return Runner.build_dataloader(copy.deepcopy(loader))


def teacher_features(
    teacher: BaseTeacher, dataloader: DataLoader, device: str | torch.device = 'cpu'
) -> torch.Tensor:
    """Embed all images of a loader, normalised as the teacher was trained.

    Args:
        teacher (BaseTeacher): Moved to ``device``.
        dataloader (DataLoader): For example from :func:`unlabeled_loader`.
        device (str | torch.device): Device of the teacher. Defaults to 'cpu'.

    Returns:
        torch.Tensor: (N, D) float32 unit rows on the CPU, in the loader's order.

    Raises:
        DataError: The loader returns no images.
    """
    encode = batch_encoder(teacher, device)
    rows = [encode(batch) for batch in track(dataloader, 'Embedding images')]
    if not rows:
        raise DataError('the data loader returns no image: check its dataset.')
    return torch.cat(rows)
