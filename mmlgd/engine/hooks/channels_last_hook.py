"""Memory format for faster convolutions."""

import torch
from mmengine.hooks import Hook

from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the model's weights as ``torch.channels_last``.

    Convolutions hand this format on to their outputs, so the images need no
    conversion. It pays on CPUs, and with AMP on GPUs that have tensor cores; keys,
    shapes and (up to rounding) values stay, and checkpoints load into either format.
    A teacher that its model moves along in ``Module.to`` is converted with it.

    Raises:
        ConfigError: The model has a compiled operator of mmcv (RoIAlign, deformable
            convolution). They read any tensor as if it were contiguous, and would
            compute with the wrong pixels without a word.
    """

    def before_train(self, runner) -> None:
        """Convert the model, after weights were initialised or loaded."""
        self._convert(runner)

    def before_val(self, runner) -> None:
        """Convert the model for a run that only validates."""
        self._convert(runner)

    def before_test(self, runner) -> None:
        """Convert the model for a run that only tests."""
        self._convert(runner)

    def _convert(self, runner) -> None:
        for name, module in runner.model.named_modules():
            if type(module).__module__.startswith('mmcv.ops.'):
                raise ConfigError(
                    f'ChannelsLastHook: {name} is a {type(module).__name__} of mmcv, which '
                    'misreads channels-last tensors; take the hook out of custom_hooks.'
                )
        runner.model.to(memory_format=torch.channels_last)
