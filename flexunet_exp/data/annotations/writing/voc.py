"""VOC masks: a picture of class colours for each picture, and labelmap.txt with the colours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from flexunet_exp.data.annotations.records import BACKGROUND, Class
from flexunet_exp.data.annotations.writing.writer import Sample, Writer
from flexunet_exp.data.masks.mask_rules import IGNORE

VOID = (224, 224, 192)  # of index 255 in VOC's palette


class VocWriter(Writer):
    """`JPEGImages`, `SegmentationClass` and `ImageSets/Segmentation`; 255 stays 255."""

    def __init__(self, folder: Path, classes: Sequence[Class]):
        super().__init__(folder, classes)
        self.lists: dict[str, list[str]] = {}
        self.palette = np.zeros((256, 3), np.uint8)
        self.palette[1 : len(self.classes) + 1] = [one.colour or (0, 0, 0) for one in self.classes]
        self.palette[IGNORE] = VOID

    def _add(self, sample: Sample, mask: np.ndarray) -> int:
        self.copy(sample, f"JPEGImages/{sample.file_name}")
        picture = Image.fromarray(np.ascontiguousarray(mask))
        picture.putpalette(self.palette.tobytes())
        stream = io.BytesIO()
        picture.save(stream, format="PNG")
        self.write(f"SegmentationClass/{sample.name}.png", stream.getvalue())
        self.lists.setdefault(sample.split or "default", []).append(sample.name)
        return 0

    def close(self) -> None:
        names = [BACKGROUND, *(one.name for one in self.classes)]
        lines = [
            f"{name}:{','.join(map(str, colour))}::"
            for name, colour in zip(names, self.palette.tolist(), strict=False)
        ]
        self.write("labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines, ""]))
        for split, listed in self.lists.items():
            name = {"valid": "val"}.get(split, split)
            self.write(f"ImageSets/Segmentation/{name}.txt", "\n".join([*listed, ""]))
