"""Splits that are folders already, with a multiclass mask for each picture."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexunet_exp.data import masks
from flexunet_exp.data.annotations import checked_json
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.folders import folder_names
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES, require_folder
from flexunet_exp.data.folders.matching import MaskNames, Matcher
from flexunet_exp.data.folders.pairing import (
    Pair,
    compare_sizes,
    each_file,
    read_pictures,
    sample_table,
)
from flexunet_exp.data.grouping import grouped
from flexunet_exp.data.known_files import KnownFiles
from flexunet_exp.data.layouts.layout import (
    GOOD_FOLDERS,
    Layout,
    as_mapping,
    emptiness,
    known,
    known_good,
    mask_shapes,
)
from flexunet_exp.data.masks import mask_checks, mask_sets, mask_values
from flexunet_exp.data.masks.mask_classes import MaskClasses
from flexunet_exp.data.masks.mask_rules import Reading
from flexunet_exp.data.masks.mask_values import ReadMask
from flexunet_exp.data.masks.merging import merged
from flexunet_exp.data.scan_record import (
    MASKS,
    Findings,
    MaskFacts,
    NetworkView,
    ScanRecord,
    mask_facts,
)
from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import InputError


class ImageMask(Layout):
    """Ready-made splits, `{train,valid,test}/{images,masks}`, a multiclass mask for each picture.

    `classes` are {name, color}, background first; `good="none"` drops pictures without a defect,
    else they stay. `mask_classes` are those that the masks hold, where several of them are one of
    `classes` (`MaskClasses`). `off_palette` and `off_palette_limit` are the rule and the limit of
    `masks.read_colour_mask`, `mask_values` and `mask_255` those of `mask_rules.Reading`: a scan
    decides their `auto` over the whole set. `colour_order` is that of the masks' channels. A
    picture's label is the most frequent defect class of its mask. `mask_suffix` ends the stem of a
    mask; with `masks_in_folders`, a mask may be a folder of several, called like the picture;
    `missing_mask="good"` reads a picture without a mask as good. `sources` names a CSV file in the
    folder whose columns `image` and `source` say which part each picture shows; without it, the
    file's name does.
    """

    def __init__(
        self,
        classes: Sequence[Mapping],
        good: str = "test",
        off_palette: str = "present",
        off_palette_limit: float = 0.02,
        mask_values: str = "auto",
        mask_255: str = "auto",
        colour_order: str = "rgb",
        inverted: str = "error",
        *,
        mask_suffix: str = "",
        masks_in_folders: bool = False,
        missing_mask: str = "error",
        sources: str | None = None,
        mask_classes: Sequence[Mapping] | None = None,
    ):
        self.names = [str(entry["name"]) for entry in classes]
        self.palette = np.array([list(entry["color"]) for entry in classes], dtype=np.uint8)
        self.held = MaskClasses(classes, mask_classes)
        palette = self.held.palette
        is_rgb = known("colour_order", colour_order, ("rgb", "bgr")) == "rgb"
        self.good = known_good(good)
        self.inverted = known("inverted", inverted, ("error", "accept"))
        self.sources = sources
        masks.check_rule(off_palette)
        kinds = (*IMAGE_SUFFIXES, ".npz")
        self.mask_names = MaskNames(mask_suffix, masks_in_folders, missing_mask, kinds)
        self.mask_names.check()
        self.reading = Reading(
            palette if is_rgb else np.ascontiguousarray(palette[:, ::-1]),
            self.held.names,
            off_palette,
            off_palette_limit,
            known("mask_values", mask_values, ("auto", "colours", "indices")),
            known("mask_255", mask_255, ("auto", "ignore", "defect")),
            self.held.listed,
        )
        if mask_255 == "defect" and len(palette) != 2:
            raise InputError(
                f"dataset.layout.mask_255=defect needs exactly one defect class; there are "
                f"{len(palette) - 1}. Use class colours or indices, or mask_255=ignore."
            )

    def _scan(
        self, folder: Path, view: NetworkView | None, channels: Channels, kept: KnownFiles
    ) -> ScanRecord:
        findings = Findings()
        problems = findings.problems
        require_folder(folder, "train/{images,masks}/NAME.png")
        places = folder_names.ready_places(folder, findings)
        matcher = Matcher(self.mask_names, findings, channels)
        pairs = [pair for split in places for pair in self._pairs(split, places[split], matcher)]
        matcher.close()
        if self.sources:
            pairs = with_sources(pairs, folder, self.sources, problems)
        pictures = read_pictures(pairs, problems, view, channels, kept)
        table = sample_table(pairs, pictures)
        rows = table.to_dict("records")
        truths, decisions = self._truths(rows, view, findings, kept)
        found = [(row, truth) for row, truth in zip(rows, truths, strict=True) if truth]
        shapes = mask_shapes(rows, truths, mask_checks.check_turned(found, pictures, findings))
        readable = compare_sizes(table, shapes, problems)
        labels = [self._named(row["image"]) for row, _ in found]
        mask_checks.check_black(found, labels, findings)
        shown = self.names, self.palette
        mask_checks.check_names(found, labels, *shown, findings, self.held.listed)
        mask_checks.check_covering(found, self.names, findings, self.inverted == "accept")
        table["label"] = [self._label(truth) if truth else "" for truth in truths]
        findings.warnings += _off_palette(table, [t.off_palette if t else 0 for t in truths])
        facts = {image: t for image, t in zip(table["image"], truths, strict=True) if t}
        if self.good == "none":
            wanted = (table["label"] != GOOD).to_numpy()
            table, readable = table[wanted].reset_index(drop=True), readable[wanted]
        problems = grouped(problems) or emptiness(table, folder)
        signs = [truth.signs for _, truth in found]
        notes = [*findings.notes, *mask_sets.notes(signs, decisions, self.held.names)]
        warnings = findings.warnings
        return ScanRecord(table, readable, pictures, facts, problems, warnings, notes, decisions)

    def _named(self, image: str) -> str:
        """The defect class that the name of a picture says, "" where it says none."""
        said = self.held.becomes.get(mask_checks.class_in_name(image, self.held.names), "")
        return "" if said == self.names[0] else said

    def _truths(
        self,
        rows: Sequence[Mapping],
        view: NetworkView | None,
        findings: Findings,
        kept: KnownFiles,
    ) -> tuple[list[MaskFacts | None], dict[str, str]]:
        """The facts of all masks, and what was decided over all of them: argument → value.

        Each mask is decoded once, and again only where it is read otherwise than at first.
        """

        def read(row: Mapping, reading: Reading, tentative: bool) -> MaskFacts | None:
            if not row["width"] and not row["mask"]:
                return None
            return mask_facts(self._read(row, reading, tentative), len(self.names), view)

        what = ["ImageMask", view and view.plain, self.names, *self.held.plain]
        shelf = kept.shelf([*what, self.reading.plain, True], MASKS)
        truths = each_file(
            rows,
            itemgetter("mask"),
            lambda row: read(row, self.reading, True),
            findings.problems,
            shelf,
        )
        signs = [truth.signs for truth in truths if truth]
        reading = mask_sets.decide(self.reading, signs, findings.problems)
        places = [
            place
            for place, truth in enumerate(truths)
            if truth and mask_sets.is_open(truth.signs, reading)
        ]
        again = each_file(
            [rows[place] for place in places],
            itemgetter("mask"),
            lambda row: read(row, reading, False),
            findings.problems,
            kept.shelf([*what, reading.plain, False], MASKS),
        )
        for place, truth in zip(places, again, strict=True):
            truths[place] = truth
        return truths, mask_sets.decisions(self.reading, reading)

    def read_mask(self, sample: Any) -> np.ndarray:
        """Index mask uint8 (H, W) at native size of a table row (`itertuples`, or a Series)."""
        return self._read(as_mapping(sample), self.reading).mask

    def _read(self, row: Mapping, reading: Reading, tentative: bool = False) -> ReadMask:
        if not row["mask"]:
            return ReadMask(np.zeros((row["height"], row["width"]), dtype=np.uint8))
        path = Path(row["mask"])
        if not (self.mask_names.in_folders and path.is_dir()):
            return self._learnt(mask_values.read(path, reading, tentative))
        return merged(path, lambda file: self._learnt(mask_values.read(file, reading, tentative)))

    def _learnt(self, read: ReadMask) -> ReadMask:
        """A mask as read, in the classes that the network learns."""
        return read._replace(mask=self.held.learnt(read.mask))

    def _pairs(self, split: str, places: folder_names.Places, matcher: Matcher) -> list[Pair]:
        known = [*self.held.names[1:], *GOOD_FOLDERS["all"].values()]
        # A name without a lineage, such as 000, may be another picture in each folder.
        return [
            Pair(image, mask, *parse_name(stem, known, f"{split}/{stem}"), split=split)
            for stem, image, mask in matcher.matches(places.images, places.masks)
        ]

    def _label(self, mask: MaskFacts) -> str:
        """The most frequent defect class of a mask."""
        defects = mask.pixels[1:]
        return self.names[1 + defects.argmax()] if defects.any() else GOOD


def parse_name(stem: str, class_names: Iterable[str], otherwise: str) -> tuple[str, str]:
    """Source and variant of a picture by its file name, `<variant>_<class>_<number>`.

    `deformed_alpha_1300_sigmoid_7_bent_3` gives (`bent_3`, `deformed_alpha_1300_sigmoid_7`), and
    `bent_3` (`bent_3`, `original`). Of several fitting classes the longest counts; a name of
    another form has the source `otherwise`.
    """
    classes = "|".join(re.escape(name) for name in class_names)
    # Lazy: the shortest variant leaves the longest class name.
    fit = re.fullmatch(rf"(?:(?P<variant>.+?)_)??(?P<source>(?:{classes})_\d+)", stem)
    if fit is None:
        return otherwise, "original"
    return fit["source"], fit["variant"] or "original"


def with_sources(pairs: Sequence[Pair], folder: Path, name: str, problems: list[str]) -> list[Pair]:
    """The pairs with the sources of a CSV file; adds a problem for what it lacks."""
    path = folder / name
    if Path(name).name != name or not path.is_file():
        problems.append(
            f"dataset.layout.sources={name}: expected the name of a CSV file in {folder}"
        )
        return list(pairs)
    try:
        rows = csv.DictReader(io.StringIO(checked_json.read_text(path), newline=""))
        columns = set(rows.fieldnames or ())
        listed = {row.get("image"): row.get("source") for row in rows}
    except (InputError, csv.Error) as error:
        problems.append(str(error) if isinstance(error, InputError) else f"{path}: {error}.")
        return list(pairs)
    if not {"image", "source"} <= columns:
        problems.append(f"{path}: expected the columns image and source.")
        return list(pairs)
    lacking = []
    found = []
    for pair in pairs:
        source = listed.get(pair.image.relative_to(folder).as_posix())
        if source is None:
            lacking.append(pair.image.name)
        found.append(pair._replace(source=source or pair.source, variant="original"))
    if lacking:
        problems.append(
            f"{path} does not list {len(lacking)} pictures, such as {lacking[0]}. Add them, or "
            "give dataset.layout.sources=null: file names then say the source"
        )
    return found


def _off_palette(table: pd.DataFrame, odd: Sequence[int]) -> list[str]:
    """A warning of the mask pixels that have no class colour, `odd` of them in each row."""
    if not sum(odd):
        return []
    share = 100 * sum(odd) / (table["width"] * table["height"]).sum()
    return [
        f"{sum(odd):,} mask pixels ({share:.3f} %) in {np.count_nonzero(odd)} of {len(table)} "
        "masks have no class colour"
    ]
