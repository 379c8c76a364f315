import copy

import pytest
import torch
from torch import nn

from benchmarks.small_depthwise import SmallDepthwise, use_small_depthwise


@pytest.mark.parametrize('size', [(1, 1), (2, 2), (4, 4), (1, 3), (3, 2), (8, 8)])
@pytest.mark.parametrize(
    'kernel, stride', [(3, 1), (5, 1), (5, 2), (3, 2), ((3, 5), 1)]
)
def test_outputs_and_gradients_are_those_of_the_convolution(size, kernel, stride):
    torch.manual_seed(0)
    padding = tuple(
        k // 2 for k in ((kernel,) * 2 if isinstance(kernel, int) else kernel)
    )
    conv = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=stride == 2).double()
    small = copy.deepcopy(conv)
    assert use_small_depthwise(small) == 1 and type(small) is SmallDepthwise
    inputs = torch.randn(3, 6, *size, dtype=torch.float64)
    results = []
    for layer in (conv, small):
        images = inputs.clone().requires_grad_()
        outputs = layer(images)
        outputs.sin().sum().backward()
        results.append([outputs, images.grad, *(p.grad for p in layer.parameters())])
    for expected, found in zip(*results):
        torch.testing.assert_close(found, expected)


def test_only_depthwise_convolutions_are_replaced():
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 8, 3, groups=4),
        nn.Conv2d(4, 4, 3, groups=4, dilation=2),
        nn.Conv2d(4, 4, 3, groups=4, padding='same'),
    )
    assert use_small_depthwise(model) == 0
