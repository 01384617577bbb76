"""Finds copies of one picture in several splits, by the sources in their names and by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.data import fingerprints
from flexunet_exp.data.known_files import Form, KnownFiles
from flexunet_exp.data.splits import CALIBRATION, SPLITS

BETWEEN = (  # the worst first
    *(("train", "test"), ("valid", "test"), ("train", "valid")),
    *((part, CALIBRATION) for part in SPLITS),
)


class Pair(NamedTuple):
    """Two pictures that should not be in different splits, and why."""

    first: str
    first_split: str
    second: str
    second_split: str
    why: str


def unpacked(said: Any, array: bytes) -> list[Pair]:
    return [Pair(*map(str, pair)) for pair in said]


PAIRS: Form[list[Pair]] = Form(lambda pairs: (pairs, b""), unpacked)


def across_splits(table: pd.DataFrame, prints: Mapping[str, np.ndarray]) -> list[Pair]:
    """The pairs of copies in a split sample table; pairs of one source are not compared by content.

    `prints` holds the fingerprint of each picture by its path.
    """
    groups = {
        name: table[table["split"] == name].to_dict("records") for name in (*SPLITS, CALIBRATION)
    }
    return [
        Pair(one["image"], name, other["image"], other_name, why)
        for name, other_name in BETWEEN
        for one, other, why in [
            *of_one_lineage(groups[name], groups[other_name]),
            *of_like_content(groups[name], groups[other_name], prints),
        ]
    ]


def kept_pairs(
    table: pd.DataFrame, prints: Mapping[str, np.ndarray], kept: KnownFiles
) -> list[Pair]:
    """As `across_splits`; of pictures and splits that were compared before, what was found then."""
    rows = table[["image", "split", "source", "sha256"]].itertuples(index=False, name=None)
    hashed = hashlib.sha256("\n".join(map("\t".join, rows)).encode()).hexdigest()
    shelf = kept.shelf(["pairs"], PAIRS)
    return shelf.remembered("pairs", hashed, lambda: across_splits(table, prints))


def of_one_lineage(first: Sequence[dict], second: Sequence[dict]) -> Iterator[tuple]:
    by_source: dict[str, list[dict]] = {}
    for other in second:
        by_source.setdefault(other["source"], []).append(other)
    for one in first:
        for other in by_source.get(one["source"], []):
            same = one["sha256"] == other["sha256"]
            yield one, other, "the same picture" if same else f"both of {one['source']}"


def of_like_content(
    first: Sequence[dict], second: Sequence[dict], prints: Mapping[str, np.ndarray]
) -> Iterator[tuple]:
    sides = [[row for row in rows if row["image"] in prints] for rows in (first, second)]
    for found in fingerprints.alike(*([prints[row["image"]] for row in rows] for rows in sides)):
        one, other = sides[0][found.first], sides[1][found.second]
        if one["source"] != other["source"]:
            view = f" when {found.view}" if found.view else ""
            yield one, other, f"alike{view} (distance {found.distance:.4f})"


def concerned(pairs: Sequence[Pair], split: str = "test") -> set[str]:
    """The pictures of a split that have a copy in another one."""
    firsts = {pair.first for pair in pairs if pair.first_split == split}
    return firsts | {pair.second for pair in pairs if pair.second_split == split}
