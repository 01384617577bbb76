"""What every writer has, and a mask as objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from flexunet_exp.data.annotations.raster import Crop
from flexunet_exp.data.annotations.records import IGNORED, Class
from flexunet_exp.data.masks.mask_rules import IGNORE
from flexunet_exp.system.files import replace_file


@dataclass(frozen=True)
class Sample:
    """A picture: its file, its name in the export without suffix, and its split, maybe empty."""

    file: Path
    name: str
    split: str

    @property
    def shown(self) -> str:
        """Its path in the export: `train/a.png`."""
        return f"{self.split}/{self.file_name}" if self.split else self.file_name

    @property
    def file_name(self) -> str:
        return f"{self.name}{self.file.suffix.lower()}"


class Writer(ABC):
    """Writes pictures with their masks into `folder`; `classes` are those of values 1, 2 …"""

    def __init__(self, folder: Path, classes: Sequence[Class]):
        self.folder, self.classes = folder, tuple(classes)
        self.ignores = False  # whether any mask has pixels that are ignored

    @property
    def labels(self) -> list[str]:
        """The names of the classes, and of the ignored pixels where there are any."""
        return [*(one.name for one in self.classes), *([IGNORED] if self.ignores else [])]

    def add(self, sample: Sample, mask: np.ndarray) -> int:
        """Writes a picture and its mask (H, W) uint8; the pixels that its labels get wrong."""
        self.ignores |= bool((mask == IGNORE).any())
        return self._add(sample, mask)

    @abstractmethod
    def _add(self, sample: Sample, mask: np.ndarray) -> int: ...

    @abstractmethod
    def close(self) -> None:
        """Writes the files that are of all pictures."""

    def label_of(self, value: int) -> str:
        return IGNORED if value == IGNORE else self.classes[value - 1].name

    def number_of(self, value: int) -> int:
        """The number of a label in `labels`."""
        return len(self.classes) if value == IGNORE else value - 1

    def copy(self, sample: Sample, path: str) -> Path:
        """Copies a picture to a path in the export."""
        target = self.folder / path
        self.write(path, sample.file.read_bytes())
        return target

    def write(self, path: str, data: bytes | str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, data.encode() if isinstance(data, str) else data)


def objects_of(mask: np.ndarray) -> Iterator[tuple[int, Crop]]:
    """The value and the pixels of each connected region (8 neighbours) of one value, 255 too."""
    for value in np.unique(mask[mask > 0]).tolist():
        count, regions, boxes, _ = cv2.connectedComponentsWithStats(
            (mask == value).astype(np.uint8), connectivity=8
        )
        for number in range(1, count):
            left, top, width, height = boxes[number, :4].tolist()
            part = regions[top : top + height, left : left + width]
            yield value, Crop(part == number, top, left)
