"""Student and teacher of a training checkpoint."""

from typing import Any

import torch
from torch import nn

from mmlgd.errors import BankError, CheckpointError
from mmlgd.models import Student
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint import load_exactly
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.identity import explain_difference, same_identity
from mmlgd.utils.stored_config import building, trusted_config

from .features import normalisation
from .loading import stored_backbone


def projected_width(state: dict) -> int | None:
    """Width D of the embeddings: that of the projector's last matrix, if any."""
    matrices = [
        value
        for key, value in state.items()
        if key.startswith('projector.') and isinstance(value, torch.Tensor)
    ]
    widths = [matrix.shape[0] for matrix in matrices if matrix.dim() == 2]
    return widths[-1] if widths else None


def stored_student(record: CheckpointMeta, state: dict, embed_dims: int) -> nn.Module:
    """Build a student and load its weights, all of them.

    Args:
        record (CheckpointMeta): Metadata of the checkpoint.
        state (dict): ``state_dict`` of the checkpoint.
        embed_dims (int): D, see :func:`projected_width`.

    Returns:
        nn.Module: In eval mode, on the CPU.

    Raises:
        CheckpointError: A config is not trusted or cannot be built, or the weights do
            not fit.
    """
    scope = record.default_scope
    parts = {
        key: config and trusted_config(config, record.path, scope=scope)
        for key, config in (record.student or {}).items()
        if key != 'backbone'
    }
    backbone, preprocessor = stored_backbone(record), normalisation(record)
    size: Any = record.image_size
    with building(record.path, 'student', scope):
        student = Student(
            backbone,
            embed_dims,
            image_size=size,
            student_size=record.student_size,
            data_preprocessor=preprocessor,
            **parts,
        )
    for name, module in student.named_children():
        if module.state_dict():
            load_exactly(module, state, f'{name}.', record.path)
    student.eval()
    return student


def stored_teacher(
    record: CheckpointMeta, teacher: dict | nn.Module | None
) -> nn.Module:
    """Build the teacher whose text tower encodes other names.

    Args:
        record (CheckpointMeta): Metadata of the checkpoint.
        teacher (dict | nn.Module, optional): A teacher, or its config, which is trusted.
            None uses the config in the checkpoint.

    Raises:
        CheckpointError: The checkpoint contains no such config, or an untrusted one.
        BankError: The teacher differs from that of the checkpoint.
    """
    model: Any = teacher
    if teacher is None:
        if record.teacher_config is None:
            raise CheckpointError(
                f'{record.path} does not contain the config of its teacher, which other '
                f'names need; pass teacher=dict(type=...) or bank_file.{record.note}'
            )
        config = record.teacher_config
        config = trusted_config(config, record.path, 'TEACHERS', record.default_scope)
        with building(record.path, 'teacher', record.default_scope):
            model = MODELS.build(config)
    elif not isinstance(teacher, nn.Module):
        model = MODELS.build(teacher)
    # The weights of a published tag may have changed since.
    wanted, found = record.teacher, model.identity
    if wanted is not None and not same_identity(wanted, found):
        raise BankError(
            f'{record.path} was distilled from {wanted}, but the given teacher is '
            f'{found}, whose text embeddings do not belong to this student; pass '
            f'teacher=dict(...) with those weights.{explain_difference(wanted, found)}'
        )
    return model
