"""What a config says about views to store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils.dl_utils import set_multi_processing

from mmlgd.datasets.view_store.drawing import draw_view
from mmlgd.datasets.view_store.manifest import Manifest
from mmlgd.datasets.view_store.opening import open_store
from mmlgd.datasets.view_store.pipeline import describe_pipeline
from mmlgd.datasets.view_store.plan import StorePlan
from mmlgd.errors import ConfigError
from mmlgd.registry import DATASETS, MODELS
from mmlgd.utils.annotation_files import check_annotation_files

from .teacher_features import batch_encoder


@dataclass
class ViewSource:
    """Where views and embeddings come from.

    Attributes:
        dataset (Any): The images, with the pipeline that draws a view.
        encode (Callable): From :func:`batch_encoder`.
        loader (dict): The config's data loader, for its batch size and workers.
        manifest (Manifest): Of a store of them, still empty.
    """

    dataset: Any
    encode: Callable[[dict], torch.Tensor]
    loader: dict
    manifest: Manifest

    def open_store(self, store: Path, num_views: int) -> StorePlan:
        """Begin a store, or go on with one; see :func:`open_store`."""
        workers = self.loader.get('num_workers', 0)
        return open_store(store, self.manifest, self.dataset, num_views, workers)


def prepare_views(
    cfg: Config, embedding_dtype: str, shard_size: int, device: str | torch.device
) -> ViewSource:
    """Build a config's images and teacher.

    Args:
        cfg (Config): With a teacher and a ``train_dataloader`` of ``SeededViews``.
        embedding_dtype (str): 'float16' or 'int8'.
        shard_size (int): Rows of a full shard.
        device (str | torch.device): Where the teacher works.

    Raises:
        ConfigError: The config has no teacher with an image tower, or its training
            set is no ``SeededViews`` of single images.
    """
    wrapper = cfg.train_dataloader.dataset
    if wrapper.get('type') not in ('SeededViews', 'mmlgd.SeededViews'):
        raise ConfigError(
            'train_dataloader.dataset must be SeededViews around the images, whose seed '
            f'and views are stored, but is {wrapper.get("type")!r}; give the config that '
            'trains with the online teacher.'
        )
    if not cfg.model.get('teacher') or cfg.model.teacher.get('type') in (
        *('StoredTeacher', 'mmlgd.StoredTeacher'),
    ):
        raise ConfigError(
            'The model of this config has no teacher that sees images; give the config '
            'that trains with the online teacher.'
        )
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    check_annotation_files(cfg, ['train_dataloader'])
    # As the Runner does: one thread for OpenCV in each worker.
    set_multi_processing(**cfg.get('env_cfg', {}).get('mp_cfg', {}))
    seed = wrapper.get('seed', 0)
    dataset = DATASETS.build(wrapper.dataset)
    teacher = MODELS.build(cfg.model.teacher)
    manifest = Manifest(
        teacher=teacher.identity,
        text_encoder=teacher.text_identity,
        teacher_config=cfg.model.teacher.to_dict(),
        embed_dims=teacher.embed_dims,
        image_mean=list(teacher.image_mean),
        image_std=list(teacher.image_std),
        image_size=teacher.image_size,
        input_shape=list(draw_view(dataset, 0, seed, 0, 0)['inputs'].shape),
        pipeline=describe_pipeline(dataset),
        seed=seed,
        embedding_dtype=embedding_dtype,
        shard_size=shard_size,
    )
    teacher.release_text_tower()
    return ViewSource(
        dataset, batch_encoder(teacher, device), dict(cfg.train_dataloader), manifest
    )
