"""What a config says about views to store."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from mmengine.utils.dl_utils import set_multi_processing
from torch.utils.data import DataLoader, Dataset

from mmlgd.datasets.image_list import list_image
from mmlgd.datasets.pipeline_description import describe_pipeline
from mmlgd.errors import ConfigError
from mmlgd.models.distillers import build_whole_teacher
from mmlgd.models.teachers import batch_encoder
from mmlgd.registry import DATASETS
from mmlgd.utils.annotation_files import check_annotation_files
from mmlgd.utils.loaders import remove_unused_worker_options
from mmlgd.utils.plain_config import name_of, plain_config
from mmlgd.utils.rng import mix_seed, seeded
from mmlgd.utils.teacher_config import teacher_configs

from .images import content_hash
from .manifest import Manifest
from .shards import pixel_checksum

#: Options of a config's data loader that serve a store, too.
_LOADER_OPTIONS = (
    *('num_workers', 'pin_memory', 'prefetch_factor', 'timeout'),
    *('multiprocessing_context', 'persistent_workers'),
)


def draw_view(dataset: Any, image: int, seed: int, view: int, row: int) -> dict:
    """Item ``image`` of a dataset under the random numbers of (seed, view, row)."""
    with seeded(mix_seed(seed, view, row)):
        item = dataset[image]
    inputs = item.get('inputs') if isinstance(item, dict) else None
    if not isinstance(inputs, torch.Tensor) or inputs.dim() != 3:
        found = getattr(inputs, 'shape', type(inputs).__name__)
        raise ConfigError(
            f'Stored views are of one image (3, H, W) each, but {type(dataset).__name__} '
            f'gives inputs of {found}; end the pipeline with PackInputs, and use the '
            'online teacher for methods of several views, pairs or small patches.'
        )
    return item


@dataclass
class ViewSource:
    """What a config gives to store, and the manifest of a store of it.

    ``encode`` is a :func:`batch_encoder`; ``loader`` is the config's data loader, for its
    batch size and workers.
    """

    dataset: Any
    encode: Callable[[dict], torch.Tensor]
    loader: dict
    manifest: Manifest

    def embed(
        self, indices: np.ndarray, batches: Iterable[list[tuple]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Draw batches of (view, row), with the index (N,) of each row's image.

        Yields checksums (B,), embeddings (B, D) float32 and content hashes (B, 16).
        """
        kept = {key: self.loader[key] for key in _LOADER_OPTIONS if key in self.loader}
        kept.update(batch_sampler=batches, collate_fn=default_collate)
        views = _DrawnViews(self.dataset, indices, self.manifest.seed)
        for batch in DataLoader(views, **kept):
            embeddings = self.encode(batch).numpy()
            yield batch['pixels'].numpy(), embeddings, batch['hash'].numpy()


@dataclass
class _DrawnViews(Dataset):
    dataset: Any
    indices: np.ndarray
    seed: int

    def __getitem__(self, place: tuple[int, int]) -> dict:
        image = int(self.indices[place[1]])
        inputs = draw_view(self.dataset, image, self.seed, *place)['inputs']
        content = content_hash(list_image(self.dataset, image).source)
        hashed = torch.tensor(list(content), dtype=torch.uint8)
        return dict(inputs=inputs, pixels=pixel_checksum(inputs), hash=hashed)


def prepare_views(
    cfg: Config, embedding_dtype: str, shard_size: int, device: str | torch.device
) -> ViewSource:
    """Build the images and the teacher of a config, the latter on ``device``.

    Raises:
        ConfigError: The config has no teacher with an image tower, or its training
            set is not ``SeededViews`` of single images.
    """
    wrapper, configs = cfg.train_dataloader.dataset, teacher_configs(cfg.model)
    if name_of(wrapper) != 'SeededViews':
        raise ConfigError(
            'train_dataloader.dataset must be SeededViews around the images, but is '
            f'{wrapper.get("type")!r}; give the config that trains with the online teacher.'
        )
    if not configs or 'StoredTeacher' in map(name_of, configs):
        raise ConfigError(
            'The model of this config has no teacher that sees images; give the config '
            'that trains with the online teacher.'
        )
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    check_annotation_files(cfg, ['train_dataloader'])
    remove_unused_worker_options(cfg, ['train_dataloader'])
    # As the Runner does: one thread for OpenCV in each worker.
    set_multi_processing(**cfg.get('env_cfg', {}).get('mp_cfg', {}))
    seed = wrapper.get('seed', 0)
    dataset, teacher = DATASETS.build(wrapper.dataset), build_whole_teacher(cfg.model)
    described = configs[0] if len(configs) == 1 else dict(teachers=configs)
    manifest = Manifest(
        teacher=teacher.identity,
        text_encoder=teacher.text_identity,
        teacher_config=plain_config(described),
        embed_dims=teacher.embed_dims,
        image_mean=list(teacher.image_mean),
        image_std=list(teacher.image_std),
        image_size=teacher.image_size,
        input_shape=list(draw_view(dataset, 0, seed, 0, 0)['inputs'].shape),
        pipeline=describe_pipeline(dataset),
        seed=seed,
        embedding_dtype=embedding_dtype,
        shard_size=shard_size,
        logit_scale=teacher.logit_scale,
        members=getattr(teacher, 'members', []),
    )
    teacher.release_text_tower()
    encode = batch_encoder(teacher, device)
    return ViewSource(dataset, encode, dict(cfg.train_dataloader), manifest)
