"""From a folder of pictures to the record of its scan: one class a folder layout.

A layout has two methods. `scan(folder, view)` gives the ScanRecord of all that was found and all
that is wrong. `read_mask(sample)` gives the index mask of a row of the record's table; the row's
mask file and label and the layout's arguments alone decide it. Pictures and masks are paired by
relative path and stem, never by position.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexunet_exp.data import mask_checks, mask_sets, mask_values, masks
from flexunet_exp.data.grouping import grouped
from flexunet_exp.data.mask_rules import Reading
from flexunet_exp.data.pairing import (
    IMAGE_SUFFIXES,
    Pair,
    compare_sizes,
    each,
    files_by_stem,
    folder_names,
    matched,
    read_pictures,
    require_folder,
    sample_table,
)
from flexunet_exp.data.scan_record import (
    Findings,
    MaskFacts,
    NetworkView,
    ScanRecord,
    mask_facts,
)
from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import InputError, did_you_mean

# Folder of the defect-free pictures -> what their sources begin with, for each dataset.good.
GOOD_FOLDERS: dict[str, dict[str, str]] = {
    "none": {},
    "test": {"test": GOOD},
    "all": {"test": GOOD, "train": "train_good"},
}


class Layout:
    """The base class of the layouts."""

    def scan(self, folder: str | Path, view: NetworkView | None = None) -> ScanRecord:
        """Reads all pairs of `folder`; their split is "" where the folder names none.

        With a `view`, the facts include fingerprints and defects. Raises InputError where the
        folder does not exist; the record has every other problem.
        """
        return self._scan(Path(folder).absolute(), view)

    def _scan(self, folder: Path, view: NetworkView | None) -> ScanRecord:
        raise NotImplementedError


class MVTec(Layout):
    """MVTec AD as downloaded: `test/<defect>/NNN.png` with `ground_truth/<defect>/NNN_mask.png`.

    `classes` are {name, color}, background first; a defect's folder is its class. `good` chooses
    the defect-free pictures: `none`, `test` (those of test/good) or `all` (train/good too).
    `inverted`: whether masks that look like the complement of others are an `error`, or `accept`ed.
    """

    def __init__(self, classes: Sequence[Mapping], good: str = "test", inverted: str = "error"):
        self.names = [str(entry["name"]) for entry in classes]
        self.good = _known_good(good)
        self.inverted = _known("inverted", inverted, ("error", "accept"))

    def _scan(self, folder: Path, view: NetworkView | None) -> ScanRecord:
        findings = Findings()
        problems = findings.problems
        require_folder(folder, "test", "test/<defect>/NNN.png", problems)
        pairs = [*self._defects(folder, findings), *self._defect_free(folder, findings)]
        pictures = read_pictures(pairs, problems, view)
        table = sample_table(pairs, pictures)
        has_mask = (table["mask"] != "").to_numpy()
        defects = table[has_mask]

        def read(row: Mapping) -> MaskFacts:
            mask = masks.read_binary(row["mask"], self.names.index(row["label"]))
            return mask_facts(mask, len(self.names), view)

        rows = defects.to_dict("records")
        truths = each(rows, read, problems)
        found = [(row, truth) for row, truth in zip(rows, truths, strict=True) if truth]
        shapes = _shapes(rows, truths, mask_checks.check_turned(found, pictures, findings))
        readable = (table["width"] > 0).to_numpy(copy=True)
        readable[has_mask] = compare_sizes(defects, shapes, problems)
        mask_checks.check_black(found, [row["label"] for row, _ in found], findings)
        mask_checks.check_covering(found, self.names, findings, self.inverted == "accept")
        facts = {row["image"]: truth for row, truth in found}
        problems = grouped(problems) or _emptiness(table, folder)
        return ScanRecord(table, readable, pictures, facts, problems, findings.warnings)

    def read_mask(self, sample: Any) -> np.ndarray:
        """Index mask uint8 (H, W) at native size of a table row (`itertuples`, or a Series)."""
        row = _as_mapping(sample)
        if not row["mask"]:
            return np.zeros((row["height"], row["width"]), dtype=np.uint8)
        return masks.read_binary_mask(row["mask"], self.names.index(row["label"]))

    def _defects(self, folder: Path, findings: Findings) -> list[Pair]:
        problems = findings.problems
        found = folder_names(folder / "test", problems)
        found |= folder_names(folder / "ground_truth", problems)
        problems += [
            f"{folder}: the folder {name} is no configured class (they are "
            f"{', '.join(self.names[1:])}).{did_you_mean(name.lower(), self.names[1:])} Rename it, "
            "add it to dataset.classes, or choose another dataset/layout (mvtec, image_mask)."
            for name in sorted(found - {GOOD, *self.names[1:]})
        ]
        pairs = [p for name in self.names[1:] for p in self._of_class(folder, name, findings)]
        absent = [name for name in self.names[1:] if name not in {pair.label for pair in pairs}]
        if absent:
            findings.warnings.append(f"{folder}: no picture of the configured {', '.join(absent)}")
        return pairs

    def _of_class(self, folder: Path, name: str, findings: Findings) -> list[Pair]:
        expected = folder / "ground_truth" / name
        images = files_by_stem(folder / "test" / name, findings)
        truths = files_by_stem(expected, findings, ending="_mask")
        return [
            Pair(image, mask, f"{name}/{stem}", label=name)
            for stem, image, mask in matched(images, truths, expected, findings.problems)
        ]

    def _defect_free(self, folder: Path, findings: Findings) -> list[Pair]:
        return [
            Pair(image, None, f"{prefix}/{stem}", label=GOOD)
            for part, prefix in GOOD_FOLDERS[self.good].items()
            for stem, image in files_by_stem(folder / part / GOOD, findings).items()
        ]


class ImageMask(Layout):
    """Ready-made splits, `{train,valid,test}/{images,masks}`, a multiclass mask for each picture.

    `classes` are {name, color}, background first; `good="none"` drops pictures without a defect,
    else they stay. `off_palette` and `off_palette_limit` are the rule and the limit of
    `masks.read_colour_mask`, `mask_values` and `mask_255` those of `mask_rules.Reading`: a scan
    decides their `auto` over the whole set. `colour_order` is that of the masks' channels. A
    picture's label is the most frequent defect class of its mask.
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
    ):
        self.names = [str(entry["name"]) for entry in classes]
        palette = np.array([list(entry["color"]) for entry in classes], dtype=np.uint8)
        is_rgb = _known("colour_order", colour_order, ("rgb", "bgr")) == "rgb"
        self.good = _known_good(good)
        self.inverted = _known("inverted", inverted, ("error", "accept"))
        masks.check_rule(off_palette)
        self.reading = Reading(
            palette if is_rgb else np.ascontiguousarray(palette[:, ::-1]),
            tuple(self.names),
            off_palette,
            off_palette_limit,
            _known("mask_values", mask_values, ("auto", "colours", "indices")),
            _known("mask_255", mask_255, ("auto", "ignore", "defect")),
        )
        if mask_255 == "defect" and len(classes) != 2:
            raise InputError(
                f"dataset.layout.mask_255=defect needs exactly one defect class; there are "
                f"{len(classes) - 1}. Use class colours or indices, or mask_255=ignore."
            )

    def _scan(self, folder: Path, view: NetworkView | None) -> ScanRecord:
        findings = Findings()
        problems = findings.problems
        require_folder(folder, "train/images", "train/{images,masks}/NAME.png", problems)
        splits = ("train", "valid", "test")
        pairs = [pair for split in splits for pair in self._pairs(folder, split, findings)]
        pictures = read_pictures(pairs, problems, view)
        table = sample_table(pairs, pictures)
        rows = table.to_dict("records")
        truths, decisions = self._truths(rows, view, findings)
        found = [(row, truth) for row, truth in zip(rows, truths, strict=True) if truth]
        shapes = _shapes(rows, truths, mask_checks.check_turned(found, pictures, findings))
        readable = compare_sizes(table, shapes, problems)
        labels = [mask_checks.class_in_name(row["image"], self.names) for row, _ in found]
        mask_checks.check_black(found, labels, findings)
        mask_checks.check_names(found, labels, self.names, self.reading.palette, findings)
        mask_checks.check_covering(found, self.names, findings, self.inverted == "accept")
        table["label"] = [self._label(truth) if truth else "" for truth in truths]
        findings.warnings += _off_palette(table, [t.off_palette if t else 0 for t in truths])
        facts = {image: t for image, t in zip(table["image"], truths, strict=True) if t}
        if self.good == "none":
            wanted = (table["label"] != GOOD).to_numpy()
            table, readable = table[wanted].reset_index(drop=True), readable[wanted]
        problems = grouped(problems) or _emptiness(table, folder)
        notes = mask_sets.notes([truth.signs for _, truth in found], decisions, self.names)
        warnings = findings.warnings
        return ScanRecord(table, readable, pictures, facts, problems, warnings, notes, decisions)

    def _truths(
        self, rows: Sequence[Mapping], view: NetworkView | None, findings: Findings
    ) -> tuple[list[MaskFacts | None], dict[str, str]]:
        """The facts of all masks, and what was decided over all of them: argument → value.

        Each mask is decoded once, and again only where it is read otherwise than at first.
        """

        def read(row: Mapping, reading: Reading, tentative: bool) -> MaskFacts:
            mask = mask_values.read(row["mask"], reading, tentative)
            return mask_facts(mask, len(self.names), view)

        truths = each(rows, lambda row: read(row, self.reading, True), findings.problems)
        signs = [truth.signs for truth in truths if truth]
        reading = mask_sets.decide(self.reading, signs, findings.problems)
        places = [
            place
            for place, truth in enumerate(truths)
            if truth and mask_sets.is_open(truth.signs, reading)
        ]
        again = each(
            [rows[place] for place in places],
            lambda row: read(row, reading, False),
            findings.problems,
        )
        for place, truth in zip(places, again, strict=True):
            truths[place] = truth
        return truths, mask_sets.decisions(self.reading, reading)

    def read_mask(self, sample: Any) -> np.ndarray:
        """Index mask uint8 (H, W) at native size of a table row (`itertuples`, or a Series)."""
        return mask_values.read(_as_mapping(sample)["mask"], self.reading).mask

    def _pairs(self, folder: Path, split: str, findings: Findings) -> list[Pair]:
        expected = folder / split / "masks"
        images = files_by_stem(folder / split / "images", findings)
        truths = files_by_stem(expected, findings, suffixes=(*IMAGE_SUFFIXES, ".npz"))
        known = [*self.names[1:], *GOOD_FOLDERS["all"].values()]
        # A name without a lineage, such as 000, may be another picture in each folder.
        return [
            Pair(image, mask, *parse_name(stem, known, f"{split}/{stem}"), split=split)
            for stem, image, mask in matched(images, truths, expected, findings.problems)
        ]

    def _label(self, mask: MaskFacts) -> str:
        """The most frequent defect class of a mask."""
        defects = mask.pixels[1:]
        return self.names[1 + defects.argmax()] if defects.any() else GOOD


class Synthetic(MVTec):
    """Generated pictures in the MVTec AD layout; the first scan draws them, all scans read them.

    `images_per_class` defect pictures of each class and `good_images` defect-free ones, `size`
    pixels a side, of the category `name`.
    """

    def __init__(
        self,
        classes: Sequence[Mapping],
        good: str = "test",
        *,
        name: str,
        images_per_class: int,
        good_images: int,
        size: int,
        seed: int,
        inverted: str = "error",
    ):
        super().__init__(classes, good, inverted)
        self.name, self.size, self.seed = name, size, seed
        self.images_per_class, self.good_images = images_per_class, good_images

    def _scan(self, folder: Path, view: NetworkView | None) -> ScanRecord:
        """Draws the pictures into `folder` first, unless they are there."""
        from flexunet_exp.data import synthetic

        synthetic.generate(
            folder,
            self.name,
            images_per_class=self.images_per_class,
            good=self.good_images,
            size=self.size,
            seed=self.seed,
        )
        return super()._scan(folder, view)


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


def _known_good(good: str) -> str:
    if good not in GOOD_FOLDERS:
        raise InputError(f"dataset.good={good}: expected {', '.join(GOOD_FOLDERS)}.")
    return good


def _known(argument: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise InputError(f"dataset.layout.{argument}={value}: expected {', '.join(known)}.")
    return value


def _shapes(
    rows: Sequence[Mapping], truths: Sequence[MaskFacts | None], left_out: set[str]
) -> list[tuple[int, ...] | None]:
    """The masks' (height, width); None where one could not be read, or its picture is left out."""
    return [
        truth.shape if truth and row["image"] not in left_out else None
        for row, truth in zip(rows, truths, strict=True)
    ]


def _as_mapping(sample: Any) -> Mapping:
    # As an attribute, `mask` of a Series is a method.
    return sample._asdict() if hasattr(sample, "_asdict") else sample


def _emptiness(table: pd.DataFrame, folder: Path) -> list[str]:
    if len(table):
        return []
    return [f"{folder}: no pictures found: another dataset.path=FOLDER, or another dataset.good?"]


def _off_palette(table: pd.DataFrame, odd: Sequence[int]) -> list[str]:
    """A warning of the mask pixels that have no class colour, `odd` of them in each row."""
    if not sum(odd):
        return []
    share = 100 * sum(odd) / (table["width"] * table["height"]).sum()
    return [
        f"{sum(odd):,} mask pixels ({share:.3f} %) in {np.count_nonzero(odd)} of {len(table)} "
        "masks have no class colour"
    ]
