"""A drawn mask, and what became of the objects."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flexunet_exp.errors import InputError


@dataclass
class Drawn:
    """A mask uint8 (H, W), and what became of the objects.

    `objects` and `pixels` count by class name; `area` is that of the polygons by their
    coordinates, `area_drawn` their pixels before others covered them. `problems` stop the import;
    `losses` are objects that are seen in the mask in part or not at all.
    """

    mask: np.ndarray
    objects: dict[str, int] = field(default_factory=dict)
    area: float = 0.0
    area_drawn: int = 0
    problems: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


def check_drawn(result: Drawn) -> None:
    """Raises InputError with the problems of a mask, if it has any."""
    if result.problems:
        raise InputError(result.problems)
