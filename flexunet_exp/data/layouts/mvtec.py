"""MVTec AD as downloaded: a folder for each defect, black-and-white masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.data import masks
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.folders import folder_names
from flexunet_exp.data.folders.listing import require_folder, sub_folders
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
from flexunet_exp.data.masks import mask_checks
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
        self.good = known_good(good)
        own = {name.lower() for name in self.names}
        self.good_names = folder_names.known_good(good_names) - own
        self.mask_names = MaskNames(mask_suffix, masks_in_folders)
        self.inverted = known("inverted", inverted, ("error", "accept"))

    def _scan(
        self, folder: Path, view: NetworkView | None, channels: Channels, kept: KnownFiles
    ) -> ScanRecord:
        findings = Findings()
        problems = findings.problems
        require_folder(folder, "test/<defect>/NNN.png")
        places = folder_names.raw_places(folder, findings)
        matcher = Matcher(self.mask_names, findings, channels)
        pairs = [*self._defects(places, matcher), *self._defect_free(places, matcher)]
        matcher.close()
        pictures = read_pictures(pairs, problems, view, channels, kept)
        table = sample_table(pairs, pictures)
        has_mask = (table["mask"] != "").to_numpy()
        defects = table[has_mask]

        def read(row: Mapping) -> MaskFacts:
            return mask_facts(self._read(row), len(self.names), view)

        rows = defects.to_dict("records")
        shelf = kept.shelf(["MVTec", self.names, view and view.plain], MASKS)
        truths = each_file(rows, itemgetter("mask"), read, problems, shelf)
        found = [(row, truth) for row, truth in zip(rows, truths, strict=True) if truth]
        shapes = mask_shapes(rows, truths, mask_checks.check_turned(found, pictures, findings))
        readable = (table["width"] > 0).to_numpy(copy=True)
        readable[has_mask] = compare_sizes(defects, shapes, problems)
        mask_checks.check_black(found, [row["label"] for row, _ in found], findings)
        mask_checks.check_covering(found, self.names, findings, self.inverted == "accept")
        facts = {row["image"]: truth for row, truth in found}
        problems = grouped(problems) or emptiness(table, folder)
        return ScanRecord(
            table, readable, pictures, facts, problems, findings.warnings, findings.notes
        )

    def read_mask(self, sample: Any) -> np.ndarray:
        """Index mask uint8 (H, W) at native size of a table row (`itertuples`, or a Series)."""
        row = as_mapping(sample)
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
