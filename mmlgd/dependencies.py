"""Version gates: which releases of the libraries beneath mmlgd it accepts.

Only the installed packages' metadata are read, so a gate costs milliseconds and
imports nothing. The OpenMMLab libraries exist under two distribution names, the
original one and that of the maintained fork (``onedl-*``); either will do.
"""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from mmengine.config.utils import MODULE2PACKAGE
from packaging.version import InvalidVersion, Version

from .errors import DependencyError


class Gate(NamedTuple):
    """The accepted releases of one library.

    Attributes:
        module (str): Name it is imported under.
        distributions (tuple[str, ...]): Names it is installed under.
        minimum (str): First release accepted.
        below (str): First release refused again.
        required (bool): Whether mmlgd cannot be imported without it; the others
            are checked only where they are installed.
    """

    module: str
    distributions: tuple[str, ...]
    minimum: str
    below: str
    required: bool = True

    @property
    def wanted(self) -> str:
        """The range as pip writes it."""
        return f'>={self.minimum},<{self.below}'


GATES = (
    Gate('torch', ('torch',), '2.1', '3'),
    Gate('mmengine', ('onedl-mmengine', 'mmengine'), '0.10', '1'),
    Gate('mmcv', ('onedl-mmcv', 'mmcv'), '2.0', '2.4'),
    Gate('mmpretrain', ('onedl-mmpretrain', 'mmpretrain'), '1.0', '2'),
    Gate('mmdet', ('onedl-mmdetection', 'mmdet'), '3.0', '4', required=False),
    Gate(
        'mmseg', ('onedl-mmsegmentation', 'mmsegmentation'), '1.0', '2', required=False
    ),
    Gate('open_clip', ('open_clip_torch',), '2.24', '4', required=False),
)


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution; None where it is absent."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def installed_distributions(gate: Gate) -> dict[str, str]:
    """Name to version of those distributions of a library that are installed."""
    found = {name: installed_version(name) for name in gate.distributions}
    return {name: number for name, number in found.items() if number is not None}


def in_range(found: str, gate: Gate) -> bool:
    """Whether version ``found`` lies in the range of ``gate``.

    Release numbers alone are compared: containers ship pre-releases such as
    ``2.1.0a0+29c30b1`` that behave as the release.
    """
    try:
        release = Version(found).release
    except InvalidVersion:
        return False
    return Version(gate.minimum).release <= release < Version(gate.below).release


def check_gate(gate: Gate) -> None:
    """Check one library.

    Args:
        gate (Gate): The library and its range.

    Raises:
        DependencyError: If the library is required and absent, or installed in a
            version out of range.
    """
    found = installed_distributions(gate)
    wanted = gate.wanted
    for name, number in found.items():
        if not in_range(number, gate):
            raise DependencyError(
                f'mmlgd works with {name} {wanted}, but {name} {number} is installed. '
                f"Install one in range: pip install '{name}{wanted}'."
            )
    # A source tree on PYTHONPATH has no metadata: present, version unknown.
    if gate.required and not found and find_spec(gate.module) is None:
        names = ' or '.join(f"'{name}{wanted}'" for name in gate.distributions)
        raise DependencyError(
            f'mmlgd needs {gate.module}, which is not installed in this Python. '
            f'Install it with pip install {names}, or everything with `make env` '
            f'(docs/install.md).'
        )


def check_dependencies() -> None:
    """Check all libraries of :data:`GATES`.

    Raises:
        DependencyError: Naming the first that is absent or out of range, what was
            found, what is wanted, and how to fix it.
    """
    for gate in GATES:
        check_gate(gate)


def name_config_packages() -> None:
    """Tell mmengine which packages hold ``mmseg::`` and ``mmlgd::`` configs.

    mmengine maps a config prefix to a distribution, and knows mmseg's original
    one only. Ours is mapped to one of our modules: mmengine takes the folder of a
    module where it finds no distribution of that name, and the original one looks
    for the files of an editable distribution in site-packages, where none are.
    """
    fork, original = 'onedl-mmsegmentation', 'mmsegmentation'
    if installed_version(fork) and not installed_version(original):
        MODULE2PACKAGE['mmseg'] = fork
    MODULE2PACKAGE.setdefault('mmlgd', 'mmlgd.version')
