"""Parameters and multiply-adds of a student's backbone."""

import contextlib
from collections.abc import Iterator

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.export.branches import merge_branches
from mmlgd.models.student import Student


def measure_student(config: Config, image_size: int = 224) -> dict:
    """Count parameters and multiply-adds of the student of a config.

    The counts are those of ``mmengine.analysis`` for the backbone, without neck and
    projector: as trained, and as deployed with its branches fused.

    Args:
        config (Config): Distillation config, with ``model.backbone``.
        image_size (int): Side of the image, in pixels. Defaults to 224.

    Returns:
        dict: ``image_size``, ``feature_width`` (of the pooled features), ``parameters``,
        ``macs`` (multiply-adds of one image), ``deployed_parameters`` and
        ``deployed_macs``.

    Raises:
        ConfigError: The config has no student, or the student does not support this size.
    """
    model = config.get('model') or {}
    if 'backbone' not in model:
        raise ConfigError(
            f'{config.filename} has no model.backbone; use a distillation config, '
            'such as configs/lgd/r50_mbv3.py.'
        )
    parts = {key: model[key] for key in ('backbone', 'neck') if key in model}
    with _countable_attention():
        try:
            student = Student(**parts, embed_dims=1, image_size=image_size)
            student.eval()
            trained = _count(student.backbone, image_size)
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ConfigError(
                f'The student of {config.filename} cannot be built or does not support '
                f'images of {image_size} pixels ({error}).'
            ) from error
        deployed = _count(merge_branches(student.backbone), image_size)
    return dict(
        image_size=image_size,
        feature_width=student.feature_dims,
        **trained,
        **{f'deployed_{key}': value for key, value in deployed.items()},
    )


def _count(backbone: nn.Module, image_size: int) -> dict[str, int]:
    counts = get_model_complexity_info(
        backbone,
        inputs=torch.zeros(1, 3, image_size, image_size),
        show_table=False,
        show_arch=False,
    )
    return dict(parameters=int(counts['params']), macs=int(counts['flops']))


@contextlib.contextmanager
def _countable_attention() -> Iterator[None]:
    """Disable timm's fused attention, which mmengine does not count."""
    from timm.layers import set_fused_attn, use_fused_attn

    fused = use_fused_attn()
    set_fused_attn(False)
    try:
        yield
    finally:
        set_fused_attn(bool(fused))
