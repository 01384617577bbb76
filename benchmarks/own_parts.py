"""python benchmarks/own_parts.py [--photos 60] [--minutes 10]: from photographs to a scored run.

Makes photographs of generated screws with LabelMe's files beside them, as a person would have them,
and times the three commands from there: import, plan, train. Everything is made in ./own_parts.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("own_parts").absolute()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--minutes", type=int, default=10)
    given = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    photographed(given.photos)
    print("| command | seconds |\n|---|--:|")
    for words in (
        ("import", "input=photos", "output=sets/bolt"),
        ("plan", "dataset=bolt", f"minutes={given.minutes}"),
        ("train", "dataset=bolt", "experiment=bolt_plan"),
    ):
        started = time.perf_counter()
        command(*words)
        print(f"| `flexunet {' '.join(words)}` | {time.perf_counter() - started:.0f} |", flush=True)


def command(*words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(FOLDER / f"{words[0]}.txt", "w") as printed:
        subprocess.run(
            [sys.executable, "-m", "flexunet_exp", *words],
            cwd=FOLDER,
            env=environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            check=True,
        )


def photographed(number: int) -> None:
    """Photographs below photos/, each with its JSON; defects are polygons along their outline."""
    FOLDER.mkdir()
    classes = 5
    command(
        *("prepare", "dataset=screw", "dataset/layout=synthetic", "output=screws"),
        f"dataset.layout.images_per_class={number // (classes + 1)}",
        f"dataset.layout.good_images={number // (classes + 1)}",
        *("dataset.layout.size=512", "dataset.image_size=null"),
    )
    with open(FOLDER / "screws" / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    (FOLDER / "photos").mkdir()
    for place, row in enumerate(rows):
        name = f"IMG_{place:04}.png"
        shutil.copy(FOLDER / "screws" / row["image"], FOLDER / "photos" / name)
        mask = cv2.imread(str(FOLDER / "screws" / row["mask"]), cv2.IMREAD_UNCHANGED)
        text = json.dumps(labelled(mask, row["label"], name))
        (FOLDER / "photos" / name).with_suffix(".json").write_text(text)
    shutil.rmtree(FOLDER / "screws")


def labelled(mask: np.ndarray, label: str, name: str) -> dict:
    """What LabelMe writes: the outline of each area of the class of a mask."""
    area = (mask.reshape(*mask.shape[:2], -1).max(axis=2) > 0).astype(np.uint8)
    outlines, _ = cv2.findContours(area, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    shapes = [
        {
            "label": label,
            "points": outline[:, 0].astype(float).tolist(),
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for outline in outlines
        if len(outline) > 2
    ]
    height, width = area.shape
    sizes = {"imageHeight": height, "imageWidth": width}
    head = {"version": "6.3.1", "flags": {}, "shapes": shapes}
    return {**head, "imagePath": name, "imageData": None, **sizes}


if __name__ == "__main__":
    main()
