"""python benchmarks/supervision.py [--seeds 0,1,2] [--epochs 30] [--networks unet3plus,u2netp]:
deep supervision beside none, in equal minutes.

Generated zippers of 256 px are trained by `flexunet train` as RECIPE and NETWORKS say. A
first row of each way has the seconds of an epoch; the slower way gets fewer epochs, so that both
train for the same time. Each finished training is a row appended to docs/measured/supervision.csv;
what is there is not done again, so the program can be cut off. Runs go into ./supervision.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))

import recipes  # noqa: E402
from model_steps import keep  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "measured" / "supervision.csv"
COLUMNS = (
    "network",
    "side_weight",
    "seed",
    "epochs",
    "minutes",
    "valid_dice",
    "dice",
    "defect_dice",
)
RECIPE = (
    *("dataset=zipper", "dataset/layout=synthetic"),
    *("dataset.layout.images_per_class=20", "dataset.layout.good_images=20"),
    *("dataset.cache=memory", "augmentation=flips", "optimizer=adamw"),
    *("optimizer.learning_rate=1e-3", "schedule=cosine", "callbacks=last_weights"),
    "~callbacks.epoch_images",
)
NETWORKS = {
    "u2netp": ("model=u2netp", "dataset.image_size=64"),
    "unet3plus": ("model=unet3plus", "model.base_filters=16", "dataset.image_size=128"),
}
NONE, SUPERVISED = WEIGHTS = ("null", "1.0")
TIMED = 3  # epochs of the training that measures an epoch's seconds; the first is not counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=30, help="without deep supervision")
    parser.add_argument("--networks", default="unet3plus,u2netp")
    given = parser.parse_args()
    for network in given.networks.split(","):
        seconds = {weight: epoch_seconds(network, weight) for weight in WEIGHTS}
        budget = given.epochs * seconds[NONE]
        for seed in map(int, given.seeds.split(",")):
            for weight in WEIGHTS:
                measured(network, weight, seed, round(budget / seconds[weight]))


def folder_of(network: str, weight: str, seed: int, epochs: int) -> Path:
    return Path("supervision").absolute() / f"{network}_{weight}_{seed}_{epochs}"


def epoch_seconds(network: str, weight: str) -> float:
    """Seconds of an epoch, the mean of those after the first."""
    folder = folder_of(network, weight, 0, TIMED)
    if not (folder / "evaluation").exists():
        train(network, weight, 0, TIMED, folder, "trainer.profile=true", "rerun=all")
    table = pd.read_csv(folder / "profile.csv").set_index("phase")
    return float(table.seconds["all"])


def measured(network: str, weight: str, seed: int, epochs: int) -> None:
    """Trains and appends a row, unless it is there."""
    key = [network, weight, str(seed), str(epochs)]
    if TABLE.exists() and any(row[:4] == key for row in csv.reader(TABLE.open())):
        return
    folder = folder_of(network, weight, seed, epochs)
    started = time.perf_counter()
    train(network, weight, seed, epochs, folder)
    minutes = (time.perf_counter() - started) / 60
    test, valid = (
        json.loads((folder / "evaluation" / part / "scores.json").read_text())
        for part in ("test", "valid")
    )
    figures = (minutes, valid["dice"], test["dice"], test["defect_dice"])
    row = [*key, *(f"{value:.4f}" for value in figures)]
    keep(TABLE, COLUMNS, [dict(zip(COLUMNS, row, strict=True))])


def train(network: str, weight: str, seed: int, epochs: int, folder: Path, *more: str) -> None:
    words = (
        *("train", *RECIPE, *NETWORKS[network], f"trainer.deep_supervision={weight}"),
        *(f"trainer.seed={seed}", f"trainer.epochs={epochs}", f"hydra.run.dir={folder}", *more),
    )
    recipes.command(words)


if __name__ == "__main__":
    main()
