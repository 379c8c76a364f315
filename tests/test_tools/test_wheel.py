"""The wheel in an environment of its own, where mmcv has no operators."""

import csv
import email
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import policy
from pathlib import Path

import pytest

from demo.fashion_mnist import write_pictures
from tests.toy_tool_run import run_tool

ROOT = Path(__file__).resolve().parents[2]
TEACHER = ROOT / 'demo/teacher/fashion-clip.pt'
SITE = Path(sysconfig.get_path('purelib'))
#: Installed from the wheel, replaced, or absent without operators.
NOT_SHARED = ('mmlgd', '__editable__', 'mmcv', 'onedl_mmcv', 'mmdet', 'mmseg')

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, built from a copy: a build writes into its folder."""
    source = tmp_path_factory.mktemp('source') / 'mmlgd'
    left_out = shutil.ignore_patterns('.*', 'work_dirs', 'build', 'data', '*.egg-info')
    shutil.copytree(ROOT, source, ignore=left_out)
    options = ['--no-deps', '--no-build-isolation', '--no-index', '-w', source.parent]
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', *options, source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = source.parent.glob('*.whl')
    return found


@pytest.fixture(scope='module')
def programs(wheel, tmp_path_factory):
    """``bin`` of an environment with the wheel.

    The other packages are those of this Python; its mmcv without operators stands in
    for mmcv-lite, which has the same files.
    """
    root = tmp_path_factory.mktemp('environment')
    shared = root / 'shared'
    shared.mkdir()
    for path in SITE.iterdir():
        if not path.name.startswith(NOT_SHARED) and path.suffix != '.pth':
            (shared / path.name).symlink_to(path)
    without = shutil.ignore_patterns('ops', '_ext*')
    shutil.copytree(SITE / 'mmcv', shared / 'mmcv', ignore=without)
    # The fork's reads the version of its own distribution.
    (shared / 'mmcv/version.py').write_text("__version__ = '2.2.0'\n")
    info = shared / 'mmcv_lite-2.2.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Name: mmcv-lite\nVersion: 2.2.0\n')
    venv.create(root / 'venv', symlinks=True)
    python = root / 'venv/bin/python'
    place = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    found = subprocess.run([python, '-c', place], capture_output=True, text=True)
    (Path(found.stdout.strip()) / 'shared.pth').write_text(f'{shared}\n')
    options = ['--no-deps', '--no-index', '-q', wheel]
    subprocess.run(
        [sys.executable, '-m', 'pip', '--python', python, 'install', *options],
        check=True,
        env={**os.environ, 'PYTHONPATH': ''},
    )
    return root / 'venv/bin'


@pytest.fixture
def run(programs, tmp_path):
    """Runs a program of the environment, elsewhere; returns its output."""

    def call(program, *arguments):
        done = run_tool(programs / program, *arguments, cwd=tmp_path, PYTHONPATH='')
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.fixture
def images(tmp_path):
    """Eight of the demo's images as files."""
    return write_pictures(tmp_path / 'images', 'test', 8)


def test_the_environment_has_the_wheel_and_no_operators(run):
    code = 'import mmlgd, importlib.util as u; print(mmlgd.__file__, u.find_spec("{}"))'
    file, spec = run('python', '-c', code.format('mmcv.ops')).split()
    assert 'site-packages' in file and 'environment' in file
    assert spec == 'None'
    assert 'none (mmcv-lite)' in run('mmlgd', 'collect-env')


def test_commands_that_list(run):
    assert 'distil a CLIP into a small network' in run('mmlgd', '--help')
    listed = run('mmlgd', 'list')
    assert listed.startswith('students:\n')  # nothing of a library before
    for name in ('mobilenetv4_conv_small', 'dfn_vitb16', 'imagenet'):
        assert name in listed


def test_distil_and_classify(run, images, tmp_path):
    names = ['a trouser', 'an ankle boot', 'a bag']
    small = ['--student', 'test_resnet', '--teacher', TEACHER, '--out', 'run']
    steps = ['--epochs', '1', '--batch-size', '4', '--workers', '0']
    run('mmlgd', 'distill', '--images', images, '--names', *names, *small, *steps)
    run('mmlgd', 'classify', 'run/epoch_1.pth', images, '--out', 'found.csv')
    with open(tmp_path / 'found.csv', newline='') as file:
        rows = list(csv.reader(file))
    assert len(rows) == 9  # a header
    assert {Path(row[0]).name for row in rows[1:]} == {f'{i:05d}.png' for i in range(8)}
    assert {row[1] for row in rows[1:]} <= set(names)


def test_a_config_of_the_wheel_is_a_base(run, tmp_path):
    (tmp_path / 'my.py').write_text("_base_ = ['mmlgd::lgd/r50_mbv3.py']\n")
    code = 'from mmengine import Config; import mmlgd; C = Config.fromfile("my.py"); '
    assert run('python', '-c', f'{code}print(C.model.type)') == 'LGD\n'


def test_mim_finds_the_configs_and_the_models(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for path in [*(ROOT / 'configs').rglob('*.py'), ROOT / 'model-index.yml']:
        assert f'mmlgd/.mim/{path.relative_to(ROOT)}' in names
    assert 'mmlgd/.mim/tools/train.py' in names
    assert not [name for name in names if '__pycache__' in name]
    assert {name.partition('/')[0] for name in names} == {
        'mmlgd',
        wheel.name.replace('-py3-none-any.whl', '.dist-info'),
    }


@pytest.fixture(scope='module')
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith('/METADATA'))
        return email.message_from_bytes(archive.read(name), policy=policy.default)


def test_the_page_of_the_wheel(metadata):
    assert metadata['Description-Content-Type'] == 'text/markdown'
    text = metadata.get_payload()
    assert text.startswith('# mmlgd: language-guided distillation')
    targets = re.findall(r'\]\(([^)]*)\)', text)
    assert targets and all(target.startswith('https://') for target in targets)
    assert 'Zero-shot predictions of teacher and student' not in text
    # The text of a link stays, wherever a line ends.
    words = ' '.join(text.split())
    assert 'the time (other ways to install). `make demo-probe`' in words
    assert 'Paper, https://arxiv.org/abs/2406.11689' in metadata.get_all('Project-URL')
    assert 'Typing :: Typed' in metadata.get_all('Classifier')


def test_extras_are_those_of_the_documentation(metadata):
    found = {*metadata.get_all('Provides-Extra')}
    formats = {f'export-{name}' for name in ('openvino', 'ncnn', 'litert', 'coreml')}
    formats |= {'export', 'export-executorch'}
    assert found == {'tests', 'optional', 'remote', 'docs', 'all', *formats}
    needs = metadata.get_all('Requires-Dist')
    # With mmcv-lite, it would be a second mmcv.
    assert not [need for need in needs if 'onedl-mmcv' in need]
