"""Version checks of the libraries that mmlgd depends on.

Only the metadata of installed packages is read, so a check takes milliseconds and
imports nothing. The OpenMMLab libraries exist under two distribution names, the
original one and that of the maintained fork (``onedl-*``); either is accepted. For
distillation and classification, mmcv may also be mmcv-lite, which has no operators.
"""

import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from .errors import DependencyError


class Requirement(NamedTuple):
    """The supported releases of one library.

    Attributes:
        module (str): Name it is imported under.
        distributions (tuple[str, ...]): Names it is installed under.
        minimum (str): First supported release.
        below (str): First release that is no longer supported.
        required (bool): Whether mmlgd cannot be imported without it; the others
            are checked only if they are installed.
    """

    module: str
    distributions: tuple[str, ...]
    minimum: str
    below: str
    required: bool = True

    @property
    def specifier(self) -> str:
        """The supported range as a pip version specifier."""
        return f'>={self.minimum},<{self.below}'


REQUIREMENTS = (
    Requirement('torch', ('torch',), '2.1', '3'),
    Requirement('mmengine', ('onedl-mmengine', 'mmengine'), '0.10', '1'),
    Requirement('mmcv', ('onedl-mmcv', 'mmcv', 'mmcv-lite'), '2.0', '2.4'),
    Requirement('mmpretrain', ('onedl-mmpretrain', 'mmpretrain'), '1.0', '2'),
    Requirement('mmdet', ('onedl-mmdetection', 'mmdet'), '3.0', '4', required=False),
    Requirement(
        'mmseg', ('onedl-mmsegmentation', 'mmsegmentation'), '1.0', '2', required=False
    ),
    Requirement('open_clip', ('open_clip_torch',), '2.24', '4', required=False),
)


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution; None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def installed_distributions(requirement: Requirement) -> dict[str, str]:
    """Versions of the installed distributions of a library, by name."""
    found = {name: installed_version(name) for name in requirement.distributions}
    return {name: number for name, number in found.items() if number is not None}


def in_range(found: str, requirement: Requirement) -> bool:
    """Whether version ``found`` is supported.

    Only release numbers are compared: containers ship pre-releases such as
    ``2.1.0a0+29c30b1`` that behave like the release.
    """
    try:
        release = Version(found).release
    except InvalidVersion:
        return False
    minimum, below = Version(requirement.minimum), Version(requirement.below)
    return minimum.release <= release < below.release


def check_requirement(requirement: Requirement) -> None:
    """Check one library.

    Warns if it is installed twice: the distributions overwrite each other's files.

    Args:
        requirement (Requirement): The library and its supported releases.

    Raises:
        DependencyError: The library is required and missing, or installed in an
            unsupported version.
    """
    found = installed_distributions(requirement)
    wanted = requirement.specifier
    for name, number in found.items():
        if not in_range(number, requirement):
            raise DependencyError(
                f'mmlgd works with {name} {wanted}, but {name} {number} is installed. '
                f"Install a supported version: pip install '{name}{wanted}'."
            )
    if len(found) > 1:
        both = ' and '.join(f'{name} {number}' for name, number in found.items())
        warnings.warn(
            f'{both} are installed, but both are the module {requirement.module}: one has '
            f"overwritten the other's files. Remove them and install one: pip uninstall "
            f'{" ".join(found)}, then pip install --no-deps {next(iter(found))}.',
            stacklevel=2,
        )
    # A source tree on PYTHONPATH has no metadata, so its version is unknown.
    module = requirement.module
    if requirement.required and not found and find_spec(module) is None:
        names = ' or '.join(f"'{name}{wanted}'" for name in requirement.distributions)
        raise DependencyError(
            f'mmlgd needs {module}, which is not installed in this Python. '
            f'Install it with pip install {names}, or everything with `make env` '
            f'(docs/install.md).'
        )


def check_dependencies() -> None:
    """Check all libraries of :data:`REQUIREMENTS`.

    Raises:
        DependencyError: A library is missing or unsupported. The message says what was
            found, what is supported, and how to fix it.
    """
    for requirement in REQUIREMENTS:
        check_requirement(requirement)


def register_config_packages() -> None:
    """Register the packages of ``mmseg::`` and ``mmlgd::`` configs with mmengine.

    mmengine maps a config prefix to a distribution and knows only mmseg's original
    one. The ``mmlgd`` prefix is mapped to a module instead: if no distribution has that
    name, mmengine uses the module's folder. For a distribution in editable mode, the
    original mmengine would search site-packages, which does not contain its files.
    """
    # After the checks, which may find that mmengine is missing.
    from mmengine.config.utils import MODULE2PACKAGE

    fork, original = 'onedl-mmsegmentation', 'mmsegmentation'
    if installed_version(fork) and not installed_version(original):
        MODULE2PACKAGE['mmseg'] = fork
    MODULE2PACKAGE.setdefault('mmlgd', 'mmlgd.version')
