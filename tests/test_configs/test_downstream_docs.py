"""docs/transfer.md only names existing configs and tools, and names all configs."""

import re

from tests.downstream_runs import STUDENTS, configs_of
from tests.test_configs.shrink import CONFIGS

ROOT = CONFIGS.parent
MOST = ('r18', 'mbv2', 'mbv3')
TEXT = (ROOT / 'docs/transfer.md').read_text()


def named_configs() -> set[str]:
    """Configs of the table's commands, with the students of each row for S."""
    found = set()
    for row in (line for line in TEXT.splitlines() if line.startswith('| ')):
        students = [each for each in STUDENTS if f'`{each}`' in row.split('|')[1]]
        for path in re.findall(r'configs/\S+\.py', row):
            names = {re.sub(r'(?<=[/_])S(?=_)', s, path) for s in students or MOST}
            found |= names
    return found


def test_named_configs_exist():
    named = named_configs()
    assert len(named) > 30
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_named_tools_exist():
    tools = set(re.findall(r'tools/[\w/]+\.\w+', TEXT))
    assert len(tools) >= 7
    assert not [path for path in tools if not (ROOT / path).is_file()]


def test_no_config_is_left_out():
    named = {path.rpartition('/')[2].removesuffix('.py') for path in named_configs()}
    # One row lists replacements of `fpn_S`, one the suffixes of `_in1k`.
    heads = ('pspnet_r18', 'deeplabv3plus_r18', 'deeplabv3plus_mbv2', 'lraspp_mbv3')
    for name in list(named):
        named |= {name.replace('fpn_r18', f'{head}-d8') for head in heads}
        if name.endswith('100e_in1k'):
            named |= {f'{name}-{percent}percent' for percent in (1, 10)}
    for folder in ('detection', 'segmentation', 'classification', 'zero_shot'):
        assert set(configs_of(folder)) <= named
