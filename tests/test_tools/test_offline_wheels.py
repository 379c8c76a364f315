"""Wheels for a machine without network."""

import importlib.util
import zipfile

import pytest

from benchmarks import ROOT


@pytest.fixture
def tool():
    path = ROOT / 'tools/misc/offline_wheels.py'
    spec = importlib.util.spec_from_file_location('offline_wheels', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_wheel(folder, name, *needs):
    folder.mkdir(exist_ok=True)
    path = folder / f'{name}-1.0-py3-none-any.whl'
    lines = [f'Name: {name}', 'Version: 1.0', *(f'Requires-Dist: {n}' for n in needs)]
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr(f'{name}-1.0.dist-info/METADATA', '\n'.join(lines) + '\n\n')
        archive.writestr(f'{name}/__init__.py', '')
    return path


def test_requirements_of_a_wheel_for_another_python(tool, tmp_path):
    wheel = write_wheel(
        tmp_path,
        'one',
        'Ordered_Set>=1',
        'tomli>=1; python_version < "3.11"',
        'zipp; python_version >= "3.12"',
        'colorama; sys_platform == "win32"',
        'sphinx; extra == "docs"',
    )
    assert tool.needs_of(wheel, '3.12') == ['Ordered_Set', 'zipp']


def test_what_is_collected(tool, tmp_path, monkeypatch):
    """Each package once, in the variant that needs no compiler."""
    needs = {'mmcv-lite': ['mmengine', 'numpy', 'yapf'], 'onedl-mmpretrain': ['mmcv']}
    asked = []

    def fetch(name, folder, python, is_direct):
        asked.append(name)
        if name == 'safetensors':
            return None
        name = name.replace('-', '_')
        return write_wheel(folder, name, *needs.get(name.replace('_', '-'), ()))

    monkeypatch.setattr(tool, 'fetch', fetch)
    absent = tool.collect(tmp_path / 'wheels', '3.12')
    assert len(asked) == len({*asked})
    assert {'mmcv-lite', 'onedl-mmengine', 'onedl-mmpretrain', 'yapf'} <= {*asked}
    # mmcv and mmengine would install the same modules as their variants.
    assert not {'mmcv', 'mmengine', 'torch', 'numpy', 'onedl-mmdetection'} & {*asked}
    assert {'safetensors', 'torch', 'numpy'} <= {*absent}


def test_installed_packages_are_not_unpacked(tool, tmp_path):
    for name in ('not_installed_anywhere', 'numpy'):
        write_wheel(tmp_path / 'wheels', name)
    names = tool.unpack(tmp_path / 'wheels', tmp_path / 'out')
    assert names == ['not-installed-anywhere']
    assert (tmp_path / 'out/not_installed_anywhere/__init__.py').is_file()
    assert not (tmp_path / 'out/numpy').exists()
