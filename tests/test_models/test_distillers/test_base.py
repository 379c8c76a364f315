"""What every distiller shares, through one without names of its own."""

import pytest
import torch

from mmlgd.errors import ConfigError
from mmlgd.models import BaseDistiller
from mmlgd.registry import MODELS
from tests.toys import NAMES

BANK = dict(
    type='TextualSemanticsBank', categories=NAMES, templates=['a {}.', 'the {}.']
)


class PullTogether(BaseDistiller):
    """The simplest distiller there is."""

    def loss(self, inputs, data_samples=None):
        gap = self.embed(inputs) - self.teacher.encode_image(inputs)
        return dict(loss_gap=gap.square().mean())


def build(**options):
    torch.manual_seed(0)
    return PullTogether(dict(type='ToyTeacher'), dict(type='ToyBackbone'), **options)


def test_without_names_there_is_no_prediction_but_a_loss():
    model, images = build(), torch.randn(3, 3, 16, 16)
    assert model.text_banks == [] and model.statistics() == {}
    assert model(images, mode='loss')['loss_gap'] > 0
    with pytest.raises(ConfigError, match='PullTogether has no names.*zero_shot_bank'):
        model(images, mode='predict')


def test_names_make_any_distiller_a_zero_shot_classifier():
    model = build(zero_shot_bank=BANK, student_temperature=0.5).eval()
    images = torch.randn(3, 3, 16, 16)
    found = model(images, mode='predict')
    teacher = MODELS.build(dict(type='ToyTeacher'))
    anchors = torch.stack(
        [teacher.encode_text([f'a {n}.', f'the {n}.']).mean(0) for n in NAMES]
    )
    anchors = torch.nn.functional.normalize(anchors, dim=1)
    for row, sample in zip(model(images), found):
        torch.testing.assert_close(
            sample.pred_score, (anchors @ row / 0.5).softmax(0), rtol=1e-4, atol=1e-6
        )
    rows = teacher.encode_image(images) @ anchors.T
    for row, sample in zip(rows, found):
        torch.testing.assert_close(
            sample.teacher_pred_score, (row / 0.01).softmax(0), rtol=1e-3, atol=1e-6
        )
    assert not [key for key in model.state_dict() if 'bank' in key]


@pytest.mark.parametrize('name', ['student_temperature', 'teacher_temperature'])
def test_a_temperature_of_zero_is_refused(name):
    with pytest.raises(ConfigError, match=f'PullTogether.{name}'):
        build(**{name: 0})
