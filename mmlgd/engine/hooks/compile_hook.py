"""A compiled student, and nothing compiled that changes from step to step."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles the backbone's forward and backward passes with ``torch.compile``.

    mmengine's option ``compile`` compiles the whole step, optimizer included, in which
    the learning rate is a constant: it compiles again whenever the rate changes, which
    is every iteration under most schedules. This hook leaves everything but the
    backbone as it is. It is compiled in place, so the keys of checkpoints stay, and
    for training only: a validation, which would be compiled for itself, runs without.

    Args:
        **options: Arguments of ``torch.compile``. ``dynamic`` is False unless given:
            each size of the images is compiled for itself, at its first step.

    Raises:
        ConfigError: The model has no ``backbone``, or mmengine's ``compile`` is set too.
    """

    def __init__(self, **options) -> None:
        self._options = dict(dynamic=False, **options)

    def before_train(self, runner: Runner) -> None:
        """Have the first step compile the backbone."""
        if runner.cfg.get('compile'):
            raise ConfigError(
                'The config has both CompileHook and compile='
                f'{runner.cfg.compile!r}, which compiles the whole step and does so '
                'again at each change of the learning rate; take compile out.'
            )
        _backbone(runner).compile(**self._options)
        runner.logger.info(
            'The backbone is compiled in the first iterations, which may take minutes.'
        )

    def before_val(self, runner: Runner) -> None:
        """Validate without the compiled backbone."""
        _backbone(runner).compile(disable=True)

    def after_val(self, runner: Runner) -> None:
        """Go back to the compiled backbone, which is still there."""
        _backbone(runner).compile(**self._options)

    def after_train(self, runner: Runner) -> None:
        """Leave a backbone as it was."""
        _backbone(runner).compile(disable=True)


def _backbone(runner: Runner) -> nn.Module:
    model = unwrap_model(runner.model)
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, nn.Module):
        raise ConfigError(
            f'CompileHook compiles model.backbone, but {type(model).__name__} has none; '
            'take the hook out of custom_hooks.'
        )
    return backbone
