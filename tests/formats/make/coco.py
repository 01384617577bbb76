"""Writes tests/formats/files/coco_supervision and yolo_supervision, or coco_datumaro.

Run with Python 3.11 in environments of their own:
    supervision==0.31.2   python tests/formats/make/coco.py supervision
    datumaro==1.13.12     python tests/formats/make/coco.py datumaro

The masks that the objects were made of lie beside the files, as mask.npy: class = value.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

FILES = Path(__file__).resolve().parents[1] / "files"
WIDTH, HEIGHT = 48, 32


def objects() -> list[tuple[int, np.ndarray]]:
    """Class numbers from 0, and pixels: a block, one with a hole, one of two parts, a line."""
    block, ring, parts, line = (np.zeros((HEIGHT, WIDTH), bool) for _ in range(4))
    block[3:9, 4:24] = True
    ring[12:28, 6:26] = True
    ring[17:22, 12:19] = False
    parts[4:10, 30:36] = parts[20:27, 32:44] = True
    line[14, 28:46] = True
    return [(0, block), (1, ring), (1, parts), (0, line)]


def truth() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, pixels in objects():
        mask[pixels] = number + 1
    return mask


def supervision() -> None:
    import supervision as sv

    masks = np.array([pixels for _, pixels in objects()])
    found = sv.Detections(
        xyxy=sv.mask_to_xyxy(masks).astype(float),
        mask=masks,
        class_id=np.array([number for number, _ in objects()]),
    )
    for kind in ("coco", "yolo"):
        folder = FILES / f"{kind}_supervision"
        images = begun(folder, "images")
        data = sv.DetectionDataset(
            ["crack", "dent"],
            [str(images / "a.png"), str(images / "good.png")],
            {str(images / "a.png"): found, str(images / "good.png"): sv.Detections.empty()},
        )
        if kind == "coco":
            data.as_coco(annotations_path=str(folder / "annotations.json"))
        else:
            data.as_yolo(
                annotations_directory_path=str(folder / "labels"),
                data_yaml_path=str(folder / "data.yaml"),
            )


def datumaro() -> None:
    import datumaro as dm

    folder = FILES / "coco_datumaro"
    images = begun(folder, "images/default")
    items = [
        dm.DatasetItem(
            stem,
            media=dm.Image.from_file(str(images / f"{stem}.png")),
            annotations=[
                dm.Mask(pixels, label=number, group=n)
                for n, (number, pixels) in enumerate(objects(), 1)
                if stem == "a"
            ],
        )
        for stem in ("a", "good")
    ]
    data = dm.Dataset.from_iterable(items, categories=["crack", "dent"], media_type=dm.Image)
    work = folder / "work"
    data.export(str(work), "coco_instances", save_media=False)
    shutil.move(work / "annotations", folder / "annotations")
    shutil.rmtree(work)


def begun(folder: Path, images: str) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / images).mkdir(parents=True)
    for stem in ("a", "good"):
        Image.new("RGB", (WIDTH, HEIGHT), (90, 80, 70)).save(folder / images / f"{stem}.png")
    np.save(folder / "mask.npy", truth())
    return folder / images


if __name__ == "__main__":
    {"supervision": supervision, "datumaro": datumaro}[sys.argv[1]]()
