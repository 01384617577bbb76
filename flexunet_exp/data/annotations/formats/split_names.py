"""The split that a word of an export means: a folder, a list, or a subset of a tool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from flexunet_exp.data.annotations.records import Labelled
from flexunet_exp.data.folders.folder_names import SPLITS


def split_named(word: str) -> str:
    """train, valid or test; empty for any other word, such as CVAT's `default`."""
    named = word.strip().lower()
    return next((split for split, words in SPLITS.items() if named in words), "")


def split_in(path: str) -> str:
    """The split that a path names in one of its words, as `instances_val2017.json`; else empty."""
    words = re.findall("[a-z]+", path.lower())
    found = {split for split, names in SPLITS.items() if set(names) & set(words)}
    return found.pop() if len(found) == 1 else ""


def unless_one(pictures: Sequence[Labelled]) -> list[Labelled]:
    """The pictures without their split where all are in one: that is the whole set, not a split."""
    if len({one.split for one in pictures}) > 1:
        return list(pictures)
    return [replace(one, split="") for one in pictures]
