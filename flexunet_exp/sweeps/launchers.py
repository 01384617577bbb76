"""Several runs at once: cores and GPUs of each, workers, whether a launcher can start them."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import itertools
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError, not_installed
from flexunet_exp.jobs.processes import end_with_parent
from flexunet_exp.system import collection, imports, locks, tensorflow
from flexunet_exp.tracking.mlflow_client import load_mlflow

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
HELD: list[IO[bytes]] = []  # the lock of this process's place among those that train at once


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem that keeps the chosen launcher from starting runs."""
    validation.check_sections(cfg, ["launcher"])
    chosen, launcher = cfg.hydra.runtime.choices["hydra/launcher"], cfg.launcher
    problems = []
    if chosen == "basic" and launcher.parallel > 1:
        problems.append(
            f"launcher.parallel={launcher.parallel}, but launcher=basic trains one run after the "
            "other. Choose another launcher: launcher=joblib"
        )
    if is_elsewhere(cfg) and launcher.cpus is None:
        problems.append(
            "launcher.cpus is missing; expected the cores of each run, because runs are trained on "
            "other machines. Try launcher.cpus=4"
        )
    if chosen == "submitit_slurm" and not cfg.dry:
        absent = [name for name in ("sbatch", "srun") if shutil.which(name) is None]
        if absent:
            problems.append(
                f"SLURM's {' and '.join(absent)} not found here. Give the command on a login node "
                "of the cluster, or choose launcher=joblib, which trains on this machine"
            )
    if chosen == "flexunet_ray" and importlib.util.find_spec("ray") is None:
        problems.append(not_installed("ray", "ray"))
    if problems:
        raise InputError(problems)


def is_elsewhere(cfg: DictConfig) -> bool:
    """Whether runs are trained on other machines, whose number of cores is unknown here."""
    chosen = cfg.hydra.runtime.choices["hydra/launcher"]
    return chosen == "submitit_slurm" or bool(cfg.hydra.launcher.get("address"))


def cores_of_each(cfg: DictConfig) -> int:
    """Cores of a run: as configured, else this machine's ÷ the runs at once; at least 1."""
    return cfg.launcher.cpus or max(1, tensorflow.available_cores() // cfg.launcher.parallel)


def thread_overrides(cfg: DictConfig, axes: Sequence[str]) -> list[str]:
    """The override that sets the threads of each run.

    Empty if the user sets them, or if one run at a time has the whole machine.
    """
    is_alone = cfg.launcher.parallel == 1 and cfg.launcher.cpus is None
    if is_alone or cfg.trainer.threads or "trainer.threads" in axes:
        return []
    return [f"trainer.threads={cores_of_each(cfg)}"]


@contextmanager
def warming_workers(cfg: DictConfig) -> Iterator[None]:
    """Within it, joblib's workers start and import what every run needs; does not wait for them.

    The launcher then gives its runs to these workers, because it asks joblib for the same ones.
    Without effect for other launchers, and on a machine with GPUs: there a worker takes its part
    of them before its import.
    """
    is_joblib = cfg.hydra.runtime.choices["hydra/launcher"] == "joblib"
    if not is_joblib or cfg.launcher.parallel == 1 or gpus():
        yield
        return
    from joblib import Parallel, delayed

    work = [delayed(warm)(cfg.tracking.uri)] * cfg.launcher.parallel
    warmed = Parallel(**joblib_settings(cfg), return_as="generator_unordered")(work)
    yield
    # What fails here fails in a run, too, which says so.
    with suppress(Exception):
        list(warmed)


def joblib_settings(cfg: DictConfig) -> dict[str, Any]:
    """What Hydra's launcher gives to joblib: with other settings, joblib starts other workers."""
    from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg

    given = OmegaConf.to_container(cfg.hydra.launcher, resolve=True)
    assert isinstance(given, dict)
    settings = {str(name): value for name, value in given.items() if name != "_target_"}
    process_joblib_cfg(settings)
    return {**settings, "backend": "loky"}


def warm(uri: str | None) -> None:
    """Imports in a worker what its runs need: TensorFlow, and MLflow where there is a store."""
    end_with_parent()
    atexit.register(gc.freeze)  # as in cli.main: the command waits for the end of its workers
    collection.pause()
    imports.for_a_command()
    tensorflow.load()
    importlib.import_module("flexunet_exp.training.attempt")
    if uri:
        load_mlflow(uri)
    collection.resume_after_start()


def spread_gpus(cfg: DictConfig) -> None:
    """Limits this process to its part of the machine's GPUs, before TensorFlow looks for them.

    A worker keeps its part for all of its jobs. Ray and SLURM (launcher.gpus is a number) assign
    GPUs themselves.
    """
    visible = gpus()
    if HELD or not visible or cfg.launcher.parallel == 1 or cfg.launcher.gpus is not None:
        return
    place = take_place(Path(cfg.hydra.sweep.dir) / ".places")
    os.environ[VISIBLE] = ",".join(part(visible, place, cfg.launcher.parallel))
    log.info("GPU %s of %s", os.environ[VISIBLE], ",".join(visible))


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA names them, without starting TensorFlow."""
    if (named := os.environ.get(VISIBLE)) is not None:
        return [name for name in named.split(",") if name]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def take_place(folder: Path) -> int:
    """The first place, from 0, that no living process holds; held until this one ends."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in itertools.count():
        with suppress(locks.Locked):
            HELD.append(locks.exclusive(folder / str(place)))
            return place
    raise AssertionError("itertools.count ends")


def part(visible: Sequence[str], place: int, parallel: int) -> Sequence[str]:
    """The GPUs of one of `parallel` processes; they are shared only if there are too few."""
    each = len(visible) // parallel
    if each == 0:
        return [visible[place % len(visible)]]
    start = place % parallel * each
    return visible[start : start + each]
