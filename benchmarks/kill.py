"""python benchmarks/kill.py: twenty SIGKILLs over ten runs, at random moments.

Every run is started again by the same command until it ends, and then compared with one that was
never killed: weights, curves, scores, predictions and the store's content must be equal, nothing
missing or doubled, no run left RUNNING. Writes the first part of docs/measured/kill.md; exits 1 if
a run differs.
"""

from __future__ import annotations

import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flexunet_exp.tracking.store import RUN_FOLDER  # noqa: E402
from tests.support.running import all_runs, same_weights  # noqa: E402
from tests.training.test_resuming import SETTINGS, contents, images, metrics, the_run_folder  # noqa: E402

PAGE = ROOT / "docs" / "measured" / "kill.md"
SWEEPS = "\n## Sweeps\n"  # the page's second part begins here, which kill_sweeps.py writes
KILLS, KILLS_A_RUN, SEED = 20, 2, 20261122
# Half of the kills come at any moment, the others during a short and critical step of a run.
DELICATE = (
    "writing its state",
    "writing a checkpoint",
    "evaluating",
    "storing scores, files and model",
)
AIMS = ("any",) * 4 + DELICATE
TINY = (
    *("dataset=grid", "dataset/layout=synthetic", "dataset.image_size=64"),
    *("dataset.layout.images_per_class=4", "dataset.layout.good_images=4"),
    *(
        "dataset.layout.size=64",
        "model.base_filters=4",
        "model.base_kernel=3",
        "model.num_layers=3",
    ),
)


@dataclass
class Killed:
    """A run, the moments of its kills, and its differences from the run without kills."""

    folder: Path
    moments: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def command(data: Path) -> list[str]:
    words = [*TINY, *SETTINGS, "trainer.epochs=6", f"data_root={data}"]
    return [sys.executable, "-m", "flexunet_exp", "train", *words]


def start(folder: Path, data: Path) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    log = (folder / "printed.txt").open("a")
    return subprocess.Popen(command(data), cwd=folder, stdout=log, stderr=log)


def where(folder: Path) -> str:
    """The step that a run is in, from its folder."""
    found = list(folder.glob("outputs/*/*"))
    if not found or not (found[-1] / "resume").is_dir():
        return "starting"
    run = found[-1]
    if list(run.rglob(".*.npy")):
        return "writing its state"
    if list(run.rglob(".*.keras")):
        return "writing a checkpoint"
    losses = run / "train_losses.csv"
    epochs = len(losses.read_text().splitlines()) - 1 if losses.exists() else 0
    if (run / "evaluation" / "test" / "figures").exists():
        return "storing scores, files and model"
    if (run / "evaluation").exists():
        return "evaluating"
    return f"epoch {epochs + 1}" if epochs < 6 else "after the last epoch"


def wait_until_read(process: subprocess.Popen, folder: Path) -> None:
    """Waits until a run has read its data, when its training begins."""
    said = (folder / "printed.txt").read_text().count("Data:")
    while process.poll() is None and (folder / "printed.txt").read_text().count("Data:") == said:
        time.sleep(0.02)


def moment(aim: str, process: subprocess.Popen, folder: Path, wait: float) -> str | None:
    """Waits for the moment to kill a run, and returns the run's step; None if it ended before.

    `aim` is the step to wait for, or "any": then it waits `wait` seconds.
    """
    wait_until_read(process, folder)
    deadline = time.perf_counter() + (wait if aim == "any" else 60)
    while process.poll() is None:
        doing = where(folder)
        if doing == aim or time.perf_counter() > deadline:
            return f"{doing}" if aim != "any" else f"{doing} (after {wait:.1f} s)"
        time.sleep(0.001 if aim != "any" else 0.02)
    return None


def kill_twice(folder: Path, data: Path, seconds: float, draw: random.Random) -> Killed:
    """Kills a run of so many seconds, starts it again, kills it again, and lets it end."""
    killed = Killed(folder)
    while len(killed.moments) < KILLS_A_RUN:
        process = start(folder, data)
        doing = moment(draw.choice(AIMS), process, folder, draw.uniform(0, seconds))
        process.kill()
        process.wait()
        if doing is None:  # it ended before a kill: it is compared all the same
            break
        killed.moments.append(doing)
    process = start(folder, data)
    if process.wait():
        killed.differences.append(f"exit {process.returncode}")
    return killed


def differences(ours: Path, theirs: Path) -> list[str]:
    """The differences of two finished runs."""
    runs = all_runs(ours)
    checks = {
        "a run left RUNNING": all(run.info.status == "FINISHED" for run in runs),
        "more than one run": len(runs) == 1,
    }
    if all(checks.values()):
        mine, other = Path(runs[0].data.tags[RUN_FOLDER]), the_run_folder(theirs)
        checks |= {
            "weights": same_weights(mine, other),
            "files": contents(mine) == contents(other),
            "metrics in the store": metrics(ours) == metrics(theirs),
            "images in the store": images(ours) == images(theirs),
        }
    return [name for name, equal in checks.items() if not equal]


def table(killed: list[Killed]) -> str:
    lines = [
        "| run | killed while | ended as if never killed |",
        "|---|---|---|",
    ]
    for number, run in enumerate(killed, start=1):
        verdict = "yes" if not run.differences else f"NO: {', '.join(run.differences)}"
        lines.append(f"| {number} | {'; '.join(run.moments)} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        whole = home / "whole"
        process = start(whole, home / "data")
        wait_until_read(process, whole)
        started = time.perf_counter()
        if process.wait():
            print((whole / "printed.txt").read_text())
            return 1
        seconds = time.perf_counter() - started
        killed: list[Killed] = []
        while sum(len(run.moments) for run in killed) < KILLS:
            run = kill_twice(home / f"run{len(killed)}", home / "data", seconds, draw)
            run.differences += differences(run.folder, whole)
            print(f"run {len(killed) + 1}: {run.moments} {run.differences or 'equal'}", flush=True)
            killed.append(run)
    _, heading, sweeps = PAGE.read_text().partition(SWEEPS)
    PAGE.write_text(
        "# Killed and continued\n\n"
        f"Written by `python benchmarks/kill.py` (Python {platform.python_version()}, "
        f"{platform.system()}). It sent {sum(len(run.moments) for run in killed)} SIGKILLs to "
        f"{len(killed)} deterministic runs of six tiny epochs. Without a kill, such a run takes "
        f"{seconds:.0f} s from reading the data to the end. After each kill, the same command was "
        "given again.\n\n"
        "*Ended as if never killed* means: weights, curves, pictures, scores and predictions are "
        "equal, bit for bit, to those of a run that was not killed; the store has every metric and "
        "image once; no run stays RUNNING.\n\n" + table(killed) + heading + sweeps
    )
    missed = [aim for aim in DELICATE if not any(aim in run.moments for run in killed)]
    if missed:
        print("No run was caught while", ", ".join(missed))
    return int(bool(missed) or any(run.differences for run in killed))


if __name__ == "__main__":
    sys.exit(main())
