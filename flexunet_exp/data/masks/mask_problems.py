"""Why a multiclass mask is refused, in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flexunet_exp.data.grouping import Problem, first_of
from flexunet_exp.data.masks import mask_classes
from flexunet_exp.data.masks.mask_files import Stored
from flexunet_exp.data.masks.mask_rules import IGNORE, Reading, exact_classes

MOST_NAMED = 8  # colours that may be classes; more of them are blends


def black_and_white(path: str | Path) -> Problem:
    """The problem of a file of 0 and 255 in a set that does not say what 255 is."""
    return Problem(
        path,
        "a black-and-white mask (0 and 255) does not say which class it shows",
        "Use class colours or class indices. For raw MVTec AD folders: dataset/layout=mvtec. If "
        "255 is to be ignored: dataset.layout.mask_255=ignore.",
        "black-and-white masks (0 and 255) do not say which class they show",
    )


def two_meanings(path: str | Path) -> Problem:
    """The problem of a file whose values are class colours, and indices of other classes too."""
    what = "values that are class colours, and class indices of other classes too"
    mend = "Say which is meant: dataset.layout.mask_values=colours or indices."
    return Problem(path, f"holds {what}", mend, f"masks hold {what}")


def unknown_values(
    stored: Stored, foreign: np.ndarray, reading: Reading, path: str | Path
) -> Problem:
    """The problem of `foreign` pixels, each given by the place of its value in `stored`."""
    numbers, number = stored.indices, len(reading.names)
    if numbers is not None and _are_indices(numbers, stored, reading):
        unknown = (numbers >= number) & (numbers != IGNORE)
        return _unknown_indices(numbers[unknown], stored.counts[unknown], reading, path)
    places, pixels = np.unique(foreign, return_counts=True)
    return _unknown_colours(stored.colours[places], pixels, reading, path)


def too_many(stored: Stored, classes: np.ndarray, limit: float, path: str | Path) -> Problem:
    """The problem of a file with more edge pixels than the limit allows."""
    odd = classes == IGNORE
    ranked = stored.colours[odd][np.argsort(-stored.counts[odd], kind="stable")]
    found = [str(tuple(colour)) for colour in ranked.tolist()]
    return over_limit(path, int(stored.counts[odd].sum()), int(stored.counts.sum()), limit, found)


def over_limit(path: str | Path, count: int, total: int, limit: float, odd: list[str]) -> Problem:
    """The problem of `count` of `total` pixels of no class, which show these `odd` colours."""
    return Problem(
        path,
        f"{count / total:.2%} of the pixels ({count:,} of {total:,}) have no class colour, at "
        f"most {limit:.2%} may; found {first_of(odd)}",
        "Export the mask without interpolation, or raise dataset.layout.off_palette_limit.",
        f"masks have more than {limit:.2%} of pixels of no class colour",
    )


def _are_indices(numbers: np.ndarray, stored: Stored, reading: Reading) -> bool:
    """Whether the stored numbers are class indices, and none shows another class's colour."""
    classes = exact_classes(stored.colours, reading.palette)
    is_known = (numbers > 0) & (numbers < len(reading.names))
    differs = (classes != IGNORE) & (classes != numbers) & (numbers != IGNORE)
    return bool(is_known.any() and not differs.any())


def _unknown_indices(
    indices: np.ndarray, pixels: np.ndarray, reading: Reading, path: str | Path
) -> Problem:
    there = ", ".join(f"{index} {name}" for index, name in enumerate(reading.names))
    what = f"an index that is no class (there are {there}; 255 is ignored)"
    mend = f"Draw these pixels as a class or as 255, or add the class to {reading.listed}."
    values = {str(index): int(count) for index, count in zip(indices, pixels, strict=True)}
    return Problem(path, f"holds {what}", mend, f"masks hold {what}", values)


def _unknown_colours(
    colours: np.ndarray, pixels: np.ndarray, reading: Reading, path: str | Path
) -> Problem:
    named = [tuple(colour) for colour in colours.tolist()]
    values = {str(colour): int(count) for colour, count in zip(named, pixels, strict=True)}
    what = "pixels of no class colour that are no edge between two class colours"
    mends: dict[str, str] = {}
    if (exact_classes(colours[:, ::-1], reading.palette) != IGNORE).all():
        mend = (
            "With red and blue exchanged, all are class colours: if OpenCV wrote the masks in its "
            "own order, dataset.layout.colour_order=bgr."
        )
        mends = {"dataset.layout.colour_order": "bgr"}
    elif len(named) <= MOST_NAMED:
        mend = f"If they are classes, name them in {reading.listed}, a line each:"
        mends = {class_line(colour, reading.listed): "" for colour in named}
    else:
        mend = "Was the mask resized or blended? Export it again without interpolation."
    return Problem(path, f"holds {what}", mend, f"masks hold {what}", values, mends)


def class_line(colour: tuple[int, ...], listed: str) -> str:
    """A line of the option `listed` that would name a colour."""
    merged = ", class: CLASS" if listed == mask_classes.OPTION else ""
    return f"- {{name: NAME, color: {list(colour)}{merged}}}"
