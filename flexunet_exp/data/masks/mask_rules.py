"""The rules by which the masks of a set are read, decided over the whole set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

IGNORE = 255


@dataclass(frozen=True)
class Reading:
    """How the masks of a set are read; `auto`: not decided, so what is ambiguous is refused."""

    palette: np.ndarray  # (C, 3) uint8, background first, in the order of the files' channels
    names: tuple[str, ...]
    edges: str = "present"  # present: an edge is one of its two classes, nearest: any class
    limit: float = 0.02  # share of a file's pixels that may be edges
    values: str = "auto"  # colours or indices, where a file's values fit both
    white: str = "auto"  # index 255: ignore, or defect
    listed: str = "dataset.classes"  # the option that lists the names and colours

    @property
    def plain(self) -> list[Any]:
        """As JSON holds it."""
        return [self.palette.tolist(), *self.names, self.edges, self.limit, self.values, self.white]


def exact_classes(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The class (K,) uint8 of each colour (K, 3); IGNORE for one that is no class colour."""
    same = (colours[:, None] == palette).all(axis=-1)
    return np.where(same.any(axis=1), same.argmax(axis=1), IGNORE).astype(np.uint8)
