"""Runs the jobs of a multirun by submitit: as jobs of SLURM, or in processes of this machine.

The working folder must exist on every node under the same path. Hydra's own launcher would end the
command at the first job without a result, with the stack trace of that job.
"""

from __future__ import annotations

import atexit
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, filter_overrides
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.errors import InputError
from flexunet_exp.sweeps.remote_cells import Sweep, lost
from flexunet_exp.system import interrupt

log = logging.getLogger(__name__)

SLURM = "slurm"
OF_ANY_CLUSTER = (  # options of submitit without the cluster's name before them
    *("cpus_per_task", "gpus_per_node", "mem_gb", "name", "nodes", "stderr_to_stdout"),
    *("tasks_per_node", "timeout_min"),
)


@dataclass(frozen=True)
class Cell:
    """A job of a multirun, which submitit stores in a file and calls on a node."""

    sweep: Sweep
    number: int
    words: Sequence[str]
    singletons: dict = field(repr=False)

    def __call__(self) -> JobReturn:
        replace_warning(self.sweep.cfg)
        atexit.register(gc.freeze)  # as in cli.main
        try:
            return self.sweep.run(self.singletons, self.number, list(self.words))
        except KeyboardInterrupt:  # logged; submitit keeps no result of a process that exits
            sys.exit(130)

    def checkpoint(self) -> Any:
        """What SLURM starts in this job's place: the same, which goes on from the run's state."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def launch(sweep: Sweep, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Runs the jobs, and waits for all of them; returns their results, in their order.

    Raises InputError if the cluster does not take the jobs.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    configure_log(sweep.cfg.hydra.hydra_logging, sweep.cfg.hydra.verbose)
    Path(str(sweep.cfg.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    cells = [Cell(sweep, n, words, Singleton.get_state()) for n, words in enumerate(jobs, first)]
    for cell in cells:
        log.info("\t#%d : %s", cell.number, " ".join(filter_overrides(cell.words)))
    try:
        executor = executor_of(sweep.cfg)
        with executor.batch():
            submitted = [executor.submit(cell) for cell in cells]
    except (FailedJobError, FailedSubmissionError) as error:
        raise InputError(f"SLURM does not take the jobs: {last_line(error)}") from error
    return [result_of(job, cell) for job, cell in zip(submitted, cells, strict=True)]


def cluster_of(cfg: DictConfig) -> str:
    """slurm, or local."""
    return cfg.hydra.runtime.choices["hydra/launcher"].removeprefix("submitit_")


def executor_of(cfg: DictConfig) -> Any:
    """What submits jobs, with the options of `hydra.launcher`."""
    from submitit import AutoExecutor

    cluster = cluster_of(cfg)
    given = OmegaConf.to_container(cfg.hydra.launcher, resolve=True)
    assert isinstance(given, dict)
    options = {str(name): value for name, value in given.items() if name != "_target_"}
    folder = options.pop("submitit_folder")
    again = {name: options.pop(name) for name in ("max_num_timeout",) if name in options}
    executor = AutoExecutor(
        folder, cluster=cluster, **{f"{cluster}_{name}": value for name, value in again.items()}
    )
    named = {
        name if name in OF_ANY_CLUSTER else f"{cluster}_{name}": value
        for name, value in options.items()
    }
    executor.update_parameters(**named)
    return executor


def result_of(job: Any, cell: Cell) -> JobReturn:
    """What a cell returned, NaN if it failed or its job ended without a result."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except UncompletedJobError:
        reason = f"its job {job.job_id} ended without a result ({job.state})"
    except FailedJobError as error:
        reason = f"its job {job.job_id} failed: {last_line(error)}"
    log.error("Cell %d was lost: %s. Its output is in %s", cell.number, reason, job.paths.stderr)
    advice = "The same command goes on with it."
    return lost(cell.sweep.job(cell.number, cell.words), f"{reason}. {advice}")


def last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def replace_warning(cfg: DictConfig) -> None:
    """Takes SLURM's signal before a time limit as an interruption of the run.

    Submitit leaves the process by SystemExit once SLURM will start the job again, which a run would
    take for a failure of its own and return as its result. Where SLURM will not, the run fails with
    what to do. Other jobs than those of SLURM get no such signal.
    """
    from submitit.core.job_environment import JobEnvironment
    from submitit.core.utils import UncompletedJobError

    number = JobEnvironment._usr_sig()
    handle = signal.getsignal(number)
    if not callable(handle):
        return

    def warned(signal_number: int, frame: FrameType | None) -> None:
        try:
            handle(signal_number, frame)
        except SystemExit:
            interrupt.interrupt(signal_number, frame)
        except UncompletedJobError as error:
            raise InputError(
                f"The job's time is over (hydra.launcher.timeout_min="
                f"{cfg.hydra.launcher.timeout_min}). The same command goes on with the run. SLURM "
                "starts it again by itself with hydra.launcher.max_num_timeout=N, up to N times"
            ) from error

    signal.signal(number, warned)
