"""What a store of views is of: teacher, transforms, seed, images, layout."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path

import numpy as np

from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically

from .rows import row_dtype
from .shards import Shard, list_shards

FILE_NAME = 'manifest.json'
FORMAT = 'mmlgd stored views'
FORMAT_VERSION = 1
#: Libraries whose versions may change the pixels of a view.
_PIXEL_LIBRARIES = ('mmcv', 'mmpretrain', 'cv2', 'PIL', 'numpy', 'torch')


def pixel_libraries() -> dict[str, str]:
    """Versions of the libraries that make pixels."""
    return {name: import_module(name).__version__ for name in _PIXEL_LIBRARIES}


@dataclass
class Manifest:
    """The file ``manifest.json`` of a store.

    Attributes:
        teacher (str): ``identity`` of the teacher.
        text_encoder (str): Its ``text_identity``; '' where it has no text tower.
        teacher_config (dict): What it was built from.
        embed_dims (int): D.
        image_mean (list[float]): Its normalisation, R, G and B, 0 to 255.
        image_std (list[float]): Likewise.
        image_size (int): Side of its input, in pixels.
        input_shape (list[int]): (3, H, W) of the views.
        pipeline (list, optional): The transforms, see :func:`describe_pipeline`.
        seed (int): Of the views, as of ``SeededViews``.
        embedding_dtype (str): 'float16' or 'int8'.
        shard_size (int): Rows of a full shard.
        libraries (dict[str, str]): Versions that made the pixels.
        num_views (int): K of the finished store; 0 while it is first built.
        segments (list[int]): Numbers of images that were added together.
        images (str): SHA-256 of the image table.
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
    images: str = ''

    @property
    def num_images(self) -> int:
        """N of the finished store."""
        return sum(self.segments)

    @property
    def row_dtype(self) -> np.dtype:
        """Layout of a row."""
        return row_dtype(self.embedding_dtype, self.embed_dims)

    def shards(self) -> Iterator[Shard]:
        """All shards of the finished store."""
        return list_shards(self.num_views, self.segments, self.shard_size)

    def write(self, store: str | Path) -> None:
        """Write the file, whole or not at all."""
        content = dict(format=FORMAT, format_version=FORMAT_VERSION, **asdict(self))
        write_atomically(Path(store) / FILE_NAME, json.dumps(content, indent=1) + '\n')

    @classmethod
    def read(cls, store: str | Path) -> 'Manifest':
        """Read the file of a store's folder.

        Raises:
            DataError: It is absent, broken, or of a version unknown here.
        """
        path = Path(store) / FILE_NAME
        if not path.is_file():
            raise DataError(
                f'There is no store of views in {store} (no {FILE_NAME}); write one with '
                f'`python tools/build_stored_views.py CONFIG --views K --out {store}`.'
            )
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            found = content.pop('format'), content.pop('format_version')
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f'{path} is no manifest of stored views ({type(error).__name__}: {error}); '
                'build the store anew.'
            ) from error
        names = {one.name for one in fields(cls)}
        if found != (FORMAT, FORMAT_VERSION) or set(content) != names:
            raise DataError(
                f'{path} is of {found[0]!r}, version {found[1]}, with the fields '
                f'{sorted(content)}, but this mmlgd reads {FORMAT!r}, version '
                f'{FORMAT_VERSION}; use the mmlgd that wrote it, or build the store anew.'
            )
        return cls(**content)
