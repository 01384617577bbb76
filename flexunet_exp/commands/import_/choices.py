"""What a person must decide or mend before pictures are made: labels, annotators, names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from flexunet_exp.data.annotations.records import Labelled

LONGEST = 200  # bytes of a name; file systems take 255, suffix included


def unlabelled_problems(pictures: Sequence[Labelled], choice: str) -> list[str]:
    waiting = [one.name for one in pictures if not one.done]
    if choice != "error" or not waiting:
        return []
    return [
        f"{len(waiting)} of {len(pictures)} pictures have no annotations, such as {waiting[0]}. "
        "Give unlabelled=good if they show no defect, or unlabelled=skip to leave them out"
    ]


def annotator_problems(pictures: Sequence[Labelled], choice: str | None) -> list[str]:
    several = [one for one in pictures if len(one.by) > 1]
    if choice or not several:
        return []
    return [
        f"{len(several)} pictures were labelled by several people, such as {several[0].name}. Give "
        "annotator=first, last, or agree: pixels on which they differ are then ignored"
    ]


def names_of(pictures: Sequence[Labelled], problems: list[str]) -> list[str]:
    """A name for the files of each picture: its own, with its folders where two are alike.

    Adds a problem for names that stay alike, or that a file system would refuse.
    """
    stems = [stem_of(one.name) for one in pictures]
    own = Counter(file_name(stem.name).lower() for stem in stems)
    names = [
        file_name(stem.name) if own[file_name(stem.name).lower()] == 1 else file_name(*stem.parts)
        for stem in stems
    ]
    alike: dict[str, list[str]] = {}
    for one, name in zip(pictures, names, strict=True):
        alike.setdefault(name.lower(), []).append(one.name)
        if len(name.encode()) > LONGEST:
            problems.append(f"{one.name}: its name is longer than {LONGEST} bytes. Rename it")
    problems += [
        f"{len(same)} pictures would have one name, {', '.join(same[:3])}: rename one of them"
        for same in alike.values()
        if len(same) > 1
    ]
    return names


def stem_of(name: str) -> PurePosixPath:
    """A picture's name with its folders, without suffix; annotations may call it nothing."""
    path = PurePosixPath(name)
    return path.with_suffix("") if path.name else path


def file_name(*parts: str) -> str:
    """A name of letters, digits and `_.+-` that is not hidden."""
    return re.sub(r"[^\w.+-]", "_", "_".join(parts)).lstrip(".") or "picture"
