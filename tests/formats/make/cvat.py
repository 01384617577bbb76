"""Makes tests/formats/files/cvat and …/voc with datumaro 1.13.12, which CVAT exports with.

Run by hand: pip install datumaro==1.13.12 opencv-python-headless==4.14.0.94; python
tests/formats/make/cvat.py. Polygons, boxes, masks and the turned box are written by datumaro.
Ellipses, which its CVAT format does not write, are added as CVAT writes them, and drawn as its
server does (transformations.py: OpenCV, whole centre and radii, angle in degrees). Coordinates are
quarters: this datumaro keeps them as float32, the one within CVAT as float64, and pycocotools
rounds 6.10 of the two to different fifths of a pixel.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import cv2
import datumaro as dm
import numpy as np
from datumaro.components.annotation import RotatedBbox
from PIL import Image

FILES = Path(__file__).parents[1] / "files"
HEIGHT, WIDTH = 48, 64
LABELS = ("scratch", "dent", "pore")
ELLIPSES = [("pore", 40.5, 31.5, 9.4, 4.6, 30.0), ("pore", 12.2, 40.1, 5.5, 3.2, 0.0)]


def shapes() -> list:
    blob = np.zeros((HEIGHT, WIDTH), np.uint8)
    blob[20:27, 3:11] = 1
    blob[22:24, 5:8] = 0
    return [
        dm.Polygon([5.25, 4.5, 30.75, 6.25, 22.5, 18.75], label=0, z_order=1),
        dm.Polygon([40, 4, 60, 20, 60, 4, 40, 20], label=1, z_order=0),  # crosses itself
        dm.Polygon([50.5, 30.25, 80, 30.25, 80, 60, 50.5, 60], label=1, z_order=0),  # reaches out
        dm.Bbox(20, 10, 12.5, 7.25, label=1, z_order=0),  # under the first polygon
        dm.Mask(blob, label=2, z_order=0),
    ]


def turned(box: RotatedBbox) -> dm.Polygon:
    """The polygon that CVAT's server makes of a turned box."""
    x, y, width, height, degrees = box.points
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(-width, -height), (width, -height), (width, height), (-width, height)]
    points = [(x + (a * cos - b * sin) / 2, y + (a * sin + b * cos) / 2) for a, b in corners]
    return dm.Polygon([value for point in points for value in point], label=box.label, z_order=2)


def ellipse_mask(label: str, x: float, y: float, rx: float, ry: float, angle: float) -> dm.Mask:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(canvas, (round(x), round(y)), (round(rx), round(ry)), angle, 0, 360, 1, -1)
    return dm.Mask(canvas, label=LABELS.index(label), z_order=3)


def dataset(of_a: list) -> dm.Dataset:
    media = [dm.Image.from_numpy(np.full((HEIGHT, WIDTH, 3), grey, np.uint8)) for grey in (90, 60)]
    items = [
        dm.DatasetItem("a", subset="train", media=media[0], annotations=of_a),
        dm.DatasetItem("b", subset="val", media=media[1], annotations=[]),
    ]
    return dm.Dataset.from_iterable(items, categories=list(LABELS))


def add_ellipses(path: Path) -> None:
    lines = "".join(
        f'    <ellipse label="{label}" source="manual" occluded="0" cx="{x:.2f}" cy="{y:.2f}" '
        f'rx="{rx:.2f}" ry="{ry:.2f}" rotation="{angle:.2f}" z_order="3">\n    </ellipse>\n'
        for label, x, y, rx, ry, angle in ELLIPSES
    )
    path.write_text(path.read_text().replace("  </image>", f"{lines}  </image>", 1))


def main() -> None:
    for name in ("cvat", "voc"):
        shutil.rmtree(FILES / name, ignore_errors=True)
    box = RotatedBbox(30, 38, 14, 5, 25, label=0, z_order=2)
    dataset([*shapes(), box]).export(str(FILES / "cvat"), "cvat", save_media=True, image_ext=".png")
    add_ellipses(FILES / "cvat" / "train.xml")

    drawn = dataset([*shapes(), turned(box), *(ellipse_mask(*one) for one in ELLIPSES)])
    drawn.transform("polygons_to_masks").transform("boxes_to_masks")
    drawn.export(str(FILES / "voc"), "voc_segmentation", save_media=True, image_ext=".png")
    shown = Image.open(FILES / "voc" / "SegmentationClass" / "a.png")
    print(shown.mode, shown.size, (FILES / "voc" / "labelmap.txt").read_text())


if __name__ == "__main__":
    main()
