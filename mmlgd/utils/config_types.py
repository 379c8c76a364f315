"""Names of the types in a config: strings or, in lazy configs, classes."""

from collections.abc import Callable


def class_name(type_: str | Callable) -> str:
    """The name of a class without its scope: ``ResNet`` of ``mmpretrain.ResNet``."""
    if isinstance(type_, str):
        return type_.rpartition('.')[2]
    return type_.__name__


def scope_of(type_: str | Callable) -> str:
    """The scope of a type: its prefix, or the package of a class; otherwise ''."""
    if isinstance(type_, str):
        return type_.rpartition('.')[0].split('.')[0]
    return type_.__module__.split('.')[0]
