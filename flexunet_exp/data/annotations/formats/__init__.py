"""The formats that are read: a module each, by content and not by suffix."""

from flexunet_exp.data.annotations.formats.coco import Coco
from flexunet_exp.data.annotations.formats.dagm import Dagm
from flexunet_exp.data.annotations.formats.isat import Isat
from flexunet_exp.data.annotations.formats.kolektor import KolektorSDD, KolektorSDD2
from flexunet_exp.data.annotations.formats.label_studio import LabelStudio
from flexunet_exp.data.annotations.formats.labelme import LabelMe
from flexunet_exp.data.annotations.formats.magnetic_tile import MagneticTile
from flexunet_exp.data.annotations.formats.mvtec_family import Btad, Mpdd, MVTecAd2
from flexunet_exp.data.annotations.formats.mvtec_loco import MVTecLoco
from flexunet_exp.data.annotations.formats.neu_seg import NeuSeg
from flexunet_exp.data.annotations.formats.real_iad import RealIad
from flexunet_exp.data.annotations.formats.supervisely import Supervisely
from flexunet_exp.data.annotations.formats.via import Via
from flexunet_exp.data.annotations.formats.visa import VisA
from flexunet_exp.data.annotations.formats.xanylabeling import XAnyLabeling
from flexunet_exp.data.annotations.formats.yolo import Yolo

__all__ = [
    "Btad",
    "Coco",
    "Dagm",
    "Isat",
    "KolektorSDD",
    "KolektorSDD2",
    "LabelMe",
    "LabelStudio",
    "MVTecAd2",
    "MVTecLoco",
    "MagneticTile",
    "Mpdd",
    "NeuSeg",
    "RealIad",
    "Supervisely",
    "Via",
    "VisA",
    "XAnyLabeling",
    "Yolo",
]
