"""Attributes of a package that are imported at their first use."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_attributes(
    package: ModuleType, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: The package, which assigns both.
        modules: The module that has an attribute, relative to the package, by the name
            of the attribute.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(
                f'module {package.__name__!r} has no attribute {name!r}'
            )
        return getattr(import_module(modules[name], package.__name__), name)

    def names() -> list[str]:
        return sorted({*vars(package), *modules})

    return get, names
