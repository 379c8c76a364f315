"""Unwrapping of a runner's model."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model without a wrapper such as DDP."""
    return model.module if is_model_wrapper(model) else model
