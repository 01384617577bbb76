"""Pictures of any number of channels as files, and data sets of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

SIDE = 32


def tiff(path: Path, image: np.ndarray, form: str = "interleaved", **options) -> Path:
    """Writes an image (H, W, N) as a TIFF: interleaved, planar, or a grey page a channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = image.shape[2]
    options = {"photometric": "minisblack", "metadata": None, **options}
    if form == "pages" or number == 1:
        with tifffile.TiffWriter(path) as file:
            for channel in np.moveaxis(image, 2, 0):
                file.write(np.ascontiguousarray(channel), **options)
    elif form == "planar":
        tifffile.imwrite(path, np.moveaxis(image, 2, 0), planarconfig="separate", **options)
    else:
        tifffile.imwrite(path, image, planarconfig="contig", **options)
    return path


def lights(folder: Path, stem: str, image: np.ndarray, names: list[str]) -> list[Path]:
    """Writes each channel of an image (H, W, N) as the grey file of a light."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}_{name}.png" for name in names]
    for channel, path in zip(np.moveaxis(image, 2, 0), paths, strict=True):
        Image.fromarray(np.ascontiguousarray(channel)).save(path)
    return paths


def random_image(number: int, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.integers(0, np.iinfo(dtype).max, (SIDE, SIDE, number), dtype, endpoint=True)


def lit_part(number: int, seed: int, light: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """A noisy part (SIDE, SIDE, number), and the mask of a square that one light alone shows.

    Every other light shows a square of the same brightness elsewhere.
    """
    draw = np.random.default_rng(seed)
    image = draw.integers(60, 100, (SIDE, SIDE, number), np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for channel in range(number):
        top, left = draw.integers(2, SIDE - 12, 2)
        image[top : top + 10, left : left + 10, channel] = 220
        if channel == light % number:
            mask[top : top + 10, left : left + 10] = 1
    return image, mask


def ready_set(folder: Path, number: int, names: list[str] | None = None, parts: int = 8) -> Path:
    """An image/mask set of `parts` training pictures, and half as many for valid and test."""
    seed = 0
    for split, count in (("train", parts), ("valid", parts // 2), ("test", parts // 2)):
        for index in range(count):
            seed += 1
            image, mask = lit_part(number, seed)
            images = folder / split / "images"
            if names:
                lights(images, f"{split}{index}", image, names)
            else:
                tiff(images / f"{split}{index}.tif", image)
            path = folder / split / "masks" / f"{split}{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)
    return folder
