"""Activations of teacher and student take much memory and need not coexist."""

import pytest
import torch

from mmlgd.registry import MODELS
from tests.toys import NAMES, order_of_passes, toy_lgd_cfg

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
    order = order_of_passes(
        MODELS.build(config), torch.randn(4, 3, 16, 16), asked='image_features'
    )
    assert order == ['teacher', 'student']
