"""What a store of views is of: teacher, transforms, seed, images, layout."""

import json
from dataclasses import asdict, dataclass, field, fields
from itertools import accumulate
from pathlib import Path
from typing import Annotated

import numpy as np

from mmlgd.errors import DataError
from mmlgd.pixels.codec import PixelCodec
from mmlgd.pixels.comparison import pixel_libraries
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.field_checks import (
    check_fields,
    each,
    is_number,
    is_whole,
    read_json_object,
)
from mmlgd.utils.identity import identity_key

from .shards import CRC_BYTES, EMBEDDING_DTYPES, Shard, row_type

FILE_NAME = 'manifest.json'
_FORMAT = dict(format='mmlgd stored views', format_version=2)
_MAX_SHARDS = 2**22


def _is_member(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {'teacher', 'embed_dims'}
        and isinstance(value['teacher'], str)
        and is_whole(1, 2**20)(value['embed_dims'])
    )


@dataclass
class Manifest:
    """The file ``manifest.json`` of a store; docs/stored_views.md describes its fields.

    ``teacher_config`` is compared and shown, and never built: a file that somebody
    publishes names no class to import and no address to fetch from. ``members`` has the
    identity and the width of each of several teachers; it is empty for a single one.
    """

    teacher: str
    text_encoder: str
    teacher_config: dict
    embed_dims: Annotated[int, is_whole(1, 2**20)]
    image_mean: Annotated[list, each(is_number, 3)]
    image_std: Annotated[list, each(is_number, 3), each(lambda value: value > 0)]
    image_size: Annotated[int, is_whole(1, 2**16)]
    input_shape: Annotated[list, each(is_whole(1, 2**16), 3)]
    pipeline: list | None
    seed: Annotated[int, is_whole(0, 2**128)]
    embedding_dtype: Annotated[str, EMBEDDING_DTYPES.__contains__]
    shard_size: Annotated[int, is_whole(1, 2**31)]
    libraries: dict = field(default_factory=pixel_libraries)
    num_views: Annotated[int, is_whole(0, 2**20)] = 0
    segments: Annotated[list, each(is_whole(1, 2**40))] = field(default_factory=list)
    logit_scale: Annotated[float | int | None, is_number] = None
    members: Annotated[list, each(_is_member)] = field(default_factory=list)
    pixels: Annotated[dict | None, PixelCodec.is_described] = None

    @property
    def num_images(self) -> int:
        """N of the finished store."""
        return sum(self.segments)

    @property
    def row_type(self) -> np.dtype:
        """Type of a view's rows."""
        return row_type(self.embedding_dtype, self.embed_dims, self.pixels is not None)

    @property
    def row_bytes(self) -> int:
        """Bytes of a view, with its checksum."""
        return CRC_BYTES + self.row_type.itemsize

    @property
    def codec(self) -> PixelCodec | None:
        """How the pixels of the views are stored; None if they are not."""
        return None if self.pixels is None else PixelCodec(**self.pixels)

    def config_of(self, position: int) -> object:
        """The config of the store's teacher, or of one of several, to compare with."""
        if not self.members:
            return self.teacher_config
        return self.teacher_config['teachers'][position]

    def image_shards(self) -> list[Shard]:
        """The shards of the finished store's image table: runs within a segment."""
        teacher = identity_key(self.teacher)
        return [
            Shard(None, first, min(self.shard_size, end - first), teacher)
            for images, end in zip(self.segments, accumulate(self.segments))
            for first in range(end - images, end, self.shard_size)
        ]

    def view_shards(self) -> list[Shard]:
        """The shards of all its views, view by view."""
        views, runs = range(self.num_views), self.image_shards()
        return [run._replace(view=view) for view in views for run in runs]

    def write(self, store: str | Path) -> None:
        """Write the file, whole or not at all."""
        content = {**_FORMAT, **asdict(self)}
        if self.pixels is None:  # A field that earlier versions do not know.
            del content['pixels']
        text = json.dumps(content, indent=1, default=str)
        write_atomically(Path(store) / FILE_NAME, text + '\n')

    @classmethod
    def read(cls, store: str | Path) -> 'Manifest':
        """Read the file of a store's folder.

        Raises:
            DataError: It is missing, malformed, or of a version unknown here.
        """
        path = Path(store) / FILE_NAME
        if not path.is_file():
            raise DataError(
                f'There is no store of views in {store} (no {FILE_NAME}); write one with '
                f'`python tools/build_stored_views.py CONFIG --views K --out {store}`.'
            )
        try:
            content = read_json_object(path)
            found = {name: content.pop(name, None) for name in _FORMAT}
            names = {one.name for one in fields(cls)}
            if found == _FORMAT and content.keys() | {'pixels'} == names:
                return cls.checked(content)
        except (OSError, ValueError) as error:
            raise DataError(
                f'{path} is not a manifest of stored views ({error}); copy it again from '
                'where the store came, or build the store again.'
            ) from error
        raise DataError(
            f'{path} is of {found}, with the fields {sorted(content)}, but this mmlgd '
            f'reads {_FORMAT}. Convert a store of mmlgd 0.1.0 (format_version 1) with '
            f'`python tools/dataset_converters/convert_stored_views.py {store}`; read '
            'any other with the mmlgd that wrote it, or build it again.'
        )

    @classmethod
    def checked(cls, content: dict) -> 'Manifest':
        """A manifest of fields that a file gave; ValueError if one is not valid."""
        manifest = cls(**check_fields(cls, content))
        views = manifest.num_views
        runs = sum(-(-images // manifest.shard_size) for images in manifest.segments)
        if (views and not runs) or runs * max(1, views) > _MAX_SHARDS:
            raise ValueError(f'{views} views in {runs} shards each')
        widths = [member['embed_dims'] for member in manifest.members]
        configs = manifest.teacher_config.get('teachers')
        found = sum(widths), isinstance(configs, list) and len(configs)
        if widths and found != (manifest.embed_dims, len(widths)):
            raise ValueError(f'members of {widths} values, of {manifest.embed_dims}')
        return manifest
