"""What a checkpoint contains, as plain data."""

from collections import Counter
from pathlib import Path

import torch

from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta

_FIELDS = (
    'mmlgd_version',
    'teacher',
    'image_size',
    'student_size',
    'image_mean',
    'image_std',
    'to_rgb',
    'student_temperature',
    'teacher_temperature',
    'backbone',
    'neck',
    'projector',
    'teacher_config',
    'test_pipeline',
    'category_names',
)


def summarise_checkpoint(checkpoint: str | Path) -> dict:
    """Summarise a training checkpoint or an exported backbone; nothing is executed.

    Args:
        checkpoint (str | Path): The file.

    Returns:
        dict: Plain data: ``file``, ``kind``, ``megabytes``, ``epoch``, ``iter``,
        ``values`` (number of values by the first part of the key), and the entries of
        its ``meta`` that it has.

    Raises:
        CheckpointError: The file cannot be read, or is damaged.
    """
    contents = read_checkpoint(checkpoint)
    state, meta = contents['state_dict'], contents['meta']
    record = CheckpointMeta.from_meta(meta, checkpoint)
    values: Counter = Counter()
    for key, value in state.items():
        if isinstance(value, torch.Tensor):
            values[key.split('.')[0]] += value.numel()
    is_training = any(key.startswith('projector.') for key in state)
    path = Path(checkpoint)
    found = dict(
        file=str(checkpoint),
        kind='training checkpoint' if is_training else 'backbone or other weights',
        megabytes=round(path.stat().st_size / 2**20, 2) if path.is_file() else None,
        epoch=meta.get('epoch'),
        iter=meta.get('iter'),
        can_resume='optimizer' in contents,
        values=dict(values),
        **{name: getattr(record, name) for name in _FIELDS},
    )
    return {name: value for name, value in found.items() if value is not None}
