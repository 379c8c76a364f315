"""Access to the modules of tools/setup_env.py, which live outside any package."""

import importlib
import sys
from pathlib import Path

import pytest

# Fixtures of the benchmark of methods, and of the tools that run a Runner.
from tests.test_tools.toy_benchmark import (  # noqa: F401
    call,
    compare_methods,
    file,
    processes,
)
from tests.toy_tool_run import toy_config, trained  # noqa: F401

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def load(monkeypatch):
    """Import a module of the tool, which stand beside it."""
    monkeypatch.syspath_prepend(str(TOOLS))
    for name in ('FORCE_CUDA', 'TORCH_CUDA_ARCH_LIST', 'MMLGD_WHEELS'):
        monkeypatch.delenv(name, raising=False)
    return importlib.import_module


@pytest.fixture
def target(load, tmp_path, monkeypatch):
    """This interpreter, with its stamp and constraints in a temporary folder."""
    common = load('env_setup.common')
    made = common.Target(sys.executable, foreign=False)
    made.stamp = tmp_path / 'stamp.json'
    made.constraints = tmp_path / 'constraints.txt'
    return made


@pytest.fixture
def holds(target, monkeypatch):
    """Pretend that certain distributions are installed; ``_`` stands for ``-``."""

    def pretend(**installed):
        found = {name.replace('_', '-'): number for name, number in installed.items()}
        monkeypatch.setattr(target, 'distributions', lambda: found)

    return pretend
