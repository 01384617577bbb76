"""Masks written as the files of annotation tools: a module each, as `formats` reads them."""

from flexunet_exp.data.annotations.writing.coco import CocoWriter
from flexunet_exp.data.annotations.writing.cvat import CvatWriter
from flexunet_exp.data.annotations.writing.label_studio import LabelStudioWriter
from flexunet_exp.data.annotations.writing.labelme import LabelMeWriter
from flexunet_exp.data.annotations.writing.voc import VocWriter
from flexunet_exp.data.annotations.writing.writer import Sample, Writer
from flexunet_exp.data.annotations.writing.yolo import YoloWriter

WRITERS: dict[str, type[Writer]] = {
    "coco": CocoWriter,
    "cvat": CvatWriter,
    "label_studio": LabelStudioWriter,
    "labelme": LabelMeWriter,
    "voc": VocWriter,
    "yolo": YoloWriter,
}

__all__ = ["WRITERS", "Sample", "Writer"]
