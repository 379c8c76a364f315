"""The configs of a model's teachers, as tools find them."""

import pytest

from mmlgd.cli.build_text_bank import parse_args, read_parts
from mmlgd.utils.teacher_config import teacher_configs
from tests.test_configs.shrink import CONFIGS

STORED = dict(type='StoredTeacher', store='s', teacher=dict(type='A'))


@pytest.mark.parametrize(
    'model, configs',
    [
        ({}, []),
        (dict(teacher=None, teachers=None), []),
        (dict(teacher=STORED), [STORED]),
        (dict(teachers=[STORED, dict(teacher=STORED, weight=2)]), [STORED, STORED]),
        (dict(teachers=[dict(type='A'), dict(teacher=dict(type='B'))]), 'AB'),
        (dict(teachers='A'), []),
    ],
)
def test_the_teacher_of_language_is_first(model, configs):
    found = teacher_configs(model)
    if configs == 'AB':
        found = ''.join(each['type'] for each in found)
    assert found == configs


@pytest.mark.parametrize('kind', ['', '_stored'])
def test_the_text_bank_is_that_of_the_first_teacher(kind, tmp_path):
    config = CONFIGS / f'lgd/dfn-vitb16_dinov3-vits16_mbv3{kind}.py'
    args = parse_args([str(config), '--out', str(tmp_path / 'bank.pth')])
    teacher, bank = read_parts(args)
    assert teacher.get('teacher', teacher)['model_name'] == 'ViT-B-16-quickgelu'
    assert bank['categories'] == 'imagenet'
