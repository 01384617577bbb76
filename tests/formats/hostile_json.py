"""Damaged and hostile annotations in JSON: what each is, and a part of its sentence."""

from __future__ import annotations

import base64
import io
import json
import zlib
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


def label_studio(told: str, task: Any = None, **more) -> Case:
    """A file of tasks whose second one is `task`; `more` changes the region of the first."""
    value = {"x": 10, "y": 10, "width": 10, "height": 10, "rectanglelabels": ["dent"]}
    region = {"id": "r", "type": "rectanglelabels", "original_width": WIDTH,
              "original_height": HEIGHT, "value": value} | more  # fmt: skip
    first = {"id": 1, "data": {"image": "/a.png"}, "annotations": [{"result": [region]}]}
    tasks = [first] + ([] if task is None else [task])
    return Case("label_studio", {"tasks.json": json.dumps(tasks)}, told)


def brush(told: str, stream: Any) -> Case:
    value = {"format": "rle", "brushlabels": ["dent"], "rle": stream}
    return label_studio(told, type="brushlabels", value=value)


DATA = {"data": {"image": "/a.png"}}
HEAD = [0, 0, 0x30, 0, 0x39, 0x1B, 0xFF]  # of 12,288 values of 8 bits
LABEL_STUDIO = {
    "a task that is a number": label_studio("found 3", 3),
    "annotations that are a number": label_studio("found 3", DATA | {"annotations": 3}),
    "results that are numbers": label_studio("found 7", DATA | {"annotations": [{"result": [7]}]}),
    "no result": label_studio("no 'result'", DATA | {"annotations": [{}]}),
    "predictions that are a number": label_studio(
        "predictions: found 5", DATA | {"annotations": [], "predictions": 5}),
    "a picture that is no picture": label_studio(
        "name of one picture", {"data": {"image": "a.txt"}, "annotations": []}),
    "a picture outside": label_studio(
        "is not there", {"data": {"image": "../../secret.png"}, "annotations": []}),
    "no size": label_studio("original_width", original_width=None),
    "a size below zero": label_studio("-64 × 48", original_width=-WIDTH),
    "a giant": label_studio("1000000000", original_width=10**9, original_height=10**9),
    "no number": label_studio("expected a number", value={
        "x": float("nan"), "y": 1, "width": 2, "height": 3, "rectanglelabels": ["dent"]}),
    "labels that are a text": label_studio("rectanglelabels: found 'dent'", value={
        "x": 1, "y": 1, "width": 2, "height": 3, "rectanglelabels": "dent"}),
    "a brush of no bytes": brush("not made of bytes", [1, 2, 900]),
    "a brush of few bytes": brush("too few bytes", [1, 2]),
    "a brush that is a text": brush("expected a list", "x"),
    "a brush of many values": brush("4,294,967,295 values", [255] * 4 + HEAD[4:]),
    "a brush that is cut off": brush("cut off", HEAD),
    "a brush over the edge": brush("cut off", [*HEAD, *[255] * 9000]),
}  # fmt: skip


def supervisely(told: str, meta: Any = None, content: Any = None, named: str = "", **node) -> Case:
    meta = {"classes": [{"title": "dent", "shape": "any", "color": "#ff0000"}]} | (meta or {})
    one = {"classTitle": "dent", "geometryType": "polygon",
           "points": {"exterior": SQUARE, "interior": []}} | node  # fmt: skip
    said = {"size": {"height": HEIGHT, "width": WIDTH}, "objects": [one]} | (content or {})
    files = {"ds/ann/a.png.json": json.dumps(said), "meta.json": json.dumps(meta)}
    return Case("supervisely", files, told, named)


def packed(told: str, data: Callable[[], bytes], origin: Any = (0, 0)) -> Case:
    bitmap = {"origin": origin, "data": "DATA"}
    case = supervisely(told, geometryType="bitmap", bitmap=bitmap)
    said = str(case.files["ds/ann/a.png.json"]).encode()

    def filled() -> bytes:
        return said.replace(b"DATA", base64.b64encode(data()))

    return case._replace(files={**case.files, "ds/ann/a.png.json": filled})


SUPERVISELY = {
    "a packed bitmap of 199 MB": packed(
        "no readable image", lambda: zlib.compress(bytes(199_000_000), 1)),
    "a packed bitmap of more": packed(
        "packed data of more than", lambda: zlib.compress(bytes(201_000_000), 1)),
    "a packed bitmap that is cut off": packed(
        "cut off", lambda: zlib.compress(np.random.default_rng(0).bytes(5000))[:-9]),
    "a packed bitmap of junk": packed("damaged packed data", lambda: b"junk"),
    "a packed giant": packed("exceeds limit", lambda: zlib.compress(giant())),
    "a bitmap nowhere": packed("no number", lambda: b"", [float("nan"), 0]),
    "tags that are a number": supervisely("tags: found 5", content={"tags": 5}),
    "tags of an object that are a number": supervisely("tags: found 5", tags=5),
    "objects that are a text": supervisely("objects: found 'x'", content={"objects": "x"}),
    "a class that is a number": supervisely(
        "title: found 5", {"classes": [{"title": 5, "shape": "any"}]}, named="meta.json"),
    "a size that is a list": supervisely("size: found [48, 64]", content={"size": [48, 64]}),
    "a class that is not listed": supervisely("is no class of meta.json", classTitle="rust"),
    "holes that are numbers": supervisely(
        "interior", points={"exterior": SQUARE, "interior": [5]}),
}  # fmt: skip


def via(told: str, shape: Any = None, attributes: Any = None, **photo) -> Case:
    region = {"shape_attributes": shape, "region_attributes": attributes or {"kind": "dent"}}
    said = {"a.png1": {"filename": "a.png", "regions": [region]} | photo}
    return Case("via", {"a.json": json.dumps(said)}, told)


POLYGON = {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, float("nan")]}
SHAPE_COLUMNS = "filename,region_shape_attributes,region_attributes\n"
VIA = {
    "no number": via("expected a number", POLYGON),
    "a number too large": via("expected a number", {"name": "rect", "x": FAR}),
    "a shape that is a number": via("shape_attributes: found 3", 3),
    "regions that are a text": via("regions: found 'x'", regions="x"),
    "an ellipse below zero": via("radii", {
        "name": "ellipse", "cx": 1, "cy": 1, "rx": -3, "ry": 2}),
    "a circle below zero": via("radii", {"name": "circle", "cx": 1, "cy": 1, "r": -3}),
    "a picture outside": via("is not there", POLYGON | {"all_points_y": [1, 1, 9]},
                             filename="../secret.png"),
    "a table of broken JSON": Case(
        "via", {"a.csv": SHAPE_COLUMNS + "a.png,{,{}\n"}, "expected JSON"),
    "a table of deep JSON": Case(
        "via", {"a.csv": f'{SHAPE_COLUMNS}a.png,"{nested(100_000)}",{{}}\n'}, "a.csv"),
    "a table of lists": Case("via", {"a.csv": SHAPE_COLUMNS + "a.png,[1],[]\n"}, "expected an obj"),
    "a table that is cut off": Case("via", {"a.csv": SHAPE_COLUMNS + "a.png\n"}, "a.csv"),
}  # fmt: skip


def isat(told: str, files: Mapping | None = None, named: str = "", **node) -> Case:
    one = {"category": "dent", "segmentation": SQUARE, "layer": 1} | node
    info = {"description": "ISAT", "name": "a.png", "height": HEIGHT, "width": WIDTH}
    return Case(
        "isat",
        {"a.json": json.dumps({"info": info, "objects": [one]})} | (files or {}),
        told,
        named,
    )


ISAT = {
    "a layer at infinity": isat("expected a number", layer=float("inf")),
    "points that are no numbers": isat("no numbers", segmentation=[*SQUARE, [float("nan"), 1]]),
    "points in points": isat("expected points", segmentation=[SQUARE]),
    "classes that hold themselves": isat(
        "isat.yaml", {"isat.yaml": "label: &a [*a]"}, named="isat.yaml"),
    "classes that are a tag of Python": isat(
        "isat.yaml", {"isat.yaml": "label: !!python/object/apply:os.getcwd []"}, "isat.yaml"),
}  # fmt: skip
