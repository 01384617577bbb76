"""What the values of a multiclass mask mean: class colours, class indices, or an edge between.

A file that may mean two things is refused, unless the reading is `tentative`: then the file's
`Signs` say so, and the whole set decides (`mask_sets`).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from flexunet_exp.data import image_files
from flexunet_exp.data.masks import mask_files, mask_problems
from flexunet_exp.data.masks.mask_edges import Seams
from flexunet_exp.data.masks.mask_files import Stored
from flexunet_exp.data.masks.mask_rules import IGNORE, Reading, exact_classes
from flexunet_exp.errors import InputError


class Signs(NamedTuple):
    """What a file says of how its set is meant."""

    kind: str = "colour"  # how it stores its values: palette, grey, or colour
    by: str = "colours"  # what they fit: see `fit`
    has_index: bool = False  # whether they fit indices, one of a defect class among them
    has_255: bool = False  # whether they fit indices, 255 among them
    is_white: bool = False  # whether they are 0 and 255 alone, shown black and white


class ReadMask(NamedTuple):
    """An index mask (H, W) uint8, its pixels of no class colour, and facts of its file."""

    mask: np.ndarray
    odd: int = 0
    turned: bool = False  # by an EXIF orientation of its own
    signs: Signs = Signs()


def read(path: str | Path, reading: Reading, tentative: bool = False) -> ReadMask:
    """Reads a mask file; InputError where it cannot be read, or its meaning is not known."""
    if Path(path).suffix.lower() == ".npz":
        return ReadMask(*one_hot(path, reading))
    stored = mask_files.stored(path)
    colours = exact_classes(stored.colours, reading.palette)
    indices = class_indices(stored, len(reading.palette))
    signs = signs_of(stored, colours, indices)
    turned = stored.header.turned
    if indices is not None and by_index(signs, reading, tentative, path):
        meant = meant_by_indices(indices, signs, reading, tentative, path)
        return ReadMask(stored.spread(meant), 0, turned, signs)
    if (colours != IGNORE).all():
        return ReadMask(stored.spread(colours), 0, turned, signs)
    return ReadMask(*with_edges(stored, colours, reading, path), turned, signs)


def class_indices(stored: Stored, num_classes: int) -> np.ndarray | None:
    """The stored numbers (K,); None where one is neither a class index nor 255."""
    numbers = stored.indices
    if numbers is None or not ((numbers < num_classes) | (numbers == IGNORE)).all():
        return None
    return numbers


def signs_of(stored: Stored, colours: np.ndarray, indices: np.ndarray | None) -> Signs:
    """The signs of a file whose values (K,) are the classes `colours`, or else `indices`."""
    if indices is None:
        return Signs(stored.kind)
    has_index = bool(((indices > 0) & (indices < IGNORE)).any())
    has_255 = bool((indices == IGNORE).any())
    is_shown = bool((stored.colours == indices[:, None]).all())  # 0 as black, 255 as white
    by = fit(colours, indices)
    return Signs(stored.kind, by, has_index, has_255, has_255 and not has_index and is_shown)


def fit(colours: np.ndarray, indices: np.ndarray) -> str:
    """What values fit that are class indices, and whose colours have these classes (K,).

    `either`: both, and they agree. `both`: they differ. `indices`: some are no class colour; where
    others are the colour of another class than their index, they are `torn`.
    """
    differ = (colours != indices) & (colours != IGNORE)
    if (colours != IGNORE).all():
        return "both" if differ.any() else "either"
    return "torn" if (differ & (indices != IGNORE)).any() else "indices"


def by_index(signs: Signs, reading: Reading, tentative: bool, path: str | Path) -> bool:
    """Whether a file whose values fit class indices is read by them."""
    if signs.by not in ("both", "torn"):
        return signs.by == "indices"
    is_unclear = signs.by == "torn" or (signs.has_index and signs.kind != "palette")
    if is_unclear and reading.values == "auto" and not tentative:
        raise InputError(mask_problems.two_meanings(path))
    return reading.values == "indices" or (reading.values == "auto" and signs.by == "torn")


def meant_by_indices(
    indices: np.ndarray, signs: Signs, reading: Reading, tentative: bool, path: str | Path
) -> np.ndarray:
    """The classes (K,) uint8 of indices (K,): 255 is ignored, or the only defect class."""
    if signs.is_white and reading.white == "auto" and not tentative:
        raise InputError(mask_problems.black_and_white(path))
    if reading.white == "defect":
        return np.where(indices == IGNORE, 1, indices).astype(np.uint8)
    return indices.astype(np.uint8)


def with_edges(
    stored: Stored, colours: np.ndarray, reading: Reading, path: str | Path
) -> tuple[np.ndarray, int]:
    """The mask with a class at its edges, and their pixels; InputError where they are no edges."""
    seams = Seams(stored, colours, reading.palette, only_near=reading.edges == "present")
    foreign = seams.foreign()
    if foreign.any():
        unknown = seams.values[foreign]
        raise InputError(mask_problems.unknown_values(stored, unknown, reading, path))
    if len(foreign) > reading.limit * seams.mask.size:
        raise InputError(mask_problems.too_many(stored, colours, reading.limit, path))
    return seams.filled(), len(foreign)


def one_hot(path: str | Path, reading: Reading) -> tuple[np.ndarray, int]:
    """The mask of an .npz file (H, W, C), and its pixels of no class, which become background."""
    num_classes, limit = len(reading.palette), reading.limit
    channels = image_files.array_of(image_files.read_bytes(path), path, "mask")
    is_whole = channels.ndim == 3 and channels.shape[-1] == num_classes and channels.size
    if not is_whole or channels.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: the mask has shape {channels.shape} of {channels.dtype}, expected numbers "
            f"(H, W, {num_classes}): one channel a class of {reading.listed}, background first."
        )
    unclassed = (channels == channels.max(axis=-1, keepdims=True)).sum(axis=-1) != 1
    count = int(np.count_nonzero(unclassed))
    if count > limit * unclassed.size:
        odd = ["no class, or several alike"]
        raise InputError(mask_problems.over_limit(path, count, unclassed.size, limit, odd))
    mask = channels.argmax(axis=-1).astype(np.uint8)
    mask[unclassed] = 0
    return mask, count
