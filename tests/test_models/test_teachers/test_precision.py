"""Half precision of the image tower, forced on the CPU."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmlgd.models.teachers import MMPretrainTeacher
from tests.helpers import tiny_teacher

KEPT_IN_FLOAT32 = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)


def resnet_teacher(precision):
    return MMPretrainTeacher(
        dict(type='mmpretrain.ResNet', depth=18, out_indices=(3,)),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        projection=dict(out_channels=8),
        image_size=64,
        precision=precision,
    )


def clip_teacher(precision):
    return tiny_teacher(precision=precision)


@pytest.fixture(params=[clip_teacher, resnet_teacher])
def build(request, monkeypatch):
    def half(precision='bf16'):
        torch.manual_seed(0)
        teacher = request.param(precision)
        if precision == 'bf16':
            monkeypatch.setattr(teacher, 'half_dtype', lambda kind: torch.bfloat16)
        return teacher

    return half


class CountCasts(TorchDispatchMode):
    """Records the sizes of tensors that are cast."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.ops.aten._to_copy.default and 'dtype' in kwargs:
            if kwargs['dtype'] != args[0].dtype:
                self.sizes.append(tuple(args[0].shape))
        return function(*args, **kwargs)


def test_no_weight_is_cast_after_the_first_batch(build):
    teacher = build()
    # A position is added to features; it is not multiplied with them.
    weights = {
        tuple(weight.shape)
        for name, weight in teacher.named_parameters()
        if weight.dim() > 1
        and not name.startswith(('text.', 'projection.'))
        and 'positional' not in name
    }
    images = torch.randn(3, 3, 64, 64)
    with CountCasts() as first:
        teacher.encode_image(images)
    assert weights.intersection(first.sizes)
    with CountCasts() as second:
        teacher.encode_image(images)
    assert not weights.intersection(second.sizes)


def test_embeddings_are_those_of_float32_nearly(build):
    images = torch.randn(3, 3, 64, 64)
    half, whole = build(), build('fp32')
    rows, expected = half.encode_image(images), whole.encode_image(images)
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))
    assert F.cosine_similarity(rows, expected).min() > 0.999
    assert not torch.equal(rows, expected)


def test_norms_text_and_projection_stay_in_float32(build):
    teacher = build()
    teacher.encode_image(torch.randn(1, 3, 64, 64))
    for name, module in teacher.named_modules():
        if name.startswith(('text', 'projection')) or isinstance(
            module, KEPT_IN_FLOAT32
        ):
            wanted = torch.float32
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            wanted = torch.bfloat16
        else:
            continue
        for weight in module.parameters(recurse=False):
            assert weight.dtype == wanted, name


def test_convolutions_become_channels_last(build):
    teacher = build()
    teacher.encode_image(torch.randn(1, 3, 64, 64))
    for module in teacher.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_identity_is_that_of_the_float32_weights(build):
    half, whole = build(), build('fp32')
    half.encode_image(torch.randn(1, 3, 64, 64))
    assert half.identity == whole.identity
    assert half.text_identity == whole.text_identity
    if isinstance(half, MMPretrainTeacher):
        assert half.feature_identity == whole.feature_identity


def test_back_on_the_cpu_it_computes_in_float32(build, monkeypatch):
    teacher = build()
    images = torch.randn(2, 3, 64, 64)
    rows = teacher.encode_image(images)
    monkeypatch.setattr(teacher, 'half_dtype', lambda kind: None)
    again = teacher.encode_image(images)
    assert all(weight.dtype == torch.float32 for weight in teacher.parameters())
    assert F.cosine_similarity(rows, again).min() > 0.999
