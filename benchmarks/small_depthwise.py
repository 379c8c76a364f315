"""Depthwise convolutions on tiny feature maps, with a backward pass that is fast on CPUs.

On CPUs without AVX-512, oneDNN's backward pass of a 5 x 5 depthwise convolution on a map
of 2 x 2 takes 38 ms for a batch of 128, out of 410 ms for MobileNetV3-small at 32 pixels;
its eight layers of this kind take two thirds of a training step. A sum over the few
pairs of places gives the same values, up to rounding.
"""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmlgd.registry import HOOKS

#: Pairs of input and output places up to which the sum is used.
_MAX_PAIRS = 64


class SmallDepthwise(nn.Conv2d):
    """A depthwise convolution that sums over pairs of places while it trains."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        sizes = inputs.shape[-2:], self.padding, self.kernel_size, self.stride
        height, width = (
            (size + 2 * pad - kernel) // stride + 1
            for size, pad, kernel, stride in zip(*sizes)
        )
        places = inputs.shape[-2] * inputs.shape[-1]
        if not self.training or places * height * width > _MAX_PAIRS:
            return super().forward(inputs)
        batch, channels = inputs.shape[:2]
        # (B, 1, I, C) times (O, I, C), summed over the places I of the input.
        rows = inputs.permute(0, 2, 3, 1).reshape(batch, 1, places, channels)
        outputs = (rows * self._kernels(inputs, height * width)).sum(dim=2)
        outputs = outputs.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return outputs if self.bias is None else outputs + self.bias[:, None, None]

    def _kernels(self, inputs: torch.Tensor, num_outputs: int) -> torch.Tensor:
        """Weight (O, I, C) of each place of the input for each one of the output."""
        index, inside = _taps(
            *inputs.shape[-2:], self.kernel_size, self.stride, self.padding
        )
        weight = self.weight.flatten(1).T[index.flatten()]
        return weight.view(num_outputs, -1, self.in_channels) * inside[..., None]


def _taps(height: int, width: int, kernel, stride, padding) -> tuple:
    """Index (O, I) into a kernel's elements, and whether the pair has one."""
    axes = []
    for size, k, s, p in zip((height, width), kernel, stride, padding):
        outputs = torch.arange((size + 2 * p - k) // s + 1)
        axes.append(torch.arange(size)[None] - outputs[:, None] * s + p)
    inside = [(axis >= 0) & (axis < k) for axis, k in zip(axes, kernel)]
    axes = [axis.clamp(0, k - 1) for axis, k in zip(axes, kernel)]
    rows, columns = (axes[0][:, None, :, None], axes[1][None, :, None, :])
    index = rows * kernel[1] + columns
    valid = inside[0][:, None, :, None] & inside[1][None, :, None, :]
    pairs = (index.shape[0] * index.shape[1], height * width)
    return index.reshape(pairs), valid.expand(index.shape).reshape(pairs)


def use_small_depthwise(model: nn.Module) -> int:
    """Replace the class of a model's depthwise convolutions; return their number."""
    found = [
        module
        for module in model.modules()
        if type(module) is nn.Conv2d
        and 1 < module.groups == module.in_channels == module.out_channels
        and module.dilation == (1, 1)
        and module.padding_mode == 'zeros'
        and not isinstance(module.padding, str)
    ]
    for module in found:
        module.__class__ = SmallDepthwise
    return len(found)


@HOOKS.register_module()
class SmallDepthwiseHook(Hook):
    """Uses :class:`SmallDepthwise` in the student; checkpoints stay the same."""

    def before_run(self, runner: Runner) -> None:
        """Replace the classes."""
        use_small_depthwise(runner.model)
