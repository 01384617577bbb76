"""A mask file as runs of equal pixels: what it stores, before anyone says what it means.

Masks are flat: a row of pixels has few runs. Values are told apart by their runs, so that no
picture is sorted, and what a value means is decided once.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from flexunet_exp.data import image_files
from flexunet_exp.data.grey_levels import SPREAD
from flexunet_exp.data.grouping import Problem
from flexunet_exp.data.image_files import Header
from flexunet_exp.errors import InputError

FAST = ("L", "RGB", "RGBA")  # colours of PNG files that OpenCV decodes faster than Pillow


class Stored(NamedTuple):
    """The K distinct values of a mask file, and its R runs of equal pixels in reading order."""

    colours: np.ndarray  # (K, 3) uint8: the colour that a value shows
    indices: np.ndarray | None  # (K,) uint8: the number it stores; None where the channels differ
    counts: np.ndarray  # (K,) pixels
    places: np.ndarray  # (R,): which of the values a run has
    lengths: np.ndarray  # (R,) pixels
    shape: tuple[int, ...]  # (height, width)
    header: Header
    kind: str  # "palette", "grey" (one channel) or "colour"

    def spread(self, of_values: np.ndarray) -> np.ndarray:
        """The picture (H, W) whose pixels have what `of_values` (K,) says of their value."""
        return np.repeat(of_values[self.places], self.lengths).reshape(self.shape)


def stored(path: str | Path) -> Stored:
    """Decodes a mask file; InputError where it is refused, whatever its classes are."""
    data = image_files.read_bytes(path)
    header = image_files.header(data, path)
    refuse_lossy(header, path)
    if header.mode in ("P", "PA"):
        return of_palette(image_files.upright(data, path), header, path)
    pixels = decoded(data, path, header)
    if pixels.ndim == 2:
        values, counts, places, lengths = runs(pixels.ravel())
        colours = np.repeat(values[:, None], 3, axis=1)
        return Stored(colours, values, counts, places, lengths, pixels.shape, header, "grey")
    values, counts, places, lengths = runs(packed(pixels).ravel())
    refuse_alpha(values >> 24, counts, path)
    colours = np.stack([values >> 16 & 255, values >> 8 & 255, values & 255], -1).astype(np.uint8)
    indices = colours[:, 0] if (colours == colours[:, :1]).all() else None
    return Stored(colours, indices, counts, places, lengths, pixels.shape[:2], header, "colour")


def of_palette(picture: Image.Image, header: Header, path: str | Path) -> Stored:
    """What a palette file stores; its colours are those that it shows."""
    if header.alpha:
        check_alpha(picture, path)
    pixels = np.array(picture if picture.mode == "P" else picture.getchannel(0))
    palette = np.zeros((256, 3), np.uint8)
    shown = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette[: len(shown)] = shown
    values, counts, places, lengths = runs(pixels.ravel())
    return Stored(palette[values], values, counts, places, lengths, pixels.shape, header, "palette")


def decoded(data: bytes, path: str | Path, header: Header) -> np.ndarray:
    """Grey (H, W), BGR or BGRA (H, W, 3 or 4) uint8, upright; 16 bits as the 8 they stand for."""
    if header.deep:
        return narrowed(deep_pixels(data, path, header), path)
    if header.kind == "PNG" and header.mode in FAST and not (header.turned or header.keyed):
        return image_files.decoded_by(cv2.IMREAD_UNCHANGED, data, path)
    picture = image_files.upright(data, path)
    if header.alpha:
        return np.array(picture.convert("RGBA"))[..., [2, 1, 0, 3]]
    if picture.mode in ("1", "L"):
        return np.array(picture.convert("L"))
    return np.array(picture.convert("RGB"))[..., ::-1]


def deep_pixels(data: bytes, path: str | Path, header: Header) -> np.ndarray:
    """Grey (H, W) or BGR (H, W, 3) of 16 bits, upright; InputError where its alpha varies."""
    if header.alpha:
        whole = image_files.decoded_by(cv2.IMREAD_UNCHANGED, data, path)
        if whole.ndim == 3 and whole.shape[2] == 4:
            alphas, counts, *_ = runs(whole[..., 3].ravel())
            refuse_alpha(alphas, counts, path)
    is_grey = header.mode.startswith("I") or header.mode in ("L", "LA")
    colours = cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR
    return image_files.decoded_by(colours | cv2.IMREAD_ANYDEPTH, data, path)


def narrowed(pixels: np.ndarray, path: str | Path) -> np.ndarray:
    """16 bits as 8: values up to 255 as they are, or 8 bits that were spread over 16."""
    if pixels.max() <= 255:
        return pixels.astype(np.uint8)
    if not (pixels % SPREAD).any():
        return (pixels // SPREAD).astype(np.uint8)
    raise InputError(
        Problem(
            path,
            f"a 16-bit mask with values up to {pixels.max()}, expected class indices (255 = "
            "ignore), or values of 8 bits times 257",
            "Save it with 8 bits.",
            "16-bit masks hold values that are neither class indices nor 8 bits times 257",
        )
    )


def packed(pixels: np.ndarray) -> np.ndarray:
    """BGR or BGRA (H, W, 3 or 4) uint8 as uint32 (H, W): alpha, red, green, blue."""
    if pixels.shape[2] == 3:
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_BGR2BGRA)
    return np.ascontiguousarray(pixels).view("<u4")[..., 0]


def runs(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct values (K,) and their pixels (K,); of the runs (R,), the place and the length."""
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], starts])
    lengths = np.diff(starts, append=flat.size)
    values, places = np.unique(flat[starts], return_inverse=True)
    counts = np.bincount(places, weights=lengths).astype(np.int64)
    return values, counts, places, lengths


def check_alpha(picture: Image.Image, path: str | Path) -> None:
    """Raises InputError where a picture with transparency is not equally opaque everywhere."""
    alphas, counts, *_ = runs(np.array(picture.convert("RGBA").getchannel("A")).ravel())
    refuse_alpha(alphas, counts, path)


def refuse_alpha(alphas: np.ndarray, counts: np.ndarray, path: str | Path) -> None:
    """Raises InputError where values (K,) have several alphas: a shape may be in them alone."""
    levels, which = np.unique(alphas, return_inverse=True)
    if len(levels) < 2:
        return
    odd = int(counts.sum() - np.bincount(which, weights=counts).max())
    raise InputError(
        Problem(
            path,
            f"the mask's alpha channel is not constant ({odd:,} of {counts.sum():,} pixels "
            "differ), so it may hold a shape that the colours do not show",
            "Save the mask without alpha. If the shape is in the alpha channel, save that channel "
            "as the mask.",
            "masks have an alpha channel that is not constant, so it may hold a shape that the "
            "colours do not show",
        )
    )


def refuse_lossy(header: Header, path: str | Path) -> None:
    """Raises InputError for a JPEG."""
    if header.kind in ("JPEG", "MPO"):
        raise InputError(
            Problem(
                path,
                "a mask saved as JPEG, which blends the classes at every edge",
                "Export it again as PNG.",
                "masks are saved as JPEG, which blends the classes at every edge",
            )
        )
