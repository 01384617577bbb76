"""How an annotation tool draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from flexunet_exp.data.annotations.raster.crops import NOTHING, Crop, Size, trimmed, union, within
from flexunet_exp.data.annotations.raster.lines import (
    ellipse_as_polygon,
    lines_by_opencv,
    lines_exactly,
)
from flexunet_exp.data.annotations.raster.polygons import Rings, by_centre, by_coco, by_cover
from flexunet_exp.data.annotations.raster.runs import decoded
from flexunet_exp.data.annotations.shapes import (
    Bitmap,
    BoxOnly,
    Dots,
    Ellipse,
    Line,
    Points,
    Polygon,
    Polygons,
    Runs,
    Shape,
)


@dataclass(frozen=True)
class Tool:
    """How an annotation tool draws each kind of shape.

    `line_width` and `point_radius` are the tool's own, in pixels, None where it draws none.
    """

    name: str
    polygon: Callable[[Rings, Size], Crop] = by_coco
    line: Callable[[Points, float, Size], Crop] = lines_by_opencv
    ellipse: Callable[[Ellipse, Size], Crop] | None = None  # None: as a polygon
    line_width: float | None = None
    point_radius: float | None = None

    def by(self, raster: str) -> Tool:
        """This tool with another rule: tool, centre or cover."""
        if raster == "tool":
            return self
        polygon = {"centre": by_centre, "cover": by_cover}[raster]
        return replace(self, polygon=polygon, line=lines_exactly, ellipse=None)

    def draw(self, shape: Shape, size: Size) -> Crop:
        """The pixels of a shape inside of a picture; NOTHING where there are none.

        Raises InputError where run lengths do not fill the picture, or lines are too long.
        """
        if isinstance(shape, Polygon):
            return self.polygon((shape.points, *shape.holes), size)
        if isinstance(shape, Polygons):
            return union([self.draw(part, size) for part in shape.parts])
        if isinstance(shape, Ellipse):
            if self.ellipse:
                return self.ellipse(shape, size)
            return self.polygon((ellipse_as_polygon(shape),), size)
        if isinstance(shape, Line):
            return self.line(shape.points, self.line_width or 1, size)
        if isinstance(shape, Dots):
            radius = self.point_radius or 0.5
            discs = [Ellipse((x, y), (radius, radius)) for x, y in shape.points.tolist()]
            return union([self.draw(disc, size) for disc in discs])
        if isinstance(shape, Runs):
            return decoded(shape, size)
        if isinstance(shape, Bitmap):
            pixels = np.asarray(shape.pixels, bool)
            return trimmed(within(pixels, shape.top, shape.left, size))
        assert isinstance(shape, BoxOnly)
        return NOTHING
