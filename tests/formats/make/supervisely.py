"""Writes tests/formats/files/supervisely with Supervisely's SDK, and the masks that it draws.

Not run with the tests. In an environment of its own, from the root of the repository:

    pip install --no-deps supervisely==6.74.51
    pip install pillow==13.0.0 numpy==2.4.6 opencv-python-headless==4.14.0.94

and the other packages that its import asks for (its own pins hold back Pillow); then

    python -P tests/formats/make/supervisely.py
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import supervisely as sly
from PIL import Image
from supervisely.geometry.multipolygon import Multipolygon

FOLDER = Path(__file__).parents[1] / "files" / "supervisely"
SIZE = (40, 48)  # (height, width)
COLOURS = {"scratch": [255, 0, 0], "dent": [0, 160, 255], "unused": [9, 9, 9]}


def points(*pairs: tuple[float, float]) -> list:
    return [sly.PointLocation(row, column) for column, row in pairs]


def bitmap() -> sly.Bitmap:
    rows, columns = np.indices((9, 12))
    return sly.Bitmap((rows + columns) % 3 > 0, sly.PointLocation(row=20, col=30))


def shapes() -> list:
    hole = points((8, 6), (13, 6), (13, 11), (8, 11))
    return [
        ("scratch", sly.Polygon(points((3, 2), (17, 4), (14, 15), (5, 12)), [hole])),
        ("dent", sly.Polygon(points((20.9, 1.2), (31.7, 12.8), (31.1, 1.9), (20.3, 12.4)), [])),
        ("dent", sly.Rectangle(top=18, left=2, bottom=25, right=12)),
        ("scratch", sly.Polyline(points((2, 30), (15, 38), (28, 31)))),
        ("scratch", bitmap()),
        ("dent", sly.Polygon(points((40, 30), (60, 35), (38, 50)), [])),  # leaves the picture
        ("dent", Multipolygon([sly.Polygon(points((36, 2), (44, 2), (40, 8)), []),
                               sly.Polygon(points((40, 10), (46, 10), (46, 14)), [])])),
    ]  # fmt: skip


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    classes = {name: sly.ObjClass(name, sly.AnyGeometry, color=colour)
               for name, colour in COLOURS.items()}  # fmt: skip
    meta = sly.ProjectMeta(sly.ObjClassCollection([*classes.values()]))
    project = sly.Project(str(FOLDER / "export"), sly.OpenMode.CREATE)
    project.set_meta(meta)
    truth = np.zeros(SIZE, np.uint8)
    found = shapes()
    for label, shape in found:
        one = np.zeros(SIZE, np.uint8)
        shape.draw(one, 1)
        truth[one == 1] = 1 + [*COLOURS].index(label)
    labels = [sly.Label(shape, classes[label]) for label, shape in found]
    for name, data in (("train", labels), ("val", [])):
        dataset = project.create_dataset(name)
        picture = FOLDER / f"{name}.png"
        Image.new("RGB", SIZE[::-1], (90, 90, 90)).save(picture, optimize=True)
        annotation = sly.Annotation(SIZE, data)
        dataset.add_item_file(f"{name}.png", str(picture), annotation)
        picture.unlink()
    (FOLDER / "truth").mkdir()
    Image.fromarray(truth).save(FOLDER / "truth" / "train.png", optimize=True)


if __name__ == "__main__":
    main()
