"""Pictures and grey masks of any naming: two patterns say which belong together.

`image='images/{stem}.*' mask='gt/{stem}_label.bmp'`. What the numbers in masks mean is not guessed:
`values={1: scratch, 255: dent}`, or `threshold=128` for one class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.mask_pictures import (
    by_value,
    from_value_on,
    grey,
    labels_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import BACKGROUND, Class, Export, Labelled, Stored
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES
from flexunet_exp.data.grouping import counted, first_of
from flexunet_exp.errors import InputError

ONE = "defect"  # the class of a threshold
TOOL = Tool("masks")
SAY = "Say what the numbers mean: 'values={1: scratch, 255: dent}', or threshold=128 for one class"


class ImageMasks(Format):
    """Needs its patterns, so that it recognises nothing by itself."""

    title = "pictures and masks by pattern"
    options = ("image", "mask", "values", "threshold")

    def recognises(self, place: Place) -> bool:
        return {"image", "mask"} <= place.options.keys()

    def read(self, place: Place) -> Export:
        check(place)
        image, mask = place.options["image"], place.options["mask"]
        masks = matched(mask, place.root, place.files)
        taken = {path for paths in masks.values() for path in paths}
        folder = place.images or place.root
        images = matched(image, folder, [path for path in place.pictures.all if path not in taken])
        files = files_of(place, images, masks)
        read, labels = reader_of(place, [*taken])
        pictures = [
            Labelled(
                place.shown(path),
                path,
                masks=tuple(map(read, masks.get(stem, ()))),
                done=stem in masks,
                written_in=place.shown(masks[stem][0]) if stem in masks else "",
            )
            for stem, path in files.items()
        ]
        return Export(TOOL, tuple(map(Class, labels)), tuple(pictures), notes=[rule_of(place)])


def check(place: Place) -> None:
    missing = {"image", "mask"} - place.options.keys()
    if missing:
        raise InputError(
            "format=image_masks needs image='images/{stem}.*' and mask='gt/{stem}.png', with the "
            f"names of your folders; {' and '.join(sorted(missing))} is missing"
        )
    if {"values", "threshold"} <= place.options.keys():
        raise InputError("values and threshold are two rules for the numbers in masks: give one")


def files_of(
    place: Place, images: dict[str, list[Path]], masks: dict[str, list[Path]]
) -> dict[str, Path]:
    """Stem → picture. Raises InputError for patterns that fit nothing, and for masks alone."""
    problems = []
    if not images:
        problems.append(nothing("image", place, place.pictures.all))
    if not masks:
        problems.append(nothing("mask", place, place.files))
    for stem, paths in images.items():
        if len(paths) > 1:
            shown = first_of([place.shown(path) for path in paths])
            problems.append(f"{len(paths)} pictures have the stem {stem}: {shown}. Narrow image=")
    alone = [place.shown(path) for stem in masks.keys() - images.keys() for path in masks[stem]]
    if images and alone:
        problems.append(
            f"{len(alone)} masks have no picture: {first_of(sorted(alone))}. The stems of pictures "
            f"are such as {next(iter(images))!r}: correct image= or mask="
        )
    if problems:
        raise InputError(problems)
    return {stem: paths[0] for stem, paths in images.items()}


def nothing(key: str, place: Place, files: list[Path]) -> str:
    shown = [place.shown(path) for path in files]
    there = f"There are: {first_of(shown)}" if shown else "There are no files"
    return f"{key}={place.options[key]!r} fits none of {len(files)} files. {there}"


def matched(pattern: str, folder: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """Stem → the files below a folder that a pattern fits; `{stem}` may hold folders."""
    parts = re.split(r"(\{stem\}|\*)", pattern.removeprefix("./"))
    wanted = {"{stem}": "(.+)", "*": "[^/]*"}
    fit = re.compile("".join(wanted.get(part, re.escape(part)) for part in parts))
    found: dict[str, list[Path]] = {}
    for path in files:
        if not path.is_relative_to(folder) or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if match := fit.fullmatch(path.relative_to(folder).as_posix()):
            found.setdefault(match[1], []).append(path)
    return found


def reader_of(place: Place, masks: list[Path]) -> tuple[Callable[[Path], Stored], tuple[str, ...]]:
    """What reads a mask, and its labels. Raises InputError with all numbers where none is said."""
    threshold = place.options.get("threshold")
    if threshold is not None:
        return lambda path: from_value_on(path, ONE, threshold), (ONE,)
    if "values" not in place.options:
        raise InputError(f"masks hold the values{found_in(masks)}. {SAY}")
    names = {0: BACKGROUND, **dict(sorted(place.options["values"].items()))}
    mend = "Name them in values= too: a label ignore leaves them out, background is no defect"
    return lambda path: by_value(path, names, mend), labels_of(names.values())


def found_in(masks: Iterable[Path]) -> str:
    """The values in all masks with their pixels. Raises InputError for what is no grey mask."""
    counts: Counter[str] = Counter()
    for values in each(masks, values_of):
        counts.update(values)
    return counted(counts)


def values_of(path: Path) -> dict[str, int]:
    found, indices = grey(path)
    pairs = zip(indices, found.counts, strict=True)
    return {str(value): int(count) for value, count in pairs}


def rule_of(place: Place) -> str:
    """The rule for the numbers in masks, in words."""
    if threshold := place.options.get("threshold"):
        return f"Masks: values from {threshold} on are {ONE}, the others background."
    said = {0: BACKGROUND, **place.options["values"]}
    named = ", ".join(f"{value} is {label}" for value, label in sorted(said.items()))
    return f"Masks: {named}; other values are errors."
