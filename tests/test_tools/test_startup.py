"""Output of a run at its start, in the terminal and in the log file."""

import logging
import re
import sys
import warnings

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmlgd.cli import train
from mmlgd.errors import ConfigError
from mmlgd.utils.quiet import capture_prints, log_prints, mute_terminal, open_terminal
from tests.runs import toy_run_cfg, write_images
from tests.toy_tool_run import TOOLS, run_tool


@pytest.fixture
def config(tmp_path):
    """A distillation of the toys, of two epochs over 16 images."""
    cfg = toy_run_cfg(write_images(tmp_path), tmp_path / 'run')
    cfg.custom_imports = dict(imports=['tests.toys'])
    cfg.log_level = 'INFO'
    cfg.dump(tmp_path / 'toy.py')
    return tmp_path / 'toy.py'


@pytest.mark.slow
def test_the_terminal_shows_what_matters_and_the_log_file_everything(config, tmp_path):
    result = run_tool(
        *(sys.executable, TOOLS / 'train.py', config, '--no-validate'),
        cwd=tmp_path,
        PYTHONPATH=str(TOOLS.parent),
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    (start,) = [i for i, line in enumerate(lines) if 'Epoch(train) [1][2/4]' in line]
    assert start <= 15
    before = '\n'.join(lines[:start])
    for fact in (
        f'16 in {tmp_path}/train',
        'names      4: bird, cat, dog',
        'teacher    ToyTeacher',
        'student    ToyBackbone, LGD, ',
        '4 an epoch, 2 epochs, 8 in all',
        'batch      4 images',
        'precision  float32, as optim_wrapper is not of mixed precision',
        'new run',
        f'{tmp_path}/run',
    ):
        assert fact in before, fact
    assert 'FileClient' not in result.stdout + result.stderr
    (log,) = (tmp_path / 'run').glob('*/*.log')
    text = log.read_text()
    assert "default_scope = 'mmlgd'" in text  # the whole config
    assert 'Hooks will be executed in the following order' in text
    assert 'System environment' in text


def test_only_warnings_and_the_summary_pass_until_the_terminal_is_opened(
    tmp_path, capsys
):
    logger = MMLogger(f'quiet{tmp_path}', log_file=str(tmp_path / 'log'))
    logger.handlers[0].setStream(sys.stdout)
    mute_terminal(logger)
    with capture_prints():
        print('a library says hello')
        warnings.warn('a library warns', stacklevel=1)
    log_prints(logger)
    logger.info('table of hooks')
    logger.warning('an odd image')
    logger.warning('"FileClient" will be deprecated in future.')
    logger.info('images 16', extra=dict(summary=True))
    open_terminal(logger)
    logger.info('Epoch 1')
    shown = re.sub(r'.* - ', '', capsys.readouterr().out).splitlines()
    assert shown == ['an odd image', 'images 16', 'Epoch 1']
    written = (tmp_path / 'log').read_text()
    for line in (
        'hello',
        'a library warns',
        'table of hooks',
        'FileClient',
        'images 16',
        'Epoch 1',
    ):
        assert line in written
    logging.shutdown()


def test_output_is_shown_when_a_check_fails(capsys):
    with pytest.raises(ConfigError), capture_prints():
        print('the reason')
        raise ConfigError('no')
    assert capsys.readouterr().out == 'the reason\n'


def broken(config, tmp_path, **changes) -> None:
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(changes)
    cfg.dump(tmp_path / 'changed.py')
    train.main([str(tmp_path / 'changed.py'), '--no-validate'])


@pytest.mark.parametrize(
    ('changes', 'what'),
    [
        (
            {'train_dataloader.batch_size': 17},
            r'16 image.*train_dataloader.batch_size=8',
        ),
        ({'model.alfa': 1}, "LGD has no option 'alfa'.*'alpha'"),
        ({'work_dir': '/dev/null/run'}, 'work-dir: .* cannot be written'),
    ],
)
def test_invalid_inputs_stop_before_the_teacher_is_built(
    config, tmp_path, monkeypatch, changes, what
):
    monkeypatch.setattr(
        'tests.toys.ToyTeacher.__init__', lambda self: pytest.fail('teacher built')
    )
    with pytest.raises(ConfigError, match=what):
        broken(config, tmp_path, **changes)
