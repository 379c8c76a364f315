"""Training with the rounding of int8, for students that lose accuracy in int8."""

from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model

_LAYERS = (nn.Conv2d, nn.Linear)


@HOOKS.register_module()
class QuantisationAwareHook(Hook):
    """Rounds weights and inputs of convolutions and linear layers in training.

    Forward passes see int8 values, and gradients pass through the rounding. The weights
    stay float32, under their own keys: checkpoints are used and exported as before.
    Evaluations are not rounded. For a short distillation from a trained student, with the
    same teacher and losses and a small learning rate.

    Ranges of weights are symmetric; those of inputs are moving averages over the batches.
    BatchNorm layers use their stored statistics, which an export folds into weights: one
    scale for all channels is that of the folded weights. The BatchNorm of a convolution is
    the module registered next to it.

    Args:
        parts (Sequence[str]): Attributes of the model that are quantised. Defaults to
            backbone, neck and projector; missing ones are skipped.
        per_channel (bool): Whether each output channel has a scale of its own, as in the
            export's default. Defaults to True.
        weight_bits (int): 2 to 8. Defaults to 7, as in int8 ONNX files.
        momentum (float): Share of a batch in the ranges of inputs. Defaults to 0.05.

    Raises:
        ConfigError: An option is out of range, the model has no such layer, or
            CompileHook is used.
    """

    def __init__(
        self,
        parts: Sequence[str] = ('backbone', 'neck', 'projector'),
        per_channel: bool = True,
        weight_bits: int = 7,
        momentum: float = 0.05,
    ) -> None:
        if weight_bits not in range(2, 9) or not 0 < momentum <= 1:
            raise ConfigError(
                f'QuantisationAwareHook has weight_bits={weight_bits!r} and momentum='
                f'{momentum!r}, but they must be in 2 to 8 and in (0, 1].'
            )
        self.parts, self.per_channel = tuple(parts), per_channel
        self.weight_bits, self.momentum = weight_bits, momentum
        self._handles: list = []
        self._norms: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Attach the rounding to the layers."""
        if any(type(hook).__name__ == 'CompileHook' for hook in runner.hooks):
            raise ConfigError(
                'QuantisationAwareHook replaces weights in the forward pass, which '
                'compiled models do not see; remove CompileHook.'
            )
        model = unwrap_model(runner.model)
        parts = [getattr(model, part, None) for part in self.parts]
        modules = [
            each for part in parts if part is not None for each in part.modules()
        ]
        layers = [each for each in modules if isinstance(each, _LAYERS)]
        if not layers:
            raise ConfigError(
                f'{type(model).__name__} has no convolution or linear layer in '
                f'{", ".join(self.parts)}; set parts of QuantisationAwareHook.'
            )
        self._norms = [each for each in modules if isinstance(each, _NormBase)]
        following = dict(zip(modules, modules[1:]))
        for layer in layers:
            norm = None if self.per_channel else _norm_of(layer, following.get(layer))
            rounding = _Rounding(
                self.per_channel, self.weight_bits, self.momentum, norm
            )
            self._handles += [
                layer.register_forward_pre_hook(rounding.before),
                layer.register_forward_hook(rounding.after, always_call=True),
            ]

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None
    ) -> None:
        """Keep the statistics of BatchNorm; ``model.train()`` undoes it."""
        for norm in self._norms:
            norm.eval()

    def after_train(self, runner: Runner) -> None:
        """Detach the rounding."""
        for handle in self._handles:
            handle.remove()
        self._handles = []


def _norm_of(layer: nn.Module, following: nn.Module | None) -> nn.Module | None:
    """The BatchNorm that an export folds into a layer; None if there is none."""
    if not isinstance(following, _NormBase) or not following.track_running_stats:
        return None
    return following if following.num_features == layer.weight.shape[0] else None


class _Rounding:
    """Hooks of one layer, and the BatchNorm that is folded into it."""

    def __init__(
        self, per_channel: bool, bits: int, momentum: float, norm: nn.Module | None
    ) -> None:
        self.per_channel, self.momentum, self.norm = per_channel, momentum, norm
        self.limit = 2 ** (bits - 1) - 1
        self.range: Tensor | None = None
        self.weight: nn.Parameter | None = None

    def before(self, layer: nn.Module, inputs: tuple) -> tuple | None:
        if not layer.training:
            return None
        self.weight = layer.weight
        # In place of the parameter, so that keys and optimizer do not change.
        layer._parameters['weight'] = self.round_weight(layer.weight)
        return (self.round_input(inputs[0]), *inputs[1:])

    def after(self, layer: nn.Module, inputs: tuple, output: object) -> None:
        if self.weight is not None:
            layer._parameters['weight'] = self.weight
            self.weight = None

    def round_weight(self, weight: Tensor) -> Tensor:
        axes = tuple(range(1, weight.dim()))
        largest = weight.detach().abs().amax(axes).float().clamp(min=1e-8)
        if not self.per_channel:
            factor = self.folded_factor(largest)
            largest = (largest * factor).max() / factor
        scale = (largest / self.limit).contiguous()
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(
            weight, scale, zero, 0, -self.limit, self.limit
        )

    def folded_factor(self, largest: Tensor) -> Tensor:
        """What an export multiplies the weights of each output channel with."""
        if self.norm is None:
            return torch.ones_like(largest)
        norm = self.norm
        factor = (norm.running_var.float() + norm.eps).rsqrt()
        if norm.weight is not None:
            factor = factor * norm.weight.detach().float().abs()
        # A channel that BatchNorm removes can have any scale.
        return factor.clamp(min=1e-6)

    def round_input(self, values: Tensor) -> Tensor:
        low, high = torch.aminmax(values.detach().float())
        # Zero is always exact: it is the padding.
        found = torch.stack([low.clamp(max=0), high.clamp(min=0)])
        if self.range is None:
            self.range = found
        self.range = self.range.lerp(found, self.momentum)
        low, high = self.range.unbind()
        scale = ((high - low) / 255).clamp(min=1e-8)
        zero = (-low / scale).round().clamp(0, 255).int()
        return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, 255)
