import pytest
import torch

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from tests import reference_mimicry as reference
from tests.toys import NAMES, D


def mimicry(**overrides):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='FeatureMimicry',
            teacher=dict(type='ToyTeacher'),
            backbone=dict(type='ToyBackbone'),
            **overrides,
        )
    )


def images(batch=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 16, 16, generator=generator)


@pytest.mark.parametrize(
    'overrides, weight', [({}, 2000), (dict(loss_weight=3.5), 3.5)]
)
def test_loss_is_the_weighted_error_of_unit_rows(overrides, weight):
    model, inputs = mimicry(**overrides), images()
    student = model(inputs)
    teacher = model.teacher.encode_image(inputs)

    losses = model(inputs, mode='loss')

    rows = [x.detach().double().numpy() for x in (student, teacher)]
    wanted = weight * reference.mimicry(*rows)
    assert set(losses) == {'loss_mimicry'}
    assert losses['loss_mimicry'].item() == pytest.approx(wanted, rel=1e-5)
    cosine = (rows[0] * rows[1]).sum(1).mean()
    assert wanted == pytest.approx(2 * weight / D * (1 - cosine))


def test_steps_bring_student_to_teacher_and_reach_every_parameter():
    model, inputs = mimicry(), images()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    first = None
    for _ in range(30):
        loss = model(inputs, mode='loss')['loss_mimicry']
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
    assert loss.item() < 0.5 * first


def test_predicts_zero_shot_and_saves_the_student_only():
    bank = dict(
        type='TextualSemanticsBank', categories=NAMES, templates=['a photo of a {}.']
    )
    model = mimicry(zero_shot_bank=bank)

    samples = model(images(3), mode='predict')

    assert [sample.pred_score.shape for sample in samples] == [(4,)] * 3
    assert {key.split('.')[0] for key in model.state_dict()} == {
        'backbone',
        'projector',
    }


@pytest.mark.parametrize('weight', [0, -1, float('nan'), 'high'])
def test_weight_is_checked(weight):
    with pytest.raises(ConfigError, match='FeatureMimicry.loss_weight'):
        mimicry(loss_weight=weight)
