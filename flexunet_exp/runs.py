"""A run in the store and on disk: its name, what is recorded of it, and how it is found again."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from flexunet_exp import job
from flexunet_exp.errors import InputError
from flexunet_exp.tracking import RUN_FOLDER, Store, Tracker

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset

log = logging.getLogger(__name__)

HYPERPARAMETERS = ("model.", "loss.", "optimizer.", "trainer.", "split.", "dataset.image_size")
OWNERS = {
    "seed": "trainer.seed",
    "fold": "split.fold",
    "learning_rate": "optimizer.learning_rate",
    "image_size": "dataset.image_size",
}
FILES = ("config.yaml", "samples.csv", "best.keras")  # what a run needs to be scored again


@dataclass(frozen=True)
class FinishedRun:
    """A run that can be used again, from its folder alone."""

    folder: Path
    cfg: DictConfig
    run_id: str | None = None


def run_name(cfg: DictConfig) -> str:
    """What differs from the sweep's other jobs (`bf=8 ce_dice`), else data set and model.

    The shortest first, because the UI cuts a name after some thirteen characters.
    """
    if cfg.tracking.run_name:
        return str(cfg.tracking.run_name)
    chosen = {key: value for key, _, value in map(split_override, task_overrides())}
    varying = [short(key, chosen[key]) for key in cfg.tracking.vary if key in chosen]
    model = str(OmegaConf.select(cfg, "model._target_", default="model")).rsplit(".", 1)[-1]
    return " ".join(sorted(varying, key=len)) or f"{cfg.dataset.name} {model}"


def task_overrides() -> list[str]:
    return list(HydraConfig.get().overrides.task)


def split_override(override: str) -> tuple[str, str, str]:
    key, equals, value = override.lstrip("+~").partition("=")
    return key, equals, value


def short(key: str, value: str) -> str:
    """A choice as its value, any other setting by its initials: base_filters=8 → bf=8."""
    if "." not in key:
        return value
    initials = "".join(word[0] for word in key.rsplit(".", 1)[-1].split("_") if word)
    return f"{initials}={value}"


def begin(tracker: Tracker, cfg: DictConfig, dataset: Dataset, folder: Path, tags: dict) -> None:
    """Opens the run in the store with its parameters, tags and data set."""
    overrides = [word for word in task_overrides() if not word.startswith("tracking.")]
    tracker.begin(
        {
            **tags,
            RUN_FOLDER: str(folder),
            "overrides": " ".join(overrides)[:4000],
            "test_digest": dataset.split_digest("test"),
            "mlflow.note.content": f"`flexunet train {' '.join(overrides)}`"[:4000],
        }
    )
    tracker.params(params(cfg))
    tracker.dataset(dataset.table, dataset.name, dataset.digest, str(cfg.dataset.path))
    tracker.artifact(folder / "config.yaml", "config")
    tracker.artifact(folder / "model.txt", "config")
    tracker.artifact(folder / "samples.csv")


def params(cfg: DictConfig) -> dict[str, Any]:
    """The choices, and whatever the command line says beyond them: few and short.

    The UI writes all of them above every picture and makes an axis of each; the whole configuration
    is an artifact.
    """
    choices = HydraConfig.get().runtime.choices
    settings = {
        **{group: choices.get(group) for group in ("dataset", "model", "loss", "experiment")},
        "image_size": cfg.dataset.image_size,
        "learning_rate": cfg.optimizer.get("learning_rate"),
        "seed": cfg.trainer.seed,
        "fold": cfg.split.get("fold"),
    }
    for key in map(itemgetter(0), map(split_override, task_overrides())):
        if key.startswith(HYPERPARAMETERS):
            last = key.rsplit(".", 1)[-1]
            name = last if OWNERS.get(last, key) == key else key  # trainer.seed is not split.seed
            settings[name] = OmegaConf.select(cfg, key)
        elif key in choices and "@" not in key:
            settings[key] = choices[key]
    return {key: value for key, value in settings.items() if value is not None}


def mirror(tracker: Tracker, folder: Path) -> None:
    """Copies what the run folder holds at its end into the store."""
    tracker.artifact(folder / "evaluation", "evaluation")
    for pattern in ("train_*.csv", "train_*.png", "profile.csv"):
        for path in sorted(folder.glob(pattern)):
            tracker.artifact(path, "figures")


def skip(cfg: DictConfig, ended: Any) -> job.Outcome:
    """The outcome of work that a run of the store has already done."""
    objective = ended.data.metrics.get(cfg.objective, float("nan"))
    log.info(
        "Already done: run %s (%s), %s = %.4f. Train it again with rerun=all.",
        ended.info.run_name,
        ended.info.run_id,
        cfg.objective,
        objective,
    )
    where = ended.data.tags.get(RUN_FOLDER, "")
    failed = ended.info.status == "FAILED"
    error = ended.data.tags.get("error", "") if failed else ""
    status = "failed" if failed else "skipped"
    return job.Outcome(status, run_name(cfg), objective, ended.info.run_id, where, error)


def find(cfg: DictConfig, download_to: Path) -> FinishedRun:
    """The run that `run=` names: a run folder, a run id, `latest` or `best`.

    A run whose folder is gone is fetched from the store into `download_to`.
    """
    name = str(cfg.run)
    if Path(name).expanduser().is_dir():
        return load(Path(name).expanduser().absolute())
    if not cfg.tracking.uri:
        raise InputError(f"run={name!r} is no folder, and tracking=none has no store to look in.")
    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name)
    found = find_in_store(store, name, cfg.objective)
    folder = Path(found.data.tags.get(RUN_FOLDER, ""))
    if not all((folder / file).is_file() for file in FILES):
        folder = fetch(store, found.info.run_id, download_to)
    return load(folder, found.info.run_id)


def find_in_store(store: Store, name: str, objective: str) -> Any:
    if name not in ("latest", "best"):
        return run_by_id(store, name)
    finished = store.runs(
        "attributes.status = 'FINISHED' AND tags.run_folder LIKE '%'",
        "attributes.start_time DESC",
        limit=1000,
    )
    if not finished:
        raise InputError(f"No finished run in {store.uri}. Train one with flexunet train.")
    if name == "latest":
        return finished[0]
    digest = finished[0].data.tags.get("test_digest")
    same = [run for run in finished if run.data.tags.get("test_digest") == digest]
    scored = [run for run in same if objective in run.data.metrics]
    if not scored:
        raise InputError(f"No finished run has the figure {objective!r}. Try objective=val/dice")
    return max(scored, key=lambda run: run.data.metrics[objective])


def run_by_id(store: Store, run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    if re.fullmatch(r"[0-9a-f]{32}", run_id):
        try:
            return store.client.get_run(run_id)
        except MlflowException:
            pass
    raise InputError(
        f"run={run_id!r} is neither a folder nor a run of {store.uri}. "
        "Use a run folder, a run id from the UI, `latest` or `best`."
    )


def fetch(store: Store, run_id: str, folder: Path) -> Path:
    """Lays a run's files out as in a run folder, from what the store keeps of it."""
    fetched = store.download(run_id, folder / "fetched")
    if (composed := fetched / "config" / "config.yaml").is_file():
        os.replace(composed, fetched / "config.yaml")
    if weights := store.download_model(run_id, fetched / "model"):
        os.replace(weights, fetched / "best.keras")
    return fetched


def load(folder: Path, run_id: str | None = None) -> FinishedRun:
    """The run in a folder; InputError naming what is missing from it."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a finished run: it lacks {', '.join(missing)}. "
            "Use a run folder, a run id, `latest` or `best`."
        )
    cfg = OmegaConf.load(folder / "config.yaml")
    assert isinstance(cfg, DictConfig)
    return FinishedRun(folder, cfg, run_id)
