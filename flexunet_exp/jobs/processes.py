"""Processes that run jobs: a new process for one job, and workers that end with their parent."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import resolvers
from flexunet_exp.jobs.job import ENDED
from flexunet_exp.runs.outcome import read_outcome
from flexunet_exp.system import interrupt

SECONDS_TO_END = 5.0  # that an interrupted run has to end in the store if its parent is gone


def in_own_process(task: Callable[[DictConfig], float], cfg: DictConfig) -> float:
    """Runs a job in a new process; returns the job's objective.

    It is for settings that this process cannot change any more. `task` is a function at the top of
    a module, and calls `supervised`.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    hydra_node = OmegaConf.create({"hydra": HydraConfig.get()})
    process = get_context("spawn").Process(target=take_over, args=(task, cfg, hydra_node))
    process.start()
    try:
        process.join()
    except KeyboardInterrupt:
        process.join(5)  # a terminal has interrupted it too
        process.terminate()
        process.join()
        raise
    outcome = read_outcome(folder)
    ENDED.append(outcome)
    return outcome.objective


def take_over(task: Callable[[DictConfig], float], cfg: DictConfig, hydra_node: Any) -> None:
    """Runs the job in the new process, after setting up what Hydra sets up."""
    end_with_parent()
    setup_globals()
    resolvers.register_resolvers()
    HydraConfig.instance().set_config(hydra_node)
    configure_log(hydra_node.hydra.job_logging, hydra_node.hydra.verbose)
    try:
        task(cfg)
    except KeyboardInterrupt:
        sys.exit(130)


@cache  # one thread per process, whatever the number of its jobs
def end_with_parent() -> None:
    """Ends a process that was started to run jobs when the process that started it is gone.

    Otherwise a launcher's workers would go on with all their jobs, beside a new start of the same
    command.
    """
    if starter := parent_process():
        interrupt.listen()
        pid = starter.pid
        Thread(target=end_after, args=(lambda: os.getppid() == pid,), daemon=True).start()


@cache
def end_with(command: int) -> None:
    """Ends this process when the process `command`, which is not its parent, is gone."""
    interrupt.listen()
    Thread(target=end_after, args=(lambda: is_there(command),), daemon=True).start()


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def end_after(holds: Callable[[], bool]) -> None:
    """Interrupts this process once `holds` is false, and ends it soon after."""
    while holds():
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_END)
    # As after kill -9, the run goes on from its state. Otherwise a worker would idle for minutes.
    os._exit(130)
