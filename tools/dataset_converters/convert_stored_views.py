"""Convert a store of views of mmlgd 0.1.0 to the current format, in place.

    python tools/dataset_converters/convert_stored_views.py data/imagenet/views_rn50

The teacher is not used: checksums and embeddings do not change. Each shard is removed when
the new one is on disk, so little additional space is needed. An interrupted conversion
resumes with the same command.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmlgd.errors import DataError
from mmlgd.stores import Manifest, ViewStore
from mmlgd.stores.images import ImageTable
from mmlgd.stores.manifest import FILE_NAME
from mmlgd.stores.shards import Shard, write_rows
from mmlgd.utils.field_checks import read_json_object
from mmlgd.utils.tool import run_tool


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('store', type=Path, help='folder of the store')
    store = parser.parse_args(argv).store
    manifest = read_manifest(store / FILE_NAME)
    if not manifest.num_views:
        raise DataError(f'The store {store} is not finished: build it again.')
    folder = store / 'images' / f'{manifest.num_images:09}'
    if folder.is_dir():
        convert_table(store, folder, manifest.image_shards())
        shutil.rmtree(folder)
    for shard in manifest.view_shards():
        convert_shard(store, shard, manifest)
    manifest.write(store)
    opened = ViewStore(store)
    print(f'{store}: {opened.num_views} views of {opened.num_images} images.')


def read_manifest(path: Path) -> Manifest:
    """The manifest of a store of mmlgd 0.1.0."""
    try:
        content = read_json_object(path)
        version = content.pop('format_version', None)
        if version != 1:
            raise DataError(
                f'{path} has format_version {version!r}; only 1, of mmlgd 0.1.0, is '
                'converted.'
            )
        for name in ('format', 'images'):
            content.pop(name, None)
        return Manifest.checked(content)
    except (OSError, ValueError) as error:
        raise DataError(
            f'{path} is not the manifest of a store of views ({error}); copy it again.'
        ) from error


def convert_table(store: Path, folder: Path, shards: list[Shard]) -> None:
    """Write the image table, shard by shard."""
    try:
        names, ends, hashes = (
            np.load(folder / f'{name}.npy') for name in ('names', 'ends', 'hashes')
        )
        rows = sum(shard.size for shard in shards)
        found = [names.dtype, ends.dtype, hashes.dtype, ends.shape, hashes.shape]
        if found != ['u1', '<i8', 'u1', (rows,), (rows, 16)] or names.ndim != 1:
            raise ValueError(f'not the names and hashes of {rows} images')
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f'The image table {folder} cannot be read ({error}); copy it again from the '
            'original store.'
        ) from error
    starts = np.append(0, ends)
    for shard in shards:
        part = slice(shard.first, shard.first + shard.size)
        spans = zip(starts[part], ends[part])
        listed = [names[start:end].tobytes() for start, end in spans]
        # An image in memory had no name.
        listed = [
            name or f'pixels {one.tobytes().hex()}'.encode()
            for name, one in zip(listed, hashes[part])
        ]
        ImageTable(listed, hashes[part]).write(store, shard)


def convert_shard(store: Path, shard: Shard, manifest: Manifest) -> None:
    """Convert a file of rows if its checksum is correct, and remove it."""
    old = shard.path(store).with_suffix('.bin')
    if shard.path(store).is_file() and not old.is_file():
        return
    try:
        content = old.read_bytes()
        facts = json.loads(old.with_suffix('.json').read_text())
        rows = np.frombuffer(content, manifest.row_type)
        if len(rows) != shard.size:
            raise ValueError(f'{len(rows)} rows instead of {shard.size}')
        if hashlib.sha256(content).hexdigest() != facts['sha256']:
            raise ValueError('its checksum differs from the one in its .json file')
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(
            f'The shard {old} cannot be converted ({error}); copy it again.'
        ) from error
    write_rows(store, shard, rows)
    old.unlink()
    old.with_suffix('.json').unlink()


if __name__ == '__main__':
    run_tool(main)
