"""The folder in which downstream configs run: data/ and work_dirs/, as on a disk."""

import pytest

from tests.downstream_runs import STUDENTS, write_student


@pytest.fixture(scope='session')
def downstream_root(tmp_path_factory):
    """A folder with the distilled backbones that the configs name."""
    root = tmp_path_factory.mktemp('downstream')
    for student in STUDENTS:
        write_student(root / f'work_dirs/r50_{student}/backbone.pth', student)
    return root


@pytest.fixture
def in_root(downstream_root, monkeypatch):
    """Run the test in that folder."""
    monkeypatch.chdir(downstream_root)
    return downstream_root
