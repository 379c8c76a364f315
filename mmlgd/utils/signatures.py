"""Options that a class or function accepts, without calling it."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

#: Further options of classes whose ``**kwargs`` would otherwise fail hours later.
_FORWARDED_OPTIONS = {
    CheckpointHook: frozenset(inspect.signature(Runner.save_checkpoint).parameters),
}


@functools.cache
def options_of(target: Callable) -> frozenset[str] | None:
    """Names of the options that a class or function accepts.

    ``**kwargs`` is followed through the base classes as long as it is passed only to
    the ``__init__`` of a base class.

    Args:
        target (Callable): A class or function.

    Returns:
        frozenset[str] | None: The names; None if they cannot be determined, so that any
        name may be valid.
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
        if cls in _FORWARDED_OPTIONS:
            return frozenset(found | _FORWARDED_OPTIONS[cls]) - {'self'}
        if not _only_forwards(
            init, keywords, {base.__name__ for base in target.__mro__}
        ):
            return None
    return frozenset(found - {'self'})


def _parameters(function: Callable) -> tuple[frozenset[str] | None, str | None]:
    """Names of the parameters, and that of ``**kwargs`` if there is one."""
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
    """Whether ``**keywords`` is only passed to ``super().__init__``.

    ``Base.__init__(self, ..., **keywords)`` also counts. In addition to such a call,
    another branch may pass them to a function that initialises ``self``.
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
