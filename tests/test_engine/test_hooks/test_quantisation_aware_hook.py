"""QuantisationAwareHook: int8 values in the forward pass, float32 weights."""

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmlgd.errors import ConfigError
from tests.tiny_runner import tiny_runner


class Net(BaseModel):
    """Records the weight and the input that its convolution computes with."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 1)
        self.seen = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'predict':
            return [0]
        images = torch.arange(2 * 3 * 64.0).reshape(2, 3, 8, 8).sin()
        images.requires_grad_()
        conv = self.backbone[0]
        handle = conv.register_forward_hook(
            lambda layer, args, out: self.seen.append(
                (layer.weight.detach().clone(), args[0].detach().clone())
            )
        )
        features = self.backbone(images).mean((2, 3))
        handle.remove()
        return dict(loss=self.head(features).square().mean())


def train(work_dir, *hooks, iterations=2):
    torch.manual_seed(0)
    model = Net()
    with torch.no_grad():  # one channel is much larger than the others
        model.backbone[0].weight[0] *= 50
    before = {key: value.clone() for key, value in model.state_dict().items()}
    tiny_runner(work_dir, iterations, model, custom_hooks=list(hooks)).train()
    return model, before


def levels(values):
    return len(values.unique())


@pytest.mark.parametrize('bits', [3, 7])
def test_forward_passes_use_rounded_values(tmp_path, bits):
    model, before = train(
        tmp_path, dict(type='QuantisationAwareHook', weight_bits=bits)
    )
    # This model's hook runs after that of the rounding has put the weight back.
    assert len(model.seen) == 2
    for _, images in model.seen:
        assert levels(images) <= 256
    after = model.state_dict()
    assert after.keys() == before.keys()
    # Weights were trained, and are not rounded themselves.
    weight = after['backbone.0.weight']
    assert not torch.equal(weight, before['backbone.0.weight'])
    assert levels(weight) == weight.numel()
    # The statistics are those of the student that an export folds in.
    assert torch.equal(
        after['backbone.1.running_mean'], before['backbone.1.running_mean']
    )


def rounded(per_channel, bits=7):
    from mmlgd.engine.hooks.quantisation_aware_hook import _Rounding

    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        layer.weight[0] *= 50
    found = _Rounding(per_channel, bits, 0.1, None).round_weight(layer.weight)
    return layer.weight, found


@pytest.mark.parametrize('bits', [2, 4, 8])
def test_levels_of_a_channel(bits):
    weight, found = rounded(True, bits)
    for one, other in zip(weight.detach(), found.detach()):
        step = one.abs().max() / (2 ** (bits - 1) - 1)
        assert (other / step - (other / step).round()).abs().max() < 1e-3
        assert (one - other).abs().max() <= step / 2 + 1e-6
    found.sum().backward()
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_a_scale_for_all_channels_loses_the_small_ones():
    weight, found = rounded(False)
    step = weight.detach().abs().max() / 63
    assert (found[1:] / step).abs().max() < 2
    weight, found = rounded(True)
    assert levels(found[1:].detach()) > 40


class Normed(BaseModel):
    """A convolution and its BatchNorm, whose channels have very different scales."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        norm = self.backbone[1]
        with torch.no_grad():
            norm.weight[:] = torch.tensor([1.0, -20.0, 0.1, 3.0])
            norm.running_var[:] = torch.tensor([0.01, 4.0, 1.0, 9.0])
            norm.running_mean[:] = torch.tensor([0.5, -1.0, 0.2, 0.0])
        self.outputs = None

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'predict':
            return [0]
        # Values that 8 bits represent.
        images = torch.arange(3 * 64).reshape(1, 3, 8, 8) % 256 / 64
        images[0, 0, 0, 0] = 255 / 64
        self.outputs = self.backbone(images)
        return dict(loss=self.outputs.mean())


def test_one_scale_is_that_of_the_folded_weights(tmp_path):
    """Rounding before BatchNorm equals folding, then rounding, as an export does."""
    torch.manual_seed(0)
    model = Normed()
    conv, norm = model.backbone
    weight, bias = torch.nn.utils.fusion.fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    step = weight.abs().max() / 63
    coarse = (weight / step).round() * step
    hook = dict(type='QuantisationAwareHook', per_channel=False)
    tiny_runner(tmp_path, 1, model, custom_hooks=[hook]).train()
    images = torch.arange(3 * 64).reshape(1, 3, 8, 8) % 256 / 64
    images[0, 0, 0, 0] = 255 / 64
    expected = torch.conv2d(images, coarse, bias)
    torch.testing.assert_close(model.outputs, expected, atol=2e-3, rtol=1e-3)
    fine = torch.conv2d(images, weight, bias)
    assert (expected - fine).abs().max() > 0.1


def test_evaluations_and_later_passes_are_not_rounded(tmp_path):
    model, _ = train(tmp_path, dict(type='QuantisationAwareHook', weight_bits=2))
    images = torch.randn(1, 3, 8, 8)
    weight, bias = model.backbone[0].weight, model.backbone[0].bias
    for mode in (False, True):
        model.train(mode)
        assert torch.equal(
            model.backbone[0](images), torch.conv2d(images, weight, bias)
        )


def test_wrong_uses_are_refused(tmp_path):
    with pytest.raises(ConfigError, match='weight_bits=9'):
        train(tmp_path, dict(type='QuantisationAwareHook', weight_bits=9))
    with pytest.raises(
        ConfigError, match='Net has no convolution or linear layer in x'
    ):
        train(tmp_path, dict(type='QuantisationAwareHook', parts=['x']))
    with pytest.raises(ConfigError, match='remove CompileHook'):
        train(
            tmp_path,
            dict(type='QuantisationAwareHook'),
            dict(type='CompileHook'),
        )
