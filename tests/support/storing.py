"""Runs in a real store without any training: real pictures, masks, counts and tables of figures."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import resolvers
from flexunet_exp.config.compose import conf_dir, plain
from flexunet_exp.config.overrides import Word
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import masks
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.scores import confusions
from flexunet_exp.tracking.store import ERROR, PARENT, RUN_FOLDER, SCORING, SIGNATURE, SWEEP, Store

SIDE = 32
FOLDS = 3


def make_pictures(root: Path, per_class: int = 6, good: int = 3) -> Path:
    """A data root with a small `grid` in the layout of MVTec AD, each defect a rectangle."""
    grid, draw = root / "mvtec_anomaly_detection" / "grid", np.random.default_rng(0)
    numbers = [(name, per_class) for name in ("bent", "broken", "glue", "thread")]
    numbers += [("metal_contamination", per_class), ("good", good)]
    for name, count in numbers:
        for index in range(count):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            top, left = draw.integers(0, SIDE // 2, 2)
            height, width = draw.integers(6, SIDE // 2, 2)
            mask[top : top + height, left : left + width] = 255
            write(grid / "test" / name / f"{index:03}.png", draw.integers(0, 255, (SIDE, SIDE)))
            if name != "good":
                write(grid / "ground_truth" / name / f"{index:03}_mask.png", mask)
    return root


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture.astype(np.uint8))


@cache
def fold_of(root: Path, fold: str) -> tuple[DictConfig, Dataset]:
    """The configuration of a fold and its data, which the other options of a run do not change."""
    from hydra import compose, initialize_config_dir

    resolvers.register_resolvers()
    words = ["dataset=grid", f"data_root={root}", "split=folds", f"split.n={FOLDS}"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", [*words, f"split.fold={fold}"])
    return cfg, datasets.load(cfg)


def parent_run(store: Store, name: str) -> str:
    return store.create_run(name, {SWEEP: hashlib.sha256(name.encode()).hexdigest()[:16]})


def predicted(truth: np.ndarray, quality: float, draw: np.random.Generator) -> np.ndarray:
    """The truth with a share of its rows lost, more or less `quality`, and some false alarms."""
    found = truth.copy()
    found[draw.random(len(truth)) > quality + draw.normal(0, 0.05)] = 0
    found[draw.random(truth.shape) > 0.98] = 1
    return found


def stored_run(
    store: Store,
    root: Path,
    words: Sequence[str],
    quality: float,
    parent: str = "",
    status: str = "FINISHED",
    error: str = "",
    keep: str = "everything",
) -> str:
    """Records the run that `words` would train, as good as `quality` (0..1), and returns its id.

    `keep` says which files it keeps: everything, no predictions, or nothing.
    """
    settings = {word.key.rsplit(".", 1)[-1]: word.value for word in map(Word.parse, words)}
    params = {"model": "flexunet", "loss": "ce_dice", "seed": "0", "fold": "0", **settings}
    cfg, dataset = fold_of(root, params["fold"])
    signature = hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()[:16]
    tags = {
        SIGNATURE: signature,
        SCORING: "0",
        RUN_FOLDER: f"/runs/{signature}",
        "overrides": " ".join(["dataset=grid", "split=folds", f"split.n={FOLDS}", *words]),
        "test_digest": dataset.split_digest("test"),
        **({PARENT: parent} if parent else {}),
        **({ERROR: error} if error else {}),
    }
    run_id = store.create_run(" ".join(words), tags)
    store.log_params(run_id, {"dataset": "grid", **params})
    if status == "FINISHED":
        record(store, run_id, cfg, dataset, quality, int(signature, 16), keep)
    if status != "RUNNING":
        store.client.set_terminated(run_id, status)
    return run_id


def record(
    store: Store,
    run_id: str,
    cfg: DictConfig,
    dataset: Dataset,
    quality: float,
    seed: int,
    keep: str,
) -> None:
    """The figures and files of a finished run."""
    draw, figures, now = np.random.default_rng(seed), {}, int(time.time() * 1000)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for split, prefix in (("valid", "val"), ("test", "test")):
            place = folder / "evaluation" / split
            counts = predict(dataset, split, quality, draw, place, keep == "everything")
            summary = confusions.summary(counts, dataset.class_names)
            figures |= {f"{prefix}/{name}": value for name, value in summary.items()}
        datasets.write_table(dataset.table, folder / "samples.csv")
        (folder / "config").mkdir()
        OmegaConf.save(OmegaConf.create(plain(cfg)), folder / "config" / "config.yaml")
        (folder / "config" / "model.txt").write_text("parameters:      1,234 (1,234 trainable)\n")
        if keep != "nothing":
            store.client.log_artifacts(run_id, str(folder))
    defined = [(key, value, now, 0) for key, value in figures.items() if not np.isnan(value)]
    store.log_metrics(run_id, defined)


def predict(
    dataset: Dataset,
    split: str,
    quality: float,
    draw: np.random.Generator,
    folder: Path,
    with_masks: bool,
) -> np.ndarray:
    """Counts (N, C, C) of a split's pictures, kept with the masks below `folder`."""
    (folder / "predictions").mkdir(parents=True)
    names, counts = [], []
    for sample in datasets.rows(dataset.split(split)):
        truth = dataset.layout.read_mask(sample)
        mask = predicted(truth, quality, draw)
        names.append(datasets.sample_name(sample))
        counts.append(confusions.confusion(truth, mask, dataset.num_classes))
        if with_masks:
            path = folder / "predictions" / f"{names[-1]}.png"
            masks.write_palette_mask(path, mask, dataset.palette)
    kept = np.stack(counts)
    classes = dataset.class_names
    confusions.save_counts(folder / "confusions.npz", names, kept, np.zeros(len(names)), classes)
    return kept


def sweep(
    store: Store, root: Path, name: str, qualities: dict[str, float], seeds: int = 2
) -> tuple[str, list[str]]:
    """The ids of a parent and its runs: one for each loss in `qualities`, seed and fold."""
    parent = parent_run(store, name)
    cells = itertools.product(qualities.items(), range(seeds), range(FOLDS))
    runs = [
        stored_run(
            store,
            root,
            [f"loss={loss}", f"trainer.seed={seed}", f"split.fold={fold}"],
            quality,
            parent,
        )
        for (loss, quality), seed, fold in cells
    ]
    store.client.set_terminated(parent, "FINISHED")
    return parent, runs
