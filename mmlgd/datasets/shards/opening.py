"""Chooses the storage of a folder or URL, and refuses credentials in configs."""

import re
from typing import Any

import fsspec

from mmlgd.errors import ConfigError, DependencyError

from .remote import RemoteStorage
from .storage import LocalStorage, Storage

#: URL schemes, and what has to be installed for each.
_PACKAGES = {'http': 'aiohttp', 'https': 'aiohttp', 's3': 's3fs'}
_SCHEME = re.compile(r'([a-zA-Z][\w+.-]*)://')
#: Options of fsspec that are, or contain, credentials.
_SECRETS = re.compile(
    r'(?i)^(key|username|.*(secret|token|password|passwd|access_key).*)$'
)


def open_storage(
    root: str,
    options: dict[str, Any] | None = None,
    retries: int = 5,
    timeout: float = 60,
) -> Storage:
    """The storage of a folder or URL.

    Args:
        root: Local folder, or a URL of http, https or s3.
        options: Options of fsspec's file system; only for URLs. Defaults to None.
        retries: How often a failed request is repeated. Defaults to 5.
        timeout: Seconds until a request counts as failed. Defaults to 60.

    Raises:
        ConfigError: The options are invalid, contain credentials, or do not apply.
        DependencyError: The package for this kind of URL is missing.
    """
    if _is_url(root, options):
        return RemoteStorage(root, dict(options or {}), retries, timeout)
    return LocalStorage(root)


def _is_url(root: str, options: dict[str, Any] | None) -> bool:
    """Whether a root is a URL; checks it and its options.

    Raises:
        ConfigError: The scheme is unknown, or there are credentials, or options for a
            folder.
        DependencyError: The package for this kind of URL is missing.
    """
    scheme = _SCHEME.match(root)
    if scheme is None:
        if options:
            raise ConfigError(
                f'storage_options are for URLs, but the shards are in the folder {root!r}: '
                'remove them.'
            )
        return False
    name = scheme[1].lower()
    if name not in _PACKAGES:
        raise ConfigError(
            f'Shards are read from folders, {", ".join(_PACKAGES)} URLs, not {root!r}.'
        )
    secret = _find_secret(options or {})
    if secret or '@' in root.split('/')[2]:
        raise ConfigError(
            f'{f"storage_options {secret!r}" if secret else "The URL of the shards"} '
            'contains credentials, which would be written to logs and checkpoints. Set '
            'them outside the config: environment variables such as AWS_PROFILE or '
            'AWS_ACCESS_KEY_ID, or ~/.netrc for http (storage_options='
            'dict(client_kwargs=dict(trust_env=True))).'
        )
    try:
        fsspec.get_filesystem_class(name)
    except ImportError as error:
        raise DependencyError(
            f'Shards at {root} need the package {_PACKAGES[name]}: pip install '
            f'{_PACKAGES[name]}.'
        ) from error
    return True


def _find_secret(options: dict[str, Any]) -> str:
    for key, value in options.items():
        if _SECRETS.match(str(key)):
            return str(key)
        if isinstance(value, dict) and (found := _find_secret(value)):
            return f'{key}.{found}'
    return ''
