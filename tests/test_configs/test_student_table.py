"""docs/students.md and CONTRIBUTING.md say what the configs and their counts say."""

import re

import pytest

from mmlgd.apis import list_students
from tests.test_configs.shrink import CONFIGS
from tests.test_configs.test_students import MAPS

ROOT = CONFIGS.parent
TEXT = (ROOT / 'docs/students.md').read_text()
STUDENTS = {k: v for k, v in list_students().items() if v['parameters'] is not None}


def rows() -> dict[str, list[str]]:
    cells = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in TEXT.splitlines()
        if line.startswith('| `') and line.count('|') == 8
    ]
    return {row[0].strip('`'): row[1:] for row in cells}


def test_every_student_has_a_row():
    assert rows().keys() == STUDENTS.keys()


@pytest.mark.parametrize('name', STUDENTS)
def test_row_is_what_was_counted(name):
    indices, channels, width, parameters, macs, accuracy = rows()[name]
    student = STUDENTS[name]
    assert int(width) == student['feature_width']
    pairs = [
        (parameters, ('parameters', 'deployed_parameters'), '.2f'),
        (macs, ('macs', 'deployed_macs'), '.0f'),
    ]
    for cell, keys, form in pairs:
        trained, _, merged = cell.partition(' / ')
        found = [format(student[key] / 1e6, form) for key in keys]
        assert [trained, merged or trained] == found
    if name in MAPS:
        wanted = MAPS[name]
        assert tuple(map(int, re.findall(r'\d+', indices.split('(')[0]))) == wanted[0]
        assert tuple(map(int, channels.split(', '))) == wanted[1]
    else:
        assert indices == 'classification only'
    assert accuracy == 'not run'


def test_files_that_the_page_names_exist():
    named = re.findall(r'(?:configs|tools)/[\w/.-]+\.py', TEXT)
    named = {path for path in named if '<' not in path}
    assert len(named) >= 4
    assert not [path for path in named if not (ROOT / path).is_file()]
