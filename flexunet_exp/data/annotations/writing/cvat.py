"""CVAT for images 1.1: one XML, the regions as masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from flexunet_exp.data.annotations.raster import Crop
from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing.writer import Sample, Writer, objects_of


class CvatWriter(Writer):
    """`annotations.xml`, and the pictures in `images/SPLIT`."""

    def __init__(self, folder: Path, classes: Sequence[Class]):
        super().__init__(folder, classes)
        self.images: list[str] = []

    def _add(self, sample: Sample, mask: np.ndarray) -> int:
        self.copy(sample, f"images/{sample.shown}")
        height, width = mask.shape
        subset = f" subset={quoteattr(sample.split)}" if sample.split else ""
        regions = "".join(self.region(value, crop) for value, crop in objects_of(mask))
        self.images.append(
            f'<image id="{len(self.images)}" name={quoteattr(sample.shown)}{subset} '
            f'width="{width}" height="{height}">\n{regions}</image>\n'
        )
        return 0

    def region(self, value: int, crop: Crop) -> str:
        """Runs by rows within the box, zeros first."""
        flat = crop.pixels.ravel()
        ends = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
        runs = np.diff([0, *ends] if flat[0] else ends).tolist()
        height, width = crop.pixels.shape
        return (
            f'<mask label={quoteattr(self.label_of(value))} source="manual" occluded="0" '
            f'rle="{", ".join(map(str, runs))}" left="{crop.left}" top="{crop.top}" '
            f'width="{width}" height="{height}" z_order="0"></mask>\n'
        )

    def close(self) -> None:
        colours = [one.colour or (0, 0, 0) for one in self.classes] + [(255, 0, 255)]
        labels = "".join(
            f"<label><name>{escape(name)}</name><color>#{bytes(colour).hex()}</color>"
            "<type>mask</type><attributes></attributes></label>\n"
            for name, colour in zip(self.labels, colours, strict=False)
        )
        self.write(
            "annotations.xml",
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
            f"<meta><task><name>masks</name><labels>\n{labels}</labels></task></meta>\n"
            f"{''.join(self.images)}</annotations>\n",
        )
