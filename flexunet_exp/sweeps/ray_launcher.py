"""Runs the jobs of a multirun as tasks of Ray: on this machine, or on the nodes of a cluster.

The working folder must exist on every node under the same path: run folders, relative data roots
and caches are in it. A cell whose process or node is lost goes on from the state in its run folder,
on any node. The launcher starts it again, not Ray (`max_retries`): Ray writes nothing of that to
the command's log, and repeats without limit what its node has no memory for.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, filter_overrides
from omegaconf import DictConfig

from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims
from flexunet_exp.sweeps import launchers
from flexunet_exp.sweeps.remote_cells import Sweep, folder_of, has_ended, lost
from flexunet_exp.system import tensorflow

log = logging.getLogger(__name__)

GRACE = 20  # seconds in which interrupted jobs can end their runs in the store
STORE_MEMORY = 100 * 2**20  # bytes of Ray's own object store: jobs exchange little data
LOSSES = {  # Ray's errors that are none of the cell's own
    "WorkerCrashedError": "its process ended without a result",
    "NodeDiedError": "its node is gone",
    "OutOfMemoryError": "its node had no memory left",
}


@dataclass(frozen=True)
class Cell:
    """A job of a multirun, and how often its process or node was lost."""

    number: int
    words: Sequence[str]
    losses: int = 0


def launch(sweep: Sweep, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Runs the jobs, `launcher.parallel` at once; returns their results, in their order."""
    configure_log(sweep.cfg.hydra.hydra_logging, sweep.cfg.hydra.verbose)
    Path(str(sweep.cfg.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    with started(sweep.cfg) as ray:
        remote_train = ray.remote(train).options(
            num_cpus=launchers.cores_of_each(sweep.cfg),
            num_gpus=sweep.cfg.hydra.launcher.gpus,
            max_retries=0,  # `result_of` has it trained again
        )
        shared = ray.put((sweep, Singleton.get_state(), os.getcwd()))
        waiting = deque(Cell(number, words) for number, words in enumerate(jobs, start=first))
        running: dict[Any, Cell] = {}
        returned: dict[int, JobReturn] = {}
        try:
            while waiting or running:
                while waiting and len(running) < sweep.cfg.hydra.launcher.parallel:
                    cell = waiting.popleft()
                    log.info("\t#%d : %s", cell.number, " ".join(filter_overrides(cell.words)))
                    running[remote_train.remote(shared, cell.number, cell.words)] = cell
                (ended,), _ = ray.wait(list(running))
                cell = running.pop(ended)
                if (result := result_of(ray, ended, sweep, cell)) is not None:
                    returned[cell.number] = result
                else:
                    waiting.appendleft(replace(cell, losses=cell.losses + 1))
        except KeyboardInterrupt:
            interrupt(ray, list(running))
            raise
    return [returned[number] for number in sorted(returned)]


@contextmanager
def started(cfg: DictConfig) -> Iterator[Any]:
    """Ray, connected to the cluster or started for this machine alone and ended with the sweep."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # shows equal lines of several jobs
    address = cfg.hydra.launcher.address
    if not address:  # Ray listens on every interface: the token admits this command only
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    cores = max(tensorflow.available_cores(), launchers.cores_of_each(cfg) * cfg.launcher.parallel)
    alone: dict[str, Any] = {
        "address": "local",  # not one that RAY_ADDRESS names or that runs here
        "num_cpus": cores,
        "include_dashboard": False,
        "object_store_memory": STORE_MEMORY,
        "_node_ip_address": "127.0.0.1",
    }
    try:
        ray.init(logging_level=logging.ERROR, **({"address": address} if address else alone))
    except (ConnectionError, ValueError, RuntimeError) as error:
        what = f"Ray does not answer at {address}" if address else "Ray cannot be started here"
        raise InputError(
            f"{what}: {str(error).splitlines()[0]} For a cluster, start its head (ray start "
            "--head) and give its address: hydra.launcher.address=HOST:6379"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def train(shared: tuple[Sweep, dict, str], number: int, overrides: list[str]) -> JobReturn:
    """Runs one job, in a process of Ray that may have run other jobs."""
    sweep, singletons, folder = shared
    os.chdir(folder)
    try:
        return sweep.run(singletons, number, overrides)
    except KeyboardInterrupt:  # this process would keep the request, and train no other cell
        sys.exit(130)


def result_of(ray: Any, ended: Any, sweep: Sweep, cell: Cell) -> JobReturn | None:
    """What a cell returned, NaN if it failed; None where it is lost and to be trained again."""
    try:
        return ray.get(ended)
    except ray.exceptions.RayError as error:
        cfg, why = sweep.job(cell.number, cell.words), LOSSES.get(type(error).__name__)
        folder = folder_of(cfg)
        if why is None:
            log.error("Cell %d failed: %s", cell.number, error)
        elif has_ended(folder):
            log.info("Cell %d had ended when it was lost: %s.", cell.number, why)
        elif cell.losses < cfg.hydra.launcher.retries:
            log.warning("Cell %d was lost: %s. %s", cell.number, why, how_it_goes_on(folder))
            return None
        else:
            log.error("Cell %d was lost for the last time: %s.", cell.number, why)
        return lost(cfg, why or last_line(error))


def how_it_goes_on(folder: Path) -> str:
    # Without a state here, the run may lie in the folder of an earlier sweep, and goes on there.
    if epochs := claims.epochs_done(folder):
        return f"It goes on after epoch {epochs}, where a core is free."
    return "It is trained again, where a core is free."


def last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def interrupt(ray: Any, running: list[Any]) -> None:
    """Interrupts the jobs, and gives them time to end their runs."""
    for job in running:
        ray.cancel(job)
    if running:
        ray.wait(running, num_returns=len(running), timeout=GRACE)
