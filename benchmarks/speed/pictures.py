"""Photographs for the input pipeline benchmark, from installed packages or a folder."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from mmlgd.datasets.image_folder import list_images

#: Colour photographs in skimage.data.
_SKIMAGE = ('astronaut', 'chelsea', 'coffee', 'rocket')
#: Size of a photograph within a mosaic: the most frequent one in ImageNet.
_TILE = (500, 375)


def photographs() -> tuple[list[Image.Image], str]:
    """Photographs included in installed packages, otherwise noise.

    Returns:
        tuple[list, str]: RGB images, and their origin.
    """
    found, origin = [], []
    if find_spec('sklearn'):
        from sklearn.datasets import load_sample_images

        found += load_sample_images().images
        origin.append('scikit-learn (china, flower)')
    if find_spec('skimage'):
        from skimage import data

        found += [getattr(data, name)() for name in _SKIMAGE]
        origin.append(f'scikit-image ({", ".join(_SKIMAGE)})')
    if not found:
        found = [_natural_noise(seed) for seed in range(6)]
        origin.append('synthetic noise with the spectrum of photographs')
    return [Image.fromarray(each) for each in found], 'photographs of ' + ' and '.join(
        origin
    )


def _natural_noise(seed: int) -> np.ndarray:
    """Gaussian noise with amplitudes proportional to 1 / frequency, uint8 (375, 500,
    3)."""
    columns, rows = _TILE
    noise = np.random.default_rng(seed).normal(size=(rows, columns, 3))
    distance = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns))
    distance[0, 0] = np.inf
    spectrum = np.fft.fft2(noise, axes=(0, 1)) / distance[..., None]
    waves = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return np.clip(128 + 50 * waves / waves.std(), 0, 255).astype(np.uint8)


def write_jpegs(
    folder: Path, pictures: list[Image.Image], size: tuple[int, int], quality: int
) -> list[str]:
    """Write one JPEG per image, scaled and cropped to a size.

    Images larger than 500 x 375 are mosaics of several photographs. An enlarged
    photograph would have little fine detail, which takes most of the decoding time.

    Args:
        folder (Path): Output folder, created if missing.
        pictures (list): RGB images.
        size (tuple[int, int]): (width, height).
        quality (int): Quality of Pillow's encoder; chroma is subsampled.

    Returns:
        list[str]: Paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tiles = max(1, round(size[0] / _TILE[0]))
    tile = tuple(-(-side // tiles) for side in size)
    paths = []
    for number in range(len(pictures)):
        mosaic = Image.new('RGB', (tile[0] * tiles, tile[1] * tiles))
        for place in range(tiles**2):
            picture = _cover(pictures[(number + place) % len(pictures)], tile)
            mosaic.paste(picture, (place % tiles * tile[0], place // tiles * tile[1]))
        paths.append(str(folder / f'{number}.jpg'))
        mosaic.crop((0, 0, *size)).save(paths[-1], quality=quality)
    return paths


def _cover(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale to the smallest size that covers the target, and crop the centre."""
    factor = max(side / own for side, own in zip(size, picture.size))
    scaled = picture.resize([round(factor * side) for side in picture.size])
    left, top = ((own - side) // 2 for own, side in zip(scaled.size, size))
    return scaled.crop((left, top, left + size[0], top + size[1]))


def sample_of(folder: str, number: int) -> list[str]:
    """A number of images of a folder, evenly spaced in its sorted list.

    Raises:
        DataError: The folder is missing or contains no images.
    """
    paths = list_images(folder)
    return paths[:: -(-len(paths) // number)]
