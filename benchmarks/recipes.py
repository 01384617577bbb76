"""python benchmarks/recipes.py DATA CATEGORY RECIPE … [--folds 0,1,2] [--seeds 0]: recipes,
out-of-fold.

DATA is a data_root: the folder that has mvtec_anomaly_detection. Each recipe is trained on the folds by `flexunet train`, each fold
a command of its own whose wall time counts, and pooled by `flexunet evaluate`. Every finished fold
and every pooled score is a row appended to docs/measured/recipes.csv; what is there is not done
again, so the program can be cut off at any time. Runs go into ./recipes.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "measured" / "recipes.csv"
FIGURES = ("dice", "defect_dice", "average_precision", "pixel_auroc", "au_pro")
COLUMNS = ("category", "recipe", "seed", "fold", "minutes", "valid_dice", *FIGURES, "false_alarms")

FROZEN = (
    *("model=unet", "dataset.cache=features", "augmentation=turns", "schedule=cosine"),
    *("optimizer=adamw", "optimizer.learning_rate=3e-3", "optimizer.weight_decay=1e-2"),
    *("trainer.batch_size=8", "predict.tta=flips", "~callbacks.epoch_images"),
    *("schedule.warmup_epochs=1", "callbacks.early_stopping.patience=1000"),
)
RECIPES: dict[str, tuple[str, ...]] = {
    "today": (),  # experiment=CATEGORY as shipped
    "frozen_768": (*FROZEN, "dataset.image_size=768", "trainer.epochs=60"),
    "frozen_512": (*FROZEN, "dataset.image_size=512", "trainer.epochs=60"),
    "frozen_256": (*FROZEN, "dataset.image_size=256", "trainer.epochs=60"),
    "frozen_1024": (*FROZEN, "dataset.image_size=1024", "trainer.epochs=40"),
    "frozen_768_paste": (
        *(*FROZEN, "dataset.image_size=768", "trainer.epochs=60", "augmentation=paste"),
        "augmentation.views=16",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("category")
    parser.add_argument("recipes", nargs="+", choices=RECIPES)
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--seeds", default="0")
    given = parser.parse_args()
    folds = [int(fold) for fold in given.folds.split(",")]
    for seed in map(int, given.seeds.split(",")):
        for recipe in given.recipes:
            for fold in folds:
                measured(given.data, given.category, recipe, seed, str(fold))
            pooled(given.category, recipe, seed, folds)


def done(category: str, recipe: str, seed: int, fold: str) -> bool:
    if not TABLE.exists():
        return False
    key = [category, recipe, str(seed), fold]
    with TABLE.open() as file:
        return any(row[:4] == key for row in csv.reader(file))


def folder_of(category: str, recipe: str, seed: int, fold: str) -> Path:
    return Path("recipes").absolute() / f"{category}_{recipe}_{seed}_{fold}"


def measured(data: Path, category: str, recipe: str, seed: int, fold: str) -> None:
    """Trains a fold, unless its row is there."""
    if done(category, recipe, seed, fold):
        return
    folder = folder_of(category, recipe, seed, fold)
    words = (
        *("train", f"dataset={category}", f"data_root={data.absolute()}", "split=folds"),
        *(f"split.fold={fold}", f"trainer.seed={seed}", f"hydra.run.dir={folder}"),
        *RECIPES[recipe],
    )
    if recipe == "today":
        words = (*words, f"experiment={category}")
    started = time.perf_counter()
    command(words)
    minutes = (time.perf_counter() - started) / 60
    row(category, recipe, seed, fold, minutes, folder / "evaluation")


def pooled(category: str, recipe: str, seed: int, folds: list[int]) -> None:
    """Scores the folds as one, unless that is done."""
    name = "+".join(map(str, folds))
    if len(folds) < 2 or done(category, recipe, seed, name):
        return
    runs = ",".join(str(folder_of(category, recipe, seed, str(fold))) for fold in folds)
    folder = folder_of(category, recipe, seed, name)
    command(("evaluate", f"run=[{runs}]", f"hydra.run.dir={folder}"))
    row(category, recipe, seed, name, float("nan"), folder / "evaluation")


def command(words: tuple[str, ...]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "flexunet_exp", *words], env=environment, check=True)


def row(category: str, recipe: str, seed: int, fold: str, minutes: float, evaluation: Path) -> None:
    test = json.loads((evaluation / "test" / "scores.json").read_text())
    valid = evaluation / "valid" / "scores.json"
    valid_dice = json.loads(valid.read_text())["dice"] if valid.exists() else float("nan")
    values = [
        minutes,
        valid_dice,
        *(test[name] for name in FIGURES),
        test["false_alarms_per_image"],
    ]
    is_new = not TABLE.exists()
    with TABLE.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerow([category, recipe, seed, fold, *(f"{value:.4f}" for value in values)])


if __name__ == "__main__":
    main()
