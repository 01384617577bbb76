"""Writes tests/formats/files/label_studio and label_studio_coco, label_studio_yolo.

Run with Python 3.11, label-studio-sdk==2.1.2, numpy, pillow and opencv-python-headless:
    python tests/formats/make/label_studio.py

The JSON of tasks needs a server; it is written here after what one gives. The SDK encodes the
brushes, decodes them into PNGs, and converts the tasks to JSON-MIN, COCO and YOLO.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import Converter, brush
from label_studio_sdk.converter.brush import encode_rle, mask2rle
from PIL import Image

FILES = Path(__file__).resolve().parents[1] / "files"
WIDTH, HEIGHT = 48, 32
CONFIG = """<View><Image name="image" value="$image"/>
<PolygonLabels name="polygon" toName="image"><Label value="crack"/></PolygonLabels>
<RectangleLabels name="box" toName="image"><Label value="dent"/></RectangleLabels>
<EllipseLabels name="ellipse" toName="image"><Label value="dent"/></EllipseLabels>
<BrushLabels name="brush" toName="image"><Label value="stain"/><Label value="crack"/></BrushLabels>
<Choices name="state" toName="image"><Choice value="wet"/></Choices></View>"""


def result(kind: str, name: str, value: dict, number: int) -> dict:
    return {
        "id": f"r{number}", "type": kind, "from_name": name, "to_name": "image",
        "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": value,
    }  # fmt: skip


def brushes() -> list[dict]:
    ring = np.zeros((HEIGHT, WIDTH), np.uint8)
    ring[4:20, 6:30] = 1
    ring[8:14, 10:20] = 0
    painted = np.zeros((HEIGHT, WIDTH, 4), np.uint8)  # as a browser paints: colours, smooth edges
    rows, columns = np.indices((HEIGHT, WIDTH))
    far = np.hypot(rows - 20, columns - 36)
    painted[..., 3] = np.clip((9 - far) * 100, 0, 180)
    painted[..., :3] = np.where(painted[..., 3:] > 0, (200, 30, 77), 0)
    return [
        {"format": "rle", "rle": mask2rle(ring), "brushlabels": ["stain"]},
        {"format": "rle", "rle": encode_rle(painted.ravel()), "brushlabels": ["crack"]},
    ]


def drawn() -> list[dict]:
    polygon = {"points": [[10, 10], [60, 12.5], [40, 81.25]], "polygonlabels": ["crack"]}
    box = {
        "x": 50,
        "y": 25,
        "width": 25,
        "height": 31.25,
        "rotation": 30,
        "rectanglelabels": ["dent"],
    }
    oval = {
        "x": 25,
        "y": 75,
        "radiusX": 12.5,
        "radiusY": 9.375,
        "rotation": 20,
        "ellipselabels": ["dent"],
    }
    return [
        result("polygonlabels", "polygon", polygon | {"closed": True}, 1),
        result("rectanglelabels", "box", box, 2),
        result("ellipselabels", "ellipse", oval, 3),
        result("choices", "state", {"choices": ["wet"]}, 4),
    ]


def answer(number: int, results: list[dict], who: int = 1, **more) -> dict:
    return {
        "id": number, "completed_by": {"id": who, "email": f"p{who}@example.org"},
        "was_cancelled": False, "result": results,
        "created_at": f"2026-01-0{number}T10:00:00Z", "updated_at": f"2026-01-0{number}T10:00:00Z",
        "lead_time": 1.0, **more,
    }  # fmt: skip


def task(number: int, name: str, *answers: dict) -> dict:
    return {
        "id": number, "data": {"image": f"/data/upload/1/{name}"}, "annotations": [*answers],
        "predictions": [], "file_upload": name,
    }  # fmt: skip


def tasks() -> list[dict]:
    painted = [result("brushlabels", "brush", value, n) for n, value in enumerate(brushes())]
    return [
        task(1, "1a2b3c4d-drawn.png", answer(1, drawn())),
        task(2, "1a2b3c4d-painted.png", answer(2, painted)),
        task(3, "1a2b3c4d-good.png", answer(3, [])),
        task(4, "1a2b3c4d-waiting.png"),
        task(5, "1a2b3c4d-skipped.png", answer(4, drawn(), was_cancelled=True)),
        task(6, "1a2b3c4d-twice.png", answer(6, drawn()[:1], 2), answer(5, drawn()[1:2], 1)),
    ]


def main() -> None:
    folder = FILES / "label_studio"
    for inner in ("images", "brushes"):
        shutil.rmtree(folder / inner, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    for one in tasks():
        name = one["file_upload"].split("-")[1]
        Image.new("L", (WIDTH, HEIGHT), 90).save(folder / "images" / name)
    (folder / "tasks.json").write_text(json.dumps(tasks()))
    converter = Converter(CONFIG, str(folder), download_resources=False)
    work = folder / "work"
    converter.convert_to_json_min(str(folder / "tasks.json"), str(work / "min"), is_dir=False)
    said = json.loads((work / "min" / "result.json").read_text())
    (folder / "min.json").write_text(json.dumps(said))
    paint(converter, folder)
    for kind, convert in (("coco", converter.convert_to_coco), ("yolo", converter.convert_to_yolo)):
        output = FILES / f"label_studio_{kind}"
        shutil.rmtree(output, ignore_errors=True)
        convert(str(folder / "tasks.json"), str(output), is_dir=False)
        shutil.rmtree(output / "images", ignore_errors=True)
        (output / "images").mkdir()
        for one in tasks():  # as the server gives them
            name = one["file_upload"]
            shutil.copy(folder / "images" / name.split("-")[1], output / "images" / name)
    shutil.rmtree(work, ignore_errors=True)


def paint(converter: Converter, folder: Path) -> None:
    (folder / "brushes").mkdir()
    items = converter.iter_from_json_file(str(folder / "tasks.json"))
    brush.convert_task_dir(items, str(folder / "brushes"), out_format="png")


if __name__ == "__main__":
    main()
