"""The lists of what is ready, against the files that they are made of."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.apis import list_category_sets, list_students, list_teachers
from mmlgd.apis.complexity import measure_student
from mmlgd.errors import ConfigError

ROOT = Path(__file__).parents[2]
COUNTS = ('feature_width', 'parameters', 'macs', 'deployed_parameters', 'deployed_macs')
STUDENTS = list_students()


def stems(folder: str, suffix: str = 'py') -> list[str]:
    return sorted(path.stem for path in (ROOT / folder).glob(f'*.{suffix}'))


def test_students_are_those_of_the_folder():
    assert list(STUDENTS) == stems('configs/_base_/students')
    for name, student in STUDENTS.items():
        config = Config.fromfile(student['config'])
        assert student['student']['backbone'] == config.model.backbone.to_dict()
        assert student['description']
        counts = [student[key] for key in COUNTS]
        if name == 'timm':
            assert counts == [None] * 5
        else:
            assert all(type(count) is int and count > 0 for count in counts)
            assert student['deployed_parameters'] <= student['parameters']
            # The head of the file says it in words.
            words = f'{student["parameters"] / 1e6:.1f} M parameters'
            assert words in student['description']
    assert json.loads(json.dumps(STUDENTS)).keys() == STUDENTS.keys()


def test_known_sizes():
    """ResNet-18 has 11.69 M parameters and 1.82 G multiply-adds with its classifier."""
    r18 = STUDENTS['r18']
    assert r18['parameters'] == 11_689_512 - 513 * 1000
    assert r18['macs'] == pytest.approx(1.82e9, rel=0.01)
    # ViT-Ti/16: 5.72 M with its classifier; MobileOne-S0 merged: 1.08 M without.
    assert STUDENTS['vit_tiny_patch16_224']['parameters'] == 5_717_416 - 193 * 1000
    assert STUDENTS['mobileone_s0']['deployed_parameters'] < 1.1e6


@pytest.mark.parametrize(
    'name',
    [
        name
        if name == 'efficientvit_b0'
        else pytest.param(name, marks=pytest.mark.slow)
        for name in STUDENTS
        if name != 'timm'
    ],
)
def test_counts_are_what_the_tool_measures(name):
    init_default_scope('mmlgd')
    found = measure_student(Config.fromfile(STUDENTS[name]['config']))
    for key in COUNTS:
        # Another release of a library may count an operator that this one does not.
        assert found[key] == pytest.approx(STUDENTS[name][key], rel=0.01)


def test_a_config_without_student_is_refused():
    path = ROOT / 'configs/_base_/default_runtime.py'
    with pytest.raises(ConfigError, match='has no model.backbone'):
        measure_student(Config.fromfile(path))


def test_teachers_are_those_of_the_folder():
    found = list_teachers()
    assert list(found) == stems('configs/_base_/teachers')
    for teacher in found.values():
        assert teacher['description']
        assert teacher['teacher'] == Config.fromfile(teacher['config']).teacher
    assert found['clip_rn50']['teacher'] == dict(
        type='OpenCLIPTeacher', model_name='RN50', pretrained='openai'
    )
    json.dumps(found)


def test_category_sets_are_those_of_the_folder():
    found = list_category_sets()
    assert list(found) == stems('mmlgd/datasets/categories', 'txt')
    sizes = {name: each['size'] for name, each in found.items()}
    # Of the official lists.
    assert sizes == {
        **sizes,
        **dict(imagenet=1000, coco=80, lvis_v1=1203, ade20k=150, cityscapes=19),
        **dict(caltech256=256, cifar10=10, fashion_mnist=10),
    }
    for name, each in found.items():
        lines = Path(each['file']).read_text().splitlines()
        assert each['examples'] == lines[:3], name
