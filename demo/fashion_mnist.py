"""Fashion-MNIST on disk: the subset in the repository, and the full dataset.

mmpretrain's ``FashionMNIST`` reads four *uncompressed* idx files. The repository and
Debian's package ``dataset-fashion-mnist`` contain them compressed under the same names.
The functions below unpack them once and check their SHA-256.
"""

import gzip
import hashlib
import json
import math
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np

from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically

SPLIT_FILES = {
    'train': ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte'),
    'test': ('t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'),
}
DEMO_SOURCE = Path(__file__).parent / 'data' / 'fashion_mnist'
DEBIAN_SOURCE = Path('/usr/share/datasets/fashion-mnist')
# SHA-256 of the four unpacked files of the published dataset.
FULL_SHA256 = {
    'train-images-idx3-ubyte': 'c59f468a2f672dc815687fe0f8388776'
    '8d799fd8a3f3276145d20f83aa44d888',
    'train-labels-idx1-ubyte': 'bad3541b69d912435c50bb6ba87bec29'
    '4ff4f6a2e1246121d8633921760443d9',
    't10k-images-idx3-ubyte': '5b4141f0afbad91edebe8549f8fcffe0'
    '87ea10ca49f1dbef5c9a5cd8815ce37b',
    't10k-labels-idx1-ubyte': '0402a96d92fd2663957122ceb108a494'
    'c5af83dab82d92729df917d7dec38c34',
}
_IDX_UINT8 = 8


def prepare_demo_data(out_dir: str | Path) -> Path:
    """Unpack the embedded subset: 8,000 training and 2,000 test images.

    Existing intact files are not written again.

    Args:
        out_dir: Output folder, created if missing; the ``data_root`` for mmpretrain's
            ``FashionMNIST``.

    Returns:
        ``out_dir``.

    Raises:
        DataError: The embedded files are missing or damaged.
    """
    manifest = DEMO_SOURCE / 'manifest.json'
    if not manifest.is_file():
        raise DataError(
            f'{manifest} not found: the demo data are part of the repository; '
            'restore them from a clone'
        )
    digests = json.loads(manifest.read_text(encoding='utf-8'))['sha256']
    return unpack_idx_files(DEMO_SOURCE, out_dir, digests)


def prepare_full_data(
    out_dir: str | Path, source_dir: str | Path = DEBIAN_SOURCE
) -> Path:
    """Unpack the full dataset: 60,000 training and 10,000 test images.

    Args:
        out_dir: Output folder, created if missing.
        source_dir: Folder with the four ``.gz`` files. Defaults to the folder of
            Debian's package ``dataset-fashion-mnist``. If it does not exist,
            mmpretrain's dataset class downloads the files into ``out_dir``.

    Returns:
        ``out_dir``.

    Raises:
        DataError: A file is missing or damaged, or cannot be downloaded.
    """
    if Path(source_dir).is_dir():
        return unpack_idx_files(source_dir, out_dir, FULL_SHA256)
    from mmpretrain.datasets import FashionMNIST

    try:
        FashionMNIST(data_root=str(out_dir), download=True)
    except OSError as error:
        raise DataError(
            f'Fashion-MNIST is neither in {source_dir} nor could it be downloaded '
            f'({error}): install the Debian package dataset-fashion-mnist, or put '
            f'{", ".join(FULL_SHA256)} into {out_dir}'
        ) from error
    return Path(out_dir)


def unpack_idx_files(
    source_dir: str | Path, out_dir: str | Path, digests: dict[str, str]
) -> Path:
    """Unpack ``<name>.gz`` of one folder to ``<name>`` in another.

    Each file is renamed into place when complete. Existing intact files are not
    changed.

    Args:
        source_dir: Folder with the compressed files.
        out_dir: Output folder, created if missing.
        digests: SHA-256 (hexadecimal) of each unpacked file, by name.

    Returns:
        ``out_dir``.

    Raises:
        DataError: A file is missing, cannot be unpacked, or does not match ``digests``.
    """
    source_dir, out_dir = Path(source_dir), Path(out_dir)
    for name, digest in digests.items():
        target = out_dir / name
        if target.is_file() and _sha256(target.read_bytes()) == digest:
            continue
        packed = source_dir / f'{name}.gz'
        content = _decompress(packed)
        if _sha256(content) != digest:
            raise DataError(
                f'{packed} does not hold the expected {name} '
                f'(SHA-256 {digest}): download it again'
            )
        write_atomically(target, content)
    return out_dir


def read_idx(content: bytes) -> np.ndarray:
    """Read an uncompressed idx file of unsigned bytes.

    Args:
        content: The whole file: two zero bytes, the type (8), the number of
            dimensions, each dimension as a big-endian 32-bit integer, data.

    Returns:
        Array of uint8, shape as in the header; writable.

    Raises:
        DataError: The header is invalid or does not match the length.

    Source:
        http://yann.lecun.com/exdb/mnist/, "The IDX file format".
    """
    if len(content) < 4 or content[:3] != bytes((0, 0, _IDX_UINT8)):
        raise DataError(
            'not an idx file of unsigned bytes (is it still '
            f'compressed?): it starts with {content[:4]!r}'
        )
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[i : i + 4], 'big') for i in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        raise DataError(
            f'damaged idx file: its header announces {shape}, '
            f'{len(content) - start} values follow'
        )
    return np.frombuffer(bytearray(content[start:]), np.uint8).reshape(shape)


def read_split(data_dir: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read images and labels of one split from unpacked files.

    Args:
        data_dir: Folder with the unpacked files.
        split: 'train' or 'test'.

    Returns:
        Images (N, 28, 28) and labels (N,), both uint8.

    Raises:
        DataError: The numbers of images and labels differ, or a file is incomplete.
    """
    images, labels = (
        read_idx((Path(data_dir) / name).read_bytes()) for name in SPLIT_FILES[split]
    )
    if len(images) != len(labels):
        raise DataError(
            f'{data_dir}: {len(images)} images but {len(labels)} '
            f'labels in split {split!r}; unpack the dataset again'
        )
    return images, labels


def write_pictures(folder: str | Path, split: str, count: int) -> Path:
    """Write the first embedded images as PNG files, as a user's folder has them.

    Args:
        folder: Output folder, created if missing. A file is named ``00000.png``.
        split: 'train' or 'test'.
        count: Number of images.

    Returns:
        ``folder``.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        images, _ = read_split(prepare_demo_data(unpacked), split)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images[:count]):
        cv2.imwrite(str(folder / f'{number:05d}.png'), image)
    return folder


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _decompress(packed: Path) -> bytes:
    try:
        return gzip.decompress(packed.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f'{packed} not found: restore it from the repository or the package it '
            'came from'
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f'{packed} cannot be unpacked ({error}): it is damaged, download it again'
        ) from error
