"""LabelMe: a JSON beside each picture, the regions as shapes of the type mask."""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np

from flexunet_exp.data.annotations.raster import Crop
from flexunet_exp.data.annotations.writing.writer import Sample, Writer, objects_of
from flexunet_exp.data.masks.mask_rules import IGNORE

VERSION = "6.3.1"  # of LabelMe, whose files are written


class LabelMeWriter(Writer):
    """`SPLIT/a.png` and `SPLIT/a.json`; `labels.txt` says the order of the classes."""

    def _add(self, sample: Sample, mask: np.ndarray) -> int:
        self.copy(sample, sample.shown)
        said = {
            "version": VERSION,
            "flags": {},
            "shapes": [self.shape(value, crop) for value, crop in objects_of(mask)],
            "imagePath": sample.file_name,
            "imageData": None,
            "imageHeight": mask.shape[0],
            "imageWidth": mask.shape[1],
        }
        path = sample.shown.removesuffix(sample.file.suffix.lower())
        self.write(f"{path}.json", json.dumps(said))
        return 0

    def shape(self, value: int, crop: Crop) -> dict:
        """Its corners are the first and the last pixel."""
        height, width = crop.pixels.shape
        bitmap = cv2.imencode(".png", crop.pixels.astype(np.uint8))[1].tobytes()
        return {
            "label": "__ignore__" if value == IGNORE else self.label_of(value),
            "points": [[crop.left, crop.top], [crop.left + width - 1, crop.top + height - 1]],
            "group_id": None,
            "description": "",
            "shape_type": "mask",
            "flags": {},
            "mask": base64.b64encode(bitmap).decode(),
        }

    def close(self) -> None:
        names = [one.name for one in self.classes]
        self.write("labels.txt", "\n".join(["__ignore__", "_background_", *names, ""]))
