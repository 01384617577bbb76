"""python benchmarks/ray_cluster.py [CASE …]: sweeps on a Ray cluster of which a part is lost.

The cluster has three nodes on this machine, with a core and, for root on Linux, a host name each.
In the middle of the sweep a worker or a node is killed (SIGKILL) or ended (SIGTERM), or the head or
a node is stopped for a while. Then the sweep is compared, from the store alone, with the same one
by launcher=basic: one parent with equal figures, every cell once and finished, equal parameters,
metrics, pictures and weights, nothing doubled, nothing RUNNING, no process left. The case `tiny`
sends 40 cells to an MLflow server on PostgreSQL, and takes the seconds a cell beyond its own work.
Prints a line a case as it ends; exits 1 if anything differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kill import TINY  # noqa: E402
from kill_sweeps import differences  # noqa: E402

from flexunet_exp.runs import claims  # noqa: E402
from flexunet_exp.runs.outcome import RESULT  # noqa: E402
from flexunet_exp.system import interrupt  # noqa: E402
from flexunet_exp.tracking.store import PARENT, RUN_FOLDER, SWEEP, Store  # noqa: E402
from tests.support import running  # noqa: E402
from tests.support.ray_nodes import Cluster, Node, holder, send  # noqa: E402
from tests.support.serving_store import Postgres, Server  # noqa: E402

NODES, CELLS = 3, 40
STALLED, GIVEN_UP = 30, 100  # seconds: Ray takes a node for dead that does not answer for a minute
EXACT = ("trainer.deterministic=true", "trainer.threads=1")
SWEPT = (*TINY, *EXACT, "trainer.epochs=6", "loss=dice,ce_dice", "trainer.seed=0,1")
SHORT = (
    *(*TINY, *EXACT, "trainer.epochs=1", "callbacks=none", "augmentation=none"),
    "tracking.log_model=false",
)


@dataclass(frozen=True)
class Sweep:
    """A command that sweeps, in a folder of its own."""

    folder: Path
    process: subprocess.Popen

    @property
    def printed(self) -> str:
        return (self.folder / "printed.txt").read_text()

    def cells(self) -> list[Path]:
        return sorted(self.folder.glob("outputs/multirun/*/*/[0-9]*"))

    def trained(self) -> Iterator[tuple[Path, int]]:
        """The cells in the middle of their training, each with the process that trains it."""
        for cell in self.cells():
            lock = claims.lock_of(cell)
            if claims.epochs_done(cell) and (pid := holder(lock)):
                yield cell, pid


def start(folder: Path, data: Path, *words: str) -> Sweep:
    folder.mkdir()
    command = [sys.executable, "-m", "flexunet_exp", "train", "-m", *words, f"data_root={data}"]
    with (folder / "printed.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    return Sweep(folder, process)


def on(cluster: Cluster, parallel: int = NODES) -> tuple[str, ...]:
    address = f"hydra.launcher.address={cluster.address}"
    return ("launcher=ray", "launcher.cpus=1", f"launcher.parallel={parallel}", address)


# === Cases ===


def nothing(cluster: Cluster, sweep: Sweep) -> str:
    return "nothing"


def beside_head(cluster: Cluster, sweep: Sweep) -> Iterator[tuple[Path, Node]]:
    """The cells that are trained on another node than the head, each with its node."""
    nodes = ((cell, cluster.node_of(pid)) for cell, pid in sweep.trained())
    return ((cell, node) for cell, node in nodes if node is not cluster.head)


def kill_worker(cluster: Cluster, sweep: Sweep) -> str:
    cell, pid = first(sweep.trained)
    epochs = claims.epochs_done(cell)
    send(pid, signal.SIGKILL)
    return f"cell {cell.name} after epoch {epochs}"


def kill_node(cluster: Cluster, sweep: Sweep) -> str:
    cell, node = first(lambda: beside_head(cluster, sweep))
    epochs = claims.epochs_done(cell)
    node.kill()
    return f"{node.name} with cell {cell.name} after epoch {epochs}"


def interrupt_worker(cluster: Cluster, sweep: Sweep) -> str:
    cell, pid = first(sweep.trained)
    send(pid, signal.SIGTERM)
    return f"cell {cell.name} after epoch {claims.epochs_done(cell)}"


def leave(cluster: Cluster, sweep: Sweep) -> str:
    """Ends a node as its owner would, by SIGTERM to `ray start --block`."""
    cell, node = first(lambda: beside_head(cluster, sweep))
    send(node.process.pid, signal.SIGTERM)
    return f"{node.name} with cell {cell.name} after epoch {claims.epochs_done(cell)}"


def first(found: Callable[[], Iterator[Any]]) -> Any:
    """The first of what is found, as soon as there is one."""
    seen: list[Any] = []
    running.wait_until(lambda: seen.extend(islice(found(), 1)) or seen, seconds=300)
    return seen[0]


def stop_head(cluster: Cluster, sweep: Sweep) -> str:
    first(sweep.trained)
    return stop(cluster.head, STALLED)


def stop_node(cluster: Cluster, sweep: Sweep) -> str:
    """Its process still holds its run, which another node has been given meanwhile."""
    cell, node = first(lambda: beside_head(cluster, sweep))
    return f"{stop(node, GIVEN_UP)}, with cell {cell.name}"


def stop(node: Node, seconds: float) -> str:
    node.signal(signal.SIGSTOP)
    time.sleep(seconds)
    node.signal(signal.SIGCONT)
    return f"{node.name} for {seconds} s"


CASES: dict[str, Callable[[Cluster, Sweep], str]] = {
    "left alone": nothing,
    "a worker killed": kill_worker,
    "a worker interrupted": interrupt_worker,
    "a node killed": kill_node,
    "a node ended": leave,
    "the head stopped": stop_head,
    "a node stopped": stop_node,
}


def try_case(name: str, home: Path, whole: Path) -> bool:
    """Whether a sweep that lost something is equal to the one by launcher=basic; prints a line."""
    started = time.perf_counter()
    with Cluster(NODES) as cluster:
        sweep = start(home / name, home / "data", *SWEPT, *on(cluster))
        harm = CASES[name](cluster, sweep)
        status = sweep.process.wait(600)
    found = [f"exit {status}"] if status else []
    found += differences(sweep.folder, whole) + other_parent(sweep.folder, whole)
    found += [f"processes left: {left}"] if (left := cluster.living()) else []
    lost = re.findall(r"Cell \d+ was lost.*", sweep.printed)
    took = time.perf_counter() - started
    print(f"| {name} | {harm} | {took:.0f} | {', '.join(found) or 'yes'} |", *lost, sep="\n")
    if found:
        print(sweep.printed, file=sys.stderr)
    return not found


def other_parent(ours: Path, theirs: Path) -> list[str]:
    """In what the parents of two sweeps differ, and whether the table has each cell once."""
    (mine, listed), (other, expected) = map(parent_of, (ours, theirs))
    checks = {
        "the parent's figures": mine.data.metrics == other.data.metrics,
        "the parent's counts": counts(mine) == counts(other),
        "the table of cells": listed == expected,
    }
    return [name for name, is_right in checks.items() if not is_right]


def parent_of(folder: Path) -> tuple[Any, list[list[str]]]:
    """The parent run of a sweep, and the number, name, status and objective of its cells."""
    (parent,) = (run for run in running.all_runs(folder) if SWEEP in run.data.tags)
    (table,) = folder.glob("outputs/multirun/*/*/cells.csv")
    rows = csv.DictReader(table.open())
    wanted = ("cell", "name", "status", "objective")
    return parent, [[row[key] for key in wanted] for row in rows]


def counts(parent: Any) -> dict[str, str]:
    tags = parent.data.tags
    return {key: tags[key] for key in tags if key.startswith("cells.") or key == "winner"}


# === Many tiny cells ===


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The address of an MLflow server on a PostgreSQL of its own."""
    database = Postgres()
    server = Server(home, database.uri)
    try:
        server.start()
        yield server.uri
    finally:
        server.kill()
        database.stop()


def try_tiny(home: Path, cells: int, parallel: int = 2) -> bool:
    """Whether no cell of many tiny ones is lost; prints what each takes beyond its own work."""
    seeds = f"trainer.seed=range({cells})"
    with served(home) as uri, Cluster(NODES) as cluster:
        words = (*SHORT, seeds, "tracking=server", f"tracking.uri={uri}")
        started = time.perf_counter()
        sweep = start(home / "tiny", home / "data", *words, *on(cluster, parallel))
        status = sweep.process.wait(60 * cells)
        took = time.perf_counter() - started
        found = [f"exit {status}"] if status else []
        found += wrong_in_store(Store(uri, "flexunet"), cells)
    print(
        f"| {cells} tiny cells, {parallel} at once | – | {took:.0f} | {', '.join(found) or 'yes'} |"
    )
    own = [60 * json.loads((c / RESULT).read_text())["minutes"] for c in sweep.cells()]
    began = min((c / ".hydra" / "config.yaml").stat().st_mtime for c in sweep.cells())
    ended = max((c / RESULT).stat().st_mtime for c in sweep.cells())
    beyond, between = ((s * parallel - sum(own)) / cells for s in (took, ended - began))
    print(
        f"Of a cell: {sum(own) / cells:.2f} s its own, {beyond:.2f} s beyond; {between:.2f} s of "
        "this between the start of the first cell and the end of the last one."
    )
    return not found


def wrong_in_store(store: Store, cells: int) -> list[str]:
    runs = list(store.search())
    children = [run for run in runs if PARENT in run.data.tags]
    checks = {
        "runs": len(runs) == cells + 1,
        "cells": len({run.data.tags[RUN_FOLDER] for run in children}) == cells,
        "not FINISHED": {run.info.status for run in runs} == {"FINISHED"},
    }
    return [name for name, is_right in checks.items() if not is_right]


def main(words: Sequence[str] | None = None) -> int:
    interrupt.listen()  # SIGTERM, too, ends the cluster and the sweep
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join([*CASES, "tiny"]))
    parser.add_argument("--cells", type=int, default=CELLS, help="of the case tiny")
    given = parser.parse_args(words)
    sys.stdout.reconfigure(line_buffering=True)  # a line stays if the program is cut off
    print("| case | what was done | seconds | as by launcher=basic |\n|---|---|---:|---|")
    are_right = []
    with tempfile.TemporaryDirectory(prefix="ray_cluster_") as folder:
        home = Path(folder)
        names = given.cases or [*CASES, "tiny"]
        if names != ["tiny"]:
            whole = start(home / "whole", home / "data", *SWEPT)
            if whole.process.wait():
                sys.exit(whole.printed)
        for name in names:
            is_right = (
                try_tiny(home, given.cells)
                if name == "tiny"
                else try_case(name, home, whole.folder)
            )
            are_right.append(is_right)
    return int(not all(are_right))


if __name__ == "__main__":
    sys.exit(main())
