"""The options of drawing: what a person decides where tools differ, or say nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flexunet_exp.data.annotations.raster import Tool

RASTERS = ("tool", "centre", "cover")
OVERLAPS = ("top", "small_over_large", "error")
ANNOTATORS = ("first", "last", "agree")
CROWDS = ("keep", "ignore")
BOXES = ("error", "fill", "ignore")


@dataclass(frozen=True)
class Rules:
    """The options of drawing; None of a width or radius is the tool's own."""

    raster: str = "tool"
    overlap: str = "top"
    line_width: float | None = None
    point_radius: float | None = None
    crowd: str = "keep"
    boxes: str = "error"
    annotator: str | None = None

    def tool(self, own: Tool) -> Tool:
        """The tool's rules as these options change them."""
        return replace(
            own.by(self.raster),
            line_width=self.line_width or own.line_width,
            point_radius=self.point_radius or own.point_radius,
        )
