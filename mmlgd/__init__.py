"""mmlgd: language-guided distillation of CLIP-like teachers, for OpenMMLab.

Importing it is cheap: no teacher library, mmdet or mmseg is imported. The import
checks the versions of the installed libraries and lets mmengine resolve ``mmseg::``
and ``mmlgd::`` config bases, so it must precede reading such a config. The functions of
:mod:`mmlgd.apis` that are listed here are imported at their first use.
"""

import sys

from .dependencies import check_dependencies, register_config_packages
from .utils.lazy import lazy_attributes
from .version import __version__, version_info

check_dependencies()
register_config_packages()

#: Name to the module that has it.
_LAZY = {
    'EmbeddingInferencer': '.apis.inferencers',
    'ZeroShotInferencer': '.apis.inferencers',
    'distill': '.apis.distillation',
    'get_model': '.apis.models',
    'list_models': '.apis.models',
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

__getattr__, __dir__ = lazy_attributes(sys.modules[__name__], _LAZY)
