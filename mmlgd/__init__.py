"""mmlgd: language-guided distillation of CLIP-like teachers, for OpenMMLab.

Importing it is light: no teacher library, no detector, no segmentor. It checks
the versions of what is installed and lets mmengine resolve ``mmseg::`` and
``mmlgd::`` config bases, so import it before reading such a config.
"""

from .dependencies import check_dependencies, name_config_packages
from .version import __version__, version_info

check_dependencies()
name_config_packages()

__all__ = ['__version__', 'version_info']
