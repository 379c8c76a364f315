"""What a store of views is of: teacher, transforms, seed, images, layout."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np

from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically

from .rows import EMBEDDING_DTYPES, view_columns
from .shards import Shard

FILE_NAME = 'manifest.json'
_FORMAT = dict(format='mmlgd stored views', format_version=2)
_MAX_BYTES = 16 * 2**20
_MAX_SHARDS = 2**22
#: Libraries whose versions may change the pixels of a view.
_PIXEL_LIBRARIES = ('mmcv', 'mmpretrain', 'cv2', 'PIL', 'numpy', 'torch')


def pixel_libraries() -> dict[str, str]:
    """Versions of the libraries that make pixels."""
    return {name: import_module(name).__version__ for name in _PIXEL_LIBRARIES}


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e6 and math.isfinite(value)


def _three(rule: Callable[[Any], bool]) -> Callable[[list], bool]:
    return lambda values: len(values) == 3 and all(map(rule, values))


@dataclass
class Manifest:
    """The file ``manifest.json`` of a store; docs/stored_views.md describes its fields.

    A field's annotation says which values a file may give it. ``teacher_config`` is
    compared and shown, and never built: a file that somebody publishes names no class
    to import and no address to fetch from.
    """

    teacher: str
    text_encoder: str
    teacher_config: dict
    embed_dims: Annotated[int, _integer(1, 2**20)]
    image_mean: Annotated[list, _three(_is_number)]
    image_std: Annotated[list, _three(lambda value: _is_number(value) and value > 0)]
    image_size: Annotated[int, _integer(1, 2**16)]
    input_shape: Annotated[list, _three(_integer(1, 2**16))]
    pipeline: list | None
    seed: Annotated[int, _integer(0, 2**128)]
    embedding_dtype: Annotated[str, EMBEDDING_DTYPES.__contains__]
    shard_size: Annotated[int, _integer(1, 2**31)]
    libraries: dict = field(default_factory=pixel_libraries)
    num_views: Annotated[int, _integer(0, 2**20)] = 0
    segments: Annotated[list, lambda values: all(map(_integer(1, 2**40), values))] = (
        field(default_factory=list)
    )

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

    def image_shards(self) -> list[Shard]:
        """The shards of the finished store's image table: runs within a segment."""
        return [
            Shard(None, first, min(self.shard_size, end - first))
            for images, end in zip(self.segments, accumulate(self.segments))
            for first in range(end - images, end, self.shard_size)
        ]

    def view_shards(self) -> list[Shard]:
        """The shards of all its views, view by view."""
        runs = self.image_shards()
        return [
            run._replace(view=view) for view in range(self.num_views) for run in runs
        ]

    def write(self, store: str | Path) -> None:
        """Write the file, whole or not at all."""
        text = json.dumps({**_FORMAT, **asdict(self)}, indent=1, default=str)
        write_atomically(Path(store) / FILE_NAME, text + '\n')

    @classmethod
    def read(cls, store: str | Path) -> 'Manifest':
        """Read the file of a store's folder.

        Raises:
            DataError: It is missing, malformed, or of a version unknown here.
        """
        path = Path(store) / FILE_NAME
        content = read_json(path)
        found = {name: content.pop(name, None) for name in _FORMAT}
        if found != _FORMAT or content.keys() != get_type_hints(cls).keys():
            raise DataError(
                f'{path} is of {found}, with the fields {sorted(content)}, but this mmlgd '
                f'reads {_FORMAT}. Convert a store of mmlgd 0.1.0 (format_version 1) with '
                f'`python tools/dataset_converters/convert_stored_views.py {store}`; read '
                'any other with the mmlgd that wrote it, or build it again.'
            )
        return cls.checked(path, content)

    @classmethod
    def checked(cls, path: Path, content: dict) -> 'Manifest':
        """A manifest of fields that a file gave; others are left out.

        Raises:
            DataError: A field is missing, or has a value that it cannot have.
        """
        hints = get_type_hints(cls, include_extras=True)
        for name, hint in hints.items():
            kind, *rules = get_args(hint) if get_origin(hint) is Annotated else [hint]
            value = content.get(name)
            is_valid = name in content and isinstance(value, kind)
            if not (is_valid and all(rule(value) for rule in rules)):
                raise _malformed(path, f'{name} cannot be {value!r:.80}')
        manifest = cls(**{name: content[name] for name in hints})
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
            content = json.loads(file.read(_MAX_BYTES))
        repr(content)  # What is nested too deeply to be shown is refused here.
    except (OSError, ValueError, RecursionError) as error:
        reason = f'the first {_MAX_BYTES} bytes: {type(error).__name__}: {error}'
        raise _malformed(path, reason) from error
    if not isinstance(content, dict):
        raise _malformed(path, 'not a JSON object')
    return content


def _malformed(path: Path, reason: str) -> DataError:
    return DataError(
        f'{path} is not a manifest of stored views ({reason}); copy it again from where '
        'the store came, or build the store again.'
    )
