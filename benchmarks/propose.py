"""python benchmarks/propose.py label DATA CATEGORY [--seeds 0,1,2]: are 20 pictures that
`flexunet propose` chooses worth more than 20 random ones?
python benchmarks/propose.py time RUN PICTURES [--number 100]: its speed beside `flexunet infer`.

`label` is a simulation on a set whose truth is known. A fifth of the sources are test pictures, the
same for all seeds. For each seed, 30 of the others are labelled, of which every fifth validates;
`experiment=CATEGORY` is trained on them; and 20 more are chosen from the rest, by the network or at
random, labelled with their truth, and trained with. Each training is a row appended to
docs/measured/propose.csv; what is there is not done again, so the program can be cut off at any
time. Runs go into ./propose, features into ./cache.

`time` copies the pictures under other names until there are enough. None of them may be a picture
of the run, because near copies of labelled ones are not predicted.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402

from flexunet_exp.data import dataset as datasets  # noqa: E402
from flexunet_exp.data import masks  # noqa: E402
from flexunet_exp.data.dataset import Dataset  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "measured" / "propose.csv"
COLUMNS = ("category", "seed", "way", "labelled", "minutes", "dice", "defect_dice")
FIGURES = COLUMNS[-2:]
START, PROPOSE, RANDOM = WAYS = ("start", "propose", "random")
TESTED = 0.2  # share of all sources
VALIDATES = 5  # every fifth of the first labelled ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    label = commands.add_parser("label")
    label.add_argument("data", type=Path, help="a data_root")
    label.add_argument("category")
    label.add_argument("words", nargs="*", help="more words of flexunet train")
    label.add_argument("--seeds", default="0,1,2")
    label.add_argument("--start", type=int, default=30)
    label.add_argument("--more", type=int, default=20)
    label.add_argument("--table", type=Path, default=TABLE)
    label.set_defaults(work=simulated)
    timing = commands.add_parser("time")
    timing.add_argument("run")
    timing.add_argument("pictures", type=Path)
    timing.add_argument("--number", type=int, default=100)
    timing.add_argument("--repeats", type=int, default=2)
    timing.set_defaults(work=timed)
    given = parser.parse_args()
    given.work(given)


# === Labelling ===


def simulated(given: argparse.Namespace) -> None:
    words = (f"experiment={given.category}", f"data_root={given.data.absolute()}", *given.words)
    whole = datasets.load(compose(*words))
    whole.table["key"] = [datasets.sample_name(row) for row in datasets.rows(whole.table)]
    order = dealt(whole.table, 0)
    tested = order[: round(TESTED * len(order))]
    for seed in map(int, given.seeds.split(",")):
        rest = dealt(whole.table[~whole.table["key"].isin(tested)], seed)
        labelled, pool = rest[: given.start], rest[given.start :]
        for way in WAYS:
            if not is_done(given.table, given.category, seed, way):
                folder = Path("propose").absolute() / f"{given.category}_{seed}_{way}"
                more = [] if way == START else chosen(given, whole, seed, way, pool)
                cell(given, whole, folder, (tested, labelled, more), seed, words, way)


def dealt(table: pd.DataFrame, seed: int) -> list[str]:
    """The names of all pictures, each class spread evenly over the whole order."""
    draw = np.random.default_rng(seed)
    places: dict[str, float] = {}
    for _, own in table.groupby("label"):
        shuffled = draw.permutation(sorted(own["key"]))
        places |= {
            name: (place + draw.random()) / len(shuffled) for place, name in enumerate(shuffled)
        }
    return sorted(places, key=lambda name: places[name])


def chosen(
    given: argparse.Namespace, whole: Dataset, seed: int, way: str, pool: Sequence[str]
) -> list[str]:
    """The pictures of the pool that are labelled next."""
    if way == RANDOM:
        return list(np.random.default_rng(1000 + seed).permutation(pool)[: given.more])
    first = Path("propose").absolute() / f"{given.category}_{seed}_{START}"
    unlabelled, output = (
        first.with_name(f"{first.name}_pool"),
        first.with_name(f"{first.name}_next"),
    )
    for folder in (unlabelled, output):
        shutil.rmtree(folder, ignore_errors=True)
    unlabelled.mkdir()
    for row in rows(whole, pool):
        shutil.copyfile(row.image, unlabelled / f"{row.key}.png")
    run, number = first / "run", f"n={given.more}"
    flexunet("propose", f"run={run}", f"input={unlabelled}", f"output={output}", number)
    table = pd.read_csv(output / "proposal.csv", dtype=str).dropna(subset="rank")
    return table["name"].tolist()


def rows(whole: Dataset, names: Sequence[str]) -> list[Any]:
    return list(datasets.rows(whole.table[whole.table["key"].isin(names)]))


def cell(
    given: argparse.Namespace,
    whole: Dataset,
    folder: Path,
    parts: tuple[Sequence[str], Sequence[str], Sequence[str]],
    seed: int,
    words: Sequence[str],
    way: str,
) -> None:
    """Trains on the labelled pictures and those chosen later, and appends the row."""
    shutil.rmtree(folder, ignore_errors=True)
    tested, labelled, more = parts
    trained = [name for number, name in enumerate(labelled) if number % VALIDATES]
    divided = {"train": [*trained, *more], "valid": labelled[::VALIDATES], "test": tested}
    for split, names in divided.items():
        for row in rows(whole, names):
            write(row, row.key, whole.layout.read_mask(row), whole.palette, folder / "set" / split)
    started = time.perf_counter()
    flexunet(
        *("train", *words, "dataset/layout=image_mask", f"dataset.path={folder / 'set'}"),
        *(f"trainer.seed={seed}", f"hydra.run.dir={folder / 'run'}", "~callbacks.epoch_images"),
    )
    minutes = (time.perf_counter() - started) / 60
    scores = json.loads((folder / "run" / "evaluation" / "test" / "scores.json").read_text())
    values = [minutes, *(scores[name] for name in FIGURES)]
    key = [given.category, seed, way, len(labelled) + len(more)]
    append(given.table, [*key, *(f"{value:.4f}" for value in values)])


def write(row: Any, key: str, truth: np.ndarray, palette: np.ndarray, folder: Path) -> None:
    """A picture and its mask as `dataset/layout=image_mask` reads them."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(row.image, folder / "images" / f"{file_stem(key)}.png")
    masks.write_palette_mask(folder / "masks" / f"{file_stem(key)}.png", truth, palette)


def file_stem(key: str) -> str:
    """A sample's name as a file's, which the sample has again when it is read from this file."""
    return key.replace("-", "_")


def is_done(table: Path, category: str, seed: int, way: str) -> bool:
    if not table.exists():
        return False
    with table.open() as file:
        return any(line[:3] == [category, str(seed), way] for line in csv.reader(file))


def append(table: Path, values: list) -> None:
    is_new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerow(values)


# === Speed ===


def timed(given: argparse.Namespace) -> None:
    """Both commands in turn on the same pictures; start and loading of the network included."""
    seconds: dict[str, list[float]] = {"infer": [], "propose": []}
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch, "photos")
        photos.mkdir()
        sources = itertools.cycle(sorted(given.pictures.glob("*.png")))
        for number, file in enumerate(itertools.islice(sources, given.number)):
            shutil.copyfile(file, photos / f"{number:05d}.png")
        for turn in range(given.repeats):
            for name, own in seconds.items():
                output = Path(scratch, f"{name}{turn}")
                started = time.perf_counter()
                flexunet(name, f"run={given.run}", f"input={photos}", f"output={output}")
                own.append(time.perf_counter() - started)
    infer, propose = (min(seconds[name]) for name in ("infer", "propose"))
    print(f"flexunet infer    {infer:.1f} s for {given.number} pictures")
    print(f"flexunet propose  {propose:.1f} s")
    print(f"ratio of speeds   {infer / propose:.2f}")


def flexunet(*words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "flexunet_exp", *words], env=environment, check=True)


if __name__ == "__main__":
    main()
