"""Bits of the values in 16-bit pictures: one number for a whole set, by which all are scaled.

Cameras of 10, 12 or 14 bits write files of 16. `dataset.bit_depth` says how many bits are used;
`auto` is decided over the set, and kept with the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flexunet_exp.data.grouping import Problem, Sentence, grouped
from flexunet_exp.errors import InputError

if TYPE_CHECKING:
    from flexunet_exp.data.scan_record import ScanRecord

DEPTHS = (8, 10, 12, 14, 16)
UNDECIDED = "auto"
Bits = int | str  # one of DEPTHS, or UNDECIDED


def dtype(bits: Bits) -> str:
    """The type of a set's images: uint16 where its values have more than 8 bits."""
    return "uint16" if bits != UNDECIDED and int(bits) > 8 else "uint8"


def smallest(peak: int) -> int:
    """The smallest depth that holds a value."""
    return next(bits for bits in DEPTHS if peak < 2**bits)


def of_set(peaks: Iterable[int], configured: Bits) -> Bits:
    """The depth of a set whose 16-bit pictures have these largest values; `auto` without any."""
    if configured != UNDECIDED:
        return configured
    return smallest(max(found)) if (found := list(peaks)) else UNDECIDED


def scaled(pixels: np.ndarray, bits: Bits, path: str | Path) -> np.ndarray:
    """Values of 16 bits as uint16, or as uint8 where 8 are used: the largest of `bits` is white.

    0 stays 0. Raises InputError where a value is larger, or where the depth is not decided and the
    values do not use all 16 bits: then nothing says which of them is white.
    """
    peak = int(pixels.max(initial=0))
    if bits == UNDECIDED and peak < 2**15:
        raise InputError(undecided(path, peak))
    used = 16 if bits == UNDECIDED else int(bits)
    if peak >= 2**used:
        raise InputError(too_bright(path, peak, used))
    return pixels.astype(np.uint8) if used == 8 else table(used)[pixels]


@cache
def table(bits: int) -> np.ndarray:
    """The value of full scale (65536,) uint16 for each of 16 bits, where `bits` are used."""
    largest = 2**bits - 1
    values = np.minimum(np.arange(2**16), largest)
    return np.round(values * (2**16 - 1) / largest).astype(np.uint16)


def undecided(path: str | Path, peak: int) -> Problem:
    what = "nothing says which value is white: the run was trained on 8-bit pictures"
    return Problem(
        path,
        f"a 16-bit picture with values up to {peak}, and {what}",
        "Save it with 8 bits.",
        f"pictures have 16 bits, and {what}",
    )


def too_bright(path: str | Path, peak: int, bits: int) -> Problem:
    larger = smallest(peak)
    return Problem(
        path,
        f"values up to {peak}, while dataset.bit_depth={bits} ends at {2**bits - 1}",
        f"If the camera has more bits, train with dataset.bit_depth={larger}.",
        f"pictures have values above {2**bits - 1}, where dataset.bit_depth={bits} ends",
        mends={"dataset.bit_depth": str(larger)},
    )


def checked(record: ScanRecord, bits: Bits) -> ScanRecord:
    """The scan's record, with what is wrong with the bits of its pictures.

    Pictures that `bits` cannot hold are a problem, pictures of 8 bits among others a warning.
    """
    deep = {path: facts.header.peak for path, facts in record.pictures.items() if facts.header.deep}
    if not deep:
        return record
    used, number = int(of_set(deep.values(), bits)), len(record.pictures)
    problems = [too_bright(path, peak, used) for path, peak in deep.items() if peak >= 2**used]
    warnings = [mixed(len(deep), number, used)] if len(deep) < number else []
    peak = max(deep.values())
    note = f"16-bit pictures have values up to {peak}, read with dataset.bit_depth={used}."
    return replace(
        record,
        problems=[*record.problems, *grouped(problems)],
        warnings=[*record.warnings, *warnings],
        notes=[*record.notes, note],
    )


def mixed(deep: int, all_of_them: int, bits: Bits) -> Sentence:
    """A warning of a set in which only some pictures have 16 bits."""
    return Sentence(
        f"{deep} of {all_of_them} pictures have 16 bits, the others 8: the first are scaled by "
        f"dataset.bit_depth={bits}. Are both of one camera, with one range?"
    )
