"""What exports call pictures and classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations.records import Class


def classes_of(names: Sequence[str], palette: np.ndarray) -> tuple[Class, ...]:
    """The defect classes of `names` and colours (C, 3), in which the background is first."""
    pairs = zip(names, palette.tolist(), strict=True)
    return tuple(Class(name, tuple(colour)) for name, colour in pairs)[1:]


def distinct(files: Sequence[Path]) -> Iterator[str]:
    """A name for each file: its stem, with as many of its folders as tell it apart."""
    paths = [file.with_suffix("").parts for file in files]
    depths = range(1, max(map(len, paths), default=1) + 1)
    counts = {
        depth: Counter("_".join(parts[-depth:]).lower() for parts in paths) for depth in depths
    }
    for parts in paths:
        texts = ("_".join(parts[-depth:]) for depth in depths)
        yield next(
            text
            for depth, text in zip(depths, texts, strict=True)
            if counts[depth][text.lower()] == 1
        )
