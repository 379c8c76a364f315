"""The mmcv step of tools/setup_env.py: which wheel, for which device."""

import pytest

FACTS = {
    'torch': '2.11.0+cu130',
    'cuda': '13.0',
    'cuda_home': None,
    'abi': 'cp311',
    'platform': 'linux-x86_64',
    'capabilities': [],
}


def fake_nvcc(home, release):
    """A toolkit whose nvcc only states its release."""
    nvcc = home / 'bin/nvcc'
    nvcc.parent.mkdir(parents=True, exist_ok=True)
    nvcc.write_text(f'#!/bin/sh\necho "Cuda compilation tools, release {release}, V"\n')
    nvcc.chmod(0o755)
    return str(home)


def test_wheel_cache_is_keyed_by_torch_python_platform_and_device(
    load, monkeypatch, tmp_path
):
    mmcv = load('env_setup.mmcv')
    monkeypatch.setenv('MMLGD_WHEELS', str(tmp_path))
    folder = mmcv.cache_folder(FACTS, '')
    assert folder == tmp_path / 'torch2.11.0-cu130-cp311-linux_x86_64-cpuops'
    others = [
        mmcv.cache_folder({**FACTS, 'torch': '2.10.0+cu130'}, ''),
        mmcv.cache_folder({**FACTS, 'abi': 'cp312'}, ''),
        mmcv.cache_folder({**FACTS, 'platform': 'macosx-14.0-arm64'}, ''),
        mmcv.cache_folder(FACTS, '9.0'),
        mmcv.cache_folder(FACTS, '8.0;9.0'),
    ]
    assert len({folder, *others}) == 6


def test_cuda_operators_need_a_gpu_and_a_matching_nvcc(load, tmp_path, capsys):
    build = load('env_setup.mmcv_build')
    gpu = {**FACTS, 'capabilities': ['9.0']}
    assert build.cuda_architectures(FACTS) == ''
    assert build.cuda_architectures(gpu) == ''
    assert 'none was found' in capsys.readouterr().out
    old = {**gpu, 'cuda_home': fake_nvcc(tmp_path / 'old', '12.4')}
    assert build.cuda_architectures(old) == ''
    assert '12.4' in capsys.readouterr().out
    good = {**gpu, 'cuda_home': fake_nvcc(tmp_path / 'good', '13.1')}
    assert build.cuda_architectures(good) == '9.0'


def test_force_cuda_overrules_what_is_visible(load, tmp_path, monkeypatch):
    build = load('env_setup.mmcv_build')
    facts = {**FACTS, 'cuda_home': fake_nvcc(tmp_path, '13.0')}
    monkeypatch.setenv('FORCE_CUDA', '1')
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '8.0;9.0')
    assert build.cuda_architectures(facts) == '8.0;9.0'
    monkeypatch.setenv('FORCE_CUDA', '0')
    assert build.cuda_architectures({**facts, 'capabilities': ['9.0']}) == ''


@pytest.fixture
def mmcv_steps(load, target, holds, tmp_path, monkeypatch):
    """``provide_mmcv`` with pip and the compiler replaced; yields what it did."""
    mmcv = load('env_setup.mmcv')
    monkeypatch.setenv('MMLGD_WHEELS', str(tmp_path / 'wheels'))
    monkeypatch.setattr(mmcv, 'platform_facts', lambda target: FACTS)
    monkeypatch.setattr(mmcv, 'mmcv_state', lambda target: None)
    holds(torch='2.11.0')
    name = f'onedl_mmcv-{mmcv.mmcv_pin().partition("==")[2]}-any.whl'
    did = []

    def put(folder, content):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
        return folder / name

    def try_wheel(target, wheel, wanted):
        did.append(wheel.read_text())
        return 'stale' not in wheel.read_text()

    def compile_wheel(target, folder, architectures):
        return put(folder, 'compiled')

    monkeypatch.setattr(mmcv, 'try_wheel', try_wheel)
    monkeypatch.setattr(mmcv, 'compile_wheel', compile_wheel)
    monkeypatch.setattr(mmcv, 'download_wheel', lambda target, folder: [])
    return mmcv, put, did


def test_cached_wheel_is_used_and_nothing_is_built(mmcv_steps, target):
    mmcv, put, did = mmcv_steps
    put(mmcv.cache_folder(FACTS, ''), 'cached')
    mmcv.provide_mmcv(target)
    assert did == ['cached']


def test_stale_wheels_are_passed_over_and_the_built_one_is_kept(
    mmcv_steps, target, monkeypatch
):
    mmcv, put, did = mmcv_steps
    cached = put(mmcv.cache_folder(FACTS, ''), 'stale cached')
    monkeypatch.setattr(
        mmcv, 'download_wheel', lambda target, folder: [put(folder, 'stale prebuilt')]
    )
    mmcv.provide_mmcv(target)
    assert did == ['stale cached', 'stale prebuilt', 'compiled']
    assert cached.read_text() == 'compiled'
    mmcv.provide_mmcv(target)
    assert did[3:] == ['compiled']


def test_working_mmcv_is_kept(mmcv_steps, target, monkeypatch):
    mmcv, _, did = mmcv_steps
    monkeypatch.setattr(mmcv, 'mmcv_state', lambda target: 'cpu')
    mmcv.provide_mmcv(target)
    assert did == []


def test_original_mmcv_that_does_not_load_is_not_overwritten(
    load, mmcv_steps, target, holds, monkeypatch
):
    mmcv, _, did = mmcv_steps
    holds(mmcv='2.1.0')
    with pytest.raises(load('env_setup.common').SetupFailed, match=r'mmcv 2\.1\.0'):
        mmcv.provide_mmcv(target)
    assert did == []


@pytest.mark.parametrize(
    ('state', 'force', 'foreign', 'fits'),
    [
        (None, '0', False, False),
        ('cuda', '0', False, True),
        ('cpu', '0', False, True),
        ('cpu', '1', False, False),  # built before CUDA was asked for
        ('cpu', '1', True, True),  # the user's own choice
    ],
)
def test_cpu_operators_do_not_fit_once_cuda_is_wanted(
    load, target, tmp_path, monkeypatch, state, force, foreign, fits
):
    mmcv = load('env_setup.mmcv')
    facts = {**FACTS, 'cuda_home': fake_nvcc(tmp_path, '13.0')}
    monkeypatch.setattr(mmcv, 'platform_facts', lambda target: facts)
    monkeypatch.setattr(mmcv, 'mmcv_state', lambda target: state)
    monkeypatch.setenv('FORCE_CUDA', force)
    target.foreign = foreign
    assert mmcv.mmcv_fits(target) is fits
