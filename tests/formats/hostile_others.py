"""Damaged and hostile annotations in XML, texts, tables and mask pictures."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.formats.hostile_json import HEIGHT, LONG, WIDTH, Case, giant, png

LABELS = "<meta><task><labels><label><name>dent</name></label></labels></task></meta>"
SIZE = f'width="{WIDTH}" height="{HEIGHT}"'
ENTITIES = """<!DOCTYPE annotations [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>"""
OUTSIDE = '<!DOCTYPE annotations [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


def cvat(told: str, shapes: str = "", head: str = "", image: str = f'name="a.png" {SIZE}',
         end: str = "</annotations>") -> Case:  # fmt: skip
    text = f"{head}<annotations>{LABELS}<image {image}>{shapes}</image>{end}"
    return Case("cvat", {"annotations.xml": text}, told)


def cvat_mask(told: str, rle: str, size: str = 'width="3" height="2"') -> Case:
    return cvat(told, f'<mask label="dent" rle="{rle}" left="1" top="1" {size}/>')


FAR = ";".join(["0,0", "9e8,0", "0,9e8"] * 10)  # ten times around a giant triangle
CVAT = {
    "entities in entities": cvat("entities", head=ENTITIES, shapes="&c;"),
    "an entity of another file": cvat("entities", head=OUTSIDE, shapes="&a;"),
    "a file that is cut off": cvat("cut off", end="</annot"),
    "an unknown encoding": cvat("annotations.xml", head='<?xml version="1.0" encoding="moon"?>'),
    "elements in elements": cvat("expected one of", "<a>" * 2000 + "</a>" * 2000),
    "an attribute twice": cvat("no XML", '<box label="dent" label="b"/>'),
    "points that are no numbers": cvat(
        "expected a number", '<polygon label="dent" points="1,1;nan,2;7,7"/>'),
    "points at infinity": cvat(
        "expected a number", '<polygon label="dent" points="1,1;1e999,2;7,7"/>'),
    "a box at infinity": cvat(
        "expected a number", '<box label="dent" xtl="-inf" ytl="1" xbr="2" ybr="2"/>'),
    "an outline that is too long": cvat(
        "correct its coordinates", f'<polygon label="dent" points="{FAR}"/>'),
    "an ellipse below zero": cvat(
        "radii", '<ellipse label="dent" cx="1" cy="2" rx="-3" ry="1"/>'),
    "an order at infinity": cvat(
        "z_order", '<polygon label="dent" points="1,1;9,2;7,7" z_order="inf"/>'),
    "a size below zero": cvat("its annotations say", image='name="a.png" width="-64" height="48"'),
    "a size at infinity": cvat("expected a number", image='name="a.png" width="inf" height="48"'),
    "a picture outside": cvat("is not there", image=f'name="../secret.png" {SIZE}'),
    "runs of another number": cvat_mask("of 5 pixels", "2,3"),
    "no runs": cvat_mask("no whole numbers", ""),
    "runs that are no numbers": cvat_mask("no whole numbers", "a,b"),
    "runs below zero": cvat_mask("of 6 pixels", "-2,8"),
    "runs that wrap around": cvat_mask("pixels", "9223372036854775807,9223372036854775807,8"),
    "runs of too many digits": cvat_mask("no whole numbers", f"{LONG},1"),
    "a mask that is a giant": cvat_mask("99999 ×", "1", 'width="99999" height="99999"'),
    "a mask of no width": cvat_mask("0 × 2", "1", 'width="0" height="2"'),
}  # fmt: skip
CVAT["a size below zero"] = CVAT["a size below zero"]._replace(named="a.png")

DATA = "train: images\nnames: [crack, dent]\n"
YAMLS = "data.yaml"


def yolo(told: str, rows: str, data: str = DATA, named: str = "labels/a.txt") -> Case:
    return Case("yolo", {"data.yaml": data, "images/a.png": png(np.zeros((48, 64), np.uint8)),
                         "labels/a.txt": rows}, told, named)  # fmt: skip


ROW = "0 0.1 0.1 0.2 0.1 0.2 0.2"
LAUGHS = "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nnames: *c\ntrain: images\n"
YOLO = {
    "a class that is not listed": yolo("the class 2", ROW.replace("0", "2", 1)),
    "a class below zero": yolo("the class -1", f"-{ROW.replace('0', '1', 1)}"),
    "a class of too many digits": yolo("expected a number", f"{LONG}{ROW[1:]}"),
    "an odd number": yolo("5 numbers after the class", ROW[:-4]),
    "no number": yolo("expected a number", ROW[:-3] + "nan"),
    "infinity": yolo("expected a number", ROW[:-3] + "inf"),
    "pixels in place of parts": yolo("found 20", "0 10 10 20 10 20 20"),
    "texts of another encoding": yolo("expected a number", "0 \x00 1"),
    "names in names": yolo("expected a text", ROW, LAUGHS, YAMLS),
    "names that hold themselves": yolo("expected a text", ROW, "train: i\nnames: &a [*a]\n", YAMLS),
    "names that are a tag of Python": yolo(
        YAMLS, ROW, "train: i\nnames: !!python/object/apply:os.getcwd []\n", YAMLS),
    "lists in lists": yolo(YAMLS, ROW, f"train: i\nnames: {'[' * 500}", YAMLS),
    "names that are cut off": yolo(YAMLS, ROW, "train: images\nnames: [a", YAMLS),
}  # fmt: skip


def grey(*values: int) -> bytes:
    """A mask with some values in its first pixels."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[0, : len(values)] = values
    return png(pixels)


DENT = grey(1)


def voc(told: str, mask: Any = None, labels: str = "dent:255,0,0::\n", named: str = "",
        **files: Any) -> Case:  # fmt: skip
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[0, 0] = 255, 0, 0
    given = {"SegmentationClass/a.png": mask or png(colours), "labelmap.txt": labels,
             "JPEGImages/a.png": png(colours)}  # fmt: skip
    return Case("voc", given | files, told, named)


def named_list(*names: str) -> dict[str, str]:
    return {"ImageSets/Segmentation/train.txt": "\n".join(names)}


VOC = {
    "a mask that is cut off": voc("no readable image", grey(1)[:40]),
    "an empty mask": voc("empty", named="a.png", mask=lambda: b""),
    "a mask that is a giant": voc("exceeds limit", giant),
    "a mask of another size": voc("both must have one size", png(np.zeros((9, 9, 3), np.uint8))),
    "colours without a class": voc("colours of no class", png(np.full((48, 64, 3), 9, np.uint8))),
    "a colour of 300": voc("up to 255", labels="dent:1,2,300::\n", named="labelmap.txt:1"),
    "a colour of too many digits": voc("colour", labels=f"dent:{LONG},0,0::\n",
                                       named="labelmap.txt:1"),
    "a colour twice": voc("one colour", labels="a:1,2,3::\nb:1,2,3::\n", named="labelmap.txt:2"),
    "labels that are no text": voc("UTF-8", labels=b"\xff\xfe\x00", named="labelmap.txt"),
    "a picture outside": voc("is not there", named="secret", **named_list("../../../secret")),
}  # fmt: skip


def severstal(told: str, *rows: str) -> Case:
    table = "ImageId,ClassId,EncodedPixels\n" + "".join(f"{row}\n" for row in rows)
    return Case("severstal", {"train.csv": table}, told)


SEVERSTAL = {
    "odd numbers": severstal("a start and no length", "a.png,1,1 2 3"),
    "runs over the edge": severstal("outside of the", f"a.png,1,{HEIGHT * WIDTH} 2"),
    "runs below zero": severstal("outside of the", "a.png,1,3 -1"),
    "runs that wrap around": severstal("outside of the", "a.png,1,1 9223372036854775807"),
    "runs of too many digits": severstal("no whole numbers", f"a.png,1,1 {LONG}"),
    "a class of too many digits": severstal("train.csv:2", f"a.png,{LONG},1 1"),
    "a row that is cut off": severstal("train.csv:2: found", "a.png"),
    "a picture outside": severstal("is not there", "../secret.png,1,1 1"),
    "a cell that is too long": severstal("no row", f"a.png,1,{'1 1 ' * 50_000}"),
}


def others() -> dict[str, Case]:
    """Formats of mask pictures with a table, and of folders."""
    table = "Pixel Value, Class\n0, background\n1, dent\n"
    values = {"labels": {"background": 0, "dent": 1}, "file_ending": ".png"}
    tr, ts = "imagesTr/a_0000.png", "labelsTr/a.png"

    def roboflow(told: str, rows: str, mask: bytes = DENT, named: str = "") -> Case:
        files = {"train/_classes.csv": table + rows, "train/a.rf.1_mask.png": mask}
        return Case("roboflow", files | {"train/a.rf.1.png": grey(9)}, told, named)

    def nnunet(told: str, named: str = "", mask: Any = None, **said: Any) -> Case:
        files = {"dataset.json": json.dumps(values | said), tr: grey(9), ts: mask or grey(1)}
        return Case("nnunet", files, told, named)

    def nifti(told: str, mask: Callable[[], bytes]) -> Case:
        said = json.dumps(values | {"file_ending": ".nii.gz"})
        files = {"dataset.json": said, "imagesTr/a_0000.nii.gz": mask, "labelsTr/a.nii.gz": mask}
        return Case("nnunet", files, told, "a_0000.nii.gz")

    def cityscapes(told: str, lines: str, mask: bytes = DENT, named: str = "") -> Case:
        files = {"label_colors.txt": lines, "gtFine/train/b_gtFine_labelIds.png": mask}
        return Case("cityscapes", files | {"leftImg8bit/train/b_leftImg8bit.png": grey(9)}, told,
                    named)  # fmt: skip

    def patterns(told: str, mask: bytes, **rule: Any) -> Case:
        where = {"image": "images/{stem}.png", "mask": "gt/{stem}.png"}
        return Case("image_masks", {"gt/b.png": mask, "images/b.png": grey(9)}, told,
                    settings=where | rule)  # fmt: skip

    def loco(told: str, content: str) -> Case:
        thing = "pushpins"
        return Case("mvtec_loco", {
            f"{thing}/defects_config.json": content, f"{thing}/train/good/0.png": grey(9),
            f"{thing}/test/good/0.png": grey(9), f"{thing}/test/bad/0.png": grey(9),
            f"{thing}/ground_truth/bad/0/000.png": grey(1)}, told)  # fmt: skip

    def real_iad(told: str, **node: Any) -> Case:
        one = {"image_path": "OK/S1/b.png", "mask_path": None, "anomaly_class": "OK"} | node
        return Case("real_iad", {"realiad_jsons/bolt.json": json.dumps({"test": [one]}),
                                 "bolt/OK/S1/b.png": grey(9)}, told)  # fmt: skip

    return {
        "roboflow: a value of too many digits": roboflow("_classes.csv:4", f"{LONG}, rust\n"),
        "roboflow: a value that is not listed": roboflow("no class", "", grey(3), "_mask.png"),
        "roboflow: an empty mask": roboflow("empty", "", b"", "_mask.png"),
        "nnunet: labels that are a list": nnunet("labels: found []", labels=[]),
        "nnunet: a label of a text": nnunet("dent: found '1'", labels={"dent": "1"}),
        "nnunet: a label below zero": nnunet("dent is -1", labels={"dent": -1}),
        "nnunet: a number twice": nnunet("b is 1", labels={"a": 1, "b": 1}),
        "nnunet: an ending that is a number": nnunet("file_ending: found 3", file_ending=3),
        "nnunet: a mask of colours": nnunet(
            "a mask of colours", ts, png(np.full((48, 64, 3), (9, 8, 7), np.uint8))
        ),
        "nifti: a packed file that is cut off": nifti(
            "cut off", lambda: gzip.compress(bytes(5000))[:-9]
        ),
        "nifti: a packed file of nothing": nifti("no readable NIfTI", lambda: gzip.compress(b"")),
        "nifti: a packed file of 199 MB": nifti(
            "no readable NIfTI", lambda: gzip.compress(bytes(199_000_000), 1)
        ),
        "cityscapes: a line without a name": cityscapes("label_colors.txt:1", "1 2\n"),
        "cityscapes: too many labels": cityscapes(
            "at most 255", "".join(f"n{number}\n" for number in range(400))
        ),
        "image_masks: a mask of another size": patterns(
            "both must have one size", png(np.zeros((9, 9), np.uint8)), threshold=128
        ),
        "image_masks: a value without a label": patterns("7", grey(7), values={1: "dent"}),
        "image_masks: a mask that is cut off": patterns(
            "no readable image", grey(1)[:50], threshold=128
        ),
        "image_masks: a mask that is no picture": patterns("gt/b.png", b"x", threshold=128),
        "mvtec_loco: a table that is a number": loco("found 3", "3"),
        "mvtec_loco: a value of 300": loco(
            "pixel_value=300", '[{"defect_name": "a", "pixel_value": 300}]'
        ),
        "real_iad: a picture outside": real_iad("is not there", image_path="../../secret.png"),
        "real_iad: a class of a list": real_iad("anomaly_class: found", anomaly_class=[]),
        "real_iad: a path of a number": real_iad("image_path: found 7", image_path=7),
    }
