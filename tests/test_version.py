"""Version checks, light import and config packages."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import Registry

import mmlgd
from mmlgd import dependencies, registry
from mmlgd.dependencies import Requirement, check_requirement, in_range
from mmlgd.errors import DependencyError, MMLGDError

REQUIREMENT = Requirement('somelib', ('fork-somelib', 'somelib'), '0.10', '1')


@pytest.fixture
def installed(monkeypatch):
    """A dictionary in place of the installed distributions."""
    found = {}
    monkeypatch.setattr(dependencies, 'installed_version', found.get)
    return found


def test_version_info_matches_version():
    assert '.'.join(map(str, mmlgd.version_info)) == mmlgd.__version__


@pytest.mark.parametrize(
    ('found', 'accepted'),
    [
        ('0.9.9', False),
        ('0.10', True),
        ('0.10.0', True),
        ('0.10.7+cu118', True),
        ('0.10.0a0+29c30b1', True),  # as a container's own build calls itself
        ('0.99.1', True),
        ('1.0', False),
        ('1.0.0', False),
        ('2.3', False),
        ('unknown', False),
    ],
)
def test_range_includes_minimum_and_excludes_limit(found, accepted):
    assert in_range(found, REQUIREMENT) is accepted


@pytest.mark.parametrize('name', REQUIREMENT.distributions)
def test_either_distribution_name_passes(installed, name):
    installed[name] = '0.10.3'
    check_requirement(REQUIREMENT)


def test_error_names_package_version_range_and_how_to_fix_it(installed):
    installed['somelib'] = '0.8.1'
    with pytest.raises(DependencyError) as caught:
        check_requirement(REQUIREMENT)
    message = str(caught.value)
    for part in ('somelib 0.8.1', '>=0.10,<1', "pip install 'somelib>=0.10,<1'"):
        assert part in message
    assert isinstance(caught.value, (MMLGDError, ImportError))


def test_missing_library_is_refused_only_if_required(installed):
    with pytest.raises(DependencyError, match='make env'):
        check_requirement(REQUIREMENT)
    check_requirement(REQUIREMENT._replace(required=False))


def test_optional_library_out_of_range_is_refused(installed):
    installed['fork-somelib'] = '1.2'
    with pytest.raises(DependencyError, match=r'fork-somelib 1\.2'):
        check_requirement(REQUIREMENT._replace(required=False))


def test_a_library_that_is_installed_twice_is_warned_of(installed):
    installed.update({'fork-somelib': '0.10.3', 'somelib': '0.10.7'})
    with pytest.warns(UserWarning, match='pip uninstall fork-somelib somelib,'):
        check_requirement(REQUIREMENT)


def test_mmcv_lite_is_an_mmcv(installed):
    (mmcv,) = (each for each in dependencies.REQUIREMENTS if each.module == 'mmcv')
    installed['mmcv-lite'] = '2.2.0'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_requirement(mmcv)
    installed['mmcv-lite'] = '1.7.2'
    with pytest.raises(DependencyError, match='mmcv-lite 1.7.2 is installed'):
        check_requirement(mmcv)


def test_source_tree_without_metadata_passes(installed):
    check_requirement(REQUIREMENT._replace(module='json'))


def test_import_is_light():
    heavy = 'torch open_clip mmcv mmpretrain mmdet mmseg cv2 matplotlib'.split()
    code = (
        'import sys, mmlgd; from mmengine.config.utils import MODULE2PACKAGE as M; '
        f'print([m for m in {heavy} if m in sys.modules], M["mmseg"])'
    )
    command = [sys.executable, '-W', 'ignore', '-c', code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, package = result.stdout.rsplit(maxsplit=1)
    assert loaded == '[]'
    assert dependencies.installed_version(package)


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (('onedl-mmsegmentation',), 'onedl-mmsegmentation'),
        (('mmsegmentation',), 'mmsegmentation'),
        (('onedl-mmsegmentation', 'mmsegmentation'), 'mmsegmentation'),
        ((), 'mmsegmentation'),
    ],
)
def test_mmseg_is_mapped_to_what_is_installed(installed, monkeypatch, names, expected):
    packages = {'mmseg': 'mmsegmentation'}
    monkeypatch.setattr('mmengine.config.utils.MODULE2PACKAGE', packages)
    installed.update(dict.fromkeys(names, '1.2.0'))
    dependencies.register_config_packages()
    assert packages['mmseg'] == expected


def test_bases_of_mmseg_resolve(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text("_base_ = ['mmseg::_base_/models/fpn_r50.py']\n")
    assert Config.fromfile(config).model.type == 'EncoderDecoder'


def test_every_registry_has_a_location():
    # With none, mmengine would call mmlgd.utils.register_all_modules.
    children = [each for each in vars(registry).values() if isinstance(each, Registry)]
    assert children
    assert all(isinstance(child, Registry) and child._locations for child in children)


def test_the_hooks_before_a_commit_are_the_releases_of_make_lint():
    root = Path(__file__).parents[1]
    hooks = (root / '.pre-commit-config.yaml').read_text()
    pinned = (root / 'constraints.txt').read_text().splitlines()
    for package, found in (('ruff', r'rev: v([\d.]+)'), ('mypy', r'mypy==([\d.]+)')):
        assert f'{package}=={re.search(found, hooks)[1]}' in pinned
