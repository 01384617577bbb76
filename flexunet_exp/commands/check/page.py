"""card.html: the data card as one page that opens from disk without other files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from flexunet_exp.commands.check.survey_data import Examined
from flexunet_exp.commands.check.terminal import counts_text, percent, seeing, sizing
from flexunet_exp.config.compose import size_text
from flexunet_exp.data import masks
from flexunet_exp.data.card import Card, relative
from flexunet_exp.data.channels import Channels, shown
from flexunet_exp.data.dataset import rows
from flexunet_exp.data.defects import Defect
from flexunet_exp.reporting import panels
from flexunet_exp.reporting.html import address, jpeg, template
from flexunet_exp.system.files import replace_file

MOST_PAIRS, MOST_FILES, PICTURED_PAIRS = 60, 40, 4
COLOURS = {"train": "#1f5fa8", "valid": "#9dc3e6", "test": "#d1600a", "calibration": "#2a8a4a"}
AROUND = 96  # pixels: the least side of the part of a picture that is shown around a defect


def write(path: Path, examined: Examined) -> None:
    """Writes the card of an examined data set as a page."""
    card = examined.card
    replace_file(
        path,
        template("card.html")
        .render(
            card=card,
            size=size_text(card["image_size"]),
            seeing=seeing(card),
            sizing=sizing(card),
            splits=list(card["counts"]["all"])[:-1],
            charts=[counts_chart(card), defects_chart(examined)] if card["defects"] else [],
            classes=list(class_panels(examined)),
            pairs=list(pair_pictures(card, examined.dataset.channels)),
            most_pairs=MOST_PAIRS,
            most_files=MOST_FILES,
            counts_text=counts_text,
            percent=percent,
            size_text=size_text,
        )
        .encode(),
    )


def counts_chart(card: Card) -> str:
    """Pictures of each class: one bar per class, with one part per split."""
    labels = [label for label in card["counts"] if label != "all"]
    figure = Figure(figsize=(7.5, 0.8 + 0.35 * len(labels)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(labels))
    for split in list(card["counts"]["all"])[:-1]:
        images = [card["counts"][label][split]["images"] for label in labels]
        axes.barh(labels, images, left=left, color=COLOURS[split], label=split)
        left += images
    axes.invert_yaxis()
    axes.set_xlabel("pictures")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1))
    return png(figure)


def defects_chart(examined: Examined) -> str:
    """Every defect's area before and after resizing, one line per class."""
    names = list(examined.card["defects"])
    figure = Figure(figsize=(9, 1.2 + 0.42 * len(names)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        found = [one for _, one in defects_of(examined, name)]
        areas = np.maximum([[one.area, one.resized] for one in found], 0.5)
        labels = ("own size", "resized (gone: at the left)") if row == 0 else (None, None)
        axes.plot(
            areas[:, 0],
            np.full(len(found), row - 0.14),
            "o",
            ms=4,
            alpha=0.6,
            color="#777777",
            label=labels[0],
        )
        axes.plot(
            areas[:, 1],
            np.full(len(found), row + 0.14),
            "o",
            ms=4,
            alpha=0.6,
            color="#d1600a",
            label=labels[1],
        )
    axes.axvline(examined.card["enough_pixels"], color="#a04000", linestyle="--", linewidth=1)
    axes.set(xscale="log", yticks=range(len(names)), yticklabels=names, xlabel="pixels a defect")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1))
    return png(figure)


def class_panels(examined: Examined) -> Iterator[tuple[str, list[str]]]:
    """For each class: the picture of its median defect, and its smallest defect after resizing."""
    for name in examined.card["defects"]:
        found = sorted(defects_of(examined, name), key=lambda pair: pair[1].area)
        smallest = min(found, key=lambda pair: (pair[1].resized, pair[1].area))
        typical = found[len(found) // 2]
        pictures = [panel(examined, *typical, whole=True), panel(examined, *smallest, whole=False)]
        yield name, [jpeg(Image.fromarray(one)) for one in pictures]


def defects_of(examined: Examined, name: str) -> list[tuple[str, Defect]]:
    index = examined.dataset.class_names.index(name)
    return [
        (image, one)
        for image in examined.dataset.table["image"].unique()
        for one in examined.scan.defects(image)
        if one.class_index == index
    ]


def panel(examined: Examined, image: str, defect: Defect, whole: bool) -> np.ndarray:
    """A picture, or the surroundings of one defect: image, truth, and the truth when resized."""
    dataset = examined.dataset
    sample = next(rows(dataset.table[dataset.table["image"] == image]))
    pixels, truth = dataset.read(sample)
    size = examined.view.size_of(truth.shape)
    seen = masks.resize_mask(masks.resize_mask(truth, size), truth.shape)
    view = (slice(None), slice(None)) if whole else surroundings(defect, truth.shape)
    what = "a typical picture" if whole else "the smallest after resizing"
    file = relative(image, Path(examined.card["path"]))
    title = f"{what}: {file} ({defect.area} pixels, {defect.resized} resized)"
    captions = ("image", "truth", f"truth at {size_text(size)}")
    return panels.panel(
        *(pixels[view], truth[view], seen[view]),
        *(dataset.class_names, dataset.palette, title),
        captions=captions,
    )


def surroundings(defect: Defect, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns around a defect: twice the defect's size, and at least AROUND."""
    spans = []
    boxes = ((defect.top, defect.height), (defect.left, defect.width))
    extent = max(AROUND, 2 * defect.height, 2 * defect.width)
    for (start, length), side in zip(boxes, shape, strict=True):
        first = max(0, min(start + length // 2 - extent // 2, side - extent))
        spans.append(slice(first, first + extent))
    return spans[0], spans[1]


def picture(path: Path, channels: Channels) -> np.ndarray:
    """A picture (H, W, 3) to look at: 16 bits are scaled by its own range."""
    return shown(masks.decode_with_header(channels.contents(path), path, channels)[0])


def pair_pictures(card: Card, channels: Channels) -> Iterator[dict[str, Any]]:
    """The first pairs of the leakage, each with both of its pictures."""
    root = Path(card["path"])
    for pair in card["leakage"]["pairs"][:PICTURED_PAIRS]:
        sides = [picture(root / pair[key], channels) for key in ("first", "second")]
        small = [masks.resize_image(one, (200, 200)) for one in sides]
        yield {**pair, "picture": jpeg(Image.fromarray(np.hstack(small)))}


def png(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return address("png", content.getvalue())
