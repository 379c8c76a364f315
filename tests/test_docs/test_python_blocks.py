"""The Python blocks of the documentation compile, and name what exists."""

import ast
import importlib
import inspect

import pytest

from mmlgd.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from mmlgd.utils.config_check import check_config
from tests.test_docs.commands import python_blocks

BLOCKS = python_blocks()
PACKAGES = ('mmlgd', 'demo', 'benchmarks')
IDS = [f'{page}-{i}' for i, (page, _) in enumerate(BLOCKS)]


def imported(tree: ast.Module) -> dict[str, object]:
    """What a block imports from this repository, by its name in the block."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split('.')[0] in PACKAGES:
            module = importlib.import_module(node.module)
            for alias in node.names:
                found[alias.asname or alias.name] = getattr(module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split('.')[0] in PACKAGES:
                    importlib.import_module(alias.name)
                    found[alias.name] = importlib.import_module(
                        alias.name.split('.')[0]
                    )
    return found


def called(node: ast.Call, names: dict[str, object]) -> object | None:
    """The function of this repository that is called, or None."""
    path = ast.unparse(node.func)
    for name in sorted(names, key=len, reverse=True):
        if path == name:
            return names[name]
        if path.startswith(f'{name}.'):
            value = names[name]
            for part in path.removeprefix(f'{name}.').split('.'):
                value = getattr(value, part)
            return value
    return None


def check_block(text: str) -> int:
    """Check a block; return the number of calls that were checked."""
    tree = ast.parse(text)
    names = imported(tree) | {'mmlgd': importlib.import_module('mmlgd')}
    checked = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = called(node, names)
        # A starred argument could be any.
        if function is None or any(word.arg is None for word in node.keywords):
            continue
        arguments = [None] * len(node.args)
        options = {word.arg: None for word in node.keywords}
        inspect.signature(function).bind(*arguments, **options)
        checked += 1
    return checked


def types(text: str) -> set[str]:
    """The values of ``type=`` in a block."""
    return {
        word.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == 'type' and isinstance(word.value, ast.Constant)
    }


def is_registered(name: str) -> bool:
    registries = (MODELS, DATASETS, HOOKS, TRANSFORMS, METRICS)
    return any(registry.get(name) for registry in registries)


def test_blocks_are_found():
    assert len(BLOCKS) > 20
    assert sum(check_block(text) for _, text in BLOCKS) > 5


@pytest.mark.parametrize(('page', 'text'), BLOCKS, ids=IDS)
def test_names_and_arguments_exist(page, text):
    check_block(text)


@pytest.mark.parametrize(('page', 'text'), BLOCKS, ids=IDS)
def test_types_are_registered(page, text):
    check_config({})  # imports what the registries find
    for name in types(text):
        if name.partition('.')[0] not in ('mmdet', 'mmseg'):
            assert any(map(is_registered, (name, f'mmpretrain.{name}'))), (page, name)


@pytest.mark.parametrize(
    'text',
    [
        "import mmlgd\nmmlgd.list_models('a', kinds='student')",
        'from mmlgd.apis import load_backbones',
        "import mmlgd\nmmlgd.get_models('a')",
        'model = dict(',
    ],
)
def test_a_wrong_block_is_found(text):
    with pytest.raises((TypeError, ImportError, AttributeError, SyntaxError)):
        check_block(text)
