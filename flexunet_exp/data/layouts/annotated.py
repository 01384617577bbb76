"""The export of an annotation tool as it lies: masks are drawn when they are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from flexunet_exp.config import building
from flexunet_exp.data.annotations import drawing, rules
from flexunet_exp.data.annotations.drawing import drawn
from flexunet_exp.data.annotations.drawn import Drawn, check_drawn
from flexunet_exp.data.annotations.formats.format import without_picture
from flexunet_exp.data.annotations.one_file import described
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.folders.pairing import Pair, compare_sizes, each, read_pictures, sample_table
from flexunet_exp.data.grouping import grouped
from flexunet_exp.data.known_files import KnownFiles
from flexunet_exp.data.layouts.labels import Labels
from flexunet_exp.data.layouts.layout import (
    Layout,
    as_mapping,
    emptiness,
    known,
    known_good,
    mask_shapes,
)
from flexunet_exp.data.layouts.lit import one_light
from flexunet_exp.data.masks import mask_checks
from flexunet_exp.data.masks.mask_values import ReadMask
from flexunet_exp.data.scan_record import Findings, MaskFacts, NetworkView, ScanRecord, mask_facts
from flexunet_exp.data.splits import GOOD, SPLITS
from flexunet_exp.errors import InputError

OPTIONS = re.compile(r"\b(images|boxes|overlap|line_width|point_radius|annotator)=")
SHOWN = 3  # losses in a warning


class Annotated(Layout):
    """The files of an annotation tool, and the pictures beside them or in the folder `images`.

    `format` is the class that reads them. `classes` are {name, color}, background first; a label
    becomes the class of its name, or the one that lists it in `labels` (class → labels), or, where
    it is in `ignore`, 255. `unlabelled` pictures are an `error`, `good`, or `skip`ped. The others
    are the options of `rules.Rules`; `good="none"` drops pictures without a defect, else they
    stay. A row's mask is the file that describes its picture.
    """

    def __init__(
        self,
        format: str,
        classes: Sequence[Mapping],
        good: str = "test",
        images: str | None = None,
        labels: Mapping[str, Sequence[str]] | None = None,
        ignore: Sequence[str] = (),
        unlabelled: str = "error",
        boxes: str = "error",
        crowd: str = "keep",
        annotator: str | None = None,
        raster: str = "tool",
        overlap: str = "top",
        line_width: float | None = None,
        point_radius: float | None = None,
        inverted: str = "error",
    ):
        self.format = format
        self.reader = building.build({"_target_": format})
        self.names = [str(entry["name"]) for entry in classes]
        self.good = known_good(good)
        self.images = Path(images).expanduser().absolute() if images else None
        self.labels = Labels(self.names, labels, ignore)
        self.unlabelled = known("unlabelled", unlabelled, ("error", "good", "skip"))
        self.inverted = known("inverted", inverted, ("error", "accept"))
        self.rules = rules.Rules(
            known("raster", raster, rules.RASTERS),
            known("overlap", overlap, rules.OVERLAPS),
            above_0("line_width", line_width),
            above_0("point_radius", point_radius),
            known("crowd", crowd, rules.CROWDS),
            known("boxes", boxes, rules.BOXES),
            annotator and known("annotator", annotator, rules.ANNOTATORS),
        )

    def _scan(
        self, folder: Path, view: NetworkView | None, channels: Channels, kept: KnownFiles
    ) -> ScanRecord:
        place = Place(folder, self.images)
        export = one_light(self.reader.read(place), channels)
        findings = Findings(problems=[*self._problems(export)], notes=[*export.notes])
        pairs = [*self._pairs(place, export, findings.problems)]
        pictures = read_pictures(pairs, findings.problems, view, channels, kept)
        table = sample_table(pairs, pictures)
        rows = table.to_dict("records")
        results = each(rows, lambda row: self._facts(row, view), findings.problems)
        truths = [result[0] if result else None for result in results]
        findings.warnings += lost([loss for result in results if result for loss in result[1]])
        found = [(row, truth) for row, truth in zip(rows, truths, strict=True) if truth]
        readable = compare_sizes(table, mask_shapes(rows, truths, set()), findings.problems)
        mask_checks.check_covering(found, self.names, findings, self.inverted == "accept")
        table["label"] = [self._label(truth) if truth else "" for truth in truths]
        facts = {row["image"]: truth for row, truth in found}
        if self.good == "none":
            wanted = (table["label"] != GOOD).to_numpy()
            table, readable = table[wanted].reset_index(drop=True), readable[wanted]
        problems = grouped(map(as_typed, findings.problems)) or emptiness(table, folder)
        return ScanRecord(
            table, readable, pictures, facts, problems, findings.warnings, findings.notes
        )

    def read_mask(self, sample: Any) -> np.ndarray:
        """Index mask uint8 (H, W) at native size of a table row (`itertuples`, or a Series)."""
        return self._drawn(as_mapping(sample)).mask

    def _problems(self, export: Export) -> Iterable[str]:
        yield from export.problems
        waiting = [one.name for one in export.pictures if not one.done]
        if waiting and self.unlabelled == "error":
            yield (
                f"{len(waiting)} of {len(export.pictures)} pictures have no annotations, such as "
                f"{waiting[0]}. Give dataset.layout.unlabelled=good if they show no defect, or "
                "dataset.layout.unlabelled=skip to leave them out"
            )
        several = [one.name for one in export.pictures if len(one.by) > 1]
        if several and not self.rules.annotator:
            yield (
                f"{len(several)} pictures were labelled by several people, such as {several[0]}. "
                "Give annotator=first, last, or agree"
            )
        yield from self.labels.problems(export)

    def _pairs(self, place: Place, export: Export, problems: list[str]) -> Iterable[Pair]:
        wanted = [one for one in export.pictures if one.done or self.unlabelled != "skip"]
        problems += without_picture(wanted)
        for one in wanted:
            if one.file is None:
                if one.content is not None:
                    problems.append(f"{one.written_in}: its picture is in the file. Use flexunet "
                                    "import, which takes it out")  # fmt: skip
                continue
            says = place.root / one.written_in if one.written_in else None
            if one.masks or (one.done and not (says and says.is_file())):
                problems.append(f"{one.name}: {self.reader.title} has no file that says all of "
                                "this picture. Use flexunet import")  # fmt: skip
                continue
            source = one.source or PurePosixPath(one.name).with_suffix("").as_posix()
            split = one.split if one.split in SPLITS else ""
            yield Pair(one.file, says, source, split=split)

    def _facts(self, row: Mapping, view: NetworkView | None) -> tuple[MaskFacts, list[str]] | None:
        if not row["width"]:
            return None
        result = self._drawn(row)
        return mask_facts(ReadMask(result.mask), len(self.names), view), result.losses

    def _drawn(self, row: Mapping) -> Drawn:
        """The mask of a row; InputError with all that cannot be drawn."""
        size = row["height"], row["width"]
        if not row["mask"]:
            return Drawn(np.zeros(size, np.uint8))
        picture, tool = described(self.format, Path(row["mask"]), Path(row["image"]))
        drawing.check_size(picture, size)
        classes = self.labels.classes(picture)
        result = drawn(picture, size, self.rules.tool(tool), classes, self.rules)
        check_drawn(result)
        return result

    def _label(self, mask: MaskFacts) -> str:
        """The most frequent defect class of a mask."""
        defects = mask.pixels[1:]
        return self.names[1 + defects.argmax()] if defects.any() else GOOD


def above_0(argument: str, value: Any) -> float | None:
    """A number of pixels, or None; InputError otherwise."""
    if value is not None and not (isinstance(value, int | float) and value > 0):
        raise InputError(f"dataset.layout.{argument}={value}: expected pixels above 0, or null.")
    return value


def as_typed(sentence: str) -> str:
    """A sentence on an option of drawing, with the option as it is typed here."""
    return OPTIONS.sub(r"dataset.layout.\1=", sentence)


def lost(losses: Sequence[str]) -> list[str]:
    """A warning of objects that are not, or not fully, in the masks."""
    if not losses:
        return []
    named = "; ".join(losses[:SHOWN])
    return [f"{len(losses)} objects are not, or not fully, in the masks: {named}"]
