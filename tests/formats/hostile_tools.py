"""Damaged and hostile JSON of Label Studio, Supervisely, VIA and ISAT."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.formats.hostile_json import FAR, HEIGHT, SQUARE, WIDTH, Case, giant, nested


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
