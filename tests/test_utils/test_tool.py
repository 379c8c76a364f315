"""Common functions of the tools: config, work dir, error messages."""

import argparse

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmlgd.errors import BankError, ConfigError, DataError
from mmlgd.utils import run_config, tool


def parse(*argv: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    tool.add_common_arguments(parser)
    return parser.parse_args([str(value) for value in argv])


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'r50_toy.py'
    path.write_text('model = dict(a=1)\ntrain_cfg = None\n')
    return path


def test_work_dir_is_the_options_then_the_configs_then_the_name(config):
    assert run_config.load_config(parse(config), ()).work_dir == 'work_dirs/r50_toy'
    assert run_config.load_config(parse(config, '--work-dir', 'x'), ()).work_dir == 'x'
    config.write_text("work_dir = 'y'\n")
    assert run_config.load_config(parse(config), ()).work_dir == 'y'
    assert run_config.load_config(parse(config, '--work-dir', 'x'), ()).work_dir == 'x'


def test_options_reach_nested_settings(config):
    cfg = run_config.load_config(
        parse(config, '--cfg-options', 'model.a=2', 'env_cfg.c=[1,2]'), ()
    )
    assert cfg.model.a == 2
    assert cfg.env_cfg.c == [1, 2]


def test_missing_configs_and_fields_are_named(config, tmp_path):
    with pytest.raises(ConfigError, match='none.py.*cannot be read'):
        run_config.load_config(parse(tmp_path / 'none.py'), ())
    with pytest.raises(
        ConfigError, match='r50_toy.py.* has no train_cfg, optim_wrapper'
    ):
        run_config.load_config(parse(config), ('model', 'train_cfg', 'optim_wrapper'))


def test_a_missing_base_is_named(config):
    config.write_text("_base_ = './absent.py'\n")
    with pytest.raises(ConfigError, match='absent.py'):
        run_config.load_config(parse(config), ())


def fail() -> None:
    raise BankError('the bank has 3 names, the model 4')


def test_wrong_input_ends_with_its_message_alone(monkeypatch, capsys):
    monkeypatch.delenv('MMLGD_DEBUG', raising=False)
    monkeypatch.setenv('RANK', '0')
    with pytest.raises(SystemExit) as end:
        tool.run_tool(fail)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error == 'BankError: the bank has 3 names, the model 4\n'
    monkeypatch.setenv('RANK', '3')
    with pytest.raises(SystemExit):
        tool.run_tool(fail)
    assert capsys.readouterr().err.startswith('BankError (rank 3): ')


def test_debug_mode_and_internal_errors_keep_the_traceback(monkeypatch):
    monkeypatch.setenv('MMLGD_DEBUG', '1')
    with pytest.raises(BankError):
        tool.run_tool(fail)
    monkeypatch.delenv('MMLGD_DEBUG')
    with pytest.raises(ZeroDivisionError):
        tool.run_tool(lambda: 1 / 0)


@pytest.mark.parametrize(
    ('option', 'what'),
    [
        ('model.a.b=1', 'model.a.b=1 does not match the config'),
        ('custom_hooks.3.interval=1', 'custom_hooks.3.interval=1 does not match'),
        ('modle.a=1', "reads a field 'modle'.*'model'"),
    ],
)
def test_options_that_do_not_fit_are_named(config, option, what):
    config.write_text(
        'model = dict(a=1)\ntrain_cfg = dict(max_epochs=1)\n'
        "custom_hooks = [dict(type='EMAHook')]\n"
    )
    with pytest.raises(ConfigError, match=what):
        run_config.load_config(parse(config, '--cfg-options', option), ())


def test_blanks_in_options_stay(config):
    option = 'model.templates=[a photo of a {}., a {} in the dark]'
    cfg = run_config.load_config(parse(config, '--cfg-options', option), ())
    assert cfg.model.templates == ['a photo of a {}.', 'a {} in the dark']


def test_an_option_that_only_the_builder_refuses_is_named(monkeypatch):
    class Refuses(Runner):
        def __init__(self, **options):
            raise TypeError("__init__() got an unexpected keyword argument 'levle'")

    with pytest.raises(ConfigError, match="'levle'"):
        run_config.build_runner(
            Config(dict(model=1, work_dir='w', launcher='none')), Refuses
        )


def test_the_launcher_given_wins_over_the_one_found(config, monkeypatch):
    monkeypatch.setattr(run_config, 'detect_launcher', lambda: 'pytorch')
    assert run_config.load_config(parse(config), ()).launcher == 'pytorch'
    assert (
        run_config.load_config(parse(config, '--launcher', 'none'), ()).launcher
        == 'none'
    )


class _Broken:
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> None:
        raise DataError('2 images do not load:\n  a.png\nRepair them.')


def test_errors_of_loading_processes_have_no_traceback(capsys, monkeypatch):
    def load() -> None:
        [*DataLoader(_Broken(), num_workers=1)]

    with pytest.raises(SystemExit):
        tool.run_tool(load)
    shown = capsys.readouterr().err
    assert shown == 'DataError: 2 images do not load:\n  a.png\nRepair them.\n'
    # For developers.
    monkeypatch.setenv('MMLGD_DEBUG', '1')
    with pytest.raises(DataError, match='Original Traceback'):
        tool.run_tool(load)
