"""The commands of docs/monitoring.md exist, and their options are accepted."""

import re
import shlex
from pathlib import Path

import pytest

from mmlgd.cli import report, train
from mmlgd.utils.config_check import check_config
from mmlgd.utils.run_config import read_config
from tests.test_tools.test_outputs import load

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'docs/monitoring.md').read_text()
COMMANDS = [
    line
    for block in re.findall(r'```bash\n(.*?)```', TEXT, re.DOTALL)
    for line in block.splitlines()
]


def commands(start):
    return [shlex.split(line) for line in COMMANDS if line.startswith(start)]


def test_every_command_is_checked_here():
    starts = (
        'mmlgd train ',
        'mmlgd report ',
        'python tools/',
        'python demo/',
        'tensorb',
    )
    assert len(COMMANDS) > 10
    assert all(line.startswith(starts) for line in COMMANDS)


@pytest.mark.parametrize(
    'words', commands('mmlgd train'), ids=lambda words: words[-1][:70]
)
def test_backends_are_known_to_mmengine(words):
    args = train.parse_args(words[2:])
    cfg = read_config(str(ROOT / args.config), args.cfg_options, ['visualizer'])
    check_config(cfg)
    local, other = cfg.visualizer.vis_backends
    assert local.type == 'LocalVisBackend'
    assert other.type in ('WandbVisBackend', 'MLflowVisBackend')


@pytest.mark.parametrize('words', commands('mmlgd report'), ids=' '.join)
def test_options_of_the_report_exist(words):
    assert report.parse_args(words[2:]).work_dirs


@pytest.mark.parametrize('words', commands('python '), ids=lambda words: words[1])
def test_scripts_have_their_options(words, capsys):
    assert (ROOT / words[1]).is_file()
    script = words[1].removeprefix('tools/')
    tool = load(script if script != words[1] else f'../{words[1]}')
    with pytest.raises(SystemExit) as end:
        tool.main(['--help'])
    assert not end.value.code
    usage = capsys.readouterr().out
    for option in re.findall(r'(?<!\S)--?[a-z-]+', ' '.join(words[2:])):
        assert option in usage


def test_named_scalars_and_configs_exist():
    for path in re.findall(r'configs/[\w/.-]+\.py', TEXT):
        assert (ROOT / path).is_file()
