#!/usr/bin/env python3
"""Carry what mmlgd imports to a machine without network, as pure-Python wheels.

    python tools/misc/offline_wheels.py collect FOLDER   # where there is a network
    python tools/misc/offline_wheels.py unpack FOLDER    # on the other machine

``collect`` downloads the wheels of the distillation's requirements and of what these
need in turn, for any platform; compiled packages (torch, numpy, OpenCV, ...) must be
installed on the other machine. mmcv-lite, without operators, stands in for mmcv.
``unpack`` unpacks the packages that this Python lacks, and prints the PYTHONPATH.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from email.parser import HeaderParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ('mminstall', 'runtime')
#: Only for detection and segmentation, which need mmcv's compiled operators.
LEFT_OUT = {'onedl-mmdetection', 'onedl-mmsegmentation'}
#: Both members of a pair install the same module.
REPLACED = {
    'onedl-mmcv': 'mmcv-lite',
    'mmcv': 'mmcv-lite',
    'mmengine': 'onedl-mmengine',
}
#: Compiled, or with compiled requirements of their own: expected on the other machine.
PRESENT = {'torch', 'torchvision', 'timm', 'numpy', 'pillow', 'matplotlib'}


def normalise(requirement: str) -> str:
    """The normalised name in a requirement: ``Open_CLIP>=2`` becomes ``open-clip``."""
    name = re.split(r'[\s<>=!~;\[@(]', requirement.strip(), maxsplit=1)[0]
    return re.sub(r'[-_.]+', '-', name).lower()


def required_names() -> list[str]:
    """Names in the requirement files that a distillation needs."""
    lines: list[str] = []
    for name in REQUIREMENTS:
        lines += (ROOT / f'requirements/{name}.txt').read_text().splitlines()
    names = [normalise(line) for line in lines if not line.startswith('#')]
    return [name for name in names if name and name not in LEFT_OUT]


def needs_of(wheel: Path, python: str) -> list[str]:
    """Names that a wheel requires on Linux, without extras."""
    from packaging.requirements import Requirement  # absent where wheels are unpacked

    with zipfile.ZipFile(wheel) as archive:
        (path,) = [n for n in archive.namelist() if re.fullmatch(r'[^/]+/METADATA', n)]
        metadata = HeaderParser().parsestr(archive.read(path).decode())
    system = dict(extra='', python_version=python, python_full_version=f'{python}.0')
    needs = map(Requirement, metadata.get_all('Requires-Dist') or [])
    return [n.name for n in needs if not n.marker or n.marker.evaluate(system)]


def fetch(name: str, folder: Path, python: str, is_direct: bool) -> Path | None:
    """Download the pure-Python wheel of a package; None if it has none."""
    pip = [sys.executable, '-m', 'pip', '-q', '--disable-pip-version-check']
    common = ['--no-deps', '-c', str(ROOT / 'constraints.txt'), name]
    anywhere = ['--platform', 'any', '--implementation', 'py', '--abi', 'none']
    with tempfile.TemporaryDirectory(dir=folder) as part:
        target = ['-d', part, '--only-binary=:all:', '--python-version', python]
        commands = [[*pip, 'download', *target, *anywhere, *common]]
        if is_direct:  # published as source only
            commands.append([*pip, 'wheel', '-w', part, *common])
        for command in commands:
            subprocess.run(command, capture_output=True)
            for wheel in Path(part).glob('*-none-any.whl'):
                return wheel.replace(folder / wheel.name)
    return None


def collect(folder: Path, python: str) -> list[str]:
    """Download wheels; return the names that the other machine must have itself."""
    folder.mkdir(parents=True, exist_ok=True)
    direct = required_names()
    waiting, seen, absent = [*direct], {*PRESENT}, []
    while waiting:
        name = normalise(waiting.pop(0))
        name = REPLACED.get(name, name)
        if name in seen:
            continue
        seen.add(name)
        wheel = fetch(name, folder, python, name in direct)
        print(f'{name}: {wheel.name if wheel else "compiled"}', flush=True)
        if wheel is None:
            absent.append(name)
        else:
            waiting += needs_of(wheel, python)
    return sorted({*absent, *PRESENT})


def unpack(folder: Path, target: Path) -> list[str]:
    """Unpack the wheels of packages that are not installed; return their names."""
    unpacked = []
    for wheel in sorted(folder.glob('*.whl')):
        name = normalise(wheel.name.split('-')[0])
        try:
            version(name)
        except PackageNotFoundError:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(target)
            unpacked.append(name)
    return unpacked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('action', choices=('collect', 'unpack'))
    parser.add_argument('folder', type=Path, help='folder of the wheels')
    parser.add_argument('--python', default='3.12', help='of the other machine')
    parser.add_argument('--target', type=Path, help='default: FOLDER/unpacked')
    args = parser.parse_args()
    if args.action == 'collect':
        absent = collect(args.folder, args.python)
        size = sum(wheel.stat().st_size for wheel in args.folder.glob('*.whl'))
        print(f'{size / 2**20:.1f} MiB. To be installed there: {", ".join(absent)}')
    else:
        target = (args.target or args.folder / 'unpacked').resolve()
        names = unpack(args.folder, target)
        print(f'Unpacked: {", ".join(names)}', file=sys.stderr)
        print(f'export PYTHONPATH={target}')


if __name__ == '__main__':
    main()
