"""python benchmarks/kill_sweeps.py [KIND …]: sweeps and studies killed at random moments.

Every sweep is started again by the same command, killed again, and at last left to end. Then it is
compared, from the store alone, with one that was never killed: one parent, every cell once and
finished, equal parameters, metrics and pictures, nothing doubled or left behind. Writes the second
part of docs/measured/kill.md when all kinds were tried; exits 1 if anything differs.
"""

from __future__ import annotations

import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kill import PAGE, SWEEPS, TINY  # noqa: E402

from flexunet_exp.runs import claims  # noqa: E402
from flexunet_exp.tracking.store import PARENT, RUN_FOLDER, SIGNATURE, SWEEP  # noqa: E402
from flexunet_exp.tracking.stored_models import KERAS_MODEL, models_of  # noqa: E402
from tests.support.running import all_runs, images_of, metrics_of, same_weights, store  # noqa: E402

SEED, KILLS_A_SWEEP, EPOCHS = 20261127, 4, 3
COMMON = (*TINY, f"trainer.epochs={EPOCHS}", "trainer.deterministic=true", "trainer.threads=1")
CELLS = ("loss=dice,ce_dice", "trainer.seed=0,1")
JOBLIB = ("launcher=joblib",)
STUDY = (
    *("sweep=tpe", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_startup_trials=2"),
    *("hydra.sweeper.pruner=none", "loss=choice(dice,ce_dice)"),
    "optimizer.learning_rate=interval(1e-3,1e-2)",
)


LEFT = """
Known limits:

- After `kill -9` of all processes at once, no process is left that could write to the store. The
  parent run and the cells that were cut off stay RUNNING in the store until the same command is
  given again. `dry=true` says which cells are being trained and which were cut off.
- If only the command is killed, its workers are interrupted within a second and ended five seconds
  later. The same command waits for them up to ten seconds, and then continues their runs. A worker
  that had no run yet ends after joblib's limit of five minutes, and trains nothing.
- If the system kills a worker for its memory, the sweep ends, because joblib stops. The parent run
  ends as FAILED and its cells as KILLED, and the same command continues them.
- A line `epoch k/n` can be missing from `train.log`, because it is written after the state.
"""


@dataclass(frozen=True)
class Kind:
    """A sweep to kill, the number of kills, and the signals: to the command alone or to all."""

    words: tuple[str, ...]
    kills: int
    ways: tuple[tuple[str, signal.Signals], ...]


ALL, COMMAND = ("all", signal.SIGKILL), ("command alone", signal.SIGKILL)
KINDS = {
    "joblib, two at once": Kind((*CELLS, *JOBLIB), 10, (ALL, COMMAND)),
    "one after the other": Kind(CELLS, 10, (ALL,)),
    "joblib, interrupted": Kind(
        (*CELLS, *JOBLIB), 2, (("command alone", signal.SIGTERM), ("all", signal.SIGINT))
    ),
    "interrupted": Kind(CELLS, 2, (("all", signal.SIGINT),)),
    "study": Kind(STUDY, 3, (ALL,)),
    "study, joblib": Kind((*STUDY, *JOBLIB, "hydra.sweeper.n_jobs=2"), 2, (ALL, COMMAND)),
}


@dataclass(frozen=True)
class Whole:
    """A sweep that nobody killed, and the seconds it took."""

    folder: Path
    seconds: float


@dataclass
class Killed:
    """A sweep, its kills, and its differences from a sweep without kills."""

    folder: Path
    moments: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def start(folder: Path, words: Sequence[str], data: Path) -> subprocess.Popen:
    """The command in a process group of its own, as a terminal would start it."""
    folder.mkdir(exist_ok=True)
    log = (folder / "printed.txt").open("a")
    return subprocess.Popen(
        [sys.executable, "-m", "flexunet_exp", "train", "-m", *COMMON, *words, f"data_root={data}"],
        cwd=folder,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def left_alone(folder: Path, words: Sequence[str], data: Path) -> Whole:
    started = time.perf_counter()
    if start(folder, words, data).wait():
        raise SystemExit((folder / "printed.txt").read_text())
    seconds = time.perf_counter() - started
    print(f"{' '.join(words)}: {seconds:.0f} s when left alone", flush=True)
    return Whole(folder, seconds)


def kill(process: subprocess.Popen, whom: str, how: signal.Signals) -> None:
    if whom == "all":
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    process.wait()


def kill_and_restart(
    folder: Path, kind: Kind, kills: int, draw: random.Random, data: Path, seconds: float
) -> Killed:
    """Kills a sweep up to so many times, at any moment of the seconds it takes, and lets it end."""
    killed, starts = Killed(folder), []
    while len(killed.moments) < kills:
        wait = draw.uniform(0, seconds)
        process = start(folder, kind.words, data)
        starts.append(process.pid)
        try:
            process.wait(wait)
            break  # it ended before a kill: it is compared all the same
        except subprocess.TimeoutExpired:
            whom, how = kind.ways[len(killed.moments) % len(kind.ways)]
            kill(process, whom, how)
        killed.moments.append(f"{how.name} to {whom} after {wait:.0f} s: {standing(folder)}")
        killed.differences += wrong_after(folder, how)
    else:
        process = start(folder, kind.words, data)
        process.wait()
        starts.append(process.pid)
    if process.returncode:
        killed.differences.append(f"exit {process.returncode}")
    if left := living(starts):
        killed.differences.append(f"processes left: {left}")
    return killed


def standing(folder: Path) -> str:
    """The number of finished cells, and the epochs after which the others were cut off."""
    states = folder.glob("outputs/multirun/*/*/*/resume/state.npy")
    epochs = sorted(claims.epochs_done(path.parents[1]) for path in states)
    cut = f", cut off after epoch {', '.join(map(str, epochs))}" if epochs else ""
    return f"{len(finished(folder))} finished{cut}"


def wrong_after(folder: Path, how: signal.Signals) -> list[str]:
    """Runs left RUNNING by a sweep that could end them, since its signal was not SIGKILL."""
    if how == signal.SIGKILL or not (folder / "mlruns" / "mlflow.db").exists():
        return []
    running = [run for run in all_runs(folder) if run.info.status == "RUNNING"]
    return [f"RUNNING after {how.name}: {len(running)}"] if running else []


def finished(folder: Path) -> dict[str, Any]:
    """The finished runs of cells by signature; the last of each."""
    if not (folder / "mlruns" / "mlflow.db").exists():
        return {}
    runs = [run for run in all_runs(folder) if SIGNATURE in run.data.tags]
    return {run.data.tags[SIGNATURE]: run for run in runs if run.info.status == "FINISHED"}


def differences(ours: Path, theirs: Path) -> list[str]:
    """The differences of two finished sweeps, from the store alone."""
    parents = [run for run in all_runs(ours) if SWEEP in run.data.tags]
    cells = [run for run in all_runs(ours) if SWEEP not in run.data.tags]
    mine, other = finished(ours), finished(theirs)
    checks = {
        "a run left RUNNING": all(run.info.status != "RUNNING" for run in parents + cells),
        "not one finished parent": [run.info.status for run in parents] == ["FINISHED"],
        "cells": mine.keys() == other.keys(),
        "a run doubled": len(cells) == len(mine),
        "a cell without its parent": all(
            run.data.tags.get(PARENT) == parents[0].info.run_id for run in cells
        ),
        "a whole epoch trained twice": max(epochs_said(ours).values()) == 1,
        "a state left behind": not list(ours.glob("outputs/multirun/*/*/*/resume")),
    }
    for signature in mine.keys() & other.keys():
        checks |= same_cell((ours, mine[signature]), (theirs, other[signature]))
    return [name for name, is_right in checks.items() if not is_right]


def same_cell(ours: tuple[Path, Any], theirs: tuple[Path, Any]) -> dict[str, bool]:
    """Whether two runs, each with its sweep's folder, are equal; by what is compared."""
    (_, mine), (_, other) = ours, theirs
    name = mine.info.run_name
    models = models_of(store(ours[0]), mine.info.run_id, KERAS_MODEL)
    return {
        f"{name}: parameters": mine.data.params == other.data.params,
        f"{name}: metrics": metrics_of(*ours) == metrics_of(*theirs),
        f"{name}: metrics doubled": set(metrics_of(*ours).values()) == {1},
        f"{name}: images": images_of(*ours) == images_of(*theirs),
        f"{name}: {len(models)} models": len(models) == 1,
        f"{name}: weights": same_weights(*(Path(r.data.tags[RUN_FOLDER]) for r in (mine, other))),
    }


def epochs_said(folder: Path) -> Counter:
    """How often each run logged each epoch: only an epoch that was cut off is trained again."""
    logs = folder.glob("outputs/multirun/*/*/*/train.log")
    return Counter(
        (str(log), epoch) for log in logs for epoch in re.findall(r"epoch (\d+)/", log.read_text())
    )


def living(sessions: Sequence[int]) -> list[int]:
    """The processes of these sessions that still run; waits up to ten seconds for their end."""
    words = ["ps", "-o", "pid=", "-s", ",".join(map(str, sessions))]
    deadline = time.monotonic() + 10
    while True:
        found = subprocess.run(words, capture_output=True, text=True).stdout.split()
        if not found or time.monotonic() > deadline:
            return [int(pid) for pid in found]
        time.sleep(0.2)


def try_kind(name: str, kind: Kind, home: Path, whole: Whole) -> list[Killed]:
    """As many sweeps of a kind as its kills take, each compared with the whole one."""
    draw = random.Random(f"{SEED} {name}")
    tried: list[Killed] = []
    while (left := kind.kills - sum(len(sweep.moments) for sweep in tried)) > 0:
        folder = home / f"{name} {len(tried)}"
        kills = min(left, KILLS_A_SWEEP)
        sweep = kill_and_restart(folder, kind, kills, draw, home / "data", whole.seconds)
        sweep.differences += differences(folder, whole.folder)
        print(f"{name}: {sweep.moments}: {sweep.differences or 'equal'}", flush=True)
        tried.append(sweep)
    return tried


def table(tried: dict[str, list[Killed]]) -> str:
    lines = ["| sweep | killed | ended as if never killed |", "|---|---|---|"]
    for name, sweeps in tried.items():
        for sweep in sweeps:
            verdict = ", ".join(sweep.differences)
            moments = "; ".join(sweep.moments)
            lines.append(f"| {name} | {moments} | {f'NO: {verdict}' if verdict else 'yes'} |")
    return "\n".join(lines) + "\n"


def write_page(tried: dict[str, list[Killed]], seconds: float) -> None:
    """The second part of docs/measured/kill.md."""
    before, _, _ = PAGE.read_text().partition(SWEEPS)
    kills = sum(len(sweep.moments) for sweeps in tried.values() for sweep in sweeps)
    text = (
        f"\nWritten by `python benchmarks/kill_sweeps.py` (Python {platform.python_version()}, "
        f"{platform.system()}, load {os.getloadavg()[2]:.0f} on {os.cpu_count()} cores). It sent "
        f"{kills} signals to {sum(map(len, tried.values()))} deterministic sweeps of four tiny "
        f"runs of {EPOCHS} epochs. Without a signal, such a sweep takes {seconds:.0f} s. Each "
        "signal was sent at a random moment, either to all processes of a sweep or only to the "
        "command, whose workers then have no parent process. The same command was given again at "
        "once.\n\n"
        "*Ended as if never killed* means:\n\n"
        "- The store has one parent run, finished, and each cell once, finished.\n"
        "- Weights, parameters, metrics and pictures are those of a sweep that was not killed, "
        "each once, with one model a run.\n"
        "- No whole epoch was trained twice.\n"
        "- No run is RUNNING, and no process and no state is left. After SIGINT and SIGTERM, no "
        "run is RUNNING before the same command is given again.\n\n"
    )
    PAGE.write_text(before + SWEEPS + text + table(tried) + LEFT)


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    tried: dict[str, list[Killed]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home, wholes = Path(folder), {}
        for name in sys.argv[1:] or KINDS:
            kind = KINDS[name]
            cells = tuple(word for word in kind.words if word not in JOBLIB)
            if cells not in wholes:  # the launcher makes no difference, so one serves both
                wholes[cells] = left_alone(home / f"whole{len(wholes)}", kind.words, home / "data")
            tried[name] = try_kind(name, kind, home, wholes[cells])
    if tried.keys() == KINDS.keys():
        write_page(tried, wholes[CELLS].seconds)
    return int(any(sweep.differences for sweeps in tried.values() for sweep in sweeps))


if __name__ == "__main__":
    sys.exit(main())
