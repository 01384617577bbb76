"""Writes tests/formats/files/via as the page of VIA 2.0.12 writes its three files.

VIA is a page in a browser without a package; its README says what this follows.

    python tests/formats/make/via.py
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parents[1] / "files" / "via"
SHAPES = [
    (
        {"name": "polygon", "all_points_x": [3, 17, 14, 5], "all_points_y": [2, 4, 15, 12]},
        "scratch",
    ),
    ({"name": "polyline", "all_points_x": [20, 30, 44], "all_points_y": [3, 10, 4]}, "scratch"),
    ({"name": "rect", "x": 2, "y": 20, "width": 9, "height": 6}, "scratch"),
    ({"name": "circle", "cx": 20, "cy": 24, "r": 4.123}, "scratch"),
    ({"name": "ellipse", "cx": 36, "cy": 25, "rx": 9.5, "ry": 4, "theta": 0.5}, "dent"),
    ({"name": "point", "cx": 24, "cy": 35}, "dent"),
]
HEADER = ("filename", "file_size", "file_attributes", "region_count", "region_id",
          "region_shape_attributes", "region_attributes")  # fmt: skip
KIND = {
    "type": "radio",
    "description": "",
    "options": {"scratch": "", "dent": ""},
    "default_options": {},
}


def picture_of(name: str, size: int, shapes: list) -> tuple[str, dict]:
    regions = [
        {"shape_attributes": shape, "region_attributes": {"kind": label}} for shape, label in shapes
    ]
    node = {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
    return f"{name}{size}", node


def main() -> None:
    for kind in ("project", "json", "csv"):
        (FOLDER / kind).mkdir(parents=True, exist_ok=True)
        for name in ("a.png", "b.png"):
            Image.new("L", (48, 40), 90).save(FOLDER / kind / name, optimize=True)
    sizes = [(FOLDER / "csv" / name).stat().st_size for name in ("a.png", "b.png")]
    pictures = dict([picture_of("a.png", sizes[0], SHAPES), picture_of("b.png", sizes[1], [])])
    project = {
        "_via_settings": {"ui": {}, "core": {"default_filepath": ""}, "project": {"name": "bolt"}},
        "_via_img_metadata": pictures,
        "_via_attributes": {"region": {"kind": KIND}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": [*pictures],
    }
    (FOLDER / "project" / "via_project.json").write_text(json.dumps(project))
    (FOLDER / "json" / "via_region_data.json").write_text(json.dumps(pictures))
    with open(FOLDER / "csv" / "via_region_data.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEADER)
        for index, (shape, label) in enumerate(SHAPES):
            said = [json.dumps(shape), json.dumps({"kind": label})]
            rows.writerow(["a.png", sizes[0], "{}", len(SHAPES), index, *said])
        rows.writerow(["b.png", sizes[1], "{}", 0, 0, "{}", "{}"])


if __name__ == "__main__":
    main()
