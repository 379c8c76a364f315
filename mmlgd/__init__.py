"""mmlgd: language-guided distillation of CLIP-like teachers, for OpenMMLab.

Importing it is cheap: no teacher library, mmdet or mmseg is imported. The import
checks the versions of the installed libraries and lets mmengine resolve ``mmseg::``
and ``mmlgd::`` config bases, so it must precede reading such a config.
"""

from .dependencies import check_dependencies, register_config_packages
from .version import __version__, version_info

check_dependencies()
register_config_packages()

__all__ = ['__version__', 'version_info']
