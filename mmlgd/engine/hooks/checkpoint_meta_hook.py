"""Metadata that makes a checkpoint self-contained."""

from collections.abc import Iterator

from mmengine.runner import Runner
from torch import nn

from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model
from mmlgd.utils.plain_config import check_plain, find_test_pipeline, plain_config
from mmlgd.utils.teacher_config import teacher_configs
from mmlgd.utils.weights_only import plain_message_hub

from .whole_checkpoint_hook import WholeCheckpointHook


@HOOKS.register_module()
class CheckpointMetaHook(WholeCheckpointHook):
    """Makes saved checkpoints self-contained, and checks loaded ones.

    ``meta`` gets the model's ``checkpoint_meta`` (teacher, category names, the
    normalisation that the student was trained with) and, as plain data, the configs of
    the student (``backbone``, ``neck``, ``projector`` with its widths) and of the teacher
    (``teacher_config``), both temperatures, the ``default_scope`` of their types and the
    ``test_pipeline`` that follows the reading of an image. The histories of logged
    scalars are converted to tensors, so that ``torch.load(..., weights_only=True)`` can
    read the file.

    A checkpoint to be tested or resumed must contain every tensor of the model.
    """

    priority = 'HIGH'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the keys; omit entries that are not plain data, with a warning."""
        model = unwrap_model(runner.model)
        meta = checkpoint['meta']
        meta.update(model.checkpoint_meta)
        for name, value in _configs(runner, model):
            try:
                meta[name] = check_plain(plain_config(value))
            except ValueError as error:
                runner.logger.warning(
                    f'CheckpointMetaHook: {name} {error}, so the checkpoint does not '
                    'contain it; users of the checkpoint must pass it.'
                )
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = plain_message_hub(checkpoint['message_hub'])


def _configs(runner: Runner, model: nn.Module) -> Iterator[tuple[str, object]]:
    """The entries of ``meta`` that come from the config, by name."""
    config = runner.cfg.get('model') or {}
    if 'backbone' in config:
        yield 'backbone', config['backbone']
        if 'neck' in config:
            yield 'neck', config['neck']
        widths = dict(
            in_channels=model.feature_dims, out_channels=model.teacher.embed_dims
        )
        projector = config.get('projector') or {}
        yield 'projector', {'type': 'Projector', **projector, **widths}
    for teacher in teacher_configs(config)[:1]:
        yield 'teacher_config', teacher
    pipeline = find_test_pipeline(runner.cfg)
    if pipeline:
        yield 'test_pipeline', pipeline
    yield 'default_scope', runner.default_scope.scope_name
    yield 'student_temperature', model.student_temperature
    yield 'teacher_temperature', model.teacher_temperature
