"""What a ``type`` of a config names, be it a string or, in lazy configs, a class."""

from collections.abc import Callable


def class_name(type_: str | Callable) -> str:
    """The name of a class without its scope: ``ResNet`` of ``mmpretrain.ResNet``."""
    if isinstance(type_, str):
        return type_.rpartition('.')[2]
    return type_.__name__


def scope_of(type_: str | Callable) -> str:
    """The scope that a type names: its prefix, or the package of a class; else ''."""
    if isinstance(type_, str):
        return type_.rpartition('.')[0].split('.')[0]
    return type_.__module__.split('.')[0]
