"""Choose the subset of Fashion-MNIST for the repository.

The same seed gives the same images. They keep their order in the full dataset.

Example:
    python -m demo.make_demo_data
    python -m demo.make_demo_data --unpack-full data/fmnist
"""

import argparse
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np

from demo.fashion_mnist import (
    DEBIAN_SOURCE,
    DEMO_SOURCE,
    SPLIT_FILES,
    prepare_full_data,
    read_split,
)
from mmlgd.errors import ConfigError


def balanced_indices(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Choose the same number of items of every class at random.

    Args:
        labels: (N,) integer labels.
        per_class: Number of items per class.
        seed: Seed of numpy's legacy generator, whose stream numpy guarantees not to
            change.

    Returns:
        Sorted indices into ``labels``, (classes * per_class,) int64.

    Raises:
        ConfigError: A class has fewer items.
    """
    generator = np.random.RandomState(seed)
    chosen = []
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        if len(positions) < per_class:
            raise ConfigError(
                f'class {label} has {len(positions)} images, '
                f'but {per_class} were requested: request fewer'
            )
        chosen.append(generator.permutation(positions)[:per_class])
    return np.sort(np.concatenate(chosen))


def to_idx(values: np.ndarray) -> bytes:
    """Encode an array of uint8 as an idx file.

    Args:
        values: uint8 array of any shape.

    Returns:
        The file's bytes, uncompressed.
    """
    header = bytes((0, 0, 8, values.ndim))
    sizes = np.array(values.shape, '>u4').tobytes()
    return header + sizes + values.tobytes()


def write_subset(
    full_dir: Path, out_dir: Path, counts: dict[str, int], seed: int
) -> dict:
    """Write the compressed subsets of both splits and their manifest.

    Args:
        full_dir: Folder with the unpacked full dataset.
        out_dir: Folder for four ``.gz`` files and ``manifest.json``.
        counts: Images per class, by split.
        seed: Seed of the choice.

    Returns:
        The manifest as written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    manifest = dict(
        source='Fashion-MNIST', seed=seed, per_class=counts, sha256={}, indices={}
    )
    for split, names in SPLIT_FILES.items():
        images, labels = read_split(full_dir, split)
        indices = balanced_indices(labels, counts[split], seed)
        for name, values in zip(names, (images, labels), strict=True):
            content = to_idx(values[indices])
            # mtime 0 and no stored name: the same bytes in every run
            packed = gzip.compress(content, compresslevel=9, mtime=0)
            (out_dir / f'{name}.gz').write_bytes(packed)
            manifest['sha256'][name] = hashlib.sha256(content).hexdigest()
        manifest['indices'][split] = indices.tolist()
    (out_dir / 'manifest.json').write_text(
        json.dumps(manifest) + '\n', encoding='utf-8'
    )
    return manifest


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        '--source',
        type=Path,
        default=DEBIAN_SOURCE,
        help='folder with the full dataset, compressed; if missing, '
        'the dataset is downloaded (default: %(default)s)',
    )
    parser.add_argument(
        '--unpack-full',
        type=Path,
        default=Path('work_dirs/demo/full_data'),
        help='folder to unpack the full dataset to (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, default=DEMO_SOURCE)
    parser.add_argument('--train-per-class', type=int, default=800)
    parser.add_argument('--test-per-class', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Unpack the full dataset, write the subset, and print a summary."""
    args = parse_args()
    full_dir = prepare_full_data(args.unpack_full, args.source)
    counts = dict(train=args.train_per_class, test=args.test_per_class)
    manifest = write_subset(full_dir, args.out, counts, args.seed)
    size = sum(path.stat().st_size for path in args.out.glob('*.gz'))
    chosen = {split: len(i) for split, i in manifest['indices'].items()}
    print(f'{args.out}: {chosen} images, {size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
