"""The formats that are read: a module each, by content and not by suffix."""

from flexunet_exp.data.annotations.formats.cityscapes import Cityscapes
from flexunet_exp.data.annotations.formats.coco import Coco
from flexunet_exp.data.annotations.formats.cvat import Cvat
from flexunet_exp.data.annotations.formats.dagm import Dagm
from flexunet_exp.data.annotations.formats.folders import Folders
from flexunet_exp.data.annotations.formats.image_masks import ImageMasks
from flexunet_exp.data.annotations.formats.kolektor import KolektorSDD, KolektorSDD2
from flexunet_exp.data.annotations.formats.labelme import LabelMe
from flexunet_exp.data.annotations.formats.magnetic_tile import MagneticTile
from flexunet_exp.data.annotations.formats.mvtec_family import Btad, Mpdd, MVTecAd2
from flexunet_exp.data.annotations.formats.mvtec_loco import MVTecLoco
from flexunet_exp.data.annotations.formats.neu_seg import NeuSeg
from flexunet_exp.data.annotations.formats.nnunet import NnUNet
from flexunet_exp.data.annotations.formats.real_iad import RealIad
from flexunet_exp.data.annotations.formats.roboflow import Roboflow
from flexunet_exp.data.annotations.formats.severstal import Severstal
from flexunet_exp.data.annotations.formats.visa import VisA
from flexunet_exp.data.annotations.formats.voc import Voc

__all__ = [
    "Btad",
    "Cityscapes",
    "Coco",
    "Cvat",
    "Dagm",
    "Folders",
    "ImageMasks",
    "KolektorSDD",
    "KolektorSDD2",
    "LabelMe",
    "MVTecAd2",
    "MVTecLoco",
    "MagneticTile",
    "Mpdd",
    "NeuSeg",
    "NnUNet",
    "RealIad",
    "Roboflow",
    "Severstal",
    "VisA",
    "Voc",
]
