"""Packages of the npm registry as single files, without npm."""

import hashlib
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path

from mmlgd.errors import DataError
from mmlgd.utils.atomic import replace_file


def download(url: str, path: str | Path, remedy: str) -> Path:
    """Download a package to a file; return its path.

    ``remedy`` says where a file goes that was downloaded elsewhere.

    Raises:
        DataError: The npm registry cannot be reached or refuses the request.
    """
    path = Path(path)
    try:
        with (
            urllib.request.urlopen(url, timeout=60) as response,
            replace_file(path) as part,
            open(part, 'wb') as file,
        ):
            shutil.copyfileobj(response, file)
    except (OSError, HTTPException) as error:
        raise DataError(
            f'cannot download {url}: {error}. Download it on a machine with network '
            f'access and {remedy}.'
        ) from error
    return path


def read_verified(path: str | Path, url: str, sha256: str) -> bytes:
    """The content of a package on disk.

    Raises:
        DataError: The file is missing or differs from the published package.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path} not found: download {url}.')
    content = path.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(
            f'{path} is not {url}: its SHA-256 is {digest}, not {sha256}. Download it '
            'again.'
        )
    return content
