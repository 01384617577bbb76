"""python benchmarks/check_masks.py BEFORE AFTER [--number 2000] [--pairs 5]: reading masks.

BEFORE and AFTER are checkouts, each with its own .venv, or PYTHON:CHECKOUT. The set has generated
masks of 512 px, half in colours and half with a palette, and one picture under all names. Both
builds read it alternately: the masks with their defects in two threads, and a scan of pictures and
masks. Prints a Markdown table: the medians in seconds, and the ratio before /
after (geometric mean of the pairs), of wall-clock and of processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

SIDE = 512
COLOURS = [(0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 0), (0, 255, 255)]
CLASSES = [
    {"name": name, "color": list(colour)}
    for name, colour in zip(("background", "a", "b", "c", "d", "e"), COLOURS, strict=True)
]
MEASURE = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from flexunet_exp.data import defects
from flexunet_exp.data.layouts import ImageMask

layout, folder = ImageMask(json.loads(sys.argv[2])), sys.argv[1]

def timed(work):
    wall, used = time.perf_counter(), time.process_time()
    result = work()
    return result, [time.perf_counter() - wall, time.process_time() - used]

def look(row):
    mask = layout.read_mask(row)
    return np.bincount(mask.ravel(), minlength=256), defects.find(mask, (256, 256))

def masks(rows):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(look, rows))

found, scan = timed(lambda: layout.scan(folder))
assert not getattr(found, "problems", None), found.problems
rows = list(getattr(found, "table", found).itertuples())
_, read = timed(lambda: masks(rows))
print(json.dumps({"masks and their defects": read, "a scan of pictures and masks": scan}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("builds", nargs=2)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), given.number)
        found = [[measured(build, folder) for build in given.builds] for _ in range(given.pairs)]
    print(f"{given.number} masks of {SIDE} px, {given.pairs} pairs\n")
    print("| | before, s | after, s | times as fast | of processor time |")
    print("|---|---|---|---|---|")
    for case in found[0][0]:
        before, after = (np.array([pair[i][case] for pair in found]) for i in (0, 1))
        ratio = np.exp(np.log(before / after).mean(axis=0))
        medians = [f"{median(one[:, 0].tolist()):.2f}" for one in (before, after)]
        print(f"| {case} | {' | '.join(medians)} | {ratio[0]:.2f} | {ratio[1]:.2f} |")


def generate(folder: Path, number: int) -> None:
    """Masks with three ellipses each, and one picture that all names link to."""
    random = np.random.default_rng(0)
    picture = folder / "picture.png"
    Image.fromarray(np.full((SIDE, SIDE), 99, np.uint8)).save(picture)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for index in range(number):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for _ in range(3):
            y, x, height, width = random.integers([0, 0, 8, 8], [SIDE, SIDE, 60, 60])
            inside = ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1
            mask[inside] = random.integers(1, 6)
        for part in ("images", "masks"):
            (folder / "train" / part).mkdir(parents=True, exist_ok=True)
        os.link(picture, folder / f"train/images/part_{index}.png")
        save(mask, folder / f"train/masks/part_{index}.png", as_palette=index % 2 == 1)


def save(mask: np.ndarray, path: Path, as_palette: bool) -> None:
    palette = np.array(COLOURS, np.uint8)
    one = Image.fromarray(mask if as_palette else palette[mask])
    if as_palette:
        one.putpalette(palette.tobytes())
    one.save(path)


def measured(build: str, folder: str) -> dict[str, list[float]]:
    """The case's seconds of the wall clock and of the processor, in a process of its own."""
    python, _, checkout = build.rpartition(":")
    command = [python or f"{checkout}/.venv/bin/python", "-c", MEASURE, folder, json.dumps(CLASSES)]
    environment = {**os.environ, "PYTHONPATH": checkout}
    # From another folder than a checkout, whose package Python would find first.
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
