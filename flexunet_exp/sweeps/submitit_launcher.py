"""Runs the jobs of a multirun by submitit: as jobs of SLURM, or in processes of this machine.

The working folder must exist on every node under the same path. Hydra's own launcher would end the
command at the first job without a result, with the stack trace of that job.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import SubprocessError, TimeoutExpired
from types import FrameType
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, filter_overrides
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.errors import InputError
from flexunet_exp.jobs.processes import end_with
from flexunet_exp.sweeps.remote_cells import Sweep, lost
from flexunet_exp.system import interrupt

log = logging.getLogger(__name__)

SLURM = "slurm"
GRACE = 20  # seconds in which interrupted jobs can end their runs in the store
SECONDS_TO_BE_ENDED = 600  # that an interrupted job of SLURM waits for SLURM
OF_ANY_CLUSTER = (  # options of submitit without the cluster's name before them
    *("cpus_per_task", "gpus_per_node", "mem_gb", "name", "nodes", "stderr_to_stdout"),
    *("tasks_per_node", "timeout_min"),
)


@dataclass(frozen=True)
class Cell:
    """A job of a multirun, which submitit stores in a file and calls on a node.

    `command` is the process that waits for it, if that is on the same machine.
    """

    sweep: Sweep
    number: int
    words: Sequence[str]
    singletons: dict = field(repr=False)
    command: int | None

    def __call__(self) -> JobReturn:
        leaves = take_over_warning(self.sweep.cfg)
        atexit.register(gc.freeze)  # as in cli.main
        if self.command:
            end_with(self.command)
        try:
            return self.sweep.run(self.singletons, self.number, list(self.words))
        except KeyboardInterrupt:  # logged; submitit keeps no result of a process that exits
            if not self.command:
                # SLURM decides what becomes of the job: one that ends by itself while it is
                # preempted would not be queued again.
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(SECONDS_TO_BE_ENDED)
            sys.exit(leaves[0] if leaves else 130)

    def checkpoint(self) -> Any:
        """What is started in this job's place: the same, which goes on from the run's state."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def launch(sweep: Sweep, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Runs the jobs, and waits for all of them; returns their results, in their order.

    A command that is interrupted ends its jobs on this machine, and not those of SLURM. Raises
    InputError if the cluster does not take the jobs.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    configure_log(sweep.cfg.hydra.hydra_logging, sweep.cfg.hydra.verbose)
    Path(str(sweep.cfg.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    command = None if cluster_of(sweep.cfg) == SLURM else os.getpid()
    singletons = Singleton.get_state()
    cells = [Cell(sweep, n, words, singletons, command) for n, words in enumerate(jobs, first)]
    for cell in cells:
        log.info("\t#%d : %s", cell.number, " ".join(filter_overrides(cell.words)))
    executor = executor_of(sweep.cfg)
    try:
        with beyond_ctrl_c(), executor.batch():
            submitted = [executor.submit(cell) for cell in cells]
    except (FailedJobError, FailedSubmissionError) as error:
        raise InputError(f"SLURM does not take the jobs: {last_line(error)}") from error
    try:
        return [result_of(job, cell) for job, cell in zip(submitted, cells, strict=True)]
    except KeyboardInterrupt:
        if command:
            interrupt_jobs(submitted)
        raise


@contextmanager
def beyond_ctrl_c() -> Iterator[None]:
    """Processes that start within it do not get the Ctrl-C of a terminal.

    Submitit's would otherwise kill a run one second later, while it still ends in the store.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt_jobs(jobs: Sequence[Any]) -> None:
    """Interrupts the jobs on this machine, and gives them time to end their runs."""
    ends = time.monotonic() + GRACE
    for job in jobs:
        job._process.terminate()  # which passes the signal on to the job
    for job in jobs:
        with suppress(TimeoutExpired):
            job._process.wait(max(0, ends - time.monotonic()))


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
    again = {}
    if cluster == SLURM:
        again["slurm_max_num_timeout"] = options.pop("max_num_timeout")
    executor = AutoExecutor(folder, cluster=cluster, **again)
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
        return job.results()[0]
    except UncompletedJobError:
        reason = f"its job {job.job_id} ended without a result ({job.state})"
    except FailedJobError as error:
        reason = f"its job {job.job_id} failed: {last_line(error)}"
    log.error("Cell %d was lost: %s. Its output is in %s", cell.number, reason, job.paths.stderr)
    advice = "The same command goes on with it."
    return lost(cell.sweep.job(cell.number, cell.words), f"{reason}. {advice}")


def last_line(error: Exception) -> str:
    """The last line of an error; of a job's, that of the stack trace which submitit frames."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    frames = [number for number, line in enumerate(lines) if not line.strip("-")]
    ended = lines[: frames[-1]] if len(frames) > 1 else lines
    return ended[-1].strip() if ended else type(error).__name__


def take_over_warning(cfg: DictConfig) -> list[int]:
    """Takes the signal before a time limit as an interruption of the run.

    Submitit leaves the process by SystemExit once the job will be started again, which a run would
    take for a failure of its own and return as its result. The returned list gets the status with
    which it leaves. Where the job will not be started again, the run fails with what to do.
    """
    from submitit.core.job_environment import JobEnvironment
    from submitit.core.utils import UncompletedJobError

    number, leaves = JobEnvironment._usr_sig(), list[int]()
    handle = signal.getsignal(number)
    assert callable(handle), "submitit sets it before it calls a job"
    limit = f"hydra.launcher.timeout_min={cfg.hydra.launcher.timeout_min}"

    def warned(signal_number: int, frame: FrameType | None) -> None:
        try:
            handle(signal_number, frame)
        except SystemExit as leaving:
            leaves.append(leaving.code if isinstance(leaving.code, int) else 1)
            interrupt.interrupt(signal_number, frame)
        except (UncompletedJobError, OSError, SubprocessError) as error:
            why = "" if isinstance(error, UncompletedJobError) else f" ({error})"
            raise InputError(
                f"The job's time is over ({limit}), and it is not started again{why}. The same "
                "command goes on with the run. For longer jobs, raise hydra.launcher.timeout_min, "
                "or hydra.launcher.max_num_timeout, the number of times that SLURM starts one again"
            ) from error

    signal.signal(number, warned)
    return leaves
