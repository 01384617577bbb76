"""Masks that are pictures already: what their values or colours mean, and whose they are."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import BACKGROUND, IGNORED, Class, Stored
from flexunet_exp.data.grouping import Problem
from flexunet_exp.data.masks import mask_files
from flexunet_exp.data.masks.mask_rules import IGNORE
from flexunet_exp.errors import InputError

Colour = tuple[int, int, int]
HALF = 128  # the first value of the brighter half


def labels_of(names: Iterable[str]) -> tuple[str, ...]:
    """The defect classes among names, each once."""
    return tuple(dict.fromkeys(name for name in names if name not in (BACKGROUND, IGNORED)))


def classes_of(colours: Mapping[Colour, str]) -> tuple[Class, ...]:
    first = {name: colour for colour, name in reversed(list(colours.items()))}
    return tuple(Class(name, first[name]) for name in labels_of(colours.values()))


def by_value(path: Path, names: Mapping[int, str], mend: str, is_defect: bool = False) -> Stored:
    """A mask of one channel, or of a palette, whose stored numbers mean `names`.

    Reading it raises InputError where it has other numbers; `mend` says what to do then.
    """

    def read() -> np.ndarray:
        found, values = grey(path)
        return named(path, found, values.tolist(), names, "values of no class", mend)

    return Stored(path, labels_of(names.values()), read, is_defect)


def by_colour(path: Path, names: Mapping[Colour, str], mend: str) -> Stored:
    """A mask whose shown colours, also those of a palette, mean `names`; else as `by_value`."""

    def read() -> np.ndarray:
        found = mask_files.stored(path)
        keys = [(red, green, blue) for red, green, blue in found.colours.tolist()]
        return named(path, found, keys, names, "colours of no class", mend)

    return Stored(path, labels_of(names.values()), read)


def from_value_on(path: Path, label: str, least: int = HALF, is_defect: bool = False) -> Stored:
    """A mask with soft edges: the label from a value on."""

    def read() -> np.ndarray:
        found, values = grey(path)
        return found.spread((values >= least).astype(np.uint8))

    return Stored(path, (label,), read, is_defect)


def bright_half(path: Path, label: str, is_defect: bool = False) -> Stored:
    """A mask of two values, whatever they are: the label from half of the brightest value on."""

    def read() -> np.ndarray:
        found, values = grey(path)
        is_bright = (values > 0) & (2 * values.astype(int) >= values.max())
        return found.spread(is_bright.astype(np.uint8))

    return Stored(path, (label,), read, is_defect)


def grey(path: Path) -> tuple[mask_files.Stored, np.ndarray]:
    """A grey or palette mask and its K values (K,) uint8. Raises InputError for one of colours."""
    found = mask_files.stored(path)
    if found.indices is None:
        what = "of colours, expected one grey value, or number of a palette, for each class"
        mend = "Export it as grey or palette PNG."
        raise InputError(Problem(path, f"a mask {what}", mend, f"masks are {what}"))
    return found, found.indices


def named(
    path: Path, found: mask_files.Stored, keys: list, names: Mapping, kind: str, mend: str
) -> np.ndarray:
    """Label numbers uint8 (H, W) of a mask whose K values are `keys`."""
    refuse_unnamed(path, dict(zip(keys, found.counts, strict=True)), names, kind, mend)
    return found.spread(numbers_of(keys, names))


def refuse_unnamed(path: Path, pixels: Mapping, names: Mapping, kind: str, mend: str) -> None:
    """Raises InputError with the values of a mask that have no name, and their pixels."""
    odd = {str(value): int(count) for value, count in pixels.items() if value not in names}
    if odd:
        raise InputError(Problem(path, kind, mend, f"masks hold {kind}", odd))


def numbers_of(values: Iterable, names: Mapping) -> np.ndarray:
    """The number (K,) uint8 of the label of each value: 0 background, 255 ignored."""
    numbers = {BACKGROUND: 0, IGNORED: IGNORE}
    numbers |= {label: n for n, label in enumerate(labels_of(names.values()), start=1)}
    return np.array([numbers[names[value]] for value in values], np.uint8)


def picture_of(place: Place, key: str, apart: Container[Path] = ()) -> Path | None:
    """The picture of a name without suffix, with or without folders, that is not `apart`.

    Of several, the one that more folders of the name fit; None where there is none, or several.
    """
    parts = PurePosixPath(key.replace("\\", "/")).parts
    same = place.pictures.by_stem.get(parts[-1].lower(), []) if parts else []
    same = [path for path in same if path not in apart]
    for start in range(len(parts)):
        tail = "/" + "/".join(parts[start:])
        fitting = [path for path in same if path.with_suffix("").as_posix().endswith(tail)]
        if len(fitting) == 1:
            return fitting[0]
    return None
