"""Draws shapes into pixels, as an annotation tool does or by one of two exact rules.

There is no single truth: a square from (10, 10) to (20, 20) has 121 pixels where whole numbers are
the middles of pixels (Pillow, OpenCV) and 100 where they are corners (COCO). A `Tool` is the rule
of the program that wrote the shape. `centre` takes the pixels whose middle lies inside, `cover` all
of which the shape covers a part; both read whole numbers as corners, which is where a person who
works in a magnified picture clicks.
"""

from flexunet_exp.data.annotations.raster.crops import (
    FAR,
    NOTHING,
    Crop,
    Size,
    framed,
    union,
    within,
)
from flexunet_exp.data.annotations.raster.lines import (
    ellipse_as_polygon,
    ellipse_by_pillow,
    lines_by_opencv,
    lines_by_pillow,
    lines_exactly,
)
from flexunet_exp.data.annotations.raster.polygons import (
    Rings,
    by_centre,
    by_coco,
    by_cover,
    by_opencv,
    by_opencv_cut,
    by_pillow,
)
from flexunet_exp.data.annotations.raster.runs import decoded, run_lengths
from flexunet_exp.data.annotations.raster.tool import Tool

__all__ = [
    "FAR",
    "NOTHING",
    "Crop",
    "Rings",
    "Size",
    "Tool",
    "by_centre",
    "by_coco",
    "by_cover",
    "by_opencv",
    "by_opencv_cut",
    "by_pillow",
    "decoded",
    "ellipse_as_polygon",
    "ellipse_by_pillow",
    "framed",
    "lines_by_opencv",
    "lines_by_pillow",
    "lines_exactly",
    "run_lengths",
    "union",
    "within",
]
