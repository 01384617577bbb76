"""YOLO segmentation: polygons along the middles of the pixels at a region's edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from flexunet_exp.data.annotations.raster import Crop
from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing.writer import Sample, Writer, objects_of


class YoloWriter(Writer):
    """`data.yaml`, `images/SPLIT` and `labels/SPLIT`; a good picture has an empty text."""

    def __init__(self, folder: Path, classes: Sequence[Class]):
        super().__init__(folder, classes)
        self.splits: dict[str, None] = {}

    def _add(self, sample: Sample, mask: np.ndarray) -> int:
        self.copy(sample, f"images/{sample.shown}")
        self.splits[sample.split] = None
        rows = []
        drawn = np.zeros_like(mask)
        for value, crop in objects_of(mask):
            for ring in rings_of(crop):
                rows.append(self.row(value, ring, mask.shape))
                cv2.fillPoly(drawn, [ring], value)
        path = sample.shown.removesuffix(sample.file.suffix.lower())
        self.write(f"labels/{path}.txt", "".join(rows))
        return int(np.count_nonzero(drawn != mask))

    def row(self, value: int, ring: np.ndarray, size: tuple[int, ...]) -> str:
        """A row has three points at least: fewer are taken for a box."""
        points = np.concatenate([ring, *[ring[-1:]] * (3 - len(ring))])
        parts = (points / (size[1], size[0])).ravel()
        return f"{self.number_of(value)} {' '.join(f'{part:.6f}' for part in parts)}\n"

    def close(self) -> None:
        keys = {split: {"valid": "val"}.get(split, split or "train") for split in self.splits}
        said: dict[str, Any] = {
            "path": ".",
            **{key: f"images/{split}" for split, key in keys.items()},
        }
        said["names"] = dict(enumerate(self.labels))
        self.write("data.yaml", yaml.safe_dump(said, sort_keys=False, allow_unicode=True))


def rings_of(crop: Crop) -> Iterator[np.ndarray]:
    """Polygons (N, 2) int32 that OpenCV fills to the pixels of a region.

    A region with a hole is cut along the first row of the hole: rows of YOLO never cut one out.
    """
    found, ranks = cv2.findContours(
        crop.pixels.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE,
        offset=(crop.left, crop.top),
    )  # fmt: skip
    holes = [ring for ring, rank in zip(found, ranks[0] if len(found) else (), strict=True)
             if rank[3] >= 0]  # fmt: skip
    if not holes:
        yield from (ring.reshape(-1, 2) for ring in found)
        return
    row = (
        int(min(ring[..., 1].min() for ring in holes)) + 1 - crop.top
    )  # of its pixels, not its edge
    for part, top in ((crop.pixels[:row], 0), (crop.pixels[row : row + 1], row),
                      (crop.pixels[row + 1 :], row + 1)):  # fmt: skip
        yield from rings_of(Crop(part, crop.top + top, crop.left))
