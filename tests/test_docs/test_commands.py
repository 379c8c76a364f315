"""Every command of the documentation exists, with its options, configs and files."""

import re
import shlex
from pathlib import Path

import pytest

from mmlgd.cli.main import COMMANDS
from mmlgd.utils.config_check import check_config
from mmlgd.utils.run_config import read_config
from tests.test_docs.commands import PAGES, ROOT, Command, commands
from tests.test_docs.programs import (
    NOT_RUN,
    OTHER_PROGRAMS,
    RUN_BY,
    make_targets,
    module_of_variable,
    parse,
    program_and_arguments,
)

ALL, OTHERS = commands()
#: A path of this repository that is not a link; `S` and `<name>` stand for students.
PATH = re.compile(
    r'(?<![\w/.(-])(?:configs|tools|demo|benchmarks|docker)/[\w/.<>-]*\.(?:py|sh|yaml|md)\b'
)
#: Reads an earlier commit, which the sentence says.
EARLIER = {'tools/benchmarks/compare_methods.py'}
OURS = [
    command
    for command in ALL
    if command.words[0] != 'make'
    and program_and_arguments(command.words)[0] not in ('mmlgd', *EARLIER)
]


def by_text(command: Command) -> str:
    return f'{Path(command.page).stem}: {command.text[:80]}'


def check_parses(command: Command) -> None:
    """Parse a command; the values of --cfg-options must be settings of its config."""
    name, arguments = program_and_arguments(command.words)
    if '--help' in arguments:
        arguments.remove('--help')
    options = vars(parse(name, arguments, command.whole))
    config = options.get('config')
    if options.get('cfg_options') and config and (ROOT / config).is_file():
        check_config(read_config(str(ROOT / config), options['cfg_options'], []))


def test_commands_are_found():
    pages = {command.page for command in ALL}
    assert len(ALL) > 130
    assert {'README.md', 'docs/quick_start.md', 'docs/own_data.md'} <= pages
    words = {word for command in ALL for word in command.words}
    assert {'--model-config', 'srun'} <= words  # a second line, and a launcher


@pytest.mark.parametrize('command', OURS, ids=by_text)
def test_options_exist(command):
    check_parses(command)


@pytest.mark.parametrize(
    'words',
    [
        'mmlgd distill --images photos/ --names n.txt --students mbv3',
        'mmlgd distill --images photos/',
        'bash tools/dist_train.sh configs/lgd/r50_mbv3.py 8 --resume-from x.pth',
        'bash tools/dist_train.sh configs/lgd/r50_mbv3.py',
        'python -m benchmarks.comparison birds.py --job 2 --fast',
        'mmlgd export x.pth --format onx --out y',
    ],
)
def test_a_wrong_option_is_found(words, capsys):
    with pytest.raises((SystemExit, IndexError)):
        check_parses(Command('x.md', tuple(shlex.split(words)), True))


def test_a_wrong_setting_is_found():
    words = 'mmlgd train configs/lgd/r50_mbv3.py --cfg-options model.alpa=0.3'
    with pytest.raises(ValueError, match='alpa'):
        check_parses(Command('x.md', tuple(words.split()), True))


def test_every_program_is_run_by_a_test_or_has_a_reason():
    programs = {program_and_arguments(c.words)[0] for c in ALL} - EARLIER - {'mmlgd'}
    entries = {*RUN_BY, *NOT_RUN}
    new, old = programs - entries, entries - programs
    assert not new, 'add them in tests/test_docs/programs.py'
    assert not old, 'no page names them: remove them in tests/test_docs/programs.py'
    for program, file in RUN_BY.items():
        text = (ROOT / 'tests' / file).read_text()
        stem = re.split(r'[ /.]', program.removesuffix('.py').removesuffix('.sh'))[-1]
        module = COMMANDS[stem][0] if program.startswith('mmlgd ') else stem
        assert re.search(rf'\b{module.split(".")[-1]}', text), (program, file)


def test_other_programs_are_known():
    known = {name for names in OTHER_PROGRAMS.values() for name in names.split()}
    assert {name.rpartition('/')[2] for name in OTHERS} <= known


@pytest.mark.parametrize(
    'command', [c for c in ALL if c.words[0] == 'make'], ids=by_text
)
def test_make_has_its_targets_and_variables(command):
    targets = [word for word in command.words[1:] if '=' not in word]
    assert targets and {*targets} <= make_targets()
    for word in command.words[1 + len(targets) :]:
        variable, _, value = word.partition('=')
        assert f'#   {variable} ' in (ROOT / 'Makefile').read_text()
        if variable not in ('PYTHON', 'BOOTSTRAP', 'JOBS', 'PYTEST_ARGS'):
            parse(module_of_variable(variable), shlex.split(value), True)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page):
    text = page.read_text()
    for script in EARLIER:
        text = re.sub(rf'`[^`]*{script}[^`]*`', '', text)
    missing = []
    for path in PATH.findall(text):
        pattern = re.sub(r'<\w+>|(?<=[/_])(?:S|NAME)(?=[_.])', '*', path)
        if not [*ROOT.glob(pattern)]:
            missing.append(path)
    assert not missing
