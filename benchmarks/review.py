"""python benchmarks/review.py right DATA RUN … [--seeds 0,1,2]
python benchmarks/review.py spoiled DATA WORD … [--seeds 0,1,2]: does `flexunet review` find labels
that were spoiled on purpose?

A tenth of the true regions is spoiled: removed, moved by 20 px, or given another class. Precision
and recall are those of the first tenth of the ranking, against a random order of the same regions.
Each seed is a row appended to docs/measured/review.csv, under the name DATA; what is there is not
done again.

`right`: the networks of the runs were trained on right labels, and only the truth that is compared
is spoiled. This is optimistic. Predictions are kept in ./review_looks.
`spoiled`: five folds are trained by `flexunet train WORD …` on a copy whose labels are spoiled, so
the networks learn some of the mistakes. Copies and runs go into ./review_spoiled.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).resolve().parent))

import propose  # noqa: E402
from composing import compose  # noqa: E402
from recipes import command  # noqa: E402

from flexunet_exp.commands.review.predicting import reviewed
from flexunet_exp.data import dataset as datasets
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


class Labelled(NamedTuple):
    """A picture with its label."""

    name: str
    truth: np.ndarray


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
    looks: Sequence[Kept | Labelled], classes: int, seed: int
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


def measured(
    looks: Sequence[Kept],
    truths: Mapping[str, np.ndarray],
    spoiled: Sequence[Spoiled],
    classes: int,
    seed: int,
) -> dict[str, float]:
    """What the first tenth of the ranking holds, against a random order of the same regions."""
    pictures = [compare(truths[one.name], one.levels, one.mask) for one in looks]
    found = doubts.find(pictures, classes).doubts
    first = len(spoiled)
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
        **{"spoiled": len(spoiled), "first": first},
        **{"precision": round(precision, 3), "recall": round(recall, 3)},
        "expected": round(float(doubts.expected_precision(found)[first - 1]), 3),
        "random_precision": round(float(by_chance[0]), 3),
        "random_recall": round(float(by_chance[1]), 3),
    }


def number_of_labels(looks: Sequence[Kept | Labelled]) -> int:
    return sum(len(list(components(one.truth))) for one in looks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for work, words in ((right, "the multirun, or the runs of the folds"), (wrong, "of train")):
        own = commands.add_parser("right" if work is right else "spoiled")
        own.add_argument("data", help="its name in the table")
        own.add_argument("words", nargs="+", help=words)
        own.add_argument("--seeds", default="0,1,2")
        own.set_defaults(work=work)
    given = parser.parse_args()
    given.work(given.data, given.words, [int(seed) for seed in given.seeds.split(",")])


def right(data: str, words: Sequence[str], seeds: Sequence[int]) -> None:
    """Networks that were trained on right labels."""
    looks = list(kept_looks([Path(word) for word in words], data))
    classes = len(looks[0].levels) + 1
    for seed in seeds:
        truths, spoiled = spoil(looks, classes, seed)
        row = {"data": data, "trained_on": "right labels", "seed": seed}
        row |= {"labels": number_of_labels(looks)}
        append(row | measured(looks, truths, spoiled, classes, seed))


def wrong(data: str, words: Sequence[str], seeds: Sequence[int]) -> None:
    """Networks that were trained on spoiled labels."""
    whole = datasets.load(compose(*words))
    samples = {
        propose.file_stem(datasets.sample_name(one)): one for one in datasets.rows(whole.table)
    }
    labelled = [Labelled(name, whole.layout.read_mask(one)) for name, one in samples.items()]
    for seed in (one for one in seeds if not is_done(data, "spoiled labels", one)):
        truths, spoiled = spoil(labelled, whole.num_classes, seed)
        folder = Path("review_spoiled").absolute() / f"{data}_{seed}"
        if not (folder / "runs").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for name, one in samples.items():
                propose.write(one, name, truths[name], whole.palette, folder / "set" / "train")
            command(
                (
                    *("train", "-m", *words, "dataset/layout=image_mask", "split=folds"),
                    *("split.valid=0.125", "split.fold=0,1,2,3,4", f"trainer.seed={seed}"),
                    *(f"dataset.path={folder / 'set'}", f"hydra.sweep.dir={folder / 'runs'}"),
                )
            )
        looks = list(kept_looks([folder / "runs"], f"{data}_spoiled_{seed}"))
        row = {"data": data, "trained_on": "spoiled labels", "seed": seed}
        row |= {"labels": number_of_labels(labelled)}
        read = {one.name: one.truth for one in looks}
        append(row | measured(looks, read, spoiled, whole.num_classes, seed))


def is_done(data: str, trained_on: str, seed: int) -> bool:
    if not TABLE.exists():
        return False
    with TABLE.open() as file:
        return any(line[:3] == [data, trained_on, str(seed)] for line in csv.reader(file))


def append(row: dict) -> None:
    """Prints a row, and appends it unless the table has it."""
    print(row, flush=True)
    if is_done(*(row[name] for name in COLUMNS[:3])):
        return
    is_new = not TABLE.exists()
    with TABLE.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
