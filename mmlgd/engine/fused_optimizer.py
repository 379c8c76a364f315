"""Constructor of optimizer wrappers that fuses the optimizer's step on CUDA."""

import inspect

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from mmlgd.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class FusedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, with a fused optimizer for a model on CUDA.

    A fused step is one kernel for all parameters. With float16, ``GradScaler`` passes it
    the infinite gradients to skip as a tensor, while it waits for the device before any
    other step. ``fused`` or ``foreach`` in the optimizer's config takes precedence. On
    other devices, and for an optimizer without a fused step (torch's SGD before torch
    2.3), nothing is changed.

    Args:
        optim_wrapper_cfg (dict): See mmengine's constructor.
        paramwise_cfg (dict, optional): See mmengine's constructor. Defaults to None.
    """

    optimizer_cfg: dict

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper of the optimizer of a model, on the model's device."""
        chosen = {'fused', 'foreach'} & set(self.optimizer_cfg)
        if not chosen and _is_on_cuda(model) and _can_be_fused(self.optimizer_cfg):
            self.optimizer_cfg = dict(self.optimizer_cfg, fused=True)
        return super().__call__(model)


def _is_on_cuda(model: nn.Module) -> bool:
    return all(parameter.device.type == 'cuda' for parameter in model.parameters())


def _can_be_fused(optimizer: dict) -> bool:
    kind = optimizer['type']
    built = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    return 'fused' in inspect.signature(built).parameters
