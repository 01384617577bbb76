"""The split that a word of an export means: a folder, a list, or a subset of a tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flexunet_exp.data.annotations.records import Labelled

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}


def split_named(word: str) -> str:
    """train, valid or test; empty for any other word, such as CVAT's `default`."""
    return SPLITS.get(word.strip().lower(), "")


def unless_one(pictures: Sequence[Labelled]) -> list[Labelled]:
    """The pictures without their split where all are in one: that is the whole set, not a split."""
    if len({one.split for one in pictures}) > 1:
        return list(pictures)
    return [replace(one, split="") for one in pictures]
