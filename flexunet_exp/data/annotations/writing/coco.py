"""COCO: a JSON for each split, the regions as compressed run lengths."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing.writer import Sample, Writer, objects_of


class CocoWriter(Writer):
    """`annotations/instances_SPLIT.json`, and the pictures in `images/SPLIT`."""

    def __init__(self, folder: Path, classes: Sequence[Class]):
        super().__init__(folder, classes)
        self.splits: dict[str, dict[str, list]] = {}

    def _add(self, sample: Sample, mask: np.ndarray) -> int:
        said = self.splits.setdefault(sample.split, {"images": [], "annotations": []})
        self.copy(sample, f"images/{sample.shown}")
        height, width = mask.shape
        key = len(said["images"]) + 1
        image = {"id": key, "file_name": sample.shown, "height": height, "width": width}
        said["images"].append(image)
        for value, crop in objects_of(mask):
            whole = np.zeros(mask.shape, np.uint8, order="F")
            whole[crop.place] = crop.pixels
            number = len(said["annotations"]) + 1
            said["annotations"].append(
                {"id": number, "image_id": key, "category_id": self.number_of(value) + 1}
                | segment(whole)
            )
        return 0

    def close(self) -> None:
        categories = [{"id": key, "name": name} for key, name in enumerate(self.labels, 1)]
        for split, said in self.splits.items():
            name = f"instances_{split}" if split else "instances"
            self.write(f"annotations/{name}.json", json.dumps(said | {"categories": categories}))


def segment(pixels: np.ndarray) -> dict[str, Any]:
    """The members of an annotation that say its pixels (H, W) uint8, by columns in memory."""
    from pycocotools import mask as coco

    runs = coco.encode(pixels)
    return {
        "segmentation": {"size": list(pixels.shape), "counts": runs["counts"].decode()},
        "area": int(coco.area(runs)),
        "bbox": coco.toBbox(runs).tolist(),
        "iscrowd": 0,
    }
