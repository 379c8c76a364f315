"""tools/setup_env.py: what it would install, and when it does nothing."""

import importlib.util
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOOL = Path(__file__).resolve().parents[2] / 'tools/setup_env.py'


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """The script as a module, with its caches in a temporary folder."""
    for name in ('FORCE_CUDA', 'MAX_JOBS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('MMLGD_WHEELS', str(tmp_path / 'wheels'))
    spec = importlib.util.spec_from_file_location('setup_env', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'CACHE', tmp_path)
    return module


@pytest.fixture
def target(tool):
    return tool.Target(sys.executable, foreign=False)


@pytest.fixture
def pretend(target, monkeypatch):
    """Pretend that certain distributions are installed; ``_`` stands for ``-``."""

    def install(**installed):
        found = {name.replace('_', '-'): number for name, number in installed.items()}
        monkeypatch.setattr(target, 'installed', lambda: found)
        return found

    return install


def test_every_requirement_is_met_by_its_pin(tool):
    pins = [Requirement(line) for line in tool.requirement_lines('constraints.txt')]
    pins = {canonicalize_name(pin.name): pin for pin in pins}
    files = 'mminstall lite runtime tests export optional docs'.split()
    for file in files:
        for line in tool.requirement_lines(f'requirements/{file}.txt'):
            wanted = Requirement(line)
            assert tool.normalise(line) == canonicalize_name(wanted.name)
            pinned = next(iter(pins[canonicalize_name(wanted.name)].specifier)).version
            assert wanted.specifier.contains(pinned), line


def test_distributions_are_listed_under_normalised_names(target):
    assert target.installed()['open-clip-torch'] == version('open_clip_torch')


def test_a_missing_interpreter_is_named(tool):
    with pytest.raises(tool.SetupFailed, match='/no/such/python'):
        tool.Target('/no/such/python', foreign=True)


def test_own_environment_gets_the_pins_and_a_foreign_one_keeps_its_own(tool):
    own = tool.constraint_lines({})
    assert 'numpy==2.2.6' in own
    kept = tool.constraint_lines({'torch': '2.3.0', 'numpy': '1.26.4'})
    assert {'torch==2.3.0', 'numpy==1.26.4'} <= set(kept)
    assert not {'numpy==2.2.6', 'torch==2.11.0'} & set(kept)
    assert 'ninja' in {line.partition('==')[0] for line in kept}


def test_original_packages_are_kept_in_place_of_forks(tool):
    lines = tool.wanted_requirements({'mmcv': '2.1.0', 'mmsegmentation': '1.2.2'})
    names = {tool.normalise(line) for line in lines}
    assert not {'onedl-mmcv', 'onedl-mmsegmentation'} & names
    assert {'onedl-mmengine', 'onedl-mmpretrain', 'torch', 'pytest'} <= names


def test_stamp_changes_with_a_version_that_is_asked_for_and_with_no_other(
    tool, target, pretend
):
    here = pretend(torch='2.11.0', numpy='2.2.6')
    stamp = tool.current_stamp(target)
    pretend(**here, anything='1')
    assert tool.current_stamp(target) == stamp
    pretend(**{**here, 'torch': '2.10.0'})
    assert tool.current_stamp(target) != stamp


def test_stamp_changes_with_the_files_that_define_the_environment(
    tool, target, monkeypatch, tmp_path
):
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    (tmp_path / 'requirements').mkdir()
    for name in ('setup.py', 'constraints.txt'):
        (tmp_path / name).write_text('')
    for name in tool.GROUPS:
        (tmp_path / f'requirements/{name}.txt').write_text('numpy\n')
    before = tool.current_stamp(target)
    (tmp_path / 'requirements/runtime.txt').write_text('numpy>=2\n')
    assert tool.current_stamp(target) != before


@pytest.mark.parametrize(
    ('state', 'force', 'fits'),
    [
        (None, None, False),
        ('cuda', None, True),
        ('cpu', None, True),
        ('cpu', '0', True),
        ('cpu', '1', False),  # built before CUDA was asked for
        ('cuda', '1', True),
    ],
)
def test_cpu_operators_do_not_fit_once_cuda_is_wanted(
    tool, target, monkeypatch, state, force, fits
):
    monkeypatch.setattr(target, 'ask', lambda code: state)
    if force:
        monkeypatch.setenv('FORCE_CUDA', force)
    assert tool.operators_fit(target) is fits


@pytest.fixture
def build(tool, target, pretend, monkeypatch):
    """``provide_mmcv`` with pip replaced; operators load after a good wheel only."""
    pretend(torch='2.11.0')
    did = []
    pin = next(
        x for x in tool.requirement_lines('constraints.txt') if 'onedl-mmcv' in x
    )
    name = f'onedl_mmcv-{pin.partition("==")[2]}-any.whl'

    def ask(code):
        if code == tool._OPERATORS:
            return 'cpu' if did[-1:] == ['installed good'] else None
        return '2.11.0+cu130 cpython-311 linux-x86_64 cpu'

    def pip(verb, *args, **options):
        if verb == 'wheel':
            folder = Path(args[args.index('--wheel-dir') + 1])
            folder.mkdir(parents=True)
            (folder / name).write_text('good')
            did.append('compiled')
        elif verb == 'uninstall':
            did.append(f'removed {args[-1]}')
        else:
            did.append(f'installed {Path(args[-1]).read_text()}')

    monkeypatch.setattr(target, 'ask', ask)
    monkeypatch.setattr(target, 'pip', pip)
    return did


def test_mmcv_is_compiled_once_and_its_wheel_is_used_again(tool, target, build):
    tool.provide_mmcv(target)
    assert build == ['compiled', 'installed good']
    build.clear()
    tool.provide_mmcv(target)
    assert build == ['installed good']
    tool.provide_mmcv(target)  # it loads now
    assert build == ['installed good']


def test_wheels_are_kept_by_torch_python_platform_and_device(
    tool, target, build, tmp_path
):
    tool.provide_mmcv(target)
    (folder,) = (tmp_path / 'wheels').iterdir()
    assert folder.name == '2.11.0_cu130_cpython-311_linux-x86_64_cpu'


def test_a_kept_wheel_that_does_not_load_is_removed(tool, target, build, tmp_path):
    tool.provide_mmcv(target)
    (wheel,) = (tmp_path / 'wheels').glob('*/*.whl')
    wheel.write_text('stale')
    build.clear()
    with pytest.raises(tool.SetupFailed, match='does not import'):
        tool.provide_mmcv(target)
    assert build == ['installed stale']
    assert not wheel.exists()


def test_original_mmcv_that_does_not_load_is_not_overwritten(
    tool, target, build, pretend
):
    pretend(mmcv='2.1.0')
    with pytest.raises(tool.SetupFailed, match='uninstall it'):
        tool.provide_mmcv(target)
    assert build == []


def test_lite_asks_for_nothing_that_needs_a_compiler(tool):
    lines = tool.wanted_requirements({}, lite=True)
    names = {tool.normalise(line) for line in lines}
    assert not {'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmsegmentation'} & names
    assert not {'pytest', 'mypy', 'onnx'} & names
    wanted = {'torch', 'onedl-mmengine', 'onedl-mmpretrain', 'open-clip-torch', 'rich'}
    assert wanted | {'opencv-python'} <= names
    kept = tool.wanted_requirements({'opencv-python-headless': '4.12'}, lite=True)
    assert 'opencv-python' not in kept


@pytest.fixture
def lite(tool):
    return tool.Target(sys.executable, foreign=False, lite=True)


@pytest.mark.parametrize('mmcv', [None, 'mmcv', 'onedl-mmcv', 'mmcv-lite'])
def test_lite_installs_mmcv_lite_alone_where_there_is_no_mmcv(
    tool, lite, monkeypatch, mmcv
):
    monkeypatch.setattr(lite, 'installed', lambda: {mmcv: '2.2.0'} if mmcv else {})
    calls = []
    monkeypatch.setattr(lite, 'pip', lambda *args: calls.append(args))
    tool.provide_mmcv_lite(lite)
    # Its requirement, mmengine, would overwrite the fork's files.
    assert calls == (
        [] if mmcv else [('install', '-q', '--no-deps', 'mmcv-lite==2.2.0')]
    )


def test_the_full_set_up_replaces_mmcv_lite(tool, target, build, pretend):
    pretend(torch='2.11.0', mmcv_lite='2.2.0')
    tool.provide_mmcv(target)
    # Removed afterwards, the operators' files would be lost.
    assert build == ['compiled', 'removed mmcv-lite', 'installed good']


@pytest.mark.parametrize(
    ('finished', 'asked', 'installs'),
    [
        ('', '--lite', True),
        ('', '', True),
        ('lite', '--lite', False),
        ('lite', '', True),
        ('full', '--lite', False),
        ('full', '', False),
    ],
)
def test_a_full_set_up_serves_both_and_a_lite_one_itself(
    tool, monkeypatch, finished, asked, installs
):
    options = ['--python', sys.executable, *asked.split()]
    monkeypatch.setattr(sys, 'argv', ['setup_env.py', *options])
    monkeypatch.setattr(tool, 'operators_fit', lambda target: finished == 'full')
    if finished:
        done = tool.Target(sys.executable, foreign=True, lite=finished == 'lite')
        done.stamp.write_text(tool.current_stamp(done))
    calls = []
    monkeypatch.setattr(tool, 'install', calls.append)
    tool.main()
    assert [call.lite for call in calls] == ([asked == '--lite'] if installs else [])


def test_the_wheel_asks_for_no_package_that_compiles(tool):
    """Nor for both packages of one module."""
    files = ('requirements/lite.txt', 'requirements/runtime.txt')
    names = {tool.normalise(line) for line in tool.requirement_lines(*files)}
    assert not tool.LEFT_OUT & names
    # mmcv-lite requires the original mmengine.
    assert not {'mmcv', 'onedl-mmengine', 'mmdet', 'mmsegmentation'} & names
    assert {'torch', 'mmcv-lite', 'onedl-mmpretrain', 'open-clip-torch'} <= names
