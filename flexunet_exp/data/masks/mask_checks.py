"""Checks of the masks of a whole set: what no single file shows to be wrong.

A *row* is a row of the sample table as a mapping. `facts` are the MaskFacts of its mask.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from flexunet_exp.data.grouping import Problem, Sentence, first_of
from flexunet_exp.data.scan_record import Findings, MaskFacts, PictureFacts

Rows = Sequence[tuple[Mapping, MaskFacts]]
MOST = 0.5  # share of a picture, and of a class's pictures, above which a class covers most of it
AS_STORED = (
    "If the masks were drawn on the pixels as they are stored, remove the orientation from the "
    "pictures (exiftool -Orientation= FOLDER)."
)
AS_SHOWN = (
    "If they were drawn on the picture as it is shown, save the pictures upright (mogrify "
    "-auto-orient FILES)."
)


def check_turned(rows: Rows, pictures: Mapping[str, PictureFacts], findings: Findings) -> set[str]:
    """Adds a problem for pictures that EXIF turns and whose masks it does not; returns them."""
    found = [
        (row, facts)
        for row, facts in rows
        if row["image"] in pictures and pictures[row["image"]].header.turned and not facts.turned
    ]
    findings.problems += [turned_problem(row, facts.shape) for row, facts in found]
    return {row["image"] for row, _ in found}


def turned_problem(row: Mapping, shape: tuple[int, ...]) -> Problem:
    upright = (row["height"], row["width"])
    what = "turned upright by their EXIF orientation, while their masks carry none"
    found = "turned upright by its EXIF orientation, while its mask carries none"
    if shape != upright and shape == upright[::-1]:
        only = ", and the sizes of the two differ only because of this turn"
        return Problem(row["image"], found + only, AS_STORED, f"pictures are {what}{only}")
    mend = f"{AS_STORED} {AS_SHOWN}"
    return Problem(row["image"], found, mend, f"pictures are {what}")


def check_black(rows: Rows, labels: Sequence[str], findings: Findings) -> None:
    """A problem for a class whose masks are all black, a warning for a class with some.

    `labels` are the classes of the rows by their folders or names; "" is no class.
    """
    for name, of_class in by_label(rows, labels).items():
        black = [row["mask"] for row, facts in of_class if not marked(facts)]
        if len(black) == len(of_class):
            findings.problems.append(
                f"All {len(black)} masks of {name} are all black: {first_of(black)}. Export them "
                f"again, or move their pictures to the good ones."
            )
        elif black:
            findings.warnings.append(
                f"{len(black)} of {len(of_class)} masks of {name} are all black, so that the "
                f"network learns to miss the defect: {first_of(black)}."
            )


def marked(facts: MaskFacts) -> bool:
    return bool(facts.pixels[1:].any()) or facts.pixels.sum() < np.prod(facts.shape)


def check_covering(rows: Rows, names: Sequence[str], findings: Findings, allowed: bool) -> None:
    """A problem where some masks of a class look like the complement of its others.

    A mask is turned inside out where its class covers most of the picture and all of its frame,
    while the frame of another mask of the class is background. A class that covers most of most of
    its pictures is a warning. `allowed`: the first is a warning too.
    """
    for index, name in enumerate(names[1:], start=1):
        own = [(row["mask"], facts) for row, facts in rows if facts.pixels[index]]
        most = [mask for mask, facts in own if covers(facts, index)]
        framed = [mask for mask, facts in own if covers(facts, index) and facts.frame == index]
        plain = [mask for mask, facts in own if facts.frame == 0 and not covers(facts, index)]
        if framed and plain:
            text = (
                f"{len(framed)} of {len(own)} masks of {name} show the class around a hole, as if "
                f"they were the complement of the others: {first_of(framed)}. Exchange defect "
                "and background in these masks."
            )
            way = " If they are right: dataset.layout.inverted=accept."
            (findings.warnings if allowed else findings.problems).append(
                text if allowed else Sentence(text + way)
            )
        elif len(most) > MOST * len(own):
            findings.warnings.append(
                f"{name} covers most of the picture in {len(most)} of {len(own)} masks: "
                f"{first_of(most)}. Are defect and background exchanged?"
            )


def covers(facts: MaskFacts, index: int) -> bool:
    return bool(facts.pixels[index] > MOST * np.prod(facts.shape))


def check_names(
    rows: Rows,
    labels: Sequence[str],
    names: Sequence[str],
    palette: np.ndarray,
    found: Findings,
    listed: str,
) -> None:
    """A warning of files whose name says one class while the mask shows others.

    `palette` is (C, 3): where exchanging red and blue makes all agree, the warning says so.
    `listed` is the option that lists the colours of the masks.
    """
    named = [
        (row["mask"], names.index(label), np.flatnonzero(facts.pixels[1:]) + 1)
        for (row, facts), label in zip(rows, labels, strict=True)
        if label and facts.pixels[1:].any()
    ]
    other = [mask for mask, index, shown in named if index not in shown]
    if not other:
        return
    text = (
        f"{len(other)} of {len(named)} masks show another class than their names say: "
        f"{first_of(other)}."
    )
    exchanged = classes_exchanged(palette)
    if all(index in exchanged[shown] for _, index, shown in named):
        text += (
            " With red and blue exchanged, all agree: if OpenCV wrote the masks in its own order, "
            "dataset.layout.colour_order=bgr."
        )
        found.warnings.append(Sentence(text, {"dataset.layout.colour_order": "bgr"}))
    else:
        found.warnings.append(f"{text} Are the colours of {listed} in the masks' order?")


def classes_exchanged(palette: np.ndarray) -> np.ndarray:
    """The class (C,) that each class becomes where red and blue are exchanged; -1 for none."""
    same = (palette[:, None, ::-1] == palette[None]).all(axis=-1)
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def class_in_name(path: str, names: Sequence[str]) -> str:
    """The only class that a file's name has as a word of its own; "" for none, or several."""
    known = {name.lower(): name for name in sorted(names[1:], key=len, reverse=True)}
    classes = "|".join(map(re.escape, known))
    words = set(re.findall(rf"(?<![a-z])(?:{classes})(?![a-z])", Path(path).stem.lower()))
    return known[words.pop()] if classes and len(words) == 1 else ""


def by_label(rows: Rows, labels: Sequence[str]) -> dict[str, list[tuple[Mapping, MaskFacts]]]:
    """The rows of each class, in order."""
    found = defaultdict(list)
    for pair, label in zip(rows, labels, strict=True):
        if label:
            found[label].append(pair)
    return dict(found)
