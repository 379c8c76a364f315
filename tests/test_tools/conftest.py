"""Access to the modules of tools/, which is not a package."""

import importlib
from pathlib import Path

import pytest

# Fixtures of the tools that run a Runner.
from tests.toy_tool_run import toy_config, trained  # noqa: F401

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def load(monkeypatch):
    """Import a module from tools/."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module
