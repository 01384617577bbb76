"""Label Studio: tasks with brushes, and the labelling configuration to import them with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing.writer import Sample, Writer, objects_of

WIDTHS = (3, 4, 8, 16)  # bits of run lengths
LONGEST = 2 ** WIDTHS[-1]


class LabelStudioWriter(Writer):
    """`tasks.json` and `labels.xml`; its pictures in `images` are served as local files."""

    def __init__(self, folder: Path, classes: Sequence[Class]):
        super().__init__(folder, classes)
        self.tasks: list[dict] = []

    def _add(self, sample: Sample, mask: np.ndarray) -> int:
        self.copy(sample, f"images/{sample.shown}")
        regions = []
        for number, (value, crop) in enumerate(objects_of(mask), 1):
            whole = np.zeros(mask.shape, np.uint8)
            whole[crop.place] = crop.pixels * np.uint8(255)
            regions.append(region(f"r{number}", whole, self.label_of(value)))
        self.tasks.append(
            {
                "id": len(self.tasks) + 1,
                "data": {"image": f"/data/local-files/?d=images/{sample.shown}"},
                "annotations": [{"result": regions, "was_cancelled": False}],
            }
        )
        return 0

    def close(self) -> None:
        labels = "".join(f"<Label value={quoteattr(name)}/>" for name in self.labels)
        self.write("tasks.json", json.dumps(self.tasks))
        self.write(
            "labels.xml",
            '<View><Image name="image" value="$image"/>'
            f'<BrushLabels name="label" toName="image">{labels}</BrushLabels></View>\n',
        )


def region(key: str, pixels: np.ndarray, label: str) -> dict:
    height, width = pixels.shape
    return {
        "id": key,
        "type": "brushlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": packed(pixels), "brushlabels": [label]},
    }


def packed(pixels: np.ndarray) -> list[int]:
    """Pixels (H, W) uint8 as the bit stream that `label_studio_regions.painted` describes."""
    flat = pixels.ravel()
    starts = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *starts, flat.size]) * 4  # each pixel has four values
    bits = [f"{flat.size * 4:032b}{7:05b}", *(f"{width - 1:04b}" for width in WIDTHS)]
    for length, value in zip(lengths.tolist(), flat[[0, *starts]].tolist(), strict=True):
        bits += [run(min(LONGEST, length - at), value) for at in range(0, length, LONGEST)]
    text = "".join(bits)
    return np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0")).tolist()


def run(length: int, value: int) -> str:
    """A run that repeats a value, in the fewest bits."""
    choice = next(n for n, width in enumerate(WIDTHS) if length <= 2**width)
    return f"1{choice:02b}{length - 1:0{WIDTHS[choice]}b}{value:08b}"
