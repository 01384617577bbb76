"""Damaged and hostile JSON of LabelMe and COCO, and what a case is."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64  # of every picture
SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20]]
FLAT = [10, 10, 20, 10, 20, 20, 10, 20]
FAR = 10**400  # more than a float holds
LONG = "9" * 5000  # more digits than Python reads


class Case(NamedTuple):
    """An export: its format, its files beside a.png, and what the sentence says.

    The sentence also has `named`, or else the name of the first file. A function makes a file
    when the test runs.
    """

    format: str
    files: Mapping[str, str | bytes | Callable[[], bytes]]
    told: str
    named: str = ""
    settings: Mapping[str, Any] = MappingProxyType({})


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@cache
def giant() -> bytes:
    """A PNG of a few KB that would unpack to 900 million pixels."""
    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")
    return stream.getvalue()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def labelme(told: str, *, raw: str | None = None, named: str = "", picture=None, **shape) -> Case:
    """A file whose one shape has other members; `picture` are those of the file."""
    node = {"label": "dent", "shape_type": "polygon", "points": SQUARE} | shape
    content = {"shapes": [node], "imagePath": "a.png", "imageData": None} | (picture or {})
    return Case("labelme", {"a.json": raw if raw is not None else json.dumps(content)}, told, named)


def labelme_mask(told: str, data: str) -> Case:
    return labelme(told, shape_type="mask", points=[[1, 1], [2, 2]], mask=data)


SHAPES = '{"imagePath": "a.png", "shapes": '
OUTSIDE = {"imagePath": "../secret.png"}
LABELME = {
    "an empty file": labelme("no JSON", raw=""),
    "a file that is cut off": labelme("no JSON", raw=SHAPES + '[{"label": "de'),
    "a text of another encoding": Case("labelme", {"a.json": "\ufeff{}".encode("utf-16")}, "UTF-8"),
    "zeros": labelme("no JSON", raw="\0" * 100),
    "lists in lists": labelme("nested too deeply", raw=nested(100_000)),
    "shapes in shapes": labelme("a.json shapes[0]", raw=SHAPES + nested(500) + "}"),
    "objects in objects": labelme("nested too deeply", raw='{"shapes": ' * 100_000),
    "a member that is there twice": labelme("found 5", raw=SHAPES + '[], "shapes": 5}'),
    "shapes that are numbers": labelme("found 5, expected an object", raw=SHAPES + "[5, 6]}"),
    "shapes that are texts": labelme("expected an object", raw=SHAPES + '["difficult"]}'),
    "shapes of null": labelme("found None", raw=SHAPES + "[null]}"),
    "a label of a list": labelme("label: found ['dent']", label=["dent"]),
    "an empty label": labelme("is no name of a class", label="", named="''"),
    "points that are no numbers": labelme("no numbers", points=[*SQUARE, [float("nan"), 1]]),
    "points at infinity": labelme("no numbers", points=[*SQUARE, [float("inf"), 1]]),
    "a number too large": labelme("expected points", points=[*SQUARE, [FAR, 1]]),
    "a number of too many digits": labelme("no JSON", raw=f'{SHAPES}[], "imageHeight": {LONG}}}'),
    "points that are objects": labelme("expected points", points=[{}, {}, {}]),
    "a circle whose rim is at infinity": labelme(
        "no numbers", shape_type="circle", points=[[1, 1], [float("inf"), 1]]),
    "a type that is a list": labelme("a shape of the type", shape_type=["polygon"]),
    "a picture outside, by steps": labelme("is not there", picture=OUTSIDE),
    "a picture outside, by its path": labelme(
        "is not there", picture={"imagePath": "/etc/secret.png"}),
    "a picture called nothing": labelme("is not there", picture={"imagePath": ""}),
    "a size below zero": labelme("its annotations say -64", named="a.png",
                                 picture={"imageHeight": -48, "imageWidth": -64}),
    "a size that is a text": labelme("imageHeight: found '48'",
                                     picture={"imageHeight": "48", "imageWidth": 64}),
    "its own picture is no picture": labelme(
        "no readable image", named="lost.png",
        picture={"imagePath": "lost.png", "imageData": text64(b"none")}),
    "its own picture is a number": labelme(
        "imageData: found 7", picture={"imagePath": "lost.png", "imageData": 7}),
    "a bitmap that is no base64": labelme_mask("not base64", "not base64!"),
    "a bitmap that is cut off": labelme_mask("no readable image", text64(png(
        np.ones((40, 40), np.uint8))[:60])),
    "a bitmap that is a giant": labelme_mask("exceeds limit", text64(giant())),
}  # fmt: skip


def coco(told: str, segmentation: Any = (FLAT,), raw: Any = None, named: str = "", **more) -> Case:
    """A file whose one annotation has other members; `raw` are those of the file, or its text."""
    one = {"id": 1, "image_id": 7, "category_id": 3, "iscrowd": 0, "segmentation": segmentation}
    image = {"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
    content = {"images": [image], "annotations": [one | more],
               "categories": [{"id": 3, "name": "dent"}]}  # fmt: skip
    if isinstance(raw, Mapping):
        content |= raw
    said = raw if isinstance(raw, str) else json.dumps(content)
    return Case("coco", {"a.json": said}, told, named)


def runs(told: str, counts: Any, size: Any = (HEIGHT, WIDTH)) -> Case:
    return coco(told, {"size": size, "counts": counts})


def images(*changes: dict) -> dict:
    start = {"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
    return {"images": [start | change for change in changes]}


PIXELS = HEIGHT * WIDTH
LOOP = [{"id": 3, "name": "a", "supercategory": "b"}, {"id": 4, "name": "b", "supercategory": "a"}]
COCO = {
    "a file that is cut off": coco("no JSON", raw='{"images": [], "annotations": [], "cat'),
    "images that are a number": coco("images: found 3, expected a list", raw={"images": 3}),
    "an image that is a list": coco("expected an object", raw={"images": [[]]}),
    "an id twice": coco("several images have the id 7", raw=images({}, {})),
    "an id that is a list": coco("image_id", image_id=[7]),
    "an image that is not listed": coco("image_id=8", image_id=8),
    "a category that is not listed": coco("category_id=8, expected one", category_id=8),
    "a category twice": coco("is there twice", raw={"categories": [{"id": 3, "name": "a"}] * 2}),
    "categories above each other": coco("No class is left", raw={
        "categories": LOOP, "annotations": []}, named="classes="),
    "a picture outside": coco("is not there", raw=images({"file_name": "../../secret.png"})),
    "a size below zero": coco("its annotations say", raw=images({"height": -48}), named="a.png"),
    "a size that is no whole number": coco("height: found 48.5", raw=images({"height": 48.5})),
    "odd numbers": coco("7 numbers, expected pairs", [FLAT[1:]]),
    "a text as a number": coco("found 'x', expected a number", [[*FLAT[1:], "x"]]),
    "no number": coco("expected a number", [[*FLAT[1:], float("nan")]]),
    "infinity": coco("expected a number", [[*FLAT[1:], float("inf")]]),
    "a number too large": coco("expected a number", [[*FLAT[1:], FAR]]),
    "a polygon that is a text": coco("segmentation: found", "polygon"),
    "an outline that is too long": coco("correct its coordinates", [[0, 0, 9e8, 0, 0, 9e8] * 10]),
    "few runs": runs("run lengths of 1 pixels", [1]),
    "runs over the edge": runs("run lengths of", [0, PIXELS + 1]),
    "runs below zero": runs("run lengths of", [-1, PIXELS + 1]),
    "runs that wrap around": runs("run lengths of", [2**63 - 1, 2**63 - 1, PIXELS + 2]),
    "runs that are no numbers": runs("counts: found 'x'", ["x"]),
    "runs of another size": runs("size [3, 4]", [12], [3, 4]),
    "runs of three sides": runs("size [48, 64, 1]", [PIXELS], [48, 64, 1]),
    "runs that are no text of COCO": runs("characters", "\x01é"),
    "runs that end early": runs("cut off", "o"),
    "runs that never end": runs("characters", "o" * 100_000),
    "a box of nothing": coco("expected a number", [], bbox=[1, 2, None, 4]),
    "neither shape nor box": coco("neither a segmentation nor", None),
}  # fmt: skip
