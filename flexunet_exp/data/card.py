"""The data card: facts of a split data set as plain numbers, and its warnings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config.compose import size_text
from flexunet_exp.data import defects, fingerprints, leakage, masks
from flexunet_exp.data.dataset import Dataset, folder_of, network_view, rows
from flexunet_exp.data.defects import Defect
from flexunet_exp.data.scan_record import NetworkView, ScanRecord
from flexunet_exp.data.splits import GOOD, parts_of
from flexunet_exp.errors import InputError

ENOUGH = 16  # pixels: a defect of fewer after resizing is hard to learn
SQUEEZED = 4.0  # times: how much narrower one side may become than the other
TINY = 32  # pixels a side
MOST_SHAPES, MOST_PAIRS = 5, 1000  # listed; copies can make millions of pairs

Card = dict[str, Any]


def build(cfg: DictConfig, dataset: Dataset, scan: ScanRecord, enough: int = ENOUGH) -> Card:
    """Counts, pixels, defects, colours off the palette and leakage of a scanned data set.

    `scan` was made with the configuration's `network_view`; a defect is lost when resizing leaves
    less than `enough` pixels.
    """
    root, view = folder_of(cfg), network_view(cfg)
    sizes = defect_table(dataset, scan, view, root, enough, model_step(cfg))
    leaks = leakage_card(dataset.table, scan, root)
    shapes = [] if view.patch else shape_warnings(dataset.table, view.size, root)
    return {
        "dataset": dataset.name,
        "path": str(root),
        "digest": dataset.digest,
        "image_size": list(view.size),
        "patch_size": list(view.patch) if view.patch else None,
        "enough_pixels": enough,
        "counts": counts(dataset),
        "pixel_shares": pixel_shares(dataset),
        "defects": sizes,
        "off_palette": off_palette(dataset.table, scan, root),
        "normalised": scan.normalised(),
        "notes": list(scan.notes),
        "leakage": leaks,
        "warnings": [*shapes, *defect_warnings(sizes, view, enough), *leak_warnings(leaks)],
    }


def summary(card: Card) -> dict[str, Any]:
    """The figures of a card that decide whether a score can be trusted, as tags of a run."""
    found = [entry["smallest"]["resized"] for entry in card["defects"].values()]
    return {
        "data_digest": card["digest"],
        "smallest_defect_px": min(found, default=""),
        "off_palette_share": card["off_palette"]["share"],
        "leakage_share": card["leakage"]["share"],
    }


def to_json(card: Card) -> bytes:
    return (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()


def counts(dataset: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """Label → split → images, sources and variants; the original counts as a variant."""
    table = dataset.table
    labels = [name for name in [*dataset.class_names[1:], GOOD] if (table["label"] == name).any()]
    parts = {label: table[table["label"] == label] for label in labels} | {"all": table}
    return {
        label: {
            split: {
                "images": len(dealt),
                "sources": int(dealt["source"].nunique()),
                "variants": int(dealt["variant"].nunique()),
            }
            for split in [*parts_of(table), "all"]
            for dealt in [part if split == "all" else part[part["split"] == split]]
        }
        for label, part in parts.items()
    }


def pixel_shares(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Split → class → share of the pixels that are not ignored; without empty splits."""
    pixels = {split: dataset.split_pixels(split) for split in parts_of(dataset.table)}
    pixels["all"] = np.sum(list(pixels.values()), axis=0)
    return {
        split: dict(zip(dataset.class_names, (of_split / of_split.sum()).tolist(), strict=True))
        for split, of_split in pixels.items()
        if of_split.sum()
    }


def defect_table(
    dataset: Dataset, scan: ScanRecord, view: NetworkView, root: Path, enough: int, step: int
) -> dict[str, Card]:
    """Class → its defects: number, areas and boxes, and what resizing leaves of the smallest."""
    pictures = dataset.table.drop_duplicates("image")["image"]
    found = [(image, one) for image in pictures for one in scan.defects(image)]
    return {
        name: sizes_of(of_class, view, root, enough, step)
        for index, name in enumerate(dataset.class_names)
        if (of_class := [pair for pair in found if pair[1].class_index == index])
    }


def sizes_of(
    found: Sequence[tuple[str, Defect]], view: NetworkView, root: Path, enough: int, step: int
) -> Card:
    areas = [one.area for _, one in found]
    image, smallest = min(found, key=lambda pair: (pair[1].resized, pair[1].area, pair[0]))
    lost = [one for _, one in found if defects.is_lost(one.area, one.resized, enough)]
    return {
        "number": len(found),
        "area": {"min": min(areas), "median": float(np.median(areas)), "max": max(areas)},
        "box": {  # width x height of the median, by area
            "width": int(np.median([one.width for _, one in found])),
            "height": int(np.median([one.height for _, one in found])),
        },
        "smallest": {
            "file": relative(image, root),
            "area": smallest.area,
            "resized": smallest.resized,
            "box": [smallest.left, smallest.top, smallest.width, smallest.height],
        },
        "vanished": sum(one.resized == 0 for _, one in found),
        "lost": len(lost),
        "keeping_size": list(keeping_size(lost, view, enough, step)),
    }


def keeping_size(
    lost: Sequence[Defect], view: NetworkView, enough: int, step: int
) -> tuple[int, int]:
    """The image_size that would lose none of the defects; in patches, the patch.size."""
    if view.patch:
        return view.size if lost else view.patch  # patches of the network's size lose no pixel
    return defects.keeping_size(lost, view.size, enough, step) if lost else view.size


def model_step(cfg: DictConfig) -> int:
    """The number that must divide the sides of the network's input; 64 without a model."""
    levels = OmegaConf.select(cfg, "model.num_layers")
    return 64 if levels is None else max(8, 2 ** (levels - 1))


def off_palette(table: pd.DataFrame, scan: ScanRecord, root: Path) -> Card:
    """Pixels of the masks that have no class colour: totals, and file by file."""
    masked = [row for row in rows(table.drop_duplicates("image")) if row.mask]
    odd = [(row, scan.off_palette(row.image)) for row in masked]
    total = sum(row.width * row.height for row in masked)
    number = sum(pixels for _, pixels in odd)
    return {
        "masks": len(masked),
        "pixels": number,
        "share": number / total if total else 0.0,
        "files": {
            relative(row.mask, root): {
                "pixels": pixels,
                "share": pixels / (row.width * row.height),
            }
            for row, pixels in sorted(odd, key=lambda pair: -pair[1])
            if pixels
        },
    }


def leakage_card(table: pd.DataFrame, scan: ScanRecord, root: Path) -> Card:
    """Pairs of copies in different splits, and the share of test pictures among them."""
    pairs = leakage.kept_pairs(table, scan.fingerprints, scan.kept)
    tested = table.loc[table["split"] == "test", "image"].nunique()
    touched = len(leakage.concerned(pairs))
    return {
        "number": len(pairs),
        "pairs": [
            pair._replace(
                first=relative(pair.first, root), second=relative(pair.second, root)
            )._asdict()
            for pair in pairs[:MOST_PAIRS]
        ],
        "test_images": tested,
        "test_images_concerned": touched,
        "share": touched / tested if tested else 0.0,
        "distance_limit": fingerprints.LIMIT,
    }


def leak_warnings(leaks: Card) -> Iterable[str]:
    if leaks["pairs"]:
        first = leaks["pairs"][0]
        yield (
            f"By names and content: {leaks['test_images_concerned']} of {leaks['test_images']} "
            f"test pictures ({leaks['share']:.0%}) have a copy in train or valid; there are "
            f"{leaks['number']} pairs such as {first['first']} and {first['second']} "
            f"({first['why']}). The scores are too high. split=ratios keeps copies of one "
            "source together; give pictures that are only alike one source, or remove them."
        )


def defect_warnings(sizes: Card, view: NetworkView, enough: int) -> Iterable[str]:
    size = size_text(view.size)
    setting = f"dataset.image_size={size}"
    if view.patch:
        setting = f"dataset.patch.size={size_text(view.patch)} seen at {size}"
    for name, of_class in sizes.items():
        smallest, lost = of_class["smallest"], of_class["lost"]
        if lost:
            yield (
                f"{name}: {setting} leaves less than {enough} pixels of "
                f"{lost} of {of_class['number']} defects, nothing of {of_class['vanished']}; of "
                f"the smallest, in {smallest['file']}, {smallest['resized']} of "
                f"{smallest['area']}. "
                f"{keeping(of_class['keeping_size'], view)}."
            )


def keeping(size: Sequence[int], view: NetworkView) -> str:
    """A sentence with the option that keeps every defect."""
    if view.patch:
        return f"dataset.patch.size={size_text(size)} would keep them"
    return (
        f"dataset.image_size={size_text(size)} would keep them, and so would patches at full "
        f"resolution: dataset.patch.size={size_text(view.size)}"
    )


def shape_warnings(table: pd.DataFrame, size: tuple[int, int], root: Path) -> Iterable[str]:
    """Warnings of pictures that resizing distorts: those of a few pixels, and very long ones."""
    odd = [row for row in rows(table.drop_duplicates("image")) if is_distorted(row, size)]
    for row in odd[:MOST_SHAPES]:
        yield (
            f"{relative(row.image, root)} is {row.width} x {row.height} pixels: resizing to "
            f"{size[1]} x {size[0]} distorts it. Cut it into parts, or remove it."
        )
    if len(odd) > MOST_SHAPES:
        yield f"{len(odd) - MOST_SHAPES} more pictures are as long or as small."


def is_distorted(row: Any, size: tuple[int, int]) -> bool:
    stretch = abs(math.log(row.height / row.width * size[1] / size[0]))
    return stretch > math.log(SQUEEZED) or min(row.height, row.width) < TINY


def odd_colours(paths: Iterable[str], palette: np.ndarray, most: int = 12) -> Card:
    """The most frequent mask colours that are not class colours: `r,g,b` → pixels, files."""
    found: dict[str, dict[str, int]] = {}
    for path in paths:
        try:
            colours = masks.odd_colours(path, palette)
        except InputError:  # the scan has reported it
            continue
        for colour, pixels in colours.items():
            entry = found.setdefault(",".join(map(str, colour)), {"pixels": 0, "files": 0})
            entry["pixels"] += pixels
            entry["files"] += 1
    ranked = sorted(found.items(), key=lambda item: -item[1]["pixels"])
    return {"number": len(found), "most_frequent": dict(ranked[:most])}


def relative(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path
