"""Access to the speed benchmarks by name; a small user dataset."""

import importlib
from pathlib import Path

import cv2
import numpy as np
import open_clip
import pytest
import torch

ROOT = Path(__file__).parents[2]
MODEL = ROOT / 'tests/data/rn_tiny.json'
#: Class folder to its images for training and for testing; blue, green, red channel.
CLASSES = dict(red=(30, 8), blue_green=(12, 4), blue=(5, 2))
CHANNELS = dict(red=[2], blue_green=[0, 1], blue=[0])
BENCHMARK = """
train = {folder!r} + '/data/train'
test = {folder!r} + '/data/test'
names = {folder!r} + '/names.txt'
teacher = dict(type='OpenCLIPTeacher', model_name='rn_tiny',
               model_config={model!r}, pretrained={folder!r} + '/weights.pt')
image_size = 64
methods = ['teacher', 'lgd', 'supervised']
iterations = 4
batch_size = 8
seeds = [0, 1]
work_dir = {folder!r} + '/work'
"""


@pytest.fixture
def load():
    """Import a module of the speed benchmarks."""
    return lambda name: importlib.import_module(f'benchmarks.speed.{name}')


def write_squares(folder: Path) -> None:
    """Noisy coloured squares: few and unequal classes, in folders."""
    noise = np.random.default_rng(0)
    for name, counts in CLASSES.items():
        for split, count in zip(('train', 'test'), counts):
            path = folder / split / name
            path.mkdir(parents=True)
            for index in range(count):
                image = noise.integers(0, 60, (32, 32, 3), dtype=np.uint8)
                image[..., CHANNELS[name]] += 150
                cv2.imwrite(str(path / f'{index}.png'), image)


@pytest.fixture(scope='session')
def weights(tmp_path_factory) -> bytes:
    """Weights of a tiny teacher."""
    open_clip.add_model_config(MODEL)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('teacher') / 'weights.pt'
    torch.save(open_clip.create_model('rn_tiny').state_dict(), path)
    return path.read_bytes()


@pytest.fixture
def file(tmp_path, weights, monkeypatch):
    """A benchmark file for the user dataset, in the same folder."""
    monkeypatch.chdir(ROOT)
    write_squares(tmp_path / 'data')
    (tmp_path / 'weights.pt').write_bytes(weights)
    # Order and spelling differ from the folders.
    (tmp_path / 'names.txt').write_text('red\nBlue green\nblue\n')
    path = tmp_path / 'own.py'
    path.write_text(BENCHMARK.format(folder=str(tmp_path), model=str(MODEL)))
    return path
