"""python benchmarks/stores.py STORE RUNS [--before CHECKOUT]: commands over a store of many runs.

STORE is the address of a database: sqlite:////FOLDER/mlflow.db, or postgresql+psycopg2://…, on
which it starts an MLflow server. A tiny sweep is trained into the store, and its runs are copied
with other values until there are RUNS, in sweeps of 100 cells; the best run is the oldest one. A
filling that was cut off goes on. Then each command runs as a process of its own. Prints a Markdown
table: median seconds of the whole command and its peak memory, beside those of another checkout.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flexunet_exp.config.overrides import words_in  # noqa: E402
from flexunet_exp.tracking.store import LEARNED, PARENT, SIGNATURE, SWEEP, Store  # noqa: E402
from tests.support.copied_runs import Copy, Database  # noqa: E402
from tests.support.serving_store import Server  # noqa: E402

TINY = (
    *("dataset=screw", "dataset/layout=synthetic", "model.base_filters=2", "model.base_kernel=3"),
    *("model.num_layers=3", "callbacks=none", "augmentation=none", "trainer.epochs=2"),
    *("dataset.image_size=64", "dataset.layout.size=64", "dataset.layout.images_per_class=6"),
)
LOSSES, RATES, SEEDS = ("dice", "ce_dice"), [f"0.{n:03}" for n in range(1, 11)], range(5)
CELLS = list(itertools.product(LOSSES, RATES, SEEDS))  # of a sweep
HOUR = 3_600_000
BEST = 0.999  # of the oldest copy
EXPERIMENT = "flexunet"


class Reading(NamedTuple):
    seconds: float
    megabytes: float  # peak resident memory
    printed: str


class Place(NamedTuple):
    """Where commands run, and the store that they name."""

    folder: Path
    uri: str

    @property
    def words(self) -> list[str]:
        return [f"tracking.uri={self.uri}"]

    @property
    def data(self) -> list[str]:
        return [*TINY, f"data_root={self.folder / 'data'}"]


def run(checkout: Path, place: Place, *words: str, until: str = "", fails: bool = False) -> Reading:
    """Runs `flexunet words…` of a checkout; ends it by Ctrl-C once it has printed `until`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "COLUMNS": "120",
        "PYTHONUNBUFFERED": "1",
    }
    with tempfile.TemporaryFile("w+") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "flexunet_exp", *words, *place.words],
            cwd=place.folder,
            env=environment,
            stdout=printed,
            stderr=printed,
        )
        took = wait_for(printed, until, started) if until else 0.0
        if until:
            process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(process.pid, 0)
        took = took or time.perf_counter() - started
        text = os.pread(printed.fileno(), 10_000_000, 0).decode(errors="replace")
    if status and not (until or fails):
        sys.exit(f"flexunet {' '.join(words)} of {checkout} failed:\n{text[-3000:]}")
    return Reading(took, usage.ru_maxrss / 1000, text)


def wait_for(printed, text: str, started: float) -> float:
    """Seconds until a command has printed `text`, at most ten minutes."""
    while (took := time.perf_counter() - started) < 600:
        if text.encode() in os.pread(printed.fileno(), 1_000_000, 0):
            return took
        time.sleep(0.02)
    sys.exit(f"{text!r} was not printed")


def fill(database: str, place: Place, number: int) -> None:
    """Trains the sweep that is copied, unless it is there, and adds sweeps of copies."""
    if (parent := trained_sweep(place)) is None:
        axes = [f"loss={','.join(LOSSES)}", "optimizer.learning_rate=0.001", "trainer.seed=0,1"]
        run(ROOT, place, "train", "-m", *axes, *place.data)
        parent = trained_sweep(place)
    store = Store(place.uri, EXPERIMENT, create=False)
    originals = {
        (one.data.params["loss"], one.data.params["seed"]): one for one in store.cells(parent)
    }
    tables = Database(database)
    have = next(sweep for sweep in itertools.count() if not tables.has(run_id(sweep, 0)))
    for sweep in range(have, -(-number // len(CELLS))):
        tables.add(copies(sweep, parent, originals))
        print(f"\r{(sweep + 1) * len(CELLS)} runs", end="", file=sys.stderr, flush=True)


def trained_sweep(place: Place):
    """The parent run of the sweep that is copied; None where there is none yet."""
    store = Store.if_there(place.uri, EXPERIMENT)
    return store and store.newest(f"tags.{SWEEP} LIKE '%' AND tags.copy IS NULL")


def copies(sweep: int, parent, originals: dict) -> Iterator[Copy]:
    """A sweep's parent and cells, its start an hour after that of the sweep before."""
    draw = random.Random(sweep)
    own, start = run_id(sweep, 0), parent.info.start_time + (sweep + 1) * HOUR
    tags = {SWEEP: f"{draw.getrandbits(64):016x}", "copy": "true"}
    yield Copy(parent.info.run_id, own, f"copied sweep {sweep}", start, tags)
    for number, (loss, rate, seed) in enumerate(CELLS, start=1):
        original = originals[loss, str(seed % 2)]
        typed = {
            "loss": loss,
            "optimizer.learning_rate": rate,
            "trainer.seed": str(seed),
            "model.base_filters": str(sweep + 2),
        }
        words = [
            str(word) if word.key not in typed else f"{word.key}={typed[word.key]}"
            for word in words_in(original.data.tags["overrides"])
        ]
        dice = draw.uniform(0.05, 0.9) if (sweep, number) != (0, 1) else BEST
        yield Copy(
            original.info.run_id,
            run_id(sweep, number),
            f"{loss} learning_rate={rate}",
            start + number * 1000,
            {
                PARENT: own,
                SIGNATURE: f"{draw.getrandbits(64):016x}",
                "overrides": " ".join(words),
                LEARNED: None if dice > 0.1 else "false",
                "copy": "true",
            },
            {key.rsplit(".", 1)[-1]: value for key, value in typed.items()},
            {"val/dice": dice, "test/dice": dice * draw.uniform(0.8, 1.1)},
        )


def run_id(sweep: int, number: int) -> str:
    return f"{sweep:016x}{number:016x}"


def compare(checkout: Path, place: Place) -> Reading:
    return run(checkout, place, "compare")


def compare_all(checkout: Path, place: Place) -> Reading:
    return run(checkout, place, "compare", "runs=all")


def evaluate_best(checkout: Path, place: Place) -> Reading:
    return run(checkout, place, "evaluate", "run=best")


def dry(checkout: Path, place: Place) -> Reading:
    axes = [f"loss={','.join(LOSSES)}", f"optimizer.learning_rate={','.join(RATES)}"]
    words = ["-m", *axes, f"trainer.seed=range({len(SEEDS)})", *place.data, "dry=true"]
    return run(checkout, place, "train", *words)


def done_before(checkout: Path, place: Place) -> Reading:
    words = ["loss=dice", "optimizer.learning_rate=0.001", "trainer.seed=0", *place.data]
    return run(checkout, place, "train", *words)


def ui(checkout: Path, place: Place) -> Reading:
    is_server = place.uri.startswith("http")
    return run(checkout, place, "ui", until="" if is_server else "Runs: ")


CASES: dict[str, Callable[[Path, Place], Reading]] = {
    "compare": compare,
    "dry": dry,
    "best": evaluate_best,
    "done": done_before,
    "ui": ui,
    "all": compare_all,
}
WORDS = {
    "compare": "`compare`, the newest sweep (100 cells)",
    "dry": "`train -m … dry=true`, 100 cells",
    "best": "`evaluate run=best`",
    "done": "`train`, done before: skipped",
    "ui": "`ui`, until it prints the link",
    "all": "`compare runs=all`",
}


@contextmanager
def served(database: str, folder: Path) -> Iterator[Place]:
    """The place of the commands; a server runs meanwhile if the database needs one."""
    if database.startswith("sqlite"):
        yield Place(folder, database)
        return
    server = Server(folder, database)
    server.start()
    try:
        yield Place(folder, server.uri)
    finally:
        server.kill()


def measured(
    case: str, checkouts: Sequence[Path], place: Place, readings: int
) -> list[list[Reading]]:
    """The readings of each checkout, taken alternately."""
    found: list[list[Reading]] = [[] for _ in checkouts]
    for number in range(readings):
        for which in range(len(checkouts))[:: 1 if number % 2 == 0 else -1]:
            found[which].append(CASES[case](checkouts[which], place))
    return found


def cell(readings: Sequence[Reading]) -> str:
    seconds = median(one.seconds for one in readings)
    return f"{seconds:.1f} s, {median(one.megabytes for one in readings):.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", help="the address of the database")
    parser.add_argument("runs", type=int)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=CASES, help="default: all")
    parser.add_argument("--before", type=Path, help="another checkout, beside this one")
    parser.add_argument("--folder", type=Path, default=Path("stores"), help="where commands run")
    parser.add_argument("--readings", type=int, default=3)
    given = parser.parse_args()
    # What a shell starts in the background ignores Ctrl-C, and so would the commands from here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    (folder := given.folder.absolute()).mkdir(parents=True, exist_ok=True)
    checkouts = [one.absolute() for one in (given.before, ROOT) if one]
    with served(given.store, folder) as place:
        fill(given.store, place, given.runs)
        titles = ["before", "after"] if given.before else ["here"]
        print(f"\n| {given.runs:,} runs | {' | '.join(titles)} |")
        print("|---|" + "---:|" * len(titles))
        for case in given.cases:
            found = measured(case, checkouts, place, given.readings)
            print(f"| {WORDS[case]} | {' | '.join(map(cell, found))} |", flush=True)
            with (folder / "readings.jsonl").open("a") as kept:
                for checkout, readings in zip(checkouts, found, strict=True):
                    entry = [given.store, given.runs, case, str(checkout), readings]
                    kept.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
