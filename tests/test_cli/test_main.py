"""The `mmlgd` command finds its subcommands and only imports the one it runs."""

import re
import subprocess
import sys
import types

import pytest

from mmlgd.cli import main as command
from mmlgd.errors import ConfigError
from mmlgd.version import __version__
from tests.toy_tool_run import TOOLS


@pytest.fixture
def said(monkeypatch):
    """A subcommand `say`, and the arguments that it got."""
    got = []
    module = types.ModuleType('say')
    module.main = got.append
    monkeypatch.setitem(sys.modules, 'say', module)
    monkeypatch.setitem(command.COMMANDS, 'say', ('say', 'say something'))
    monkeypatch.setattr(sys, 'argv', ['mmlgd', 'say', 'a', '--b'])
    return got


def test_the_rest_of_the_line_goes_to_the_subcommand(said):
    command.main()
    assert said == [['a', '--b']]
    assert sys.argv[0] == 'mmlgd say'


def test_a_wrong_input_ends_with_its_message(said, capsys):
    def refuse(argv):
        raise ConfigError('no such thing')

    sys.modules['say'].main = refuse
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == 'ConfigError: no such thing\n'


def test_an_unknown_command_is_named_with_the_closest(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(['trian', 'c.py'])
    assert end.value.code == 2
    assert "unknown command 'trian'. Did you mean 'train'?" in capsys.readouterr().err


def test_help_lists_the_commands_and_version_is_said(capsys):
    command.main(['--help'])
    out = capsys.readouterr().out
    assert all(name in out for name in command.COMMANDS)
    command.main(['--version'])
    assert capsys.readouterr().out == f'mmlgd {__version__}\n'


@pytest.mark.parametrize('name', sorted(command.COMMANDS))
def test_every_command_has_its_help(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mmlgd'])
    with pytest.raises(SystemExit) as end:
        command.main([name, '--help'])
    assert not end.value.code
    shown = capsys.readouterr().out
    assert f'usage: mmlgd {name} ' in shown
    # Continued lines of the examples are still lines that a shell continues.
    examples = re.findall(rf'^ +mmlgd {name}.*', shown, re.MULTILINE)
    assert not [line for line in examples if re.search(r'\S {3,}[^\s#]', line)]


def test_an_exit_code_of_a_command_is_that_of_the_process(said):
    sys.modules['say'].main = lambda argv: 1
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 1


@pytest.mark.slow
def test_help_does_not_wait_for_torch():
    code = """
import sys
from mmlgd.cli.main import main
main(['--help'])
for name in (
    'align-teacher', 'autolabel', 'build-bags', 'build-text-bank', 'classify',
    'collect-env', 'distill', 'embed', 'info', 'knn', 'list', 'probe', 'report',
):
    try:
        main([name, '--help'])
    except SystemExit:
        pass
sys.exit('torch' in sys.modules)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True)
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize('script', ['knn', 'collect-env'])
def test_openmmlab_style_scripts_run_the_commands(script):
    folder = 'analysis_tools/' if script == 'knn' else ''
    path = TOOLS / f'{folder}{script.replace("-", "_")}.py'
    done = subprocess.run(
        [sys.executable, path, '--help'], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith(f'usage: {path.name} [-h]')
