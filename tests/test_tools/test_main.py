"""The `mmlgd` command finds its subcommands, and imports only the one it needs."""

import sys
import types

import pytest

from mmlgd.cli import main as command
from mmlgd.errors import ConfigError
from mmlgd.version import __version__


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
    assert "no command 'trian'. Did you mean 'train'?" in capsys.readouterr().err


def test_help_lists_the_commands_and_version_is_said(capsys):
    command.main(['--help'])
    out = capsys.readouterr().out
    assert all(name in out for name in ('train', 'test'))
    command.main(['--version'])
    assert capsys.readouterr().out == f'mmlgd {__version__}\n'


@pytest.mark.parametrize('name', sorted(command.COMMANDS))
def test_every_command_has_a_main(name):
    __import__(command.COMMANDS[name][0])
    assert callable(sys.modules[command.COMMANDS[name][0]].main)
