"""Writes tests/formats/files/labelme with LabelMe's own package, and the masks that it draws.

Not run with the tests. In an environment of its own, from the root of the repository:

    pip install labelme==6.3.1 pillow==13.0.0 numpy==2.4.6
    python -P tests/formats/make/labelme.py
"""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import numpy as np
from labelme import utils
from labelme._label_file import LabelFile, read_image_file
from PIL import Image

FOLDER = Path(__file__).parents[1] / "files" / "labelme"
EXPORT, TRUTH = FOLDER / "export", FOLDER / "truth"
LABELS = ["__ignore__", "_background_", "scratch", "dent", "Ölfleck", "unused"]
VALUES = {"__ignore__": 255, "_background_": 0, "scratch": 1, "dent": 2, "Ölfleck": 3}
SIZE = (40, 48)  # (height, width)


def shape(label: str, kind: str, points: list, group: int | None = None, **more) -> dict:
    """A shape as the program writes it."""
    start = {"label": label, "points": points, "group_id": group, "description": ""}
    return {**start, "shape_type": kind, "flags": {}, "mask": None, **more}


def bitmap() -> str:
    rows, columns = np.indices((9, 12))
    return utils.img_arr_to_b64(((rows + columns) % 3 > 0).astype(np.uint8))


EVERY = [
    shape("scratch", "polygon", [[3.9, 2.2], [17.5, 4.9], [14.1, 15.7], [5.6, 12.3]]),
    shape("scratch", "polygon", [[20, 1], [31, 12], [31, 1], [20, 12]], 1),  # crosses itself
    shape("dent", "polygon", [[40.5, -6.5], [60.2, 9.4], [38.7, 14.9]], 1),  # leaves the picture
    shape("dent", "rectangle", [[12.7, 25.3], [2.2, 17.9]]),  # from the lower right
    shape("scratch", "oriented_rectangle", [[20, 16], [29, 19], [27, 26], [18, 23]]),
    shape("Ölfleck", "circle", [[36.4, 22.8], [40.1, 25.3]]),
    shape("Ölfleck", "circle", [[0.5, 39.5], [4.2, 36.1]]),  # leaves the picture
    shape("dent", "line", [[2.5, 30.5], [15.5, 38.5]]),
    shape("scratch", "linestrip", [[17, 29], [25, 38], [30, 30.5]]),
    shape("_background_", "point", [[10.6, 34.2]]),
    shape("__ignore__", "rectangle", [[44, 36], [47, 39]]),
    shape("Ölfleck", "mask", [[33, 28], [44, 36]], mask=bitmap()),
    shape("scratch", "polygon", [[36, 31], [40, 31], [40, 34], [36, 34]]),  # on top of the last
]


def save(name: str, shapes: list[dict], path: str, data: bytes, keep: bool = False) -> None:
    """Writes NAME.json, and the masks that LabelMe draws of what it reads back."""
    width, height = Image.open(io.BytesIO(data)).size
    LabelFile().save(
        str(EXPORT / name), shapes, path, height, width, image_data=data if keep else None
    )
    found = LabelFile(str(EXPORT / name)).shapes
    label, _ = utils.shapes_to_label((height, width), found, VALUES)
    Image.fromarray(label.astype(np.uint8)).save(TRUTH / f"{Path(name).stem}.png", optimize=True)
    alone = [utils.shapes_to_label((height, width), [one], {one["label"]: 1})[0] for one in found]
    np.savez_compressed(TRUTH / f"{Path(name).stem}.npz", np.array(alone, bool))


def picture(path: Path, turned: bool = False) -> bytes:
    """Writes a grey ramp; returns what LabelMe reads of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = SIZE[::-1] if turned else SIZE
    image = Image.fromarray(np.indices((height, width)).sum(axis=0).astype(np.uint8))
    exif = Image.Exif()
    if turned:
        exif[274] = 6  # the file lies on its side
    image.save(path, exif=exif, optimize=True)
    return read_image_file(str(path))


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    EXPORT.mkdir(parents=True)
    TRUTH.mkdir()
    os.chdir(EXPORT)
    save("every.json", EVERY, "every.png", picture(EXPORT / "every.png"))
    save("turned.json", EVERY[:4], "turned.jpg", picture(EXPORT / "turned.jpg", turned=True))
    data = picture(EXPORT / "pictures" / "windows.png")
    save("windows.json", EVERY[3:5], "pictures\\windows.png", data)
    data = picture(EXPORT / "gone.png")
    save("embedded.json", EVERY[5:6], "gone.png", data, keep=True)
    (EXPORT / "gone.png").unlink()
    save("nothing.json", [], "nothing.png", picture(EXPORT / "nothing.png"))
    (EXPORT / "labels.txt").write_text("\n".join(LABELS) + "\n", "utf-8")


if __name__ == "__main__":
    main()
