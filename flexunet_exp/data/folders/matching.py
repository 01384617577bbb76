"""Matches the pictures of a data set with their masks, and groups what does not match.

One sentence names a kind of problem: how many files, the first names, the setting that mends it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.data.folders.listing import (
    IMAGE_SUFFIXES,
    SYSTEM_FILES,
    by_suffix,
    entries,
    is_folder,
    pictures_below,
    pictures_in,
    sub_folders,
)
from flexunet_exp.data.grouping import first_of
from flexunet_exp.data.scan_record import Findings
from flexunet_exp.errors import InputError

Match = tuple[str, Path, Path | None]  # stem, picture, mask
Files = Mapping[str, Path]  # by stem
MISSING = ("error", "good")


class MaskNames(NamedTuple):
    """How masks are found: the arguments of a layout."""

    suffix: str  # what the stem of a mask has behind that of its picture
    in_folders: bool  # whether a folder called like the picture may hold several masks of it
    missing: str | None = None  # error, good: what a picture without a mask is; None: no choice
    kinds: tuple[str, ...] = IMAGE_SUFFIXES

    def check(self) -> None:
        """Raises InputError where `missing` is no choice."""
        if self.missing not in (None, *MISSING):
            raise InputError(
                f"dataset.layout.missing_mask={self.missing}: expected {' or '.join(MISSING)}."
            )


class Matcher:
    """Matches folder after folder; `close` adds the problems that several folders share."""

    def __init__(self, names: MaskNames, findings: Findings, channels: Channels = RGB):
        self.names, self.findings, self.channels = names, findings, channels
        self.strays: list[Path] = []
        self.other_endings: dict[str, list[str]] = {}  # ending → an example of each folder
        self.in_folders: dict[Path, int] = {}  # folder → pictures with several masks in it

    def pictures(self, folder: Path, apart_from: Path | None = None) -> dict[str, Path]:
        """The folder's pictures by stem, sorted; the sub-folder `apart_from` may hold masks.

        With lights, a picture is the file of its first light.
        """
        pictures, others = self.pictures_and_others(folder, apart_from)
        self.report_unlit(folder, others)
        return pictures

    def pictures_and_others(
        self, folder: Path, apart_from: Path | None
    ) -> tuple[dict[str, Path], Files]:
        """The folder's pictures by stem, and with lights the files whose names end in none."""
        self.refuse_deeper(folder, apart_from)
        files = self.by_stem(folder, IMAGE_SUFFIXES)
        if not self.channels.lights:
            return files, {}
        others = {stem: path for stem, path in files.items() if not self.channels.light_of(stem)}
        lit = [path for stem, path in files.items() if stem not in others]
        pictures = {self.channels.stem_of(path): self.channels.files(path)[0] for path in lit}
        return pictures, others

    def matches(self, images: Path, masks: Path) -> list[Match]:
        """Stem, picture and mask of all pictures that have one, or that are good without."""
        pictures: Files
        truths: Files
        pictures, others = self.pictures_and_others(images, masks)
        explained = False
        if masks.is_dir() and masks != images:
            truths, explained = self.masks_of(masks, pictures)
        else:
            pictures, truths = self.beside(images, {**pictures, **others})
            others = {stem: path for stem, path in others.items() if stem in pictures}
            pictures = {stem: path for stem, path in pictures.items() if stem not in others}
        self.report_unlit(images, others)
        lacking = {stem: path for stem, path in pictures.items() if stem not in truths}
        lonely = {stem: path for stem, path in truths.items() if stem not in pictures}
        if len(lacking) == len(pictures):
            explained = explained or self.ends_otherwise(lacking, lonely)
        good = self.names.missing == "good" and masks.is_dir()
        if not explained:
            self.report_lonely(masks, lonely, pictures)
            self.report_lacking(images, masks, lacking, truths, len(pictures), good)
        found = [(stem, path, truths.get(stem)) for stem, path in pictures.items()]
        return [match for match in found if match[2] or good]

    def close(self) -> None:
        """Adds what all folders have in common, each kind in one sentence."""
        problems = self.findings.problems
        if self.strays:
            self.findings.warnings.append(
                f"{len(self.strays):,} files are ignored, no picture by their names "
                f"({by_suffix(self.strays)}): {first_of([str(path) for path in self.strays])}"
            )
        for ending, examples in self.other_endings.items():
            problems.append(
                f"The names of the masks end in {ending or 'nothing more'}, expected "
                f"{self.names.suffix or 'the names of the pictures'}: {first_of(examples, 1)}. If "
                f"they are the masks, type dataset.layout.mask_suffix={ending}"
            )
        if self.in_folders:
            problems.append(
                f"{sum(self.in_folders.values()):,} pictures have a folder of masks each, in "
                f"{first_of([str(path) for path in self.in_folders])}. To merge the masks of each "
                "picture, type dataset.layout.masks_in_folders=true"
            )

    def by_stem(self, folder: Path, kinds: Sequence[str], suffix: str = "") -> dict[str, Path]:
        """The folder's files of these kinds by stem (without `suffix`), sorted.

        Only names are checked: a folder, a pipe or a broken link is found when it is read.
        """
        found: dict[str, Path] = {}
        twice = []
        for path in entries(folder, self.findings.problems):
            if path.suffix.lower() not in kinds:
                ignored = path.name.lower() in SYSTEM_FILES or is_folder(path)
                self.strays += [] if ignored else [path]
                continue
            first = found.setdefault(path.stem.removesuffix(suffix), path)
            if first != path:
                twice.append(f"{first.name} and {path.name}")
        if twice:
            self.findings.problems.append(
                f"{folder}: {first_of(twice)} have one stem: remove or rename one of them."
            )
        return found

    def masks_of(self, folder: Path, pictures: Files) -> tuple[dict[str, Path], bool]:
        """The masks by the stem of their picture, and whether a problem with them is named.

        A mask is a file; with `in_folders`, also a folder called like the picture.
        """
        files = self.by_stem(folder, self.names.kinds, self.names.suffix)
        found = {
            path.name.removesuffix(self.names.suffix): path
            for path in sub_folders(folder, self.findings.problems)
            if pictures_below(path)
        }
        if self.names.in_folders:
            for path in found.values():
                self.refuse_deeper(path)
            return found | files, False
        if of_pictures := found.keys() & pictures.keys():
            self.in_folders[folder] = len(of_pictures)
        elif found:
            self.refuse_deeper(folder)
        return files, bool(found)

    def beside(self, folder: Path, files: Files) -> tuple[Files, Files]:
        """The pictures and the masks of a folder that holds both, by the ending of the masks."""
        suffix = self.names.suffix
        ending = {stem: stem.removesuffix(suffix) for stem in files if stem.endswith(suffix)}
        truths = {base: files[stem] for stem, base in ending.items() if base in files and suffix}
        if truths:
            self.findings.notes.append(
                f"{folder}: {len(truths)} files that end in {suffix} are read as masks."
            )
        taken = set(truths.values())
        return {stem: path for stem, path in files.items() if path not in taken}, truths

    def ends_otherwise(self, lacking: Files, lonely: Files) -> bool:
        """Whether no picture has a mask because the masks' names end otherwise; keeps how."""
        stems = {path.stem: path for path in lonely.values()}
        ending, number = most_frequent_ending(stems, lacking)
        if not number or number < min(len(stems), len(lacking)):
            return False
        mask = next(path for stem, path in stems.items() if stem.removesuffix(ending) in lacking)
        self.other_endings.setdefault(ending, []).append(str(mask))
        return True

    def refuse_deeper(self, folder: Path, apart_from: Path | None = None) -> None:
        """Adds a problem where pictures lie in sub-folders of a folder, with their numbers."""
        deeper = {
            path.name: number
            for path in sub_folders(folder, self.findings.problems)
            if path != apart_from and (number := pictures_below(path))
        }
        if deeper:
            counts = [f"{name} ({number})" for name, number in deeper.items()]
            self.findings.problems.append(
                f"{folder}: {sum(deeper.values()):,} pictures lie in {len(deeper)} sub-folders, "
                f"which are not read: {first_of(counts)}. Move them into {folder.name} itself."
            )

    def report_unlit(self, folder: Path, others: Files) -> None:
        """Adds the problem of files that are no light of a picture."""
        if others:
            endings = ", ".join(f"_{light}" for light in self.channels.lights)
            self.findings.problems.append(
                f"{counted(folder, others, 'image')} whose name ends in no light ({endings}), "
                f"expected with {self.channels.typed}: rename it, or list its light."
            )

    def report_lonely(self, masks: Path, lonely: Files, pictures: Files) -> None:
        if lonely:
            self.findings.problems.append(
                f"{counted(masks, lonely, 'mask')} without an image: add the image or remove the "
                f"mask.{nearly(lonely, pictures)}"
            )

    def report_lacking(
        self, images: Path, masks: Path, lacking: Files, truths: Files, number: int, good: bool
    ) -> None:
        if not lacking:
            return
        if good:
            self.findings.notes.append(
                f"{counted(images, lacking, 'image')} of {number} without a mask, read as good."
            )
            return
        ending, count = most_frequent_ending(lacking, lacking)
        if 2 * count == number:
            mask = next(p for stem, p in lacking.items() if stem.removesuffix(ending) in lacking)
            self.other_endings.setdefault(ending, []).append(f"{mask}, beside the picture")
            return
        offer = " If it shows no defect, type dataset.layout.missing_mask=good"
        self.findings.problems.append(
            f"{counted(images, lacking, 'image')} of {number} without a mask, expected in {masks}: "
            f"add it or remove the image.{nearly(lacking, truths)}{elsewhere(masks, lacking)}"
            f"{offer if self.names.missing and masks.is_dir() else ''}"
        )


def counted(folder: Path, files: Files, what: str) -> str:
    """The path of one file; of several, their folder, their number and the first names."""
    names = [path.name for path in files.values()]
    if len(names) == 1:
        return f"{folder / names[0]}: 1 {what}"
    return f"{folder}: {len(names):,} {what}s ({first_of(names)})"


def most_frequent_ending(stems: Iterable[str], bases: Files) -> tuple[str, int]:
    """What most stems have behind the stem of a picture, with a letter in it; and how many do."""
    endings = Counter(ending for stem in stems if (ending := ending_of(stem, bases)))
    return next(iter(endings.most_common(1)), ("", 0))


def ending_of(stem: str, bases: Files) -> str:
    """What a stem has behind the longest shorter stem of `bases`; empty if that is no word."""
    longest = next((end for end in range(len(stem) - 1, 0, -1) if stem[:end] in bases), len(stem))
    ending = stem[longest:]
    return ending if re.search("[A-Za-z]", ending) else ""


def nearly(lacking: Files, others: Files) -> str:
    """A sentence with the files whose names differ only in case or in the form of accents."""
    folded = {unified(stem): path.name for stem, path in others.items()}
    close = [folded[unified(stem)] for stem in lacking if unified(stem) in folded]
    return f" Is it {first_of(close)}? Give both one spelling." if close else ""


def unified(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()


def elsewhere(masks: Path, lacking: Files) -> str:
    """A sentence with the folder that holds the masks under another name than expected."""
    if masks.is_dir():
        return ""
    wanted = {unified(stem) for stem in lacking}
    own = {path.parent for path in lacking.values()}
    for folder in sub_folders(masks.parent, []):
        stems = {unified(path.stem) for path in pictures_in(folder)}
        if stems & wanted and folder not in own:
            return f" Is it {folder.name}? Rename it {masks.name}."
    return ""
