"""tools/setup_env.py: what it would install, and when it does nothing."""

from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def test_every_requirement_parses_and_is_met_by_its_pin(load):
    common = load('env_setup.common')
    pins = [Requirement(line) for line in common.constraint_lines()]
    pins = {canonicalize_name(pin.name): pin for pin in pins}
    for file in ('mminstall', 'runtime', 'tests', 'optional', 'docs'):
        for line in common.requirement_lines(file):
            wanted = Requirement(line)
            assert common.distribution_name(line) == canonicalize_name(wanted.name)
            pinned = next(iter(pins[canonicalize_name(wanted.name)].specifier)).version
            assert wanted.specifier.contains(pinned), line


def test_distributions_are_listed_under_normalised_names(target):
    assert target.distributions()['open-clip-torch'] == version('open_clip_torch')


def test_an_interpreter_that_is_not_there_is_named(load):
    common = load('env_setup.common')
    with pytest.raises(common.SetupFailed, match='/no/such/python'):
        common.Target('/no/such/python', foreign=True)


def test_own_environment_gets_the_pins_and_a_foreign_one_keeps_its_own(
    load, target, holds
):
    selection = load('env_setup.selection')
    holds(torch='2.3.0', numpy='1.26.4')
    own = selection.write_constraints(target).read_text().splitlines()
    assert 'numpy==2.2.6' in own
    target.foreign = True
    kept = selection.write_constraints(target).read_text().splitlines()
    assert {'torch==2.3.0', 'numpy==1.26.4'} <= set(kept)
    assert not {'numpy==2.2.6', 'torch==2.11.0'} & set(kept)
    assert 'ninja' in {line.partition('==')[0] for line in kept}


def test_original_packages_are_kept_in_place_of_forks(load, target, holds):
    selection, common = load('env_setup.selection'), load('env_setup.common')
    holds(mmcv='2.1.0', mmsegmentation='1.2.2')
    lines = selection.wanted_requirements(target)
    names = {common.distribution_name(line) for line in lines}
    assert not {'onedl-mmcv', 'onedl-mmsegmentation'} & names
    assert {'onedl-mmengine', 'onedl-mmpretrain', 'torch', 'pytest'} <= names


def test_stamp_holds_until_a_version_or_a_file_changes(load, target, monkeypatch):
    stamp = load('env_setup.stamp')
    monkeypatch.setattr(stamp, 'mmcv_fits', lambda target: True)
    assert not stamp.is_ready(target)
    stamp.write_stamp(target)
    assert stamp.is_ready(target)
    files = stamp.defining_files()
    monkeypatch.setattr(stamp, 'defining_files', lambda: files[1:])
    assert not stamp.is_ready(target)
    monkeypatch.setattr(stamp, 'defining_files', lambda: files)
    here = target.distributions()
    monkeypatch.setattr(target, 'distributions', lambda: {**here, 'torch': '2.10.0'})
    assert not stamp.is_ready(target)
    monkeypatch.setattr(target, 'distributions', lambda: {**here, 'anything': '1'})
    assert stamp.is_ready(target)
    monkeypatch.setattr(stamp, 'mmcv_fits', lambda target: False)
    assert not stamp.is_ready(target)


@pytest.mark.parametrize(
    ('foreign', 'before', 'dropped'),
    [
        (True, [], 'opencv-python-headless'),
        (True, ['opencv-python'], 'opencv-python-headless'),
        (True, ['opencv-python-headless'], 'opencv-python'),
        (True, ['opencv-python', 'opencv-python-headless'], None),
        # As an interrupted set-up of ours leaves them.
        (False, ['opencv-python', 'opencv-python-headless'], 'opencv-python-headless'),
    ],
)
def test_second_opencv_is_taken_out_again(
    load, target, holds, monkeypatch, foreign, before, dropped
):
    tool = load('setup_env')
    target.foreign = foreign
    calls = []
    monkeypatch.setattr(tool, 'pip', lambda target, *args: calls.append(args))
    holds(opencv_python='4.12', opencv_python_headless='4.12')
    tool.keep_one_opencv(target, dict.fromkeys(before, '4.12'))
    assert [call[-1] for call in calls if call[0] == 'uninstall'] == (
        [dropped] if dropped else []
    )
    # What is left shares files with what went, so it is laid down afresh.
    assert len([call for call in calls if '--force-reinstall' in call]) == bool(dropped)
