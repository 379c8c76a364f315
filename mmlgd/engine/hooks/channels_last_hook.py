"""Memory format for faster convolutions."""

import copy
import gc

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the model's weights as ``torch.channels_last``.

    Convolutions hand this format on to their outputs, so the images need no
    conversion. It pays on CPUs, and with AMP on GPUs that have tensor cores; keys,
    shapes and (up to rounding) values stay, and checkpoints load into either format:
    weights that are loaded later are copied into it. A teacher that its model moves
    along in ``Module.to`` is converted with it.

    DistributedDataParallel lays its buckets out by the strides that weights have when
    it wraps them, and the Runner wraps before it knows any hook. So the model is
    converted and then wrapped again, before weights are initialised or loaded.

    Raises:
        ConfigError: The model has a compiled operator of mmcv (RoIAlign, deformable
            convolution). They read any tensor as if it were contiguous, and would
            compute with the wrong pixels without an error. Or its wrapper is not a
            DistributedDataParallel and would not see the conversion.
    """

    # Before hooks that copy the model (EMAHook) or keep its wrapper.
    priority = 'HIGH'

    def before_run(self, runner: Runner) -> None:
        """Convert the model, whether the run trains, validates or tests."""
        model = unwrap_model(runner.model)
        _refuse_operators(model)
        if _is_converted(model):
            return
        wrapped = model is not runner.model
        if wrapped and not isinstance(runner.model, DistributedDataParallel):
            raise ConfigError(
                f'ChannelsLastHook cannot convert a model in {type(runner.model).__name__}'
                "; set model_wrapper_cfg=dict(type='mmlgd.AnyDeviceDDP'), or take the "
                'hook out of custom_hooks.'
            )
        model.to(memory_format=torch.channels_last)
        if wrapped:
            _wrap_again(runner, model)


def _wrap_again(runner: Runner, model: nn.Module) -> None:
    # The old reducer must be gone with the hooks it has on the gradients, or each
    # gradient would be reduced twice.
    runner.model = None
    gc.collect()
    runner.model = runner.wrap_model(
        copy.deepcopy(runner.cfg.get('model_wrapper_cfg')), model
    )


def _is_converted(model: nn.Module) -> bool:
    return all(
        weight.is_contiguous(memory_format=torch.channels_last)
        for weight in model.parameters()
        if weight.dim() == 4
    )


def _refuse_operators(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if type(module).__module__.startswith('mmcv.ops.'):
            raise ConfigError(
                f'ChannelsLastHook: {name} is a {type(module).__name__} of mmcv, which '
                'misreads channels-last tensors; take the hook out of custom_hooks.'
            )
