"""Features of labelled images, for k-NN and other evaluations of a frozen backbone."""

import copy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmlgd.errors import ConfigError, DataError
from mmlgd.models.pooled_features import last_of, output_kind
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.dataset_configs import innermost_datasets
from mmlgd.utils.progress import track


@torch.no_grad()
def extract_features(
    backbone: nn.Module,
    dataloader: DataLoader,
    data_preprocessor: nn.Module,
    device: str | torch.device = 'cpu',
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pooled features and labels of all images, in the order of the loader.

    Args:
        backbone (nn.Module): Returns a tuple of maps, whose last one is averaged over
            its locations, or a tuple of vectors. It runs in eval mode; its mode is
            restored afterwards.
        dataloader (DataLoader): Batches of ``inputs`` and mmpretrain's
            ``data_samples``.
        data_preprocessor (nn.Module): For example from :func:`build_preprocessor`.
        device (str | torch.device): Device of the backbone. Defaults to 'cpu'.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Features (N, h) float32 and labels (N,)
        int64, on the CPU.

    Raises:
        DataError: The dataset has no images, or an image does not have exactly one label.
        ConfigError: The backbone returns neither maps nor vectors.
    """
    modes = [(module, module.training) for module in backbone.modules()]
    # eval() of some backbones returns None, so the call is not chained.
    backbone.eval()
    backbone.to(device)
    data_preprocessor.to(device)
    features, labels, kind = [], [], ''
    for batch in track(dataloader, 'Extracting features'):
        labels += [_label(sample) for sample in batch['data_samples']]
        inputs = data_preprocessor(batch)['inputs']
        outputs = backbone(inputs)
        kind = kind or output_kind(outputs, inputs, backbone)
        features.append(pool_output(last_of(outputs), kind).float().cpu())
    for module, training in modes:
        module.training = training
    if not features:
        raise DataError('the data loader returns no image: check its dataset.')
    return torch.cat(features), torch.tensor(labels)


def build_preprocessor(checkpoint: str | Path, meta: dict | None = None) -> nn.Module:
    """Build the normalisation that a checkpoint was trained with.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        meta (dict, optional): ``image_mean``, ``image_std`` and ``to_rgb``, for a file
            without them. Defaults to None.

    Returns:
        nn.Module: mmpretrain's ``ClsDataPreprocessor``.

    Raises:
        CheckpointError: The file cannot be read, or does not contain them.
    """
    found = {**read_checkpoint(checkpoint)['meta'], **(meta or {})}
    record = CheckpointMeta.from_meta(found, checkpoint)
    return MODELS.build(normalisation(record))


def normalisation(record: CheckpointMeta) -> dict:
    """Config of the data preprocessor that a checkpoint was trained with.

    Raises:
        CheckpointError: It does not contain mean, std and channel order.
    """
    record.require('image_mean', 'image_std', 'to_rgb')
    return dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=record.image_mean,
        std=record.image_std,
        to_rgb=record.to_rgb,
    )


def evaluation_loaders(cfg: Config) -> tuple[DataLoader, DataLoader]:
    """Build loaders of a config's training and test images, both without augmentation.

    Both use the pipeline, order and batch size of ``test_dataloader``, or of
    ``val_dataloader`` if there is none. Wrappers of the training set, which repeat or
    augment images, are removed; concatenated datasets stay concatenated.

    Args:
        cfg (Config): With ``train_dataloader`` and one of the other two.

    Raises:
        ConfigError: A loader is missing, or its dataset has no pipeline.
    """
    test = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    train = cfg.get('train_dataloader')
    if train is None or test is None:
        raise ConfigError(
            'the config must have train_dataloader, and test_dataloader or '
            'val_dataloader, for labelled images and for images to classify.'
        )
    train = dict(test, dataset=as_prepared(train.dataset, test.dataset))
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    return tuple(Runner.build_dataloader(copy.deepcopy(part)) for part in (train, test))


def as_prepared(images: dict, prepared: dict) -> dict:
    """Config of the images of one dataset with the pipeline of another.

    Args:
        images (dict): Config of a dataset. Wrappers, which repeat or augment images, are
            removed; concatenated datasets stay concatenated.
        prepared (dict): Config of the dataset whose pipeline is used; of concatenated
            datasets, the pipeline of the first.

    Raises:
        ConfigError: A dataset has no pipeline.
    """
    parts, others = innermost_datasets(images), innermost_datasets(prepared)
    for part in (*parts, *others):
        if 'pipeline' not in part:
            raise ConfigError(
                f'the dataset {part.get("type")} has no pipeline: use datasets with a '
                'pipeline that ends with PackInputs.'
            )
    parts = [dict(part, pipeline=others[0]['pipeline']) for part in parts]
    return dict(type='ConcatDataset', datasets=parts) if parts[1:] else parts[0]


def pool_output(features: torch.Tensor, kind: str) -> torch.Tensor:
    """Vectors (B, h) of a backbone's last output.

    Args:
        features (torch.Tensor): Maps, whose locations are averaged, or vectors.
        kind (str): Of :func:`~mmlgd.models.pooled_features.output_kind`.

    Raises:
        ConfigError: They are neither.
    """
    if kind == 'vectors':
        return features
    positions = {'maps': (2, 3), 'channels-last maps': (1, 2)}
    if kind in positions and features.ndim == 4:
        return features.mean(dim=positions[kind])
    raise ConfigError(
        f'the backbone returns features of shape {tuple(features.shape)}, neither maps '
        '(B, h, H, W) nor vectors (B, h): set its out_type or out_indices.'
    )


def _label(sample: object) -> int:
    label = getattr(sample, 'gt_label', None)
    if label is None or label.numel() != 1:
        found = 'no label' if label is None else f'{label.numel()} labels'
        where = getattr(sample, 'img_path', None) or 'an image'
        raise DataError(
            f'{where} has {found}, but k-NN needs exactly one: use a labelled dataset, '
            'as the configs of configs/classification/ do.'
        )
    return int(label)
