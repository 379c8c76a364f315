"""Images and names of a distillation, found and checked before anything is built."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mmlgd.datasets import UnlabeledShards
from mmlgd.datasets.category_names import available_category_sets, load_category_names
from mmlgd.datasets.image_folder import list_images
from mmlgd.datasets.shards.dataset import INDEX_FOLDER
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.paths import expand_user

#: Replaced by mmengine with the folder of the config file.
CONFIG_FOLDER = '{{ fileDirname }}'
Images = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class FoundImages:
    """The training images.

    Attributes:
        dataset (dict): Config of the dataset, without pipeline.
        count (int): Number of images.
        place (str): Where they are, for a message.
        files (dict[str, str]): Name to content of the files beside the config.
    """

    dataset: dict
    count: int
    place: str
    files: dict[str, str] = field(default_factory=dict)


def find_images(images: Images, out: str | Path | None) -> FoundImages:
    """Find and count images.

    Args:
        images (str | Path | Sequence): A folder; tar shards (a folder of them, a file, or
            a pattern such as ``'data/{000..123}.tar'``, also behind a URL); or a list of
            image files.
        out (str | Path, optional): Folder of the run. The index of shards that have none
            is written into it. None keeps nothing.

    Raises:
        DataError: A file or folder is missing, or there are no images.
        ConfigError: ``images`` is something else.
    """
    if isinstance(images, str | os.PathLike):
        path = expand_user(os.fspath(images), 'the images')
        if path.endswith('.tar'):
            return _find_shards(*os.path.split(path), out)
        if _has_shards_only(path):
            return _find_shards(path, '*.tar', out)
        if os.path.isfile(path):
            raise DataError(
                f'images is the file {path!r}; give a folder, tar shards, or a list of '
                'images.'
            )
        folder = os.path.abspath(path) if '://' not in path else path
        count = len(list_images(folder))
        return FoundImages(
            dict(type='UnlabeledImages', data_root=folder), count, folder
        )
    if isinstance(images, Sequence):
        return _find_files([os.fspath(image) for image in images])
    raise ConfigError(
        f'images is a {type(images).__name__}; give a folder, tar shards, or a list of '
        'image files.'
    )


def _has_shards_only(folder: str) -> bool:
    """Whether a folder has tar files, and no images beside them."""
    if not os.path.isdir(folder) or not any(Path(folder).glob('*.tar')):
        return False
    try:
        list_images(folder)
    except DataError:
        return True
    return False


def _find_shards(folder: str, shards: str, out: str | Path | None) -> FoundImages:
    root = folder if '://' in folder else os.path.abspath(folder or '.')
    dataset = dict(type='UnlabeledShards', data_root=root, shards=shards)
    with TemporaryDirectory() as temporary:
        index = None
        if not os.path.isdir(os.path.join(root, INDEX_FOLDER)):
            index = os.path.join(out or temporary, INDEX_FOLDER)
            dataset['index'] = f'{CONFIG_FOLDER}/{INDEX_FOLDER}'
        count = len(UnlabeledShards(root, shards, index))
    return FoundImages(dataset, count, f'{root}/{shards}')


def _find_files(paths: list[str]) -> FoundImages:
    if not paths:
        raise DataError('The list of images is empty; give at least two files.')
    files = [os.path.abspath(expand_user(path, 'an image')) for path in paths]
    missing = [path for path in files if not os.path.isfile(path)]
    if missing:
        raise DataError(
            f'{len(missing)} of the {len(files)} images do not exist, such as '
            f'{missing[0]!r}; correct the list.'
        )
    if any('\n' in path for path in files):
        raise DataError('A path in the list of images has a line break; rename it.')
    root = os.path.dirname(os.path.commonprefix([*files, files[0]]))
    root = root if all(path.startswith(f'{root}/') for path in files) else '/'
    listed = ''.join(f'{os.path.relpath(path, root)}\n' for path in files)
    dataset = dict(
        type='UnlabeledImages', data_root=root, ann_file=f'{CONFIG_FOLDER}/images.txt'
    )
    return FoundImages(
        dataset, len(files), f'a list, below {root}', {'images.txt': listed}
    )


def find_names(names: str | Path | Sequence[str] | Mapping) -> tuple[str, list[str]]:
    """Read category names.

    Args:
        names: A built-in set, a file, or a list; see
            :func:`~mmlgd.datasets.category_names.load_category_names`.

    Returns:
        tuple[str, list[str]]: The built-in set's name, or '' for other names; and the
        names.

    Raises:
        ConfigError: The file is missing or has another format, names collide, or there
            are fewer than two.
    """
    if isinstance(names, str | os.PathLike):
        path = expand_user(os.fspath(names), 'the names')
        if os.path.isdir(path):
            raise ConfigError(
                f'names is the folder {path!r}; give a text file with one name per line, '
                'a list, or a built-in set.'
            )
    found = load_category_names(names)
    if len(found) < 2:
        raise ConfigError(
            f'names has only {found[0]!r}: every image would be assigned to it. Give two '
            'or more.'
        )
    if isinstance(names, str) and names in available_category_sets():
        return names, found
    return '', found
