"""python benchmarks/review.py RUN … [--data grid] [--seeds 0,1,2]: does `flexunet review` find
labels that were spoiled on purpose?

A tenth of the true regions of the runs' test pictures is spoiled: removed, moved by 20 px, or given
another class. Precision and recall are those of the first tenth of the ranking, against a random
order of the same regions. Each seed is a row appended to docs/measured/review.csv; what is there is
not done again. Predictions are kept in ./review_looks, so the program can be cut off at any time.

Only the truth that is compared is spoiled. The networks were trained on right labels, which is
optimistic: networks that train on spoiled labels learn some of the mistakes.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from omegaconf import OmegaConf

from flexunet_exp.commands.review.predicting import reviewed
from flexunet_exp.labels import doubts
from flexunet_exp.labels.compared import Box, compare, components
from flexunet_exp.runs.folder import load_below

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "measured" / "review.csv"
COLUMNS = (
    *("data", "trained_on", "seed", "labels", "spoiled", "first", "precision", "recall"),
    *("random_precision", "random_recall", "expected"),
)
SHARE, MOVED = 0.1, 20  # of the labels; pixels
REMOVED, SHIFTED, EXCHANGED = WAYS = ("removed", "moved", "class")


class Spoiled(NamedTuple):
    """A label that was spoiled: its picture, how, and the boxes where it shows."""

    picture: str
    way: str
    boxes: tuple[Box, ...]


class Kept(NamedTuple):
    """A picture as it was predicted."""

    name: str
    truth: np.ndarray
    mask: np.ndarray
    levels: np.ndarray


def kept_looks(runs: Sequence[Path], data: str) -> Iterator[Kept]:
    """The test pictures of the runs; predicted where ./review_looks lacks them."""
    folder = Path("review_looks") / data
    folder.mkdir(parents=True, exist_ok=True)
    every = [one for run in runs for one in load_below(run)]
    with TemporaryDirectory() as scratch:
        found = reviewed(every, OmegaConf.create({}), Path(scratch) / "masks")
        named = enumerate(found.names)
        lacking = {number for number, name in named if not (folder / f"{name}.npz").exists()}
        for look, levels in found.predicted(lacking) if lacking else ():
            np.savez_compressed(
                folder / f"{found.names[look.number]}.npz",
                truth=look.truth,
                mask=look.mask,
                levels=levels,
            )
    for name in found.names:
        with np.load(folder / f"{name}.npz") as kept:
            yield Kept(name, kept["truth"], kept["mask"], kept["levels"])


def spoil(
    looks: Sequence[Kept], classes: int, seed: int
) -> tuple[dict[str, np.ndarray], list[Spoiled]]:
    """The truths by name, a tenth of whose regions are spoiled, and which."""
    draw = np.random.default_rng(seed)
    truths = {one.name: one.truth.copy() for one in looks}
    labels = [(one, part) for one in looks for part in components(one.truth)]
    chosen = draw.choice(len(labels), round(SHARE * len(labels)), replace=False)
    spoiled = []
    for turn, number in enumerate(chosen.tolist()):
        one, (label, box, pixels) = labels[number]
        way = WAYS[turn % len(WAYS)]
        boxes = spoil_one(truths[one.name], label, box, pixels, way, classes, draw)
        spoiled.append(Spoiled(one.name, way, boxes))
    return truths, spoiled


def spoil_one(
    truth: np.ndarray,
    label: int,
    box: Box,
    pixels: np.ndarray,
    way: str,
    classes: int,
    draw: np.random.Generator,
) -> tuple[Box, ...]:
    """Spoils a region in place; the boxes where it shows."""
    if way == EXCHANGED:
        others = [one for one in range(1, classes) if one != label]
        truth[box.place][pixels] = draw.choice(others)
        return (box,)
    truth[box.place][pixels] = 0
    if way == REMOVED:
        return (box,)
    angle = draw.uniform(0, 2 * np.pi)
    rows, columns = np.nonzero(pixels)
    rows = rows + box.top + round(MOVED * np.sin(angle))
    columns = columns + box.left + round(MOVED * np.cos(angle))
    inside = (rows >= 0) & (columns >= 0) & (rows < truth.shape[0]) & (columns < truth.shape[1])
    rows, columns = rows[inside], columns[inside]
    truth[rows, columns] = label
    if not len(rows):
        return (box,)
    left, top = int(columns.min()), int(rows.min())
    moved = Box(left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1)
    return (box, moved)


def meets(first: Box, second: Box) -> bool:
    """Whether two boxes have an intersection of half the smaller one."""
    width = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
    height = min(first.top + first.height, second.top + second.height) - max(first.top, second.top)
    least = min(first.width * first.height, second.width * second.height)
    return width > 0 and height > 0 and width * height >= least / 2


def hits(ranked: Sequence[tuple[str, Box]], spoiled: Sequence[Spoiled]) -> tuple[float, float]:
    """Precision and recall of regions, each a picture and a box."""
    pairs = [
        (place, number)
        for place, (picture, box) in enumerate(ranked)
        for number, one in enumerate(spoiled)
        if picture == one.picture and any(meets(box, other) for other in one.boxes)
    ]
    right, found = {place for place, _ in pairs}, {number for _, number in pairs}
    return len(right) / max(len(ranked), 1), len(found) / max(len(spoiled), 1)


def measured(looks: Sequence[Kept], classes: int, seed: int) -> dict[str, float]:
    """What the first tenth of the ranking holds, against a random order of the same regions."""
    truths, spoiled = spoil(looks, classes, seed)
    pictures = [compare(truths[one.name], one.levels, one.mask) for one in looks]
    found = doubts.find(pictures, classes).doubts
    labels = sum(len(list(components(one.truth))) for one in looks)
    first = round(SHARE * labels)
    ranked = [(looks[one.picture].name, one.box) for one in found[:first]]
    everything = [
        (one.name, region.box)
        for one, picture in zip(looks, pictures, strict=True)
        for region in picture.regions
        if region.is_true or region.met == 0
    ]
    draw = np.random.default_rng(seed)
    order = [draw.permutation(len(everything))[:first] for _ in range(50)]
    by_chance = np.mean([hits([everything[n] for n in one], spoiled) for one in order], axis=0)
    precision, recall = hits(ranked, spoiled)
    return {
        **{"labels": labels, "spoiled": len(spoiled), "first": first},
        **{"precision": round(precision, 3), "recall": round(recall, 3)},
        "expected": round(float(doubts.expected_precision(found)[first - 1]), 3),
        "random_precision": round(float(by_chance[0]), 3),
        "random_recall": round(float(by_chance[1]), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="the multirun, or the runs of the folds")
    parser.add_argument("--data", default="grid", help="its name in the table")
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    looks = list(kept_looks(given.runs, given.data))
    classes = len(looks[0].levels) + 1
    for seed in map(int, given.seeds.split(",")):
        row = {"data": given.data, "trained_on": "right labels", "seed": seed}
        row |= measured(looks, classes, seed)
        print(row, flush=True)
        append(row)


def append(row: dict) -> None:
    """Appends a row, unless the table has it."""
    key = [str(row[name]) for name in ("data", "trained_on", "seed")]
    is_new = not TABLE.exists()
    if not is_new:
        with TABLE.open() as file:
            if any(line[:3] == key for line in csv.reader(file)):
                return
    with TABLE.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
