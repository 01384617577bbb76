"""Writes tests/formats/files/xanylabeling with X-AnyLabeling's own package, and its masks.

Not run with the tests. In an environment of its own, from the root of the repository:

    pip install --no-deps x-anylabeling-cvhub==4.2.1
    pip install PyQt6==6.11.0 opencv-python-headless==5.0.0.93 pillow==13.0.0 pyyaml jsonlines \
        json_repair termcolor natsort importlib_metadata requests markdown openai \
        qimage2ndarray packaging
    python -P tests/formats/make/xanylabeling.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from anylabeling.views.labeling.label_converter import LabelConverter
from anylabeling.views.labeling.schema import create_xlabel_template
from PIL import Image

FOLDER = Path(__file__).parents[1] / "files" / "xanylabeling"
EXPORT, TRUTH = FOLDER / "export", FOLDER / "truth"
COLOURS = {"type": "grayscale", "colors": {"scratch": 1, "dent": 2}}
SIZE = (40, 48)  # (height, width)
POLYGONS = [
    ("dent", "polygon", [(3.9, 2.2), (17.5, 4.9), (14.1, 15.7), (5.6, 12.3)]),
    ("scratch", "polygon", [(20, 1), (31, 12), (31, 1), (20, 12)]),  # crosses itself
    ("scratch", "polygon", [(10.4, 10.9), (30.2, 18.3), (12.7, 30.6)]),
    ("dent", "polygon", [(40.5, -6.5), (60.2, 9.4), (38.7, 14.9)]),  # leaves the picture
]
OTHERS = [
    ("dent", "rectangle", [(2, 30), (9, 30), (9, 36), (2, 36)]),
    ("dent", "rotation", [(20, 28), (30, 31), (28, 37), (18, 34)]),
    ("scratch", "quadrilateral", [(33, 26), (40, 24), (43, 30), (35, 33)]),
    ("scratch", "circle", [(42, 20), (45, 20)]),
]


def shape_of(label: str, kind: str, points: list) -> dict:
    """As `Shape.to_dict`, whose import needs the program's windows."""
    shape = {
        "label": label,
        "score": None,
        "points": points,
        "group_id": None,
        "description": "",
        "difficult": False,
        "shape_type": kind,
        "flags": {},
        "attributes": {},
        "kie_linking": [],
    }
    if kind == "rotation":
        shape["direction"] = LabelConverter.calculate_rotation_theta(points)
    return shape


def save(name: str, shapes: list) -> None:
    height, width = SIZE
    Image.new("L", (width, height), 90).save(EXPORT / f"{name}.png", optimize=True)
    content = create_xlabel_template(
        shapes=[shape_of(*one) for one in shapes],
        image_path=f"{name}.png",
        image_height=height,
        image_width=width,
    )
    (EXPORT / f"{name}.json").write_text(json.dumps(content, indent=1))
    LabelConverter().custom_to_mask(
        str(EXPORT / f"{name}.json"), str(TRUTH / f"{name}.png"), COLOURS
    )


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    EXPORT.mkdir(parents=True)
    TRUTH.mkdir()
    save("polygons", POLYGONS)
    save("others", OTHERS)
    (EXPORT / "classes.txt").write_text("scratch\ndent\n")


if __name__ == "__main__":
    main()
