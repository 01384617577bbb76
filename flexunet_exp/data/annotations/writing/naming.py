"""What exports call pictures and classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations.records import Class


def classes_of(names: Sequence[str], palette: np.ndarray) -> tuple[Class, ...]:
    """The defect classes of `names` and colours (C, 3), in which the background is first."""
    pairs = zip(names, palette.tolist(), strict=True)
    return tuple(Class(name, tuple(colour)) for name, colour in pairs)[1:]


def distinct(files: Sequence[Path]) -> Iterator[str]:
    """A name for each file: its stem, with as many of its folders as tell it apart.

    Where none does, it is the stem with the suffix, and a number if that is taken. Upper and lower
    case make no difference.
    """
    depth = max((len(file.parts) for file in files), default=1)
    offers = [list(offered(file, depth)) for file in files]
    counts = [Counter(map(str.lower, texts)) for texts in zip(*offers, strict=True)]
    taken: set[str] = set()
    for file, texts in zip(files, offers, strict=True):
        own = (text for text, of in zip(texts, counts, strict=True) if of[text.lower()] == 1)
        last = f"{file.stem}_{file.suffix[1:]}"
        numbered = (f"{last}_{number}" for number in count(2))
        name = next(one for one in chain(own, [last], numbered) if one.lower() not in taken)
        taken.add(name.lower())
        yield name


def offered(file: Path, depth: int) -> Iterator[str]:
    """The stem with 0 … depth - 1 of the folders before it."""
    parts = file.relative_to(file.anchor).with_suffix("").parts
    yield from ("_".join(parts[-number:]) for number in range(1, depth + 1))
