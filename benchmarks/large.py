"""python benchmarks/large.py [RUN_FOLDER] [SIDE]: memory and time of predicting one large picture.

For the run's network, or a small FlexUNet with random weights: as a whole, in tiles, and in tiles
with eight views, each in a process of its own. The memory is that above what the process used after
it had loaded the network and predicted one small picture.
"""

from __future__ import annotations

import resource
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402

WAYS = (
    ("whole, seen at 256 px", None, "none"),
    ("tiles of 512 px, a quarter overlapping", (512, 512), "none"),
    ("the same, mean of 8 views", (512, 512), "flips_turns"),
)


def main() -> None:
    words = sys.argv[1:]
    side = int(words.pop()) if words and words[-1].isdigit() else 8192
    print(f"a picture of {side} × {side} px, {side * side * 3 / 2**20:.0f} MB of pixels")
    for title, tile, tta in WAYS:
        with get_context("spawn").Pool(1) as pool:
            seconds, megabytes, painted = pool.apply(measure, (words, side, tile, tta))
        print(f"{title:<40} {seconds:7.1f} s  {megabytes:6.0f} MB above the network  {painted}")


def measure(
    words: list[str], side: int, tile: tuple[int, int] | None, tta: str
) -> tuple[float, float, str]:
    from flexunet_exp.prediction.predictor import Predictor, collect

    model = network(words)
    predictor = Predictor(model, (256, 256) if tile is None else tile, 4, tile, 0.25, tta)
    draw = np.random.default_rng(0)
    small = draw.integers(0, 256, (600, 600, 3), np.uint8)
    for bands in predictor([small]):
        collect(bands, small.shape[:2])
    before = peak()
    picture = np.tile(draw.integers(0, 256, (side // 8, side // 8, 3), np.uint8), (8, 8, 1))
    started = time.perf_counter()
    (bands,) = predictor([picture])
    prediction = collect(bands, picture.shape[:2])
    seconds = time.perf_counter() - started
    painted = "every pixel painted" if (prediction.certainty > 0).all() else "pixels unpainted"
    return seconds, peak() - before, painted


def network(words: list[str]):
    from flexunet_exp.config import building
    from flexunet_exp.system import tensorflow

    if words:
        from flexunet_exp.prediction import networks
        from flexunet_exp.runs import folder

        run = folder.load(Path(words[0]))
        networks.prepare_process(run)
        return networks.load_network(run)
    cfg = compose("model=flexunet_small", "dataset=grid")
    tensorflow.prepare(tensorflow.ProcessSettings.from_config(cfg))
    return building.build(cfg.model, input_shape=(256, 256, 3), num_classes=6)


def peak() -> float:
    """The peak memory of this process, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
