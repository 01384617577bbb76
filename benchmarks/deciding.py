"""python benchmarks/deciding.py FOLDER: how long `decide` takes beyond what evaluation stored.

Makes a run of 500 calibration and 100 validation pictures of 1024 px in FOLDER, as evaluation
leaves it: pictures, masks, sample table and regions.npz of a network that finds most defects. It
trains and predicts nothing. Then it gives `flexunet decide` three times, and prints the seconds of
each beyond those of a command that is refused at its settings, which only starts.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from flexunet_exp.config import resolvers
from flexunet_exp.config.compose import conf_dir, plain
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.dataset import file_hash
from flexunet_exp.evaluation import regions as evaluated
from flexunet_exp.scores import regions

SIDE, SPLITS, GOOD = 1024, {"calibration": 500, "valid": 100}, 0.4
DISTINCT = 60  # pictures that are drawn; the parts are these again and again
QUESTIONS = (
    "max_false_alarms=0.05",
    "level=region by=class max_missed=0.5",
    "level=pixel max_false_alarms=0.05 max_missed=0.5",
)
START = "max_missed=2"


def field(draw: np.random.Generator, cells: int, power: int = 1) -> np.ndarray:
    """A smooth field (SIDE, SIDE) float32 in 0..1, with bumps of SIDE / cells pixels.

    With a higher `power` most of it is near 0.
    """
    coarse = draw.random((cells, cells), np.float32) ** power
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def truth(draw: np.random.Generator, index: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(draw.integers(1, 4) if index else 0):
        centre = [int(one) for one in draw.integers(100, SIDE - 100, 2)]
        cv2.circle(mask, centre, int(draw.integers(8, 60)), index, -1)
    return mask


def levels_of(draw: np.random.Generator, mask: np.ndarray, classes: int) -> np.ndarray:
    """Rounded probabilities (C - 1, H, W): blurred defects, and false alarms here and there."""
    planes = []
    for index in range(1, classes):
        probable = field(draw, 64, 12) * np.float32(draw.random())
        if (mask == index).any():
            true = cv2.GaussianBlur((mask == index).astype(np.float32), (0, 0), 6)
            probable = np.minimum(probable + true * np.float32(draw.random()), 1)
        planes.append(regions.rounded(probable))
    return np.stack(planes)


def write_network(path: Path) -> None:
    """A file with the weights that a digest is made of; nothing predicts with it."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["layers/conv/vars/0"] = np.zeros((3, 3, 3, 8), np.float32)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": []}}))
        archive.writestr("model.weights.h5", weights.getvalue())


def make(folder: Path) -> Path:
    """The run folder."""
    resolvers.register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", ["dataset=grid", "split.calibration=0.2"])
    names = [entry.name for entry in cfg.dataset.classes]
    run, draw = folder / "run", np.random.default_rng(0)
    drawn = [drawing(folder, draw, number, names) for number in range(DISTINCT)]
    rows, found = [], []
    for split, count in SPLITS.items():
        for place in range(count):
            row, seen = drawn[place % DISTINCT]
            source = f"{row['label']}/{split}{place:03}"
            rows.append(row | {"source": source, "split": split})
            found.append(seen)
    run.mkdir()
    OmegaConf.save(OmegaConf.create(plain(cfg)), run / "config.yaml")
    datasets.write_table(pd.DataFrame(rows), run / "samples.csv")
    write_network(run / "best.keras")
    dataset = datasets.from_table(cfg, datasets.read_table(run / "samples.csv"))
    keep(run, dataset, found)
    return run


def drawing(
    folder: Path, draw: np.random.Generator, number: int, names: list[str]
) -> tuple[dict, regions.PictureRegions]:
    """Writes a picture and its mask; its row of the sample table, and its regions."""
    index = 0 if draw.random() < GOOD else int(draw.integers(1, len(names)))
    mask = truth(draw, index)
    files = [folder / kind / f"{number:03}.png" for kind in ("pictures", "masks")]
    for path, pixels in zip(files, (field(draw, 4) * 200 + 20, (mask > 0) * 255), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels.astype(np.uint8))
    row = {
        "image": str(files[0]),
        "mask": str(files[1]) if index else "",
        "label": names[index] if index else "good",
        "source": "",
        "variant": "original",
        "split": "",
        "width": SIDE,
        "height": SIDE,
        "sha256": file_hash(str(files[0])),
    }
    return row, regions.find_regions(levels_of(draw, mask, len(names)), mask)


def keep(run: Path, dataset: datasets.Dataset, found: list[regions.PictureRegions]) -> None:
    """Writes regions.npz of each split, as its evaluation does."""
    first = 0
    for split, number in SPLITS.items():
        samples = list(datasets.rows(dataset.split(split)))
        record = evaluated.record_of(dataset, samples, found[first : first + number])
        started = time.perf_counter()
        evaluated.write(record, run / "evaluation" / split, 0.3, 1000)
        size = (run / "evaluation" / split / "regions.npz").stat().st_size / 1e6
        print(f"{split}: {len(record.regions):,} regions, {size:.1f} MB, written in "
              f"{time.perf_counter() - started:.1f} s")  # fmt: skip
        first += number


def seconds(folder: Path, run: Path, words: str) -> float:
    """The wall time of a command, whose last line is printed."""
    command = [sys.executable, "-m", "flexunet_exp", "decide", f"run={run}", *words.split()]
    command += ["tracking=none", "overwrite=true"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    print(f"  {words}: {(done.stdout + done.stderr).strip().splitlines()[-1][:150]}")
    return taken


def main(folder: Path) -> None:
    run = make(folder)
    start = min(seconds(folder, run, START) for _ in range(3))
    print(f"start-up {start:.1f} s")
    for words in QUESTIONS:
        print(f"{words}: {seconds(folder, run, words) - start:.1f} s beyond start-up")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
