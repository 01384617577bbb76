"""What the masks of a whole set mean: decided over all files together, never by one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flexunet_exp.data.grouping import Sentence
from flexunet_exp.data.masks.mask_rules import Reading
from flexunet_exp.data.masks.mask_values import Signs

TWO = ("both", "torn")  # what values fit that may mean two things
CHOICES = {"values": "mask_values", "white": "mask_255"}  # of a Reading → arguments of a layout


def decide(reading: Reading, signs: Sequence[Signs], problems: list[str]) -> Reading:
    """The reading with what its `auto` means for a set whose files have these signs.

    What cannot be decided stays `auto`, so that the files concerned are refused; adds a problem
    where two kinds of files of the set contradict each other.
    """
    if reading.values == "auto":
        reading = replace(reading, values=decided_values(signs, problems))
    if reading.white == "auto":
        reading = replace(reading, white=decided_white(reading, signs))
    return reading


def decided_values(signs: Sequence[Signs], problems: list[str]) -> str:
    """By what files are read whose values fit class colours, and indices of other classes too."""
    palettes = [one for one in signs if one.kind == "palette"]
    others = [one for one in signs if one.kind != "palette"]
    votes = {vote(group) for group in (palettes, others) if any(one.by in TWO for one in group)}
    if len(votes) > 1:
        problems.append(
            Sentence(
                "By their values, the palette masks and the other masks of this set follow "
                "different rules (class colours, class indices). Say which are meant: "
                "dataset.layout.mask_values=colours or indices."
            )
        )
    return votes.pop() if len(votes) == 1 else "auto"


def vote(group: Sequence[Signs]) -> str:
    """What the unambiguous files of a group say about the ambiguous ones."""
    if any(one.by == "indices" for one in group):
        return "indices"
    unclear = any(
        one.by == "torn" or (one.by == "both" and one.has_index and one.kind != "palette")
        for one in group
    )
    return "auto" if unclear and not any(one.by == "colours" for one in group) else "colours"


def decided_white(reading: Reading, signs: Sequence[Signs]) -> str:
    """What index 255 is: ignored beside class indices; alone, the only defect class."""
    found = [one for one in signs if one.has_255 and read_by_index(one, reading)]
    if not found:
        return "auto"
    if any(one.has_index for one in signs) or not any(one.is_white for one in found):
        return "ignore"
    return "defect" if len(reading.names) == 2 else "auto"


def read_by_index(signs: Signs, reading: Reading) -> bool:
    return signs.by == "indices" or (signs.by in TWO and reading.values == "indices")


def is_open(signs: Signs, reading: Reading) -> bool:
    """Whether a tentative reading of a file may differ from the decided one."""
    unclear = signs.by == "both" and reading.values != "colours"
    unclear = unclear or (signs.by == "torn" and reading.values != "indices")
    return unclear or (signs.has_255 and reading.white != "ignore")


def notes(signs: Sequence[Signs], decided: dict[str, str], names: Sequence[str]) -> list[str]:
    """What was decided about a set, in words."""
    found = []
    threefold = sum(one.kind == "colour" and one.by == "indices" for one in signs)
    if threefold:
        found.append(f"{threefold} masks hold class indices in three equal channels.")
    if decided.get("mask_255") == "defect":
        found.append(f"Index 255 is {names[1]}: the masks hold nothing but 0 and 255.")
    if decided.get("mask_values") == "indices":
        found.append("The masks are read by their indices, not by the colours they show.")
    return found


def decisions(before: Reading, after: Reading) -> dict[str, str]:
    """The arguments of a layout that were decided: name → value."""
    return {
        name: getattr(after, choice)
        for choice, name in CHOICES.items()
        if getattr(after, choice) != getattr(before, choice)
    }
