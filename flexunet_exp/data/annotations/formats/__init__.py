"""The formats that are read: a module each, by content and not by suffix."""

from flexunet_exp.data.annotations.formats.coco import Coco
from flexunet_exp.data.annotations.formats.isat import Isat
from flexunet_exp.data.annotations.formats.labelme import LabelMe
from flexunet_exp.data.annotations.formats.supervisely import Supervisely
from flexunet_exp.data.annotations.formats.via import Via
from flexunet_exp.data.annotations.formats.xanylabeling import XAnyLabeling

__all__ = ["Coco", "Isat", "LabelMe", "Supervisely", "Via", "XAnyLabeling"]
