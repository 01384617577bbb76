"""A data set for the rest of the program: classes, a split sample table, pictures and masks."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import PIL
from omegaconf import DictConfig, OmegaConf, open_dict

from flexunet_exp.config import building, compose, identity
from flexunet_exp.config.compose import PACKAGE
from flexunet_exp.config.kept_digests import source_digest
from flexunet_exp.data import bit_depth, class_pixels, masks, splits
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.data.channels import digest as content_digest
from flexunet_exp.data.folders.listing import pictures_in
from flexunet_exp.data.known_files import KnownFiles
from flexunet_exp.data.scan_record import NetworkView, ScanRecord, accepted
from flexunet_exp.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """`table` is the sample table with its split; `layout` knows how to read a sample's mask."""

    name: str
    class_names: tuple[str, ...]
    palette: np.ndarray  # (C, 3) uint8 RGB
    layout: Any
    recipe: dict[str, Any]  # the configuration of `layout`
    table: pd.DataFrame
    scan: ScanRecord | None = None  # None where this process has not read all pictures
    bit_depth: Bits = 16  # of the values in 16-bit pictures
    channels: Channels = RGB

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def split(self, name: str) -> pd.DataFrame:
        return self.table[self.table["split"] == name]

    def read(
        self, sample: Any, size: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image (H, W, N), uint8 or uint16, and class mask (H, W) uint8 of a row.

        At their own size, or resized to `size` (height, width).
        """
        image, mask = self.read_image(sample), self.layout.read_mask(sample)
        if size is None:
            return image, mask
        return masks.resize_image(image, size), masks.resize_mask(mask, size)

    def read_image(self, sample: Any) -> np.ndarray:
        """Image (H, W, N) of a row, at its own size: uint8 or uint16, as its file."""
        return masks.read_image(Path(sample.image), self.bit_depth, self.channels)

    def image_hash(self, sample: Any) -> str:
        """The sha256 of a row's picture, as the sample table has it."""
        return picture_hash(sample.image, self.channels)

    @property
    def dtype(self) -> str:
        """The type of the images that a network is trained with: uint8 or uint16."""
        return bit_depth.dtype(self.bit_depth)

    @cached_property
    def digest(self) -> str:
        """Hash of pictures, masks and split; where they lie does not matter."""
        return digest(self.table)

    def split_digest(self, name: str) -> str:
        return digest(self.split(name))

    @cached_property
    def pixels(self) -> np.ndarray:
        """Pixels of each class in each row of the table, (N, C) int64."""
        known = self.scan.pixels if self.scan else {}
        return class_pixels.class_pixels(self.table, self.layout.read_mask, self.num_classes, known)

    def split_pixels(self, name: str) -> np.ndarray:
        """Pixels of each class over a split, (C,) int64."""
        return self.pixels[(self.table["split"] == name).to_numpy()].sum(axis=0)


def rows(table: pd.DataFrame) -> Iterator[Any]:
    """The samples of a table, a named tuple each."""
    yield from table.itertuples()


def digest(table: pd.DataFrame) -> str:
    """Hash (16 hex digits) of the split, source, picture content and mask content of all rows."""
    of_masks = {path: file_hash(path) for path in dict.fromkeys(table["mask"])}
    lines = [
        "\t".join([row.split, row.source, row.sha256, of_masks[row.mask]]) for row in rows(table)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def file_hash(path: str) -> str:
    """The sha256 of a file, or of the pictures in a folder; empty for an empty path."""
    if not path:
        return ""
    files = pictures_in(Path(path)) if os.path.isdir(path) else [Path(path)]
    if len(files) == 1:
        return hashlib.sha256(files[0].read_bytes()).hexdigest()
    hashes = [f"{file.name} {file_hash(str(file))}" for file in files]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def picture_hash(path: str | Path, channels: Channels) -> str:
    """The sha256 of a picture's file, or over the files of its lights."""
    return content_digest([file.read_bytes() for file in channels.files(Path(path))])


def load(cfg: DictConfig, again: bool = False) -> Dataset:
    """Scans the folder and splits it as configured.

    Raises InputError with every problem of the data.
    """
    return split_up(cfg, scanned(cfg, again))


def scanned(cfg: DictConfig, again: bool = False, read_only: bool = False) -> Dataset:
    """All pictures of the folder; their split is empty unless the folders name it.

    Files that are known from an earlier scan and have not changed are read only `again`. With
    `read_only`, what is found is not kept for the next scan.
    """
    folder = folder_of(cfg)
    kept = None
    if not again:
        code = code_of_scans(cfg.dataset.layout)
        kept = KnownFiles.of(compose.cache_dir(cfg), folder, code, read_only)
    record = accepted(scan(cfg, folder, compose.bit_depth(cfg), network_view(cfg), kept))
    log_normalised(record)
    return of_scan(cfg, record)


def code_of_scans(layout: DictConfig) -> list[Any]:
    """What decides the facts of a file beside the file: code that reads, libraries that decode.

    With a layout of a person's own package, that is also its code, and its settings.
    """
    versions = [module.__version__ for module in (cv2, PIL, np)]
    recipe = compose.plain(layout)
    own = identity.own_code_digests(recipe)
    return [source_of_data(), *versions, *([own, recipe] if own else [])]


@cache  # the loaded code does not change
def source_of_data() -> str:
    return source_digest(PACKAGE / "data")


def scan(
    cfg: DictConfig,
    folder: Path,
    bits: Bits,
    view: NetworkView | None = None,
    kept: KnownFiles | None = None,
) -> ScanRecord:
    """The scan of a folder in the configured layout, with what `bits` cannot hold as problems."""
    layout = building.build(cfg.dataset.layout)
    found = layout.scan(folder, view, channels_of(cfg), kept)
    return bit_depth.checked(replace(found, kept=kept or KnownFiles()), bits)


def channels_of(cfg: DictConfig) -> Channels:
    """The channels of the configured pictures."""
    return Channels.of(compose.channels(cfg))


def of_scan(cfg: DictConfig, record: ScanRecord) -> Dataset:
    """The data set of a scan, with what was decided over all its pictures and masks."""
    decided = OmegaConf.create({"dataset": compose.plain(cfg.dataset)})
    decided.dataset.layout.update(record.decisions)
    decided.dataset.bit_depth = bit_depth.of_set(record.peaks, compose.bit_depth(cfg))
    return replace(from_table(decided, record.table), scan=record)


def keep_decisions(cfg: DictConfig, dataset: Dataset) -> None:
    """Writes what was decided over the whole set into the configuration that a run keeps."""
    with open_dict(cfg):
        cfg.dataset.layout = dataset.recipe
        cfg.dataset.bit_depth = dataset.bit_depth


def split_up(cfg: DictConfig, scanned: Dataset) -> Dataset:
    """The data set of a scan, split as configured; InputError where it cannot be split."""
    dataset = replace(scanned, table=divided(cfg, scanned.table, log.warning))
    for warning in splits.check(dataset.table, dataset.pixels, dataset.class_names):
        log.warning(warning)
    return dataset


def network_view(cfg: DictConfig) -> NetworkView:
    return NetworkView(compose.image_size(cfg), compose.patch_size(cfg))


def log_normalised(record: ScanRecord) -> None:
    """Logs how many pictures of a scan are not 8-bit RGB on disk."""
    if changed := record.normalised():
        log.info("Pictures: %s.", ", ".join(f"{n} {what}" for what, n in changed.items()))


def folder_of(cfg: DictConfig) -> Path:
    return Path(cfg.dataset.path).expanduser().absolute()


def divided(cfg: DictConfig, table: pd.DataFrame, warn: Callable[[str], None]) -> pd.DataFrame:
    """The sample table with its split, as configured; copies of one picture are one source.

    `warn` receives each warning.
    """
    splitter = compose.plain(cfg.split)
    split = building.locate(splitter.pop("_target_"))
    table = split(splits.with_merged_copies(table, warn), **splitter)
    for warning in splits.leak_warnings(table):
        warn(warning)
    return table


def from_table(cfg: DictConfig, table: pd.DataFrame) -> Dataset:
    """The data set of a table that is already split, such as a finished run's `samples.csv`."""
    classes = compose.plain(cfg.dataset.classes)
    return Dataset(
        name=cfg.dataset.name,
        class_names=tuple(entry["name"] for entry in classes),
        palette=np.array([entry["color"] for entry in classes], np.uint8),
        layout=building.build(cfg.dataset.layout),
        recipe=compose.plain(cfg.dataset.layout),
        table=table,
        bit_depth=compose.bit_depth(cfg),
        channels=channels_of(cfg),
    )


def check_unchanged(dataset: Dataset) -> None:
    """Raises InputError naming every picture that is missing or has another sha256."""
    unknown = sorted(set(dataset.table["label"]) - {*dataset.class_names, splits.GOOD})
    problems = [f"The sample table has the label {name}, which is not a class." for name in unknown]
    for sample in rows(dataset.table):
        files = dataset.channels.files(Path(sample.image))
        if gone := [file for file in files if not file.is_file()]:
            problems += [f"{file} is missing; the run was made with it." for file in gone]
        elif dataset.image_hash(sample) != sample.sha256:
            problems.append(f"{sample.image} has changed since the run was made.")
    if problems:
        raise InputError(problems)


def read_table(path: Path) -> pd.DataFrame:
    """A sample table written by `write_table`; InputError where the file is not one."""
    text = ["image", "mask", "label", "source", "variant", "split", "sha256"]
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a sample table: {error}") from error
    if missing := {*text, "width", "height"} - set(table.columns):
        raise InputError(f"{path} is not a sample table: it lacks {', '.join(sorted(missing))}.")
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False)


def summary(dataset: Dataset) -> str:
    """A line a class: how many pictures in each split."""
    counts = pd.crosstab(dataset.table["label"], dataset.table["split"])
    counts = counts.reindex(columns=list(splits.parts_of(dataset.table)), fill_value=0)
    order = [name for name in [*dataset.class_names, "good"] if name in counts.index]
    counts = counts.loc[order]
    counts.loc["all"] = counts.sum()
    return counts.rename_axis(index=None, columns=None).to_string()


def sample_name(sample: Any) -> str:
    """The sample's own name for files and image keys: ASCII letters, digits, `_`, `-`, `.`

    `bent/003` becomes bent-003; a name that loses a character gets a short hash at its end.
    """
    prefix = "" if sample.variant == "original" else f"{sample.variant}_"
    full = f"{prefix}{sample.source}"
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "_", full.replace("/", "-"))[:100].strip(".")
    if slug.replace("-", "/") == full:
        return slug
    return f"{slug}_{hashlib.sha256(full.encode()).hexdigest()[:8]}"
