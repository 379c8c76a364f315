"""The projection of a teacher, and the check of the models it was fitted for."""

import logging
from collections.abc import Mapping

import torch
from mmengine.logging import print_log
from torch import nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.registry import MODELS
from mmlgd.utils.identity import explain_difference, same_identity

from .weight_files import load_exact, read_weights_and_meta


def build_projection(projection: dict | str, width: int) -> tuple[nn.Module, dict]:
    """Build a projection for features of a given width, and load its weights.

    Args:
        projection (dict | str): See :class:`ProjectedTeacher`.
        width (int): Width C of the features.

    Returns:
        tuple[nn.Module, dict]: The projection, and the ``meta`` of its file; {} if there
        is none.

    Raises:
        ConfigError: ``in_channels`` is set and is not C.
        TeacherError: The file cannot be read, or does not match.
    """
    if isinstance(projection, str):
        projection = dict(checkpoint=projection)
    cfg = {'type': 'LinearProjection', 'in_channels': width, **projection}
    if cfg['in_channels'] != width:
        raise ConfigError(
            f'projection.in_channels is {cfg["in_channels"]}, but the features are '
            f'{width} wide. Omit it: it is filled in.'
        )
    checkpoint = cfg.pop('checkpoint', None)
    if checkpoint is None:
        warn_random('The projection of the teacher')
        return MODELS.build(cfg), {}
    weights, meta = read_weights_and_meta(checkpoint)
    weights = {key.removeprefix('projection.'): value for key, value in weights.items()}
    if cfg['type'] == 'LinearProjection' and 'weight' in weights:
        cfg.setdefault('out_channels', weights['weight'].shape[0])
        cfg.setdefault('bias', 'bias' in weights)
    module = MODELS.build(cfg)
    load_exact(module, weights, f'projection from {checkpoint}')
    return module, meta


def normalisation_of(teacher: nn.Module) -> dict:
    """Preprocessing on which a teacher's features depend, for a ``meta``."""
    return dict(
        image_mean=list(teacher.image_mean),
        image_std=list(teacher.image_std),
        image_size=teacher.image_size,
    )


def check_teacher(meta: Mapping, teacher: nn.Module) -> None:
    """Check that a projection was fitted to the features of this teacher.

    Args:
        meta (Mapping): ``meta`` of the projection's file; those of other tools have no
            record and are accepted.
        teacher (ProjectedTeacher): The teacher. Its weights and normalisation are
            compared, not the name of its checkpoint file.

    Raises:
        TeacherError: It was fitted to another backbone, or with another normalisation
            of images.
    """
    fitted = meta.get('aligned_teacher')
    if fitted is None:
        return
    # First, since another size also changes the position embeddings of a ViT.
    for name, value in normalisation_of(teacher).items():
        wanted = torch.tensor(meta[name], dtype=torch.float32)
        if not torch.allclose(wanted, torch.tensor(value, dtype=torch.float32)):
            raise TeacherError(
                f'The projection was fitted with {name}={meta[name]}, but this '
                f'teacher has {value}. Set {name} of the teacher to the '
                'former, or fit the projection again with tools/align_teacher.py.'
            )
    found = teacher.feature_identity
    if not same_identity(fitted, found):
        raise TeacherError(
            f'The projection was fitted for the features of {fitted}, but the backbone '
            f'of this teacher is {found}. Use that backbone and its weights, or fit a '
            'projection for this one with tools/align_teacher.py.'
        )


def check_target(meta: Mapping, text_encoder: nn.Module) -> None:
    """Check that a projection was fitted to the space of this image-text model.

    Args:
        meta (Mapping): ``meta`` of the projection's file; those of other tools have no
            record and are accepted.
        text_encoder (OpenCLIPTeacher): The model; its image tower is compared.

    Raises:
        TeacherError: It was fitted to another model or other weights.
    """
    fitted = meta.get('alignment_target')
    if fitted is None or same_identity(fitted, text_encoder.identity):
        return
    raise TeacherError(
        f'The projection was fitted to the image embeddings of {fitted}, but '
        f'text_encoder is {text_encoder.identity}, which has another text space. Set '
        'text_encoder to that model and image_size, or fit a projection to this one '
        'with tools/align_teacher.py.'
        + explain_difference(fitted, text_encoder.identity)
    )


def warn_random(name: str) -> None:
    """Warn that a module has random weights."""
    print_log(
        f'{name} has random weights, since no checkpoint is set: suitable for tests '
        'only.',
        logger='current',
        level=logging.WARNING,
    )
