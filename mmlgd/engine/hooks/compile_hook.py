"""Compilation of the student's backbone."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles the backbone's forward and backward passes with ``torch.compile``.

    mmengine's option ``compile`` compiles the whole step including the optimizer, with
    the learning rate as a constant. It recompiles whenever the rate changes, which is
    every iteration under most schedules. This hook compiles only the backbone. It is
    compiled in place, so the keys of checkpoints do not change. It is compiled for
    training only: validation, which would need its own compilation, runs uncompiled.

    Args:
        **options: Arguments of ``torch.compile``. ``dynamic`` defaults to False: each
            image size is compiled separately, at its first step.

    Raises:
        ConfigError: The model has no ``backbone``, or mmengine's ``compile`` is also set.
    """

    def __init__(self, **options) -> None:
        self._options = dict(dynamic=False, **options)

    def before_train(self, runner: Runner) -> None:
        """Mark the backbone for compilation in the first step."""
        if runner.cfg.get('compile'):
            raise ConfigError(
                'The config has both CompileHook and compile='
                f'{runner.cfg.compile!r}, which compiles the whole step and recompiles it '
                'at each change of the learning rate; remove compile.'
            )
        _backbone(runner).compile(**self._options)
        runner.logger.info(
            'The backbone is compiled in the first iterations, which may take minutes.'
        )

    def before_val(self, runner: Runner) -> None:
        """Validate without the compiled backbone."""
        _backbone(runner).compile(disable=True)

    def after_val(self, runner: Runner) -> None:
        """Use the compiled backbone again, which is still cached."""
        _backbone(runner).compile(**self._options)

    def after_train(self, runner: Runner) -> None:
        """Restore the uncompiled backbone."""
        _backbone(runner).compile(disable=True)


def _backbone(runner: Runner) -> nn.Module:
    model = unwrap_model(runner.model)
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, nn.Module):
        raise ConfigError(
            f'CompileHook compiles model.backbone, but {type(model).__name__} has none; '
            'remove the hook from custom_hooks.'
        )
    return backbone
