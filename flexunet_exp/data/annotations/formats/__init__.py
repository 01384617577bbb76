"""The formats that are read: a module each, by content and not by suffix."""

from flexunet_exp.data.annotations.formats.cityscapes import Cityscapes
from flexunet_exp.data.annotations.formats.coco import Coco
from flexunet_exp.data.annotations.formats.cvat import Cvat
from flexunet_exp.data.annotations.formats.folders import Folders
from flexunet_exp.data.annotations.formats.image_masks import ImageMasks
from flexunet_exp.data.annotations.formats.labelme import LabelMe
from flexunet_exp.data.annotations.formats.nnunet import NnUNet
from flexunet_exp.data.annotations.formats.roboflow import Roboflow
from flexunet_exp.data.annotations.formats.severstal import Severstal
from flexunet_exp.data.annotations.formats.voc import Voc

__all__ = [
    "Cityscapes",
    "Coco",
    "Cvat",
    "Folders",
    "ImageMasks",
    "LabelMe",
    "NnUNet",
    "Roboflow",
    "Severstal",
    "Voc",
]
