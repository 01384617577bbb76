"""Run lengths of COCO: by columns, zeros first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flexunet_exp.data.annotations.raster.crops import NOTHING, Crop, Size, trimmed
from flexunet_exp.data.annotations.shapes import Runs
from flexunet_exp.data.image_files import MAX_PIXELS
from flexunet_exp.errors import InputError


def decoded(runs: Runs, size: Size) -> Crop:
    """The pixels of run lengths; InputError where they do not fill the picture exactly.

    pycocotools would write behind its memory where they do not, so that it decodes nothing here.
    """
    height, width = size
    if runs.size != size:
        raise InputError(f"run lengths of {runs.size[0]} × {runs.size[1]} pixels in a picture of "
                         f"{height} × {width}: export them again")  # fmt: skip
    if height * width > MAX_PIXELS:
        raise InputError(f"run lengths of {height} × {width}, more than {MAX_PIXELS:,} pixels")
    counts = run_lengths(runs.counts) if isinstance(runs.counts, bytes) else list(runs.counts)
    if min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise InputError(
            f"run lengths of {sum(counts):,} pixels, expected {height} × {width} = "
            f"{height * width:,}: export them again"
        )
    return of_runs(counts, size)


def of_runs(counts: Sequence[int], size: Size) -> Crop:
    """Run lengths that fill a picture by columns, zeros first, as the box that holds their ones."""
    lengths = np.array(counts, np.int64)
    ends = np.cumsum(lengths)
    ones = np.flatnonzero(lengths[1::2]) * 2 + 1
    if not len(ones):
        return NOTHING
    height = size[0]
    left = int(ends[ones[0] - 1]) // height
    right = -(-int(ends[ones[-1]]) // height)
    bounds = np.concatenate([[0], ends]).clip(left * height, right * height)
    kept = bounds[1:] - bounds[:-1]
    values = np.arange(len(kept)) % 2 == 1
    pixels = np.repeat(values, kept).reshape(right - left, height).T
    return trimmed(Crop(pixels, 0, left))


def run_lengths(text: bytes) -> list[int]:
    """The run lengths of COCO's compressed text.

    Each number is a sequence of characters of five bits, lowest first, with a bit for "more" and a
    sign in the last; from the fourth number on it is the difference to the number two before.
    """
    counts: list[int] = []
    value = shift = 0
    for byte in text:
        bits = byte - 48
        if not 0 <= bits < 64 or shift > 40:
            raise InputError("compressed run lengths with characters that they never hold")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise InputError("compressed run lengths that are cut off")
    return counts
