"""mmlgd: language-guided distillation of CLIP-like teachers, for OpenMMLab.

Importing it is cheap: no teacher library, mmdet or mmseg is imported. The import
checks the versions of the installed libraries and lets mmengine resolve ``mmseg::``
and ``mmlgd::`` config bases, so it must precede reading such a config. The functions of
:mod:`mmlgd.apis` that are listed here are imported at their first use.
"""

from importlib import import_module
from typing import Any

from .dependencies import check_dependencies, register_config_packages
from .version import __version__, version_info

check_dependencies()
register_config_packages()

#: Name to the module that has it.
_LAZY = {
    'EmbeddingInferencer': 'mmlgd.apis.inferencers',
    'ZeroShotInferencer': 'mmlgd.apis.inferencers',
    'distill': 'mmlgd.apis.distillation',
    'get_model': 'mmlgd.apis.models',
    'list_models': 'mmlgd.apis.models',
}

__all__ = [
    'EmbeddingInferencer',
    'ZeroShotInferencer',
    '__version__',
    'distill',
    'get_model',
    'list_models',
    'version_info',
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
