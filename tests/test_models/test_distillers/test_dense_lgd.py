"""LGD and its dense term, against float64 loops."""

import numpy as np
import pytest
import torch
from torch import nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models import DenseLGD
from mmlgd.registry import MODELS
from tests.reference import lgd_reference
from tests.toys import NAMES, D, ToyTeacher, order_of_passes, toy_lgd, toy_lgd_cfg


class MapTeacher(ToyTeacher):
    """The toy with its 8 x 8 thumbnail as feature map, every location embedded."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.places = nn.Parameter(torch.randn(3, D, generator=generator))
        self.freeze()

    def map_features(self, inputs):
        thumbnail = nn.functional.adaptive_avg_pool2d(inputs, 8)
        return thumbnail.flatten(1) @ self.weight, thumbnail

    def dense_features(self, feature_map):
        return torch.einsum('bchw,cd->bdhw', feature_map, self.places)


def build(teacher=None, **options) -> DenseLGD:
    torch.manual_seed(0)
    cfg = toy_lgd_cfg(type='DenseLGD', teacher=teacher or MapTeacher(), **options)
    return MODELS.build(cfg)


def images(size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(5, 3, size, size, generator=generator)


def double(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def dense_reference(student_map, places, text, tau_s=0.2, tau_t=0.01):
    """Mean cross-entropy over images and locations, one at a time."""
    losses = []
    for b in range(len(student_map)):
        for y in range(student_map.shape[2]):
            for x in range(student_map.shape[3]):
                s, t = student_map[b, :, y, x], places[b, :, y, x]
                s, t = s / np.linalg.norm(s), t / np.linalg.norm(t)
                q, p = np.exp(text @ s / tau_s), np.exp(text @ t / tau_t)
                losses.append(-(p / p.sum() * np.log(q / q.sum())).sum())
    return np.mean(losses)


def test_terms_match_float64():
    model = build(dense_weight=0.7)
    model.build_text_banks()
    text, visual = model.textual_bank.embeddings, model.visual_bank.embeddings.clone()
    s, t = model(images()), model.teacher.encode_image(images())
    student_map = model.dense_projector(model.backbone(images())[-1])
    thumbnail = nn.functional.adaptive_avg_pool2d(images(), 8)
    places = np.einsum('bchw,cd->bdhw', double(thumbnail), double(model.teacher.places))
    textual, vis, _, _ = lgd_reference(s.detach(), t, text, visual)
    dense = dense_reference(double(student_map), places, double(text))

    found = {name: loss.item() for name, loss in model(images(), mode='loss').items()}

    assert found['loss_textual'] == pytest.approx(0.5 * textual, rel=1e-5)
    assert found['loss_visual'] == pytest.approx(0.5 * vis, rel=1e-5)
    assert found['loss_dense'] == pytest.approx(0.7 * dense, rel=1e-5)


def test_its_other_losses_and_its_banks_are_lgds():
    plain, dense = toy_lgd(teacher=MapTeacher()), build()
    plain.build_text_banks()
    dense.load_state_dict(plain.state_dict(), strict=False)
    for _ in range(2):
        wanted, found = (model(images(), mode='loss') for model in (plain, dense))
        for name in ('loss_textual', 'loss_visual'):
            assert torch.equal(wanted[name], found[name])
    assert torch.equal(plain.visual_bank.embeddings, dense.visual_bank.embeddings)


def test_the_teacher_is_done_before_the_student_begins():
    order = order_of_passes(build(), images(), asked='map_features')
    assert order == ['teacher', 'student']


def test_stored_embeddings_are_refused():
    with pytest.raises(ConfigError, match='DenseLGD needs the teacher itself'):
        build()(images(), mode='loss', teacher_embeddings=torch.randn(5, D))


def test_a_map_of_another_size_is_resized_to_the_teachers():
    # A constant map stays constant under any bilinear resize.
    model = build()
    model.build_text_banks()
    with torch.no_grad():
        model.dense_projector.weight.zero_()
    bias, places = model.dense_projector.bias, model.teacher.encode_dense(images(32))
    constant = bias.detach()[None, :, None, None].expand(places.shape)
    text = double(model.textual_bank.embeddings)
    wanted = dense_reference(double(constant), double(places), text)
    found = model(images(32), mode='loss')['loss_dense']
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_every_parameter_learns():
    model = build()
    sum(model(images(), mode='loss').values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_dense_term_needs_a_teacher_with_dense_embeddings():
    with pytest.raises(TeacherError, match='no feature map'):
        build(ToyTeacher())


def test_the_dense_term_needs_a_student_with_a_feature_map():
    backbone = dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16),
        img_size=16,
        patch_size=8,
        out_type='cls_token',
    )
    with pytest.raises(ConfigError, match='returns vectors, but DenseLGD .* out_type'):
        build(backbone=backbone, neck=None)


@pytest.mark.parametrize('weight', [0.0, -1.0])
def test_a_weight_that_is_not_positive_is_refused(weight):
    with pytest.raises(ConfigError, match='DenseLGD.dense_weight'):
        build(dense_weight=weight)


def test_names_classify_as_with_lgd():
    (sample, *_) = build()(images(), mode='predict')
    assert sample.pred_score.shape == (len(NAMES),)
