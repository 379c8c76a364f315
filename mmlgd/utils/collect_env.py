"""Description of the environment for bug reports."""

import subprocess
from pathlib import Path

from mmengine.utils.dl_utils import collect_env as collect_base_env

from mmlgd.dependencies import REQUIREMENTS, installed_distributions, installed_version
from mmlgd.version import __version__

OPENCV_DISTRIBUTIONS = ('opencv-python', 'opencv-python-headless')


def mmcv_operators() -> str:
    """Whether mmcv's compiled operators load, and the devices they were built for."""
    try:
        import mmcv._ext  # noqa: F401 - a wheel of another torch fails here
        from mmcv.ops import get_compiler_version, get_compiling_cuda_version
    except ImportError as error:
        if installed_version('mmcv-lite'):
            return 'none (mmcv-lite); detection and segmentation need mmcv (`make env`)'
        return (
            f'do not load ({error}). mmcv was built for another torch, or without '
            f'operators: reinstall it for this one (docs/install.md)'
        )
    cuda = get_compiling_cuda_version()
    device = 'CPU only' if cuda == 'not available' else f'CUDA {cuda}'
    return f'load: {device}, {get_compiler_version()}'


def git_revision(folder: Path) -> str:
    """The short commit hash of a source tree; '' if it is not a git checkout."""
    command = ['git', '-C', str(folder), 'rev-parse', '--short', 'HEAD']
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ''
    return result.stdout.strip() if result.returncode == 0 else ''


def collect_env() -> dict[str, str]:
    """Describe the environment.

    Returns:
        dict[str, str]: mmengine's description (Python, devices, CUDA, compilers,
        torch), each library that mmlgd checks the version of, with its distribution,
        the state of mmcv's operators, the installed OpenCV distributions, and mmlgd's
        version and commit.
    """
    info = {key: str(value) for key, value in collect_base_env().items()}
    for requirement in REQUIREMENTS:
        found = installed_distributions(requirement)
        text = ' and '.join(f'{name} {number}' for name, number in found.items())
        info[requirement.module] = (
            f'{text or "not installed"} (accepted: {requirement.specifier})'
        )
    info['mmcv operators'] = mmcv_operators()
    opencv = {name: installed_version(name) for name in OPENCV_DISTRIBUTIONS}
    info['OpenCV from'] = ' and '.join(n for n, number in opencv.items() if number)
    package = Path(__file__).resolve().parents[1]
    revision = git_revision(package)
    info['mmlgd'] = f'{__version__}{"+" + revision if revision else ""} ({package})'
    return info
