"""What the steps of tools/setup_env.py share."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_LIST = """
import json, re
from importlib.metadata import distributions
norm = lambda name: re.sub(r'[-_.]+', '-', name).lower()
print(json.dumps({norm(d.metadata['Name']): d.version for d in distributions()
                  if d.metadata['Name']}))
"""
_FINGERPRINT = 'import sys; print(sys.version, sys.executable, sys.platform)'


class SetupFailed(Exception):
    """A step that failed; the message says what to do."""


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def distribution_name(requirement: str) -> str:
    """The normalised name in a requirement line: ``Open_CLIP>=2`` -> ``open-clip``."""
    name = re.split(r'[\s<>=!~;\[@]', requirement.strip(), maxsplit=1)[0]
    return re.sub(r'[-_.]+', '-', name).lower()


def requirement_lines(name: str) -> list[str]:
    """The lines of ``requirements/<name>.txt`` without comments and blanks."""
    text = (ROOT / f'requirements/{name}.txt').read_text()
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def constraint_lines() -> list[str]:
    """The pins of ``requirements/constraints.txt``."""
    return requirement_lines('constraints')


class Target:
    """The interpreter that is set up.

    Args:
        python (str | Path): Path or name of the interpreter.
        foreign (bool): True for an interpreter of the user's, whose packages are
            kept; False for our own ``.venv``.
    """

    def __init__(self, python: str | Path, foreign: bool) -> None:
        found = shutil.which(python)
        if found is None:
            raise SetupFailed(
                f'{python} is no program that can be run. PYTHON takes the path of an '
                f'interpreter; leave it unset to get a fresh .venv.'
            )
        # Not resolved further: a virtual environment's python is a link.
        self.python = os.path.abspath(found)
        self.foreign = foreign
        digest = hashlib.sha256(self.fingerprint().encode()).hexdigest()[:12]
        self.constraints = ROOT / f'.cache/env/constraints-{digest}.txt'
        self.stamp = ROOT / f'.cache/env/stamp-{digest}.json'

    def run(self, *args: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the interpreter; ``quiet`` captures its output."""
        return subprocess.run(
            [self.python, *args],
            env=self.environment(),
            capture_output=quiet,
            text=True,
        )

    def environment(self) -> dict[str, str]:
        """Our environment with the interpreter's scripts (ninja) on the path."""
        scripts = os.path.dirname(self.python)
        return {**os.environ, 'PATH': f'{scripts}{os.pathsep}{os.environ["PATH"]}'}

    def distributions(self) -> dict[str, str]:
        """Installed distributions: normalised name to version."""
        return json.loads(self.run('-c', _LIST, quiet=True).stdout)

    def fingerprint(self) -> str:
        """What tells this interpreter from another."""
        return self.run('-c', _FINGERPRINT, quiet=True).stdout


def pip(target: Target, *args: str, constrained: bool = False) -> None:
    """Run pip in the target, and say how long it took where that is noticeable.

    Raises:
        SetupFailed: If pip fails; pip's own words stand above.
    """
    # Quiet twice: pip warns of every folder of an index that a name is not in.
    args = (args[0], '-qq', *args[1:])
    if constrained:
        args = (*args, '--constraint', str(target.constraints))
    started = time.monotonic()
    if target.run('-m', 'pip', *args).returncode != 0:
        raise SetupFailed(
            f'pip {" ".join(args)} failed (see above). pip reads your own index '
            f'configuration (pip config list); without a network, set PIP_FIND_LINKS '
            f'to a folder of wheels.'
        )
    seconds = time.monotonic() - started
    if seconds > 5:
        say(f'      took {seconds:.0f} s')
