"""Subsets of ImageNet's training split: SimCLR's lists, or seeded ones.

SimCLR's evaluation uses 1 % or 10 % of the labels; the published lists contain the
images. If they cannot be downloaded, a seeded subset of the same size can replace them.
It has other images, so results with it should mention it.
"""

import os
import re
from collections import Counter
from pathlib import Path

from mmlgd.errors import ConfigError, DataError

NUM_CLASSES = 1000
NUM_TRAIN = 1_281_167
SIMCLR_COUNTS = {1: 12_811, 10: 128_116}
SIMCLR_URL = (
    'https://raw.githubusercontent.com/google-research/simclr/master/'
    'imagenet_subsets/{percent}percent.txt'
)
_WNID = re.compile(r'n\d{8}')
_LINE = re.compile(r'(?:.*/)?((n\d{8})_\d+\.JPEG)')


def class_folders(train_dir: str | Path) -> list[str]:
    """WordNet ids of the class folders, in the order of ImageNet's labels.

    Raises:
        DataError: Their number is not 1,000.
    """
    train_dir = Path(train_dir)
    names = sorted(os.listdir(train_dir)) if train_dir.is_dir() else []
    wnids = [name for name in names if _WNID.fullmatch(name)]
    if len(wnids) != NUM_CLASSES:
        raise DataError(
            f'{train_dir} has {len(wnids)} class folders (n01440764, ...), not '
            f"{NUM_CLASSES}: give the folder of ImageNet's training split."
        )
    return wnids


def train_images(train_dir: str | Path) -> list[list[str]]:
    """All images of the training split, as 'wnid/name', one list per class.

    Raises:
        DataError: As in :func:`class_folders`, or a class has no image.
    """
    train_dir = Path(train_dir)
    classes = []
    for wnid in class_folders(train_dir):
        names = [n for n in os.listdir(train_dir / wnid) if n.endswith('.JPEG')]
        if not names:
            raise DataError(f'{train_dir / wnid} has no .JPEG file: unpack it again.')
        classes.append([f'{wnid}/{name}' for name in sorted(names)])
    return classes


def read_simclr_list(
    list_file: str | Path, percent: int, train_dir: str | Path
) -> list[list[str]]:
    """Read one of SimCLR's lists and check it against the images on disk.

    Args:
        list_file: File with one file name per line ('n01440764_10026.JPEG').
        percent: 1 or 10.
        train_dir: Folder of ImageNet's training split.

    Returns:
        list[list[str]]: 'wnid/name' of the images, one list per class.

    Raises:
        ConfigError: SimCLR has no list of that percentage.
        DataError: The list is missing, has another number of lines or other contents, or
            contains images that do not exist.
    """
    if percent not in SIMCLR_COUNTS:
        raise ConfigError(f'SimCLR has lists of 1 % and 10 %, not of {percent} %.')
    wnids = class_folders(train_dir)
    classes: dict[str, list[str]] = {wnid: [] for wnid in wnids}
    for name, wnid in _read_names(Path(list_file), percent):
        if wnid not in classes:
            raise DataError(
                f'{list_file} lists {name}, but {train_dir} has no folder {wnid}: '
                'one of them is not ImageNet-1k.'
            )
        classes[wnid].append(f'{wnid}/{name}')
    images = [image for wnid in wnids for image in classes[wnid]]
    missing = [image for image in images if not (Path(train_dir) / image).is_file()]
    if missing:
        raise DataError(
            f'{len(missing)} of the {len(images)} images of {list_file} are missing in '
            f'{train_dir}, the first: {missing[0]}; complete the dataset.'
        )
    return [classes[wnid] for wnid in wnids]


def _read_names(list_file: Path, percent: int) -> list[tuple[str, str]]:
    """File name and WordNet id of each line, after checking all of them."""
    wanted = SIMCLR_COUNTS[percent]
    advice = f'fetch it again from {SIMCLR_URL.format(percent=percent)}'
    try:
        lines = list_file.read_text(encoding='utf-8').split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{list_file} cannot be read ({error}): {advice}.') from error
    matches = [_LINE.fullmatch(line) for line in lines]
    if None in matches:
        number = matches.index(None)
        raise DataError(
            f'{list_file}: entry {number + 1} is {lines[number][:60]!r}, not a file name '
            f'such as n01440764_10026.JPEG: {advice}.'
        )
    names = [(match[1], match[2]) for match in matches if match]
    repeated = [name for (name, _), count in Counter(names).items() if count > 1]
    if len(names) != wanted or repeated:
        twice = f', {len(repeated)} of them more than once' if repeated else ''
        raise DataError(
            f"{list_file} lists {len(names)} images{twice}, but SimCLR's {percent} % "
            f'subset has {wanted} different ones: {advice}.'
        )
    return names
