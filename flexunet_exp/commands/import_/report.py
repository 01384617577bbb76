"""What was read and drawn, by class, and what was lost on the way."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flexunet_exp.commands.import_.rows import Picture

if TYPE_CHECKING:
    from flexunet_exp.commands.import_.pipeline import Plan

log = logging.getLogger(__name__)
SHOWN = 5  # losses that are printed; all are in the manifest


def objects_of(pictures: Sequence[Picture]) -> dict[str, int]:
    """Objects that were drawn, by the label of the tool."""
    return summed(one.objects for one in pictures)


def pixels_of(pictures: Sequence[Picture]) -> dict[str, int]:
    """Pixels in the masks, by class."""
    return summed(one.pixels for one in pictures)


def summed(texts) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(json.loads(text))
    return dict(sorted(counts.items()))


def lost(pictures: Sequence[Picture]) -> int:
    """The number of objects that are not, or not fully, in the masks."""
    return sum(len(json.loads(one.losses)) for one in pictures)


def log_counts(plan: Plan, pictures: Sequence[Picture]) -> None:
    """Logs a line for each label, the pictures, the area that drawing changed, and the losses."""
    objects, pixels = objects_of(pictures), pixels_of(pictures)
    read = Counter(one.label for item in plan.items for one in item.picture.all_objects)
    width = max(map(len, plan.classes.values))
    log.info("%-*s  %8s  %8s  becomes", width, "label", "objects", "drawn")
    for label, value in plan.classes.values.items():
        if not (read[label] or objects.get(label)) and value in (0, 255):
            continue
        becomes = "ignored (255)" if value == 255 else f"{plan.classes.names[value]} ({value})"
        drawn = objects.get(label, 0)
        log.info("%-*s  %8d  %8d  %s", width, label, read[label] or drawn, drawn, becomes)
    for name in plan.classes.names[1:]:
        if not pixels.get(name):
            log.warning("No mask has a pixel of %s.", name)
    splits = Counter(one.split for one in pictures)
    dealt = ", ".join(f"{number} {split}" for split, number in splits.items())
    good = sum(not one.defect_pixels for one in pictures)
    log.info("%d pictures: %s; %d without a defect", len(pictures), dealt, good)
    log_area(pictures, plan.tool.name, plan.rules.raster)
    log_losses(pictures)


def log_area(pictures: Sequence[Picture], tool: str, raster: str) -> None:
    area, drawn = (sum(float(getattr(p, key)) for p in pictures) for key in ("area", "area_drawn"))
    if not area:
        return
    rule = f"as {tool} draws them" if raster == "tool" else f"by the rule raster={raster}"
    log.info(
        "Polygons %s have %+.1f %% of their area by coordinates. raster=centre and raster=cover "
        "are the other rules",
        rule,
        100 * (drawn / area - 1),
    )


def log_losses(pictures: Sequence[Picture]) -> None:
    losses = [sentence for one in pictures for sentence in json.loads(one.losses)]
    if not losses:
        return
    log.warning("%d objects are not, or not fully, in the masks:", len(losses))
    for sentence in losses[:SHOWN]:
        log.warning("  %s", sentence)
    if len(losses) > SHOWN:
        log.warning("  and %d more: manifest.csv, column losses", len(losses) - SHOWN)
