"""What a scan notes of every picture and mask while it holds them, so that none is read twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flexunet_exp.data import defects, fingerprints
from flexunet_exp.data.defects import Defect
from flexunet_exp.data.image_files import Header


@dataclass
class Notes:
    """By the picture's path; a picture that cannot be read is in none of them."""

    size: tuple[int, int]  # (height, width) of the network's input
    patch: tuple[int, int] | None = None  # what of a picture it sees at once; None: all of it
    headers: dict[str, Header] = field(default_factory=dict)
    prints: dict[str, np.ndarray] = field(default_factory=dict)  # `likeness.fingerprint`
    defects: dict[str, list[Defect]] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)  # mask pixels of no class colour

    def seen(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """At which (height, width) the network sees a picture of this shape, in all its patches."""
        if self.patch is None:
            return self.size
        height, width = (
            max(1, round(side * seen / own))
            for side, seen, own in zip(shape, self.size, self.patch, strict=True)
        )
        return height, width

    def picture(self, path: str, image: np.ndarray, header: Header) -> None:
        self.headers[path] = header
        self.prints[path] = fingerprints.fingerprint(image)

    def mask(self, path: str, mask: np.ndarray, odd: int = 0) -> None:
        """Notes the index mask (H, W) of the picture `path`."""
        self.defects[path] = defects.find(mask, self.seen(mask.shape))
        self.odd[path] = odd
