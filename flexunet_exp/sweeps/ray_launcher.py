"""Runs the jobs of a multirun as tasks of Ray: on this machine, or on the nodes of a cluster.

The working folder must exist on every node under the same path: run folders, relative data roots
and caches are in it.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    filter_overrides,
    run_job,
    setup_globals,
)
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from flexunet_exp.config import resolvers
from flexunet_exp.errors import InputError
from flexunet_exp.runs.outcome import RESULT, Outcome, keep_outcome
from flexunet_exp.sweeps import launchers
from flexunet_exp.system import tensorflow

log = logging.getLogger(__name__)

GRACE = 20  # seconds in which interrupted jobs can end their runs in the store
STORE_MEMORY = 100 * 2**20  # bytes of Ray's own object store: jobs exchange little data


@dataclass
class Sweep:
    """What every job of a multirun is made from, in whatever process."""

    context: HydraContext
    task: TaskFunction
    cfg: DictConfig

    def job(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job, Hydra's own part included."""
        setup_globals()
        resolvers.register_resolvers()
        composed = self.context.config_loader.load_sweep_config(self.cfg, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = f"{composed.hydra.job.name}_{number}"
            composed.hydra.job.num = number
        return composed


def launch(sweep: Sweep, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Runs the jobs, `launcher.parallel` at once; returns their results, in their order."""
    configure_log(sweep.cfg.hydra.hydra_logging, sweep.cfg.hydra.verbose)
    Path(str(sweep.cfg.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    with started(sweep.cfg) as ray:
        remote_train = ray.remote(train).options(
            num_cpus=launchers.cores_of_each(sweep.cfg),
            num_gpus=sweep.cfg.hydra.launcher.gpus,
            max_retries=0,  # a retry may start while the first process still trains the run
        )
        shared = ray.put((sweep, Singleton.get_state(), os.getcwd()))
        waiting = list(enumerate(jobs, start=first))
        running: dict[Any, int] = {}
        returned: dict[int, JobReturn] = {}
        try:
            while waiting or running:
                while waiting and len(running) < sweep.cfg.hydra.launcher.parallel:
                    number, words = waiting.pop(0)
                    log.info("\t#%d : %s", number, " ".join(filter_overrides(words)))
                    running[remote_train.remote(shared, number, words)] = number
                (ended,), _ = ray.wait(list(running))
                number = running.pop(ended)
                returned[number] = result(ray, ended, sweep, number, jobs[number - first])
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
    Singleton.set_state(singletons)
    os.chdir(folder)
    cfg = sweep.job(number, overrides)
    HydraConfig.instance().set_config(cfg)
    return run_job(
        hydra_context=sweep.context,
        config=cfg,
        task_function=sweep.task,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def result(ray: Any, ended: Any, sweep: Sweep, number: int, overrides: Sequence[str]) -> JobReturn:
    """What a job returned; NaN if its process or node was lost, so that the others go on."""
    try:
        return ray.get(ended)
    except ray.exceptions.RayError as error:
        log.error("Cell %d was lost: %s", number, error)
        return lost(sweep.job(number, overrides), last_line(error))


def last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def lost(cfg: DictConfig, reason: str) -> JobReturn:
    """Writes the outcome of a lost job, and returns NaN in place of the job's own result."""
    folder = Path(cfg.hydra.sweep.dir, cfg.hydra.sweep.subdir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome("failed", f"cell {cfg.hydra.job.num}", folder=str(folder), error=reason)
    outcome.number = cfg.hydra.job.num
    if not (folder / RESULT).exists():  # it may have been lost after its end
        keep_outcome(folder, outcome)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(folder)
    returned = JobReturn(cfg=cfg, hydra_cfg=cfg, overrides=list(cfg.hydra.overrides.task))
    returned.return_value, returned.status = math.nan, JobStatus.COMPLETED
    return returned


def interrupt(ray: Any, running: list[Any]) -> None:
    """Interrupts the jobs, and gives them time to end their runs."""
    for job in running:
        ray.cancel(job)
    if running:
        ray.wait(running, num_returns=len(running), timeout=GRACE)
