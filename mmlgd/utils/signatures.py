"""Which options a class or function takes, without calling it."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

#: Where classes hand ``**kwargs`` to that would fail hours later.
_HANDED_ON = {
    CheckpointHook: frozenset(inspect.signature(Runner.save_checkpoint).parameters),
}


@functools.cache
def options_of(target: Callable) -> frozenset[str] | None:
    """Names of the options that a class or function takes.

    ``**kwargs`` is followed along the base classes as long as all of it is handed to
    the ``__init__`` of a base.

    Args:
        target (Callable): A class or function.

    Returns:
        frozenset[str] | None: The names; None where that cannot be known, so that any
        name may be right.
    """
    if not inspect.isclass(target):
        names, keywords = _parameters(target)
        return None if keywords else names
    if target.__new__ is not object.__new__:
        return None
    found: set[str] = set()
    for cls in target.__mro__:
        init = cls.__dict__.get('__init__')
        if init is None:
            continue
        names, keywords = (frozenset(), None) if cls is object else _parameters(init)
        if names is None:
            return None
        found |= names
        if keywords is None:
            return frozenset(found - {'self'})
        if cls in _HANDED_ON:
            return frozenset(found | _HANDED_ON[cls]) - {'self'}
        if not _only_forwards(
            init, keywords, {base.__name__ for base in target.__mro__}
        ):
            return None
    return frozenset(found - {'self'})


def _parameters(function: Callable) -> tuple[frozenset[str] | None, str | None]:
    """Names of the parameters, and that of ``**kwargs`` where there is one."""
    # A decorator may rename options.
    if hasattr(function, '__wrapped__'):
        return None, 'unknown'
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return None, 'unknown'
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = frozenset(each.name for each in parameters if each.kind in named)
    keywords = [e.name for e in parameters if e.kind is inspect.Parameter.VAR_KEYWORD]
    return names, keywords[0] if keywords else None


def _only_forwards(init: Callable, keywords: str, bases: set[str]) -> bool:
    """Whether ``**keywords`` goes to ``super().__init__`` and nowhere else.

    ``Base.__init__(self, ..., **keywords)`` counts, too; and beside such a call, in
    another branch, a function that initialises ``self`` with the same options.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return False
    uses = sum(isinstance(n, ast.Name) and n.id == keywords for n in ast.walk(tree))
    to_base = to_self = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not any(
            each.arg is None and ast.unparse(each.value) == keywords
            for each in node.keywords
        ):
            continue
        name, _, method = ast.unparse(node.func).rpartition('.')
        if method == '__init__' and name.split('(')[0] in {'super', *bases}:
            to_base += 1
        elif node.args and ast.unparse(node.args[0]) == 'self':
            to_self += 1
    return to_base > 0 and uses == to_base + to_self
