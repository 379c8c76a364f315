"""Labelled images of one's own: folder trees and lists, as data sets of mmpretrain."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmlgd.datasets.category_names import load_category_names
from mmlgd.datasets.image_folder import list_images
from mmlgd.datasets.splits import annotation_lines, shuffled_classes, write_lines
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.suggest import suggest

Names = str | Path | Sequence[str] | Mapping[str, str] | None


class Labelled(NamedTuple):
    """Paths within a folder, one list a class, in the order of the names."""

    root: Path
    classes: list[list[str]]


def read_names(names: Names, train: str | Path | None) -> tuple[list[str], list[str]]:
    """Category names, and the class folder of each.

    Args:
        names (str | Path | Sequence | Mapping | None): As for
            :func:`load_category_names`; or the name of each class folder; or None: the
            folders' own names, underscores read as blanks.
        train (str | Path, optional): Folder tree or list of the labelled images.

    Returns:
        tuple[list[str], list[str]]: The names, and the folders in their order; no
        folders where ``train`` is a list, or not of this kind.

    Raises:
        ConfigError: Names and folders are not the same set.
    """
    if not (isinstance(train, (str, Path)) and Path(train).is_dir()):
        if names is None or isinstance(names, Mapping):
            raise ConfigError(
                '`names` must give the category names, in the order of the class numbers: '
                'a built-in set, a text file with one name a line, or a list.'
            )
        return load_category_names(names), []
    folders = sorted(
        each.name
        for each in Path(train).iterdir()
        if each.is_dir() and not each.name.startswith('.')
    )
    if names is None:
        names = {folder: folder.replace('_', ' ') for folder in folders}
    if isinstance(names, Mapping):
        _check_same(folders, list(names), train, 'keys of `names`')
        return load_category_names([names[each] for each in folders]), folders
    texts = load_category_names(names)
    by_key = {_key(folder): folder for folder in folders}
    _check_same(by_key, [_key(text) for text in texts], train, '`names`')
    return texts, [by_key[_key(text)] for text in texts]


def _key(text: str) -> str:
    """Case, blanks, hyphens and underscores do not tell two names apart."""
    return re.sub(r'[\W_]+', ' ', text).strip().casefold()


def _check_same(
    folders: Sequence[str] | Mapping, names: list[str], train: str | Path, what: str
) -> None:
    for absent, present in ((set(folders) - set(names), names), (set(names) - set(folders), folders)):
        if absent:
            name = min(absent)
            raise ConfigError(
                f'the class folders of {train} and the {what} differ: {name!r} is in one '
                f'of them only.{suggest(name, present)} Give the name of each folder: '
                "names={'folder': 'name', ...}."
            )


def read_labelled(
    source: str | Path, folders: Sequence[str], num_classes: int
) -> Labelled:
    """Read a folder tree, or a list of lines 'path class'.

    Args:
        source (str | Path): A folder with one folder a class; or a text file whose
            paths count from its own folder and whose classes are line numbers of the
            names, from 0.
        folders (Sequence[str]): Class folders in the order of the names; not used for
            a list.
        num_classes (int): C.

    Raises:
        ConfigError: A folder tree comes without ``folders``.
        DataError: There is neither, a line or a class is not understood, or there is no
            image.
    """
    source = Path(source)
    if source.is_dir():
        if not folders:
            raise ConfigError(
                f'{source} is a folder tree, but `train` is a list; give both alike.'
            )
        return Labelled(source, _read_tree(source, folders))
    if not source.is_file():
        raise DataError(
            f'{source} is neither a folder with one folder a class nor a text file of '
            "lines 'path class'; check the path."
        )
    classes = [[] for _ in range(num_classes)]
    for number, line in enumerate(source.read_text('utf-8').splitlines(), 1):
        path, _, label = line.strip().rpartition(' ')
        if not line.strip():
            continue
        if not (path and label.isdecimal() and int(label) < num_classes):
            raise DataError(
                f"{source}, line {number}: {line!r} is not 'path class' with a class from "
                f'0 to {num_classes - 1}.'
            )
        classes[int(label)].append(path)
    if not any(classes):
        raise DataError(f'{source} lists no image.')
    return Labelled(source.parent, classes)


def _read_tree(source: Path, folders: Sequence[str]) -> list[list[str]]:
    classes = [[] for _ in folders]
    there = [each for each in source.iterdir() if each.is_dir()]
    for folder in there:
        if folder.name.startswith('.'):
            continue
        if folder.name not in folders:
            raise DataError(
                f'{folder} is not a class of the labelled training images; remove it, or '
                f'add it there.{suggest(folder.name, folders)}'
            )
        classes[folders.index(folder.name)] = [
            str(Path(path).relative_to(source)) for path in list_images(str(folder))
        ]
    if not any(classes):
        raise DataError(f'{source} holds no class folder with images.')
    return classes


def keep_back(labelled: Labelled) -> tuple[Labelled, Labelled]:
    """Split off a tenth of each class, rounded down, for validation.

    Raises:
        DataError: No class has ten images.
    """
    shuffled = shuffled_classes(labelled.classes, seed=0)
    val = [images[: len(images) // 10] for images in shuffled]
    train = [images[len(images) // 10 :] for images in shuffled]
    if not any(val):
        raise DataError(
            f'no class of {labelled.root} has ten images, of which one could be kept back '
            'to choose the learning rates of the probes: give labelled images as `val`.'
        )
    return labelled._replace(classes=train), labelled._replace(classes=val)


def write_dataset(labelled: Labelled, path: Path) -> dict:
    """Write the list of the images and return the config of their data set."""
    write_lines(path, annotation_lines(labelled.classes))
    return dict(
        type='mmpretrain.CustomDataset',
        data_root=str(labelled.root),
        ann_file=str(path.absolute()),
    )
