"""Each side's features take much memory, and both need not be there at a time."""

import pytest
import torch

from mmlgd.registry import MODELS
from tests.toys import NAMES, toy_lgd_cfg

NAMED = dict(
    teacher=dict(type='ToyTeacher'),
    backbone=dict(type='ToyBackbone'),
    zero_shot_bank=dict(type='TextualSemanticsBank', categories=NAMES),
)


@pytest.mark.parametrize(
    'config',
    [
        toy_lgd_cfg(),
        dict(NAMED, type='SEED', queue_size=8),
        dict(NAMED, type='FeatureMimicry'),
        dict(NAMED, type='RelationalKD'),
    ],
    ids=lambda config: config['type'],
)
def test_the_teacher_is_done_before_the_student_begins(config):
    model = MODELS.build(config)
    order = []
    encode = model.teacher.image_features

    def image_features(inputs):
        order.append('teacher')
        return encode(inputs)

    model.teacher.image_features = image_features
    model.backbone.register_forward_hook(lambda *args: order.append('student'))
    model(torch.randn(4, 3, 16, 16), mode='loss')
    assert order == ['teacher', 'student']
