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

from flexunet_exp.data import folder_names, mask_checks, mask_sets, mask_values, masks
from flexunet_exp.data.grouping import grouped
from flexunet_exp.data.listing import IMAGE_SUFFIXES, require_folder, sub_folders
from flexunet_exp.data.mask_rules import Reading
from flexunet_exp.data.mask_values import ReadMask
from flexunet_exp.data.matching import MaskNames, Matcher
from flexunet_exp.data.merging import merged
from flexunet_exp.data.pairing import Pair, compare_sizes, each, read_pictures, sample_table
from flexunet_exp.data.scan_record import (
    Findings,
    MaskFacts,
    NetworkView,
    ScanRecord,
    mask_facts,
)
from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import InputError

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
    the defect-free pictures: `none`, `test` (those of test/good) or `all` (train/good too);
    `good_names` are folders of such pictures beside ok, normal and free. `mask_suffix` ends the
    stem of a mask. With `masks_in_folders`, a mask may be a folder of several, called like the
    picture. `inverted`: whether masks that look like the complement of others are an `error`, or
    `accept`ed.
    """

    def __init__(
        self,
        classes: Sequence[Mapping],
        good: str = "test",
        good_names: Sequence[str] = (),
        mask_suffix: str = "_mask",
        masks_in_folders: bool = False,
        inverted: str = "error",
    ):
        self.names = [str(entry["name"]) for entry in classes]
        self.good = _known_good(good)
        own = {name.lower() for name in self.names}
        self.good_names = folder_names.known_good(good_names) - own
        self.mask_names = MaskNames(mask_suffix, masks_in_folders)
        self.inverted = _known("inverted", inverted, ("error", "accept"))

    def _scan(self, folder: Path, view: NetworkView | None) -> ScanRecord:
        findings = Findings()
        problems = findings.problems
        require_folder(folder, "test/<defect>/NNN.png")
        places = folder_names.raw_places(folder, findings)
        matcher = Matcher(self.mask_names, findings)
        pairs = [*self._defects(places, matcher), *self._defect_free(places, matcher)]
        matcher.close()
        pictures = read_pictures(pairs, problems, view)
        table = sample_table(pairs, pictures)
        has_mask = (table["mask"] != "").to_numpy()
        defects = table[has_mask]

        def read(row: Mapping) -> MaskFacts:
            return mask_facts(self._read(row), len(self.names), view)

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
        return ScanRecord(
            table, readable, pictures, facts, problems, findings.warnings, findings.notes
        )

    def read_mask(self, sample: Any) -> np.ndarray:
        """Index mask uint8 (H, W) at native size of a table row (`itertuples`, or a Series)."""
        row = _as_mapping(sample)
        if not row["mask"]:
            return np.zeros((row["height"], row["width"]), dtype=np.uint8)
        return self._read(row).mask

    def _read(self, row: Mapping) -> ReadMask:
        path, class_index = Path(row["mask"]), self.names.index(row["label"])
        if not (self.mask_names.in_folders and path.is_dir()):
            return masks.read_binary(path, class_index)
        return merged(path, lambda file: masks.read_any_shape(file, class_index))

    def _defects(self, places: Mapping[str, Path], matcher: Matcher) -> list[Pair]:
        findings = matcher.findings
        found = {
            inner.name
            for part in ("test", "ground_truth")
            for inner in sub_folders(places[part], findings.problems)
        }
        unknown = [name for name in found - set(self.names[1:]) if not self._is_good(name)]
        findings.problems += folder_names.unknown(places["test"], unknown, self.names[1:])
        pairs = [pair for name in self.names[1:] for pair in self._of_class(places, name, matcher)]
        absent = [name for name in self.names[1:] if name not in {pair.label for pair in pairs}]
        if absent:
            root = places["test"].parent
            findings.warnings.append(f"{root}: no picture of the configured {', '.join(absent)}")
        return pairs

    def _of_class(self, places: Mapping[str, Path], name: str, matcher: Matcher) -> list[Pair]:
        matches = matcher.matches(places["test"] / name, places["ground_truth"] / name)
        return [Pair(image, mask, f"{name}/{stem}", label=name) for stem, image, mask in matches]

    def _defect_free(self, places: Mapping[str, Path], matcher: Matcher) -> list[Pair]:
        return [
            Pair(image, None, f"{prefix}/{stem}", label=GOOD)
            for part, prefix in GOOD_FOLDERS[self.good].items()
            for stem, image in self._good_pictures(places[part], matcher).items()
        ]

    def _good_pictures(self, part: Path, matcher: Matcher) -> dict[str, Path]:
        """The pictures of a part's good folders; those of `good` or a single one by their stem."""
        folders = [inner for inner in sub_folders(part, []) if self._is_good(inner.name)]
        pictures: dict[str, Path] = {}
        for inner in folders:
            start = "" if len(folders) == 1 or inner.name == GOOD else f"{inner.name}_"
            pictures |= {start + stem: path for stem, path in matcher.pictures(inner).items()}
        if other := [inner.name for inner in folders if inner.name != GOOD]:
            matcher.findings.notes.append(f"{part}: {', '.join(other)} is read as good.")
        return pictures

    def _is_good(self, name: str) -> bool:
        return name.lower() in self.good_names


class ImageMask(Layout):
    """Ready-made splits, `{train,valid,test}/{images,masks}`, a multiclass mask for each picture.

    `classes` are {name, color}, background first; `good="none"` drops pictures without a defect,
    else they stay. `off_palette` and `off_palette_limit` are the rule and the limit of
    `masks.read_colour_mask`, `mask_values` and `mask_255` those of `mask_rules.Reading`: a scan
    decides their `auto` over the whole set. `colour_order` is that of the masks' channels. A
    picture's label is the most frequent defect class of its mask. `mask_suffix` ends the stem of a
    mask; with `masks_in_folders`, a mask may be a folder of several, called like the picture;
    `missing_mask="good"` reads a picture without a mask as good.
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
    ):
        self.names = [str(entry["name"]) for entry in classes]
        palette = np.array([list(entry["color"]) for entry in classes], dtype=np.uint8)
        is_rgb = _known("colour_order", colour_order, ("rgb", "bgr")) == "rgb"
        self.good = _known_good(good)
        self.inverted = _known("inverted", inverted, ("error", "accept"))
        masks.check_rule(off_palette)
        kinds = (*IMAGE_SUFFIXES, ".npz")
        self.mask_names = MaskNames(mask_suffix, masks_in_folders, missing_mask, kinds)
        self.mask_names.check()
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
        require_folder(folder, "train/{images,masks}/NAME.png")
        places = folder_names.ready_places(folder, findings)
        matcher = Matcher(self.mask_names, findings)
        pairs = [pair for split in places for pair in self._pairs(split, places[split], matcher)]
        matcher.close()
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
        signs = [truth.signs for _, truth in found]
        notes = [*findings.notes, *mask_sets.notes(signs, decisions, self.names)]
        warnings = findings.warnings
        return ScanRecord(table, readable, pictures, facts, problems, warnings, notes, decisions)

    def _truths(
        self, rows: Sequence[Mapping], view: NetworkView | None, findings: Findings
    ) -> tuple[list[MaskFacts | None], dict[str, str]]:
        """The facts of all masks, and what was decided over all of them: argument → value.

        Each mask is decoded once, and again only where it is read otherwise than at first.
        """

        def read(row: Mapping, reading: Reading, tentative: bool) -> MaskFacts | None:
            if not row["width"] and not row["mask"]:
                return None
            return mask_facts(self._read(row, reading, tentative), len(self.names), view)

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
        return self._read(_as_mapping(sample), self.reading).mask

    def _read(self, row: Mapping, reading: Reading, tentative: bool = False) -> ReadMask:
        if not row["mask"]:
            return ReadMask(np.zeros((row["height"], row["width"]), dtype=np.uint8))
        path = Path(row["mask"])
        if not (self.mask_names.in_folders and path.is_dir()):
            return mask_values.read(path, reading, tentative)
        return merged(path, lambda file: mask_values.read(file, reading, tentative))

    def _pairs(self, split: str, places: folder_names.Places, matcher: Matcher) -> list[Pair]:
        known = [*self.names[1:], *GOOD_FOLDERS["all"].values()]
        # A name without a lineage, such as 000, may be another picture in each folder.
        return [
            Pair(image, mask, *parse_name(stem, known, f"{split}/{stem}"), split=split)
            for stem, image, mask in matcher.matches(places.images, places.masks)
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
