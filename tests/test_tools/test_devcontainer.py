"""The development container names what exists; nothing builds it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
#: Those of https://containers.dev/implementors/json_reference that are used.
PROPERTIES = {
    *('name', 'image', 'containerEnv', 'customizations'),
    *('onCreateCommand', 'postCreateCommand'),
}


@pytest.fixture
def container():
    return json.loads((ROOT / '.devcontainer/devcontainer.json').read_text())


def test_its_python_is_supported_and_has_a_compiler(container):
    assert set(container) == PROPERTIES
    # The image without a suffix such as -slim has make, git and g++.
    version = re.fullmatch(r'python:(3\.\d+)-bookworm', container['image'])[1]
    (supported,) = re.findall(
        r"python_requires='(.*)'", (ROOT / 'setup.py').read_text()
    )
    assert version in SpecifierSet(supported)


def test_it_sets_up_what_the_editor_uses(container):
    assert container['onCreateCommand'].endswith('libgl1')  # of OpenCV
    make, target = container['postCreateCommand'].split()
    # Without the variables of a `make test` that runs this.
    command = [make, '-n', target]
    environment = {'PATH': os.environ['PATH']}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ['python3', 'tools/setup_env.py', '--lite']
    settings = container['customizations']['vscode']['settings']
    folder = '${containerWorkspaceFolder}/'
    interpreter = settings['python.defaultInterpreterPath'].removeprefix(folder)
    assert (
        f"ROOT / '{Path(interpreter).parts[0]}'"
        in (ROOT / 'tools/setup_env.py').read_text()
    )
