"""LGD and its two further terms, against float64 loops."""

import numpy as np
import pytest
import torch
from torch import nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models import LGDPlus
from mmlgd.registry import MODELS
from tests.reference import lgd_reference
from tests.reference_seed import QueueReference, seed_reference
from tests.toys import NAMES, D, ToyTeacher, toy_lgd, toy_lgd_cfg


class MapTeacher(ToyTeacher):
    """The toy with its 8 x 8 thumbnail as feature map, each place embedded."""

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


def build(teacher=None, **options) -> LGDPlus:
    torch.manual_seed(0)
    cfg = toy_lgd_cfg(type='LGDPlus', teacher=teacher or ToyTeacher(), **options)
    return MODELS.build(cfg)


def images(size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(5, 3, size, size, generator=generator)


def double(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def dense_reference(student_map, places, text, tau_s=0.2, tau_t=0.01):
    """Mean cross-entropy over images and places, one at a time."""
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
    model = build(MapTeacher(), mimicry_weight=3.0, dense_weight=0.7)
    model.build_text_banks()
    text, visual = model.textual_bank.embeddings, model.visual_bank.embeddings.clone()
    s, t = model(images()), model.teacher.encode_image(images())
    student_map = model.dense_projector(model.backbone(images())[-1])
    thumbnail = nn.functional.adaptive_avg_pool2d(images(), 8)
    places = np.einsum('bchw,cd->bdhw', double(thumbnail), double(model.teacher.places))
    textual, vis, _, _ = lgd_reference(s.detach(), t, text, visual)
    dense = dense_reference(double(student_map), places, double(text))
    gap = np.mean([1 - a @ b for a, b in zip(double(s), double(t))])

    found = {name: loss.item() for name, loss in model(images(), mode='loss').items()}

    assert found['loss_textual'] == pytest.approx(0.5 * textual, rel=1e-5)
    assert found['loss_visual'] == pytest.approx(0.5 * vis, rel=1e-5)
    assert found['loss_mimicry'] == pytest.approx(3.0 * gap, rel=1e-5)
    assert found['loss_dense'] == pytest.approx(0.7 * dense, rel=1e-5)


def test_without_its_terms_it_is_lgd():
    plain, plus = toy_lgd(), build(mimicry_weight=0.0)
    assert plain.state_dict().keys() == plus.state_dict().keys()
    for _ in range(2):
        wanted, found = (model(images(), mode='loss') for model in (plain, plus))
        for name in ('loss_textual', 'loss_visual'):
            assert torch.equal(wanted[name], found[name])
    assert found['loss_mimicry'] == 0 and 'loss_dense' not in found
    assert torch.equal(plain.visual_bank.embeddings, plus.visual_bank.embeddings)


def test_the_queue_term_is_seeds():
    model = build(mimicry_weight=0.0, queue_weight=0.5, queue_size=7)
    queue = QueueReference(double(model.queue.embeddings))
    for _ in range(3):
        s, t = model(images()), model.teacher.encode_image(images())
        wanted, _ = seed_reference(s.detach(), t, queue.rows)
        found = model(images(), mode='loss')['loss_queue']
        assert found.item() == pytest.approx(0.5 * wanted, rel=1e-5)
        queue.push(t)
    found.backward()


def test_centred_mimicry_is_of_differences_from_the_mean_anchor():
    model = build(mimicry_weight=2.0, centred_mimicry=True)
    centre = double(model.visual_bank.embeddings).mean(axis=0)
    s, t = (
        double(rows) - centre
        for rows in (model(images()), model.teacher.encode_image(images()))
    )
    norms = np.linalg.norm(s, axis=1) * np.linalg.norm(t, axis=1)
    wanted = 2 * (1 - (s * t).sum(axis=1) / norms).mean()
    found = model(images(), mode='loss')['loss_mimicry']
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_learned_temperature_is_that_of_the_losses():
    warm, learned = (
        build(mimicry_weight=0.0, student_temperature=0.1),
        build(mimicry_weight=0.0, learned_temperature=True),
    )
    with torch.no_grad():
        learned.log_scale.fill_(np.log(2))  # 0.2 becomes 0.1.
    wanted, found = (model(images(), mode='loss') for model in (warm, learned))
    for name in ('loss_textual', 'loss_visual'):
        assert found[name].item() == pytest.approx(wanted[name].item(), rel=1e-5)
    sum(found.values()).backward()
    assert learned.log_scale.grad != 0


def test_a_map_of_another_size_is_resized_to_the_teachers():
    # A constant map stays constant under any bilinear resize.
    model = build(MapTeacher(), dense_weight=1.0)
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
    model = build(MapTeacher(), dense_weight=1.0)
    sum(model(images(), mode='loss').values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_dense_term_needs_a_teacher_with_places():
    with pytest.raises(TeacherError, match='no feature map'):
        build(dense_weight=1.0)


@pytest.mark.parametrize('name', ['mimicry_weight', 'dense_weight'])
def test_a_negative_weight_is_refused(name):
    with pytest.raises(ConfigError, match=f'LGDPlus.{name}'):
        build(**{name: -1.0})


def test_names_classify_as_with_lgd():
    (sample, *_) = build()(images(), mode='predict')
    assert sample.pred_score.shape == (len(NAMES),)
