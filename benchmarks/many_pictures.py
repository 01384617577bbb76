"""python benchmarks/many_pictures.py FOLDER NUMBER [--before CHECKOUT]: from the command to the
first training step over NUMBER pictures of 256 px, cold and warm.

FOLDER gets the pictures once, as `flexunet train dataset=grid` expects them: a fifth has a defect
and a mask. Cold is a first command with an empty cache folder, warm the same command again. Prints
a Markdown table with seconds and peak memory, beside the same of another CHECKOUT, and beside the
start of a command over 20 pictures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from builds import FIRST_STEP  # noqa: E402

SIDE, FEW = 256, 20
CLASSES = ("bent", "broken", "glue", "metal_contamination", "thread")
TRAIN = (
    *("train", "dataset=grid", "split=ratios", "dataset.image_size=64", "model=flexunet_small"),
    *("model.num_layers=3", "model.base_filters=2", "callbacks=none", "augmentation=none"),
    *("tracking=none", "+callbacks.first_step._target_=first_step.FirstStep"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    many, few = (filled(given.folder.absolute(), number) for number in (given.number, FEW))
    print("| code | pictures | what | seconds | peak GB |\n| --- | ---: | --- | ---: | ---: |")
    for name, checkout in (("before", given.before), ("here", ROOT)):
        if checkout:
            home = given.folder.absolute() / f"home_{name}"
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            (home / "first_step.py").write_text(FIRST_STEP)
            for data, number in ((few, FEW), (many, given.number)):
                for what in ("cold", "warm"):
                    seconds, peak = first_step(checkout.absolute(), home, data)
                    print(
                        f"| {name} | {number:,} | {what} | {seconds:.1f} | {peak:.2f} |", flush=True
                    )


def first_step(checkout: Path, home: Path, data: Path) -> tuple[float, float]:
    """Seconds and peak GB of a command that ends after its first training step."""
    paths = os.pathsep.join([str(checkout), str(home)])
    environment = {**os.environ, "PYTHONPATH": paths, "FLEXUNET_TRUSTED": "first_step"}
    words = (*TRAIN, f"dataset.path={data}", f"cache_dir={home}/cache_{data.name}")
    started = time.perf_counter()
    with open(home / "printed.txt", "w") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "flexunet_exp", *words],
            cwd=home, env=environment, stdout=printed, stderr=printed,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((home / "printed.txt").read_text()[-3000:])
    return time.perf_counter() - started, usage.ru_maxrss / 1e6


def filled(folder: Path, number: int) -> Path:
    """A folder with `number` pictures; those that it has are not made again."""
    data = folder / f"pictures_{number}"
    for name in ("good", *CLASSES):
        for part in ("test", "ground_truth"):
            (data / part / name).mkdir(parents=True, exist_ok=True)
    base = np.random.default_rng(0).integers(90, 160, (SIDE, SIDE, 3), dtype=np.uint8)
    base = cv2.GaussianBlur(base, (0, 0), 1.2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda index: make(data, index, base), range(number)))
    return data


def make(data: Path, index: int, base: np.ndarray) -> None:
    """Writes a picture: the base at another place, with coarse noise of its own, and its mask."""
    name = CLASSES[index // 5 % len(CLASSES)] if index % 5 == 0 else "good"
    path = data / "test" / name / f"{index:06}.png"
    if path.exists():
        return
    draw = np.random.default_rng(index)
    own = cv2.resize(draw.integers(0, 40, (48, 48), dtype=np.uint8), (SIDE, SIDE))
    picture = cv2.add(np.roll(base, draw.integers(0, SIDE, 2), (0, 1)), own[..., None].repeat(3, 2))
    if name != "good":
        mask = np.zeros((SIDE, SIDE), np.uint8)
        centre = tuple(draw.integers(30, SIDE - 30, 2).tolist())
        cv2.circle(mask, centre, int(draw.integers(5, 20)), 255, -1)
        picture[mask > 0] = draw.integers(0, 256, 3)
        cv2.imwrite(str(data / "ground_truth" / name / f"{index:06}_mask.png"), mask)
    cv2.imwrite(str(path), picture)


if __name__ == "__main__":
    main()
