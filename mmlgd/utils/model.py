"""What a runner's model is beneath its wrapper."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model itself, where a wrapper such as DDP stands around it."""
    return model.module if is_model_wrapper(model) else model
