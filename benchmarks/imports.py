"""python benchmarks/imports.py --datumaro PYTHON [--pictures 5000]: COCO → masks, side by side.

Makes a COCO export of grey pictures of 1024 px with four polygons each, and converts it by
`flexunet import` and by datumaro (an interpreter that has datumaro 1.13.12), in turn. Both copy the
pictures and write a mask of classes for each. Prints seconds and the peak of memory, for a half and
for all of the pictures: memory is flat where they are alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIDE, OBJECTS, CORNERS, DIFFERENT = 1024, 4, 24, 40
DATUMARO = """
import sys
from datumaro.components.dataset import Dataset
source, output = sys.argv[1:]
data = Dataset.import_from(source, "coco_instances")
data.transform("polygons_to_masks")
data.export(output, "voc_segmentation", save_media=True, label_map="source")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datumaro", type=Path, help="an interpreter that has datumaro")
    parser.add_argument("--pictures", type=int, default=5000)
    given = parser.parse_args()
    print("| pictures | polygons | program | seconds | peak memory, MB |\n|--:|--:|---|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        for number in (given.pictures // 2, given.pictures):
            source = made(Path(name) / f"coco{number}", number)
            ours = (sys.executable, "-m", "flexunet_exp", "import", f"input={source}")
            measured(number, "flexunet import", (*ours, f"output={name}/ours"), Path(name))
            if given.datumaro:
                words = (str(given.datumaro), "-c", DATUMARO, str(source), f"{name}/theirs")
                measured(number, "datumaro 1.13.12", words, Path(name))
            shutil.rmtree(source)


def made(folder: Path, number: int) -> Path:
    """A COCO export; pictures of one content are links to one file."""
    draw = np.random.default_rng(0)
    pictures, annotations = folder / "images" / "default", folder / "annotations"
    pictures.mkdir(parents=True)
    annotations.mkdir()
    for index in range(min(number, DIFFERENT)):
        noise = draw.integers(0, 255, (SIDE // 8, SIDE // 8), dtype=np.uint8)
        grey = cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(pictures / f"{index:05}.jpg"), grey)
    for index in range(DIFFERENT, number):
        os.link(pictures / f"{index % DIFFERENT:05}.jpg", pictures / f"{index:05}.jpg")
    images = [
        {"id": i + 1, "file_name": f"{i:05}.jpg", "width": SIDE, "height": SIDE}
        for i in range(number)
    ]
    objects = [polygon(draw, i, number) for i in range(OBJECTS * number)]
    names = [{"id": i + 1, "name": name} for i, name in enumerate(("bent", "glue", "scratch"))]
    content = {"images": images, "annotations": objects, "categories": names}
    (annotations / "instances_default.json").write_text(json.dumps(content))
    return folder


def polygon(draw: np.random.Generator, index: int, pictures: int) -> dict:
    angles = np.sort(draw.uniform(0, 2 * np.pi, CORNERS))
    radii = draw.uniform(20, 120, CORNERS)
    centre = draw.uniform(150, SIDE - 150, 2)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] + centre
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return {
        "id": index + 1,
        "image_id": index % pictures + 1,
        "category_id": index % 3 + 1,
        "iscrowd": 0,
        "area": float(cv2.contourArea(points.astype(np.float32))),
        "bbox": [left, top, right - left, bottom - top],
        "segmentation": [points.round(2).ravel().tolist()],
    }


def measured(number: int, program: str, words: tuple[str, ...], folder: Path) -> None:
    """Runs a command, prints its row, and removes what it made."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLEXUNET_CONF": str(folder)}
    started = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{program} failed.")
    peak = usage.ru_maxrss / 1024  # of Linux, in KiB
    print(
        f"| {number:,} | {OBJECTS * number:,} | {program} | {seconds:.1f} | {peak:.0f} |",
        flush=True,
    )
    for made_folder in ("ours", "theirs", "dataset"):
        shutil.rmtree(folder / made_folder, ignore_errors=True)


if __name__ == "__main__":
    main()
