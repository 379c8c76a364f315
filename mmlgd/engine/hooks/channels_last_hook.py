"""Channels-last memory format for faster convolutions."""

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

    Convolutions propagate this format to their outputs, so the images need no
    conversion. It is faster on CPUs, and with AMP on GPUs with tensor cores. Keys,
    shapes and (up to rounding) values do not change, and checkpoints load into either
    format: weights that are loaded later are copied into it. A teacher that its model
    moves along in ``Module.to`` is converted as well.

    DistributedDataParallel lays out its buckets by the strides of the weights when it
    wraps them, and the Runner wraps the model before it registers hooks. The model is
    therefore converted and wrapped again, before weights are initialised or loaded.

    Args:
        cuda_only (bool): Whether a model on a CPU stays as it is. There the format makes
            some networks faster, but oneDNN aborts in the backward pass of others.
            Defaults to False.

    Raises:
        ConfigError: The model has a compiled operator of mmcv (RoIAlign, deformable
            convolution). These read every tensor as if it were contiguous, and would
            compute with the wrong pixels without an error. Or the model's wrapper is not
            a DistributedDataParallel and would not notice the conversion.
    """

    # Before hooks that copy the model (EMAHook) or keep its wrapper.
    priority = 'HIGH'

    def __init__(self, cuda_only: bool = False) -> None:
        self.cuda_only = cuda_only

    def before_run(self, runner: Runner) -> None:
        """Convert the model, for training, validation and test."""
        model = unwrap_model(runner.model)
        if self.cuda_only and next(model.parameters()).device.type != 'cuda':
            return
        _check_operators(model)
        if _is_converted(model):
            return
        wrapped = model is not runner.model
        if wrapped and not isinstance(runner.model, DistributedDataParallel):
            raise ConfigError(
                f'ChannelsLastHook cannot convert a model in {type(runner.model).__name__}'
                "; set model_wrapper_cfg=dict(type='mmlgd.AnyDeviceDDP'), or remove the "
                'hook from custom_hooks.'
            )
        model.to(memory_format=torch.channels_last)
        if wrapped:
            _wrap_again(runner, model)


def _wrap_again(runner: Runner, model: nn.Module) -> None:
    # The old reducer must be freed together with its gradient hooks, or each gradient
    # would be reduced twice.
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


def _check_operators(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if type(module).__module__.startswith('mmcv.ops.'):
            raise ConfigError(
                f'ChannelsLastHook: {name} is a {type(module).__name__} of mmcv, which '
                'misreads channels-last tensors; remove the hook from custom_hooks.'
            )
