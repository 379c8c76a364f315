"""The images under a folder."""

import os.path as osp
from collections import Counter
from collections.abc import Sequence

from mmengine.fileio import get_file_backend

from mmlgd.errors import DataError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


def list_images(
    folder: str,
    extensions: Sequence[str] = EXTENSIONS,
    backend_args: dict | None = None,
) -> list[str]:
    """List the images of a folder and of its subfolders, hidden files left out.

    Args:
        folder: Local folder, or one that a file backend of mmengine knows.
        extensions: Endings to look for, in lower case; files match in any case.
            Defaults to :data:`EXTENSIONS`.
        backend_args: Options of the file backend. Defaults to None.

    Returns:
        list[str]: Paths, sorted.

    Raises:
        DataError: The folder is absent or holds no image.
    """
    backend = get_file_backend(folder, backend_args=backend_args)
    if not backend.isdir(folder):
        raise DataError(
            f'The image folder {folder!r} does not exist or is no folder. Correct '
            'data_root and data_prefix of the data set in the config (relative paths '
            f'start from the current folder, {osp.abspath(".")!r}).'
        )
    names = list(backend.list_dir_or_file(folder, list_dir=False, recursive=True))
    images = sorted(name for name in names if name.lower().endswith(tuple(extensions)))
    if not images:
        raise DataError(
            f'The image folder {folder!r} holds no image: looked, in it and in its '
            f'subfolders, for {", ".join(extensions)}; {_summarise_endings(names)}. '
            'Correct data_root and data_prefix of the data set in the config, or set '
            'its extensions.'
        )
    return [backend.join_path(folder, name) for name in images]


def _summarise_endings(names: Sequence[str]) -> str:
    counts = Counter(osp.splitext(name)[1].lower() or 'no ending' for name in names)
    if not counts:
        return 'there is no file at all'
    found = ', '.join(f'{count} with {ext}' for ext, count in counts.most_common(5))
    return f'found {found}'
