"""X-AnyLabeling: files like LabelMe's, with kinds of shapes of its own, drawn by OpenCV.

Read as X-AnyLabeling 4.2.1 writes it. Its own export of masks leaves out all but polygons, and
moves points outside of the picture to its border; here every area is drawn, by the same rule.
"""

from __future__ import annotations

import numpy as np

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.formats import labelme, labelme_shapes
from flexunet_exp.data.annotations.formats.format import Format, points_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Crop, Rings, Size, Tool
from flexunet_exp.data.annotations.records import Export
from flexunet_exp.data.annotations.shapes import Polygon, Shape
from flexunet_exp.errors import InputError


def by_opencv_moved(rings: Rings, size: Size) -> Crop:
    """OpenCV's fillPoly; points outside of the picture are moved to its border."""
    last = (size[1] - 1, size[0] - 1)
    return raster.by_opencv_cut(tuple(np.clip(ring, 0, last) for ring in rings), size)


TOOL = Tool("X-AnyLabeling", polygon=by_opencv_moved)
FOUR = ("rectangle", "rotation", "quadrilateral")  # kept as their corners


class XAnyLabeling(Format):
    """A folder of its files; `classes.txt`, where there is one, gives the order of classes."""

    title = "X-AnyLabeling"

    def recognises(self, place: Place) -> bool:
        return any(map(labelme.is_anylabeling, labelme.first_files(place)))

    def read(self, place: Place) -> Export:
        return labelme.export_of(place, TOOL, shape_of, "classes.txt")


def shape_of(node: dict, where: str) -> Shape:
    kind = node.get("shape_type")
    if kind == "cuboid":
        raise InputError(
            f"{where}: a cuboid, which stands for no area of a mask. Delete it in X-AnyLabeling, "
            "or draw a polygon instead."
        )
    if kind in FOUR and (points := points_of(node.get("points"), f"{where} points")).shape[0] != 2:
        return Polygon(labelme_shapes.exactly(points, 4, kind, where))
    return labelme_shapes.shape_of(node, where)
