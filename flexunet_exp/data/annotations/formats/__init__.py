"""The formats that are read: a module each, by content and not by suffix."""

from flexunet_exp.data.annotations.formats.coco import Coco
from flexunet_exp.data.annotations.formats.label_studio import LabelStudio
from flexunet_exp.data.annotations.formats.labelme import LabelMe
from flexunet_exp.data.annotations.formats.yolo import Yolo

__all__ = ["Coco", "LabelMe", "LabelStudio", "Yolo"]
