"""python benchmarks/recipes.py DATA CATEGORY RECIPE … [--folds 0,1,2] [--seeds 0]: recipes,
out-of-fold, or by a protocol of the literature: --folds third, --folds five_shot.

DATA is a data_root: the folder that has mvtec_anomaly_detection. A RECIPE is `before`, a name of
CHANGES, or several joined by + (half+lite2). Each recipe is trained on the
folds by `flexunet train`, each fold a command of its own whose wall time counts, and pooled by
`flexunet evaluate`. Every finished fold and every pooled score is a row appended to
docs/measured/recipes.csv; what is there is not done again, so the program can be cut off at any
time. Runs go into ./recipes, features into ./cache.
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

# The experiments as they were before networks had pretrained encoders.
BEFORE = {
    "grid": (
        *("model=flexunet_small", "model.num_layers=6", "dataset.image_size=256"),
        *("dataset.cache=memory", "optimizer.learning_rate=5e-3", "trainer.epochs=200"),
        *("trainer.batch_size=4", "schedule=cosine", "callbacks.early_stopping.patience=200"),
        *("callbacks.epoch_images.num_images=6", "callbacks.epoch_images.every=10"),
    ),
}
BEFORE["screw"] = (
    *(*BEFORE["grid"], "dataset.patch.size=256", "dataset.patch.foreground=0.5"),
    *("dataset.patch.per_image=4", "dataset.good_share=0.1", "trainer.epochs=12"),
    "schedule.warmup_epochs=1",
)
WHOLE = (
    "dataset.patch.features=null",
    "dataset.cache=none",
    "augmentation.views=null",
)  # a network that trains as a whole
PATCHES = (  # the same scale and size of patches, cut from pictures and not from features
    *("dataset.patch.features=null", "dataset.cache=memory", "augmentation=turns"),
    *("augmentation.views=null", "dataset.image_size=256", "dataset.patch.size=341"),
    "dataset.patch.per_image=8",
)
CHANGES: dict[str, tuple[str, ...]] = {  # of experiment=CATEGORY as shipped
    "shipped": (),
    "paste": ("augmentation=paste", "augmentation.views=16"),  # as grid was until 2026-11-29
    "half": ("augmentation=paste", "augmentation.views=8", "trainer.epochs=10"),
    "double": ("trainer.epochs=40",),
    "flips_turns": ("predict.tta=flips_turns",),  # scores the runs of `shipped`, trains nothing
    "short": ("trainer.epochs=4",),
    "float32": ("dataset.feature_type=float32",),
    "uncached": (
        "dataset.cache=none",
        "dataset.patch.features=null",
        "augmentation.views=null",
        "trainer.epochs=3",
    ),
    "random": ("model.encoder_weights=null",),
    "expanded": ("model.encoder.features=expanded",),
    "lite2": ("model/encoder=efficientnet_lite2",),
    "px256": ("dataset.image_size=256",),
    "px512": ("dataset.image_size=512",),
    "px1024": ("dataset.image_size=1024",),
    "stride2": ("model.output_stride=2",),
    "stride8": ("model.output_stride=8",),
    "turns": ("augmentation=turns", "augmentation.views=null"),
    "no_views": ("augmentation=none", "augmentation.views=null"),
    "ema": ("optimizer.use_ema=true", "optimizer.ema_momentum=0.98"),
    "dropout": ("model.dropout_rate=0.3",),
    "smoothing": ("loss.label_smoothing=0.1",),
    "good_all": ("dataset.good=all",),
    "good_fifth": ("dataset.good=all", "dataset.good_share=0.2"),
    "good_adaptive": ("dataset.good=all", "dataset.good_share=adaptive"),
    "foreground25": ("dataset.patch.foreground=0.25",),
    "pooled": ("loss.pool_batches=8",),
    "whole": WHOLE,
    "patches_last_stages": (*PATCHES, "model.encoder_trainable=last_stages"),
    "patches_all": (*PATCHES, "model.encoder_trainable=no_batch_norm"),
    "last_stages": (*WHOLE, "model.encoder_trainable=last_stages", "trainer.epochs=20"),
    "all": (*WHOLE, "model.encoder_trainable=no_batch_norm", "trainer.epochs=10"),
}
PROTOCOLS = ("third", "five_shot")


def words_of(category: str, recipe: str) -> tuple[str, ...]:
    if recipe == "before":
        return BEFORE[category]
    changes = (word for change in recipe.split("+") for word in CHANGES[change])
    return (f"experiment={category}", "~callbacks.epoch_images", *changes)


def known_recipe(recipe: str) -> str:
    """The recipe, if it is `before`, a change, or changes joined by +."""
    unknown = [] if recipe == "before" else [c for c in recipe.split("+") if c not in CHANGES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(unknown)}; there are before, {', '.join(CHANGES)}"
        )
    return recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("category")
    parser.add_argument("recipes", nargs="+", type=known_recipe)
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--seeds", default="0")
    given = parser.parse_args()
    folds = given.folds.split(",")
    for seed in map(int, given.seeds.split(",")):
        for recipe in given.recipes:
            for fold in folds:
                measured(given.data, given.category, recipe, seed, fold)
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
        *("train", f"dataset={category}", f"data_root={data.absolute()}"),
        *split_words(fold),
        *(f"trainer.seed={seed}", f"hydra.run.dir={folder}"),
        *words_of(category, recipe),
    )
    started = time.perf_counter()
    command(words)
    minutes = (time.perf_counter() - started) / 60
    row(category, recipe, seed, fold, minutes, folder / "evaluation")


def split_words(fold: str) -> tuple[str, ...]:
    if fold in PROTOCOLS:
        return (f"split={fold}",)
    return ("split=folds", f"split.fold={fold}", "split.valid=0.125")


def pooled(category: str, recipe: str, seed: int, folds: list[str]) -> None:
    """Scores the folds as one, unless that is done."""
    name = "+".join(folds)
    if len(folds) < 2 or done(category, recipe, seed, name):
        return
    runs = ",".join(str(folder_of(category, recipe, seed, fold)) for fold in folds)
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
