"""Textured backgrounds, drawn at random."""

import cv2
import numpy as np


def textured_ground(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a background: two colours mixed by a pattern, with fine noise.

    Args:
        size: Height and width in pixels.
        rng: Source of all random choices.

    Returns:
        np.ndarray: (size, size, 3) float32, levels 0 to 255, BGR.
    """
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))](size, rng)[..., None]
    first = rng.uniform(50, 190) + rng.normal(0, 18, 3)
    second = first + rng.choice((-1, 1)) * rng.uniform(15, 60) + rng.normal(0, 8, 3)
    grain = rng.normal(0, rng.uniform(1, 6), (size, size, 1))
    ground = first * (1 - pattern) + second * pattern + grain
    return np.clip(ground, 0, 255).astype(np.float32)


def _clouds(size: int, rng: np.random.Generator) -> np.ndarray:
    """Noise at three grid sizes, weaker at finer grids; (size, size), 0 to 1."""
    clouds = np.zeros((size, size))
    for level in range(3):
        cells = int(rng.integers(3, 6)) * 2**level
        grid = rng.random((cells, cells))
        layer = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        clouds += layer / 2**level
    return cv2.normalize(clouds, None, 0, 1, cv2.NORM_MINMAX)


def _wave(size: int, angle: float, length: float, phase: float) -> np.ndarray:
    """A plane wave from -1 to 1 with a wavelength in pixels; (size, size)."""
    rows, columns = np.mgrid[:size, :size]
    along = columns * np.cos(angle) + rows * np.sin(angle)
    return np.sin(2 * np.pi * along / length + phase)


def _stripes(size: int, rng: np.random.Generator) -> np.ndarray:
    length = size * rng.uniform(0.05, 0.25)
    wave = _wave(size, rng.uniform(0, np.pi), length, rng.uniform(0, 2 * np.pi))
    return np.clip(wave * rng.uniform(1, 6), -1, 1) / 2 + 0.5


def _checks(size: int, rng: np.random.Generator) -> np.ndarray:
    angle, length = rng.uniform(0, np.pi), size * rng.uniform(0.1, 0.35)
    product = np.prod(
        [
            _wave(size, angle + turn, length, rng.uniform(0, 6))
            for turn in (0, np.pi / 2)
        ],
        axis=0,
    )
    return np.clip(product * rng.uniform(2, 8), -1, 1) / 2 + 0.5


def _gradient(size: int, rng: np.random.Generator) -> np.ndarray:
    """A linear gradient in a random direction, overlaid with clouds."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    ramp = columns * np.cos(angle) + rows * np.sin(angle)
    return 0.7 * (ramp / 1.5 + 0.5) + 0.3 * _clouds(size, rng)


_PATTERNS = (_clouds, _stripes, _checks, _gradient)
