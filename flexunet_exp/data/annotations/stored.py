"""Masks that are pictures already: which label each grey value is.

No single rule fits: some sets hold class numbers, some a code of their own, some soft edges. Each
function is one rule, and gives a `Stored` that reads its file when it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations.records import Stored
from flexunet_exp.data.masks import mask_files
from flexunet_exp.errors import InputError

HALF = 128  # the first value of the brighter half
LISTED = 6  # values in an error


def by_values(path: Path, table: Mapping[int, str], is_defect: bool = False) -> Stored:
    """A mask whose values are those of a table, 0 the background; any other value is an error."""
    labels = tuple(dict.fromkeys(table.values()))
    numbers = {value: labels.index(label) + 1 for value, label in table.items()} | {0: 0}

    def number_of(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        check_known(path, values, counts, table)
        return np.array([numbers[value] for value in values.tolist()], np.uint8)

    return Stored(path, labels, lambda: numbered(path, number_of), is_defect)


def from_value_on(path: Path, label: str, least: int = HALF, is_defect: bool = False) -> Stored:
    """A mask with soft edges: the label from a value on."""
    return Stored(
        path, (label,), lambda: numbered(path, lambda values, _: values >= least), is_defect
    )


def bright_half(path: Path, label: str, is_defect: bool = False) -> Stored:
    """A mask of two values, whatever they are: the label from half of the brightest value on."""

    def number_of(values: np.ndarray, _: np.ndarray) -> np.ndarray:
        return (values > 0) & (2 * values.astype(int) >= values.max())

    return Stored(path, (label,), lambda: numbered(path, number_of), is_defect)


def numbered(path: Path, number_of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Label numbers uint8 (H, W) of a mask file.

    `number_of` gives those of its K values (K,), which it receives with their pixels (K,). Raises
    InputError for a file that is no grey or palette picture.
    """
    file = mask_files.stored(path)
    if file.indices is None:
        raise InputError(f"{path}: a mask of colours, expected one of grey values.")
    return file.spread(number_of(file.indices, file.counts).astype(np.uint8))


def check_known(
    path: Path, values: np.ndarray, counts: np.ndarray, table: Mapping[int, str]
) -> None:
    """Raises InputError that lists each value without a label, and its pixels."""
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    strange = [value for value in found if value and value not in table]
    if not strange:
        return
    more = f" and {len(strange) - LISTED} other values" if len(strange) > LISTED else ""
    named = ", ".join(f"{value} ({found[value]:,} pixels)" for value in strange[:LISTED])
    known = ", ".join(f"{value} {label}" for value, label in sorted(table.items()))
    raise InputError(f"{path}: the mask holds {named}{more}, expected 0{known and ', '}{known}.")
