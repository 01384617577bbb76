"""python benchmarks/infer.py PICTURES NUMBER SIZE [OPTION …] [MODEL OVERRIDE …]: `flexunet infer`
beside its parts.

Copies the pictures of the folder PICTURES under NUMBER names into a temporary folder, and predicts
them with an untrained network of SIZE px, without overlays. Prints pictures a second; the parts of
a picture's work, each alone in as many threads as there are cores; how near the rate comes to the
network's alone and to that of all parts one after the other; and memory on the way.

--before CHECKOUT measures another build in turn, and says whether masks and tables are equal.
--rounds (1) is how often each is measured, --tile (none) and --tta (none) are `predict.*`.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np

BATCH = 4
CLASSES = ("background", "bent", "broken", "glue", "metal", "thread")
PALETTE = np.array([(0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 0), (0, 255, 255)])
BARE_BATCHES = 8  # before and after the pictures, since a machine's speed changes
AT = 50  # the picture at which memory is read first
SOME = 24  # pictures whose parts are measured


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("size", type=int)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--tta", default="none")
    parser.add_argument("--in", dest="build", type=Path, help="measure this build, print JSON")
    parser.add_argument("words", nargs="*")
    return parser.parse_intermixed_args()


# === One build, in a process of its own ===


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """What one build does: rate, parts, memory and a hash of the results."""
    from composing import compose

    from flexunet_exp.commands.infer import pipeline
    from flexunet_exp.config import building
    from flexunet_exp.data import find_pictures
    from flexunet_exp.data.channels import RGB
    from flexunet_exp.prediction.predictor import Predictor
    from flexunet_exp.prediction.settings import PredictSettings
    from flexunet_exp.system import tensorflow
    from flexunet_exp.system.tensorflow import ProcessSettings

    cfg = compose(*given.words)
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    shape, size = (given.size, given.size, 3), (given.size, given.size)
    model = building.build(cfg.model, input_shape=shape, num_classes=len(PALETTE))
    keep_defects_rare(model, given.pictures, given.size)
    tile = (given.tile, given.tile) if given.tile else None
    predictor = Predictor(model, size, BATCH, tile, 0.25, given.tta)
    trained = SimpleNamespace(
        predictor=predictor,
        class_names=CLASSES,
        palette=PALETTE.astype(np.uint8),
        settings=PredictSettings(size, given.tile or "none", 0.25, given.tta, BATCH, "as_trained"),
        bit_depth=16,
        channels=RGB,
    )
    with tempfile.TemporaryDirectory() as folder:
        photos, output = Path(folder, "photos"), Path(folder, "out")
        copy(given.pictures, photos, given.number)
        seconds = bare(model, given.size)
        memory: dict[int, int] = {}
        threading.Thread(target=watch, args=(output, memory), daemon=True).start()
        found = find_pictures.find([str(photos)], output)
        report = pipeline.infer(trained, found, output, pipeline.Options(overlays=False))
        time.sleep(0.5)
        seconds += bare(model, given.size)
        passes = passes_of_a_picture(predictor, sorted(photos.iterdir())[0])
        is_own = given.build == Path(__file__).resolve().parents[1]
        return {
            "rate": report.done / report.seconds,
            "network": median(seconds) * passes,
            "passes": passes,
            "parts": parts(predictor, photos, Path(folder)) if is_own else {},
            "memory": sorted(memory.items()),
            "results": digest(output),
        }


def keep_defects_rare(model, source: Path, size: int) -> None:
    """Raises the background's bias until 1 % of the pixels are defects, as in MVTec AD.

    An untrained network predicts noise everywhere, and its regions would dominate the measurement.
    """
    from flexunet_exp.data import masks

    chosen = pictures_of(source)[:BATCH]
    batch = np.stack([masks.resize_image(masks.read_image(path), (size, size)) for path in chosen])
    logits = np.asarray(model.predict_on_batch(batch), np.float32)
    kernel, bias = model.layers[-1].get_weights()
    bias[0] += np.quantile(logits[..., 1:].max(axis=-1) - logits[..., 0], 0.99)
    model.layers[-1].set_weights([kernel, bias])


def pictures_of(source: Path) -> list[Path]:
    return [path for path in sorted(source.rglob("*.png")) if "ground_truth" not in path.parts]


def copy(source: Path, photos: Path, number: int) -> None:
    photos.mkdir()
    sources = itertools.cycle(pictures_of(source))
    for index, path in enumerate(itertools.islice(sources, number)):
        shutil.copyfile(path, photos / f"{index:05d}.png")


def bare(model, size: int) -> list[float]:
    """Seconds of a picture or tile, of each of some batches."""
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3)).astype(np.uint8)
    model.predict_on_batch(batch)
    seconds = []
    for _ in range(BARE_BATCHES):
        started = time.perf_counter()
        model.predict_on_batch(batch)
        seconds.append((time.perf_counter() - started) / BATCH)
    return seconds


def passes_of_a_picture(predictor, path: Path) -> int:
    """How often the network sees a picture or a tile, for one picture."""
    from flexunet_exp.data import masks, tiles

    if predictor.tile is None:
        return len(predictor.views)
    sides = masks.read_image(path).shape[:2]
    starts = [
        tiles.starts(side, own, predictor.overlap)
        for side, own in zip(sides, predictor.tile, strict=True)
    ]
    return len(starts[0]) * len(starts[1]) * len(predictor.views)


def parts(predictor, photos: Path, folder: Path) -> dict[str, float]:
    """Seconds of a picture in each part of the work besides the network, on all cores."""
    from flexunet_exp.data import masks
    from flexunet_exp.prediction import predictor as predicting
    from flexunet_exp.prediction import regions

    paths = sorted(photos.iterdir())[:SOME]
    images = [masks.read_image(path) for path in paths]
    whole = predicting.Predictor(predictor.model, predictor.size, BATCH)
    seen = [whole.seen(whole.prepared(image)[None]) for image in images]
    size = images[0].shape[:2]

    def mask_of(logits: list[np.ndarray]) -> predicting.Prediction:
        return predicting.collect(whole.whole(logits, size), size)

    found = [mask_of(one) for one in seen]
    target, palette = itertools.count(), PALETTE.astype(np.uint8)
    return {
        "decoding": alone(masks.read_image, paths),
        "resizing to the network's size": alone(whole.prepared, images),
        "softmax, enlarging, argmax": alone(mask_of, seen),
        "regions": alone(lambda one: regions.find(one.mask, one.certainty, CLASSES), found),
        "PNG": alone(
            lambda one: masks.write_palette_mask(folder / f"{next(target)}.png", one.mask, palette),
            found,
        ),
    }


def alone(work: Callable[[Any], Any], items: Iterable[Any]) -> float:
    """Seconds of an item, in as many threads as there are cores; the second of two rounds."""
    items = list(items)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in range(2):
            started = time.perf_counter()
            for _ in pool.map(work, items):
                pass
            took = time.perf_counter() - started
    return took / len(items)


def watch(output: Path, memory: dict[int, int]) -> None:
    """Records resident megabytes by the number of pictures done, during the work."""
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        time.sleep(0.1)
        records = output / "records.jsonl"
        done = records.read_bytes().count(b"\n") - 1 if records.exists() else 0
        memory[done] = int(Path("/proc/self/statm").read_text().split()[1]) * page // 2**20


def digest(output: Path) -> str:
    """Hash of all masks and of both tables."""
    hashed = hashlib.sha256()
    for path in [*sorted((output / "masks").iterdir()), *sorted(output.glob("*.csv"))]:
        hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()


# === Both builds in turn ===


def run(build: Path) -> dict[str, Any]:
    """What `measured` finds in a build, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--in", str(build)],
        env={**os.environ, "PYTHONPATH": str(build)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def show(own: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    rate = median(one["rate"] for one in own)
    network = median(one["network"] for one in own)
    shares = {name: median(one["parts"][name] for one in own) for name in own[0]["parts"]}
    row("flexunet infer", f"{rate:.2f} pictures/s")
    if before:
        older = median(one["rate"] for one in before)
        same = {one["results"] for one in own} == {one["results"] for one in before}
        row("before", f"{older:.2f} pictures/s")
        row("ratio to it", f"{rate / older:.2f}")
        row("ratio of before to network", f"{older * network:.2f}")
        row("masks and tables", "equal" if same else "DIFFERENT")
    row(f"network, {own[0]['passes']} passes", f"{network * 1000:.1f} ms")
    for name, seconds in shares.items():
        row(name, f"{seconds * 1000:.1f} ms")
    row("ratio to network", f"{rate * network:.2f}")
    row("ratio to the sum of parts", f"{rate * (network + sum(shares.values())):.2f}")
    memory = own[0]["memory"]
    first = next((one for one in memory if one[0] >= AT), memory[-1])
    for done, megabytes in (first, memory[-1]):
        row(f"memory at picture {done}", f"{megabytes} MB")


def row(name: str, value: str) -> None:
    print(f"{name:34} {value}", flush=True)


def main() -> None:
    given = parsed()
    if given.build:
        print(json.dumps(measured(given)))
        return
    own, before = [], []
    for _ in range(given.rounds):
        if given.before:
            before.append(run(given.before.resolve()))
        own.append(run(Path(__file__).resolve().parents[1]))
    show(own, before)


if __name__ == "__main__":
    main()
