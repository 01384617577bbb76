"""Writes tests/formats/files/isat with ISAT's own package, and the masks of its VOC export.

Not run with the tests. In an environment of its own, from the root of the repository:

    pip install --no-deps isat-sam==1.5.2
    pip install scikit-image==0.26.0 pillow==13.0.0 imgviz==2.1.0 tqdm pyyaml
    python -P tests/formats/make/isat.py
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from ISAT.formats.isat import ISAT
from ISAT.formats.voc import VOC
from PIL import Image

FOLDER = Path(__file__).parents[1] / "files" / "isat"
EXPORT, TRUTH = FOLDER / "export", FOLDER / "truth"
SIZE = (40, 48)  # (height, width)
CLASSES = ("scratch", "dent", "Ölfleck")


def object_of(category: str, group: int, points: list, layer: float, crowd: bool = False):
    one = ISAT.ANNO.OBJ()
    one.category, one.group, one.segmentation = category, group, points
    one.layer, one.iscrowd, one.note = layer, crowd, ""
    xs, ys = zip(*points, strict=True)
    one.bbox, one.area = [min(xs), min(ys), max(xs), max(ys)], 0
    return one


def picture_of(name: str, objects: list):
    height, width = SIZE
    Image.new("L", (width, height), 90).save(EXPORT / name, optimize=True)
    picture = ISAT.ANNO()
    info = picture.info = ISAT.ANNO.INFO()
    info.description, info.folder, info.name, info.note = "ISAT", "C:\\photos", name, ""
    info.height, info.width, info.depth = height, width, 1
    picture.objs = tuple(objects)
    return picture


def by_chance(number: int) -> list:
    """Polygons of any kind: thin, crossing themselves, and leaving the picture."""
    draw = random.Random(3)
    found = []
    for index in range(number):
        x, y, reach = draw.uniform(0, 48), draw.uniform(0, 40), draw.choice([4, 8, 16])
        points = [
            [round(x + draw.uniform(-reach, reach), 2), round(y + draw.uniform(-reach, reach), 2)]
            for _ in range(draw.randint(3, 7))
        ]
        found.append(object_of(CLASSES[index % 3], index, points, draw.randint(1, 4)))
    return found


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    EXPORT.mkdir(parents=True)
    TRUTH.mkdir()
    square = [[5, 5], [15, 5], [15, 12], [5, 12]]
    inside = [[8, 7], [12, 7], [12, 10], [8, 10]]
    other = [[30.9, 20.9], [40.2, 20.1], [36.5, 31.7]]
    writer = ISAT()
    writer.cates = CLASSES
    writer.annos = {
        "layers": picture_of(
            "layers.png",
            [
                object_of("dent", 1, inside, 2.0),  # on top, though it comes first
                object_of("scratch", 1, square, 1.0),
                object_of("Ölfleck", 2, other, 1.0, crowd=True),
            ],
        ),
        "chance": picture_of("chance.png", by_chance(12)),
    }
    writer.save_to_ISAT(str(EXPORT))
    reader = VOC()
    reader.read_from_ISAT(str(EXPORT))
    reader.cates = ("__background__", *reader.cates)  # its own list has none: one class would be 0
    reader.save_to_voc(str(TRUTH))


if __name__ == "__main__":
    main()
