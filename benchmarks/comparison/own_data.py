"""Your own labelled images: folder trees and lists, as mmpretrain datasets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmlgd.datasets.category_names import load_category_names
from mmlgd.datasets.image_folder import list_images
from mmlgd.datasets.splits import annotation_lines, shuffled_classes, write_lines
from mmlgd.errors import ConfigError, DataError
from mmlgd.evaluation import match_classes

#: As for ``load_category_names``; or the name of each class folder; or None for the
#: folder names with underscores replaced by spaces.
Names = str | Path | Sequence[str] | Mapping[str, str] | None


class Labelled(NamedTuple):
    """Paths relative to the folder: one list per name, in the order of the names."""

    root: Path
    classes: list[list[str]]


def class_folders(source: Path) -> list[str]:
    """Sorted names of the subfolders of a folder, without hidden ones."""
    names = [each.name for each in source.iterdir() if each.is_dir()]
    return sorted(name for name in names if not name.startswith('.'))


def read_names(names: Names, train: object) -> list[str]:
    """The category names, in the order of the class indices.

    Raises:
        ConfigError: They cannot be taken from folders, or are empty or collide.
    """
    if names is None:
        if not (isinstance(train, str) and Path(train).is_dir()):
            raise ConfigError(
                '`names` is missing; only a folder tree provides default names. Give a '
                'built-in set, a text file with one name per line, or a list.'
            )
        names = [folder.replace('_', ' ') for folder in class_folders(Path(train))]
    is_map = isinstance(names, Mapping)
    return load_category_names(list(dict.fromkeys(names.values())) if is_map else names)


def read_labelled(source: str, names: list[str], given: Names) -> Labelled:
    """Read a folder tree, or a text file with lines 'path class'.

    Args:
        source (str): A folder with one subfolder per class, whose names are matched
            with ``names`` by their text; or a text file with paths relative to its
            folder and classes as indices into ``names``, from 0.
        names (list[str]): Result of :func:`read_names`.
        given (Names): Argument of :func:`read_names`, for the names of folders.

    Raises:
        ConfigError: A folder matches none of the names.
        DataError: The source does not exist or has no images, or a line is invalid.
    """
    path, classes = Path(source), [[] for _ in names]
    if path.is_dir():
        folders = class_folders(path)
        mapping = given if isinstance(given, Mapping) else {}
        mapping = {folder: mapping[folder] for folder in folders if folder in mapping}
        indices = match_classes(folders, names, source, mapping)
        for folder, index in zip(folders, indices):
            found = list_images(str(path / folder))
            classes[index] += [str(Path(each).relative_to(path)) for each in found]
    elif path.is_file():
        _read_lines(path, classes)
    if not any(classes):
        raise DataError(
            f'{source} has no labelled image: it must be a folder with one subfolder per '
            "class, or a text file with lines 'path class'."
        )
    return Labelled(path if path.is_dir() else path.parent, classes)


def _read_lines(path: Path, classes: list[list[str]]) -> None:
    for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
        image, _, label = line.strip().rpartition(' ')
        if not image or not label.isdecimal() or int(label) >= len(classes):
            raise DataError(
                f"{path}, line {number}: {line!r} is not 'path class' with a class from "
                f'0 to {len(classes) - 1}.'
            )
        classes[int(label)].append(image)


def keep_back(labelled: Labelled) -> tuple[Labelled, Labelled]:
    """Hold out a tenth of each class, rounded down, for validation.

    Raises:
        DataError: No class has ten images.
    """
    shuffled = shuffled_classes(labelled.classes, seed=0)
    val = [images[: len(images) // 10] for images in shuffled]
    train = [images[len(images) // 10 :] for images in shuffled]
    if not any(val):
        raise DataError(
            f'no class of {labelled.root} has ten images, so none can be held out to choose '
            'the learning rates of the probes: give labelled images as `val`.'
        )
    return labelled._replace(classes=train), labelled._replace(classes=val)


def write_dataset(labelled: Labelled, path: Path) -> dict:
    """Write the list of the images and return the config of their dataset."""
    write_lines(path, annotation_lines(labelled.classes))
    return dict(
        type='mmpretrain.CustomDataset',
        data_root=str(labelled.root),
        ann_file=str(path.absolute()),
    )
