"""What a store of views is of: teacher, transforms, seed, images, layout."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically

from .rows import EMBEDDING_DTYPES, view_columns
from .shards import Shard, list_shards

FILE_NAME = 'manifest.json'
_FORMAT = dict(format='mmlgd stored views', format_version=2)
#: What stores say that were written before these fields were there.
_FIELDS_ADDED = dict(logit_scale=None)
_MAX_BYTES = 16 * 2**20
_MAX_SHARDS = 2**22
#: Libraries whose versions may change the pixels of a view.
_PIXEL_LIBRARIES = ('mmcv', 'mmpretrain', 'cv2', 'PIL', 'numpy', 'torch')


def pixel_libraries() -> dict[str, str]:
    """Versions of the libraries that make pixels."""
    return {name: import_module(name).__version__ for name in _PIXEL_LIBRARIES}


@dataclass
class Manifest:
    """The file ``manifest.json`` of a store; docs/stored_views.md describes its fields.

    ``teacher_config`` is compared and shown, and never built: a file that somebody
    publishes names no class to import and no address to fetch from.
    """

    teacher: str
    text_encoder: str
    teacher_config: dict
    embed_dims: int
    image_mean: list
    image_std: list
    image_size: int
    input_shape: list
    pipeline: list | None
    seed: int
    embedding_dtype: str
    shard_size: int
    libraries: dict = field(default_factory=pixel_libraries)
    num_views: int = 0
    segments: list = field(default_factory=list)
    logit_scale: float | None = None

    @property
    def num_images(self) -> int:
        """N of the finished store."""
        return sum(self.segments)

    @property
    def columns(self) -> dict[str, np.dtype]:
        """Columns of a view, see :func:`view_columns`."""
        return view_columns(self.embedding_dtype, self.embed_dims)

    @property
    def row_bytes(self) -> int:
        """Bytes of a view."""
        return sum(dtype.itemsize for dtype in self.columns.values())

    def view_shards(self) -> list[Shard]:
        """The shards of all views of the finished store."""
        return list(list_shards(range(self.num_views), self.segments, self.shard_size))

    def image_shards(self) -> list[Shard]:
        """The shards of its image table."""
        return list(list_shards([None], self.segments, self.shard_size))

    def write(self, store: str | Path) -> None:
        """Write the file, whole or not at all."""
        text = json.dumps({**_FORMAT, **asdict(self)}, indent=1)
        write_atomically(Path(store) / FILE_NAME, text + '\n')

    @classmethod
    def read(cls, store: str | Path) -> 'Manifest':
        """Read the file of a store's folder.

        Raises:
            DataError: It is missing, malformed, or of a version unknown here.
        """
        path = Path(store) / FILE_NAME
        content = _FIELDS_ADDED | read_json(path)
        found = {name: content.pop(name, None) for name in _FORMAT}
        if found != _FORMAT or set(content) != {one.name for one in fields(cls)}:
            raise DataError(
                f'{path} is of {found}, with the fields {sorted(content)}, but this mmlgd '
                f'reads {_FORMAT}. Convert a store of mmlgd 0.1.0 (format_version 1) with '
                f'`python tools/dataset_converters/convert_stored_views.py {store}`; read '
                'any other with the mmlgd that wrote it, or build it again.'
            )
        return cls.checked(path, content)

    @classmethod
    def checked(cls, path: Path, content: dict) -> 'Manifest':
        """A manifest of fields that a file gave.

        Raises:
            DataError: A field has a value that it cannot have.
        """
        content = _FIELDS_ADDED | content
        for name, is_valid in _VALID.items():
            if name not in content or not is_valid(content[name]):
                raise _malformed(path, f'{name} cannot be {content.get(name)!r:.80}')
        manifest = cls(**{name: content[name] for name in _VALID})
        if manifest.num_views and not manifest.segments:
            raise _malformed(path, f'{manifest.num_views} views of no images')
        runs = sum(-(-images // manifest.shard_size) for images in manifest.segments)
        if runs * max(1, manifest.num_views) > _MAX_SHARDS:
            raise _malformed(path, f'it has more than {_MAX_SHARDS} shards')
        return manifest


def read_json(path: Path) -> dict:
    """The fields of a manifest of any version, unchecked.

    Raises:
        DataError: It is missing, or not a JSON object.
    """
    if not path.is_file():
        raise DataError(
            f'There is no store of views in {path.parent} (no {FILE_NAME}); write one with '
            f'`python tools/build_stored_views.py CONFIG --views K --out {path.parent}`.'
        )
    try:
        with open(path, 'rb') as file:
            text = file.read(_MAX_BYTES + 1)
        content = json.loads(text) if len(text) <= _MAX_BYTES else None
        repr(content)  # What is nested too deeply to be shown is refused here.
    except (OSError, ValueError, RecursionError) as error:
        raise _malformed(path, f'{type(error).__name__}: {error}') from error
    if not isinstance(content, dict):
        raise _malformed(path, f'not a JSON object of at most {_MAX_BYTES} bytes')
    return content


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e6 and math.isfinite(value)


def _list_of(is_valid: Callable[[Any], bool], length: int = 0) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list)
        and len(value) == (length or len(value))
        and all(map(is_valid, value))
    )


#: Which values each field may have.
_VALID = dict(
    teacher=lambda value: isinstance(value, str),
    text_encoder=lambda value: isinstance(value, str),
    teacher_config=lambda value: isinstance(value, dict),
    embed_dims=_integer(1, 2**20),
    image_mean=_list_of(_is_number, 3),
    image_std=_list_of(lambda value: _is_number(value) and value > 0, 3),
    image_size=_integer(1, 2**16),
    input_shape=_list_of(_integer(1, 2**16), 3),
    pipeline=lambda value: value is None or isinstance(value, list),
    seed=_integer(0, 2**128),
    embedding_dtype=lambda value: value in EMBEDDING_DTYPES,
    shard_size=_integer(1, 2**31),
    libraries=lambda value: isinstance(value, dict),
    num_views=_integer(0, 2**20),
    segments=_list_of(_integer(1, 2**40)),
    logit_scale=lambda value: value is None or _is_number(value),
)


def _malformed(path: Path, reason: str) -> DataError:
    return DataError(
        f'{path} is not a manifest of stored views ({reason}); copy it again from where '
        'the store came, or build the store again.'
    )
