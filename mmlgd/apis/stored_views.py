"""What a distillation config gives to a store of views."""

from dataclasses import asdict

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils.dl_utils import set_multi_processing

from mmlgd.datasets.pipeline_description import (
    check_draws_whole_views,
    describe_pipeline,
)
from mmlgd.datasets.seeded_views import draw_view
from mmlgd.errors import ConfigError
from mmlgd.models.distillers import build_whole_teacher
from mmlgd.models.teachers import batch_encoder
from mmlgd.pixels.codec import PixelCodec
from mmlgd.registry import DATASETS
from mmlgd.stores import Manifest
from mmlgd.stores.shards import EMBEDDING_DTYPES
from mmlgd.stores.source import ViewSource
from mmlgd.utils.plain_config import name_of, plain_config
from mmlgd.utils.teacher_config import teacher_configs

#: Options of a config's data loader that serve a store, too.
_WORKER_OPTIONS = (
    *('num_workers', 'pin_memory', 'prefetch_factor', 'timeout'),
    *('multiprocessing_context', 'persistent_workers'),
)


def prepare_views(
    cfg: Config,
    embedding_dtype: str,
    shard_size: int,
    device: str | torch.device,
    pixels: tuple[str, int] | None = None,
) -> ViewSource:
    """Build the images and the teacher of a config.

    Args:
        cfg (Config): Trains with the online teacher.
        embedding_dtype (str): 'float16' or 'int8'.
        shard_size (int): Rows in a shard.
        device (str | torch.device): Device of the teacher.
        pixels (tuple[str, int], optional): Codec and quality with which the views are
            stored, in the student's size. The teacher then embeds the decoded pixels,
            resized to the size of the views. Defaults to None: not stored.

    Raises:
        ConfigError: The dtype, the codec or the quality is invalid, the config has no
            teacher with an image tower, its training set is not ``SeededViews`` of
            single images, or a part of the augmentation is applied on the device.
    """
    wrapper, configs = cfg.train_dataloader.dataset, teacher_configs(cfg.model)
    if name_of(wrapper) != 'SeededViews':
        raise ConfigError(
            'train_dataloader.dataset must be SeededViews around the images, but is '
            f'{wrapper.get("type")!r}; give the config that trains with the online teacher.'
        )
    if embedding_dtype not in EMBEDDING_DTYPES:
        names = ' or '.join(EMBEDDING_DTYPES)
        raise ConfigError(f'Stored views are {names}, not {embedding_dtype!r}.')
    if not configs or 'StoredTeacher' in map(name_of, configs):
        raise ConfigError(
            'The model of this config has no teacher that sees images; give the config '
            'that trains with the online teacher.'
        )
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    # As the Runner does: one thread for OpenCV in each worker.
    set_multi_processing(**cfg.get('env_cfg', {}).get('mp_cfg', {}))
    dataset, seed = DATASETS.build(wrapper.dataset), wrapper.get('seed', 0)
    check_draws_whole_views('A store', describe_pipeline(dataset))
    input_shape = _shape_of(draw_view(dataset, 0, seed, 0, 0), type(dataset).__name__)
    if pixels:  # Checked before the teacher is loaded, which may take a while.
        PixelCodec(*pixels, *input_shape[1:])
    teacher = build_whole_teacher(cfg.model)
    described = configs[0] if len(configs) == 1 else dict(teachers=configs)
    manifest = Manifest(
        teacher=teacher.identity,
        text_encoder=teacher.text_identity,
        teacher_config=plain_config(described),
        embed_dims=teacher.embed_dims,
        image_mean=list(teacher.image_mean),
        image_std=list(teacher.image_std),
        image_size=teacher.image_size,
        input_shape=input_shape,
        pipeline=describe_pipeline(dataset),
        seed=seed,
        embedding_dtype=embedding_dtype,
        shard_size=shard_size,
        logit_scale=teacher.logit_scale,
        members=getattr(teacher, 'members', []),
    )
    if pixels:
        size = _student_size(cfg.model, teacher.image_size, input_shape)
        manifest.pixels = asdict(PixelCodec(*pixels, *size))
    teacher.release_text_tower()
    loader = cfg.train_dataloader
    return ViewSource(
        dataset,
        batch_encoder(teacher, device),
        manifest,
        batch_size=loader.get('batch_size', 1),
        workers={key: loader[key] for key in _WORKER_OPTIONS if key in loader},
    )


def _student_size(model: dict, image_size: int, input_shape: list[int]) -> list[int]:
    """[H, W] of the images that the student sees, as ``BaseDistiller`` resizes them."""
    size, drawn = model.get('student_size'), input_shape[1:]
    return drawn if size is None or drawn != [image_size] * 2 else [size, size]


def _shape_of(item: object, dataset: str) -> list[int]:
    inputs = item.get('inputs') if isinstance(item, dict) else None
    if not isinstance(inputs, torch.Tensor) or inputs.dim() != 3:
        found = getattr(inputs, 'shape', type(inputs).__name__)
        raise ConfigError(
            f'Stored views are of one image (3, H, W) each, but {dataset} gives inputs of '
            f'{found}; end the pipeline with PackInputs, and use the online teacher for '
            'methods of several views, pairs or small patches.'
        )
    return list(inputs.shape)
