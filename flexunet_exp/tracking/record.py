"""Records a run in the store: its name, parameters, tags, files and model."""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config.options import param_name
from flexunet_exp.config.overrides import Word, choices, short, task_overrides
from flexunet_exp.errors import InputError
from flexunet_exp.runs import outcome
from flexunet_exp.runs.folder import TEMPERATURES
from flexunet_exp.system.files import replace_file, whole_or_nothing
from flexunet_exp.tracking import artifacts, provenance
from flexunet_exp.tracking.mlflow_client import milliseconds
from flexunet_exp.tracking.reachable import optional_store
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import (
    LONGEST,
    OVERRIDES,
    REPRODUCES,
    REPRODUCTION,
    RUN_FOLDER,
    Store,
    has_learned,
)
from flexunet_exp.tracking.stored_models import fetch_network
from flexunet_exp.tracking.tracker import Tracker

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset
    from flexunet_exp.data.scan_record import ScanRecord
    from flexunet_exp.runs.folder import FinishedRun

log = logging.getLogger(__name__)

BEST_DICE = "epoch/val/best_dice"


def run_name(cfg: DictConfig) -> str:
    """The options that differ between the sweep's jobs (`bf=8 ce_dice`), else data set and model.

    The shortest is first, because the UI cuts a name after about thirteen characters.
    """
    if cfg.tracking.run_name:
        return str(cfg.tracking.run_name)
    chosen = {word.key: word.value or "" for word in task_overrides()}
    varying = [short(key, chosen[key]) for key in cfg.tracking.vary if key in chosen]
    model = str(OmegaConf.select(cfg, "model._target_", default="model")).rsplit(".", 1)[-1]
    return " ".join(sorted(varying, key=len)) or f"{cfg.dataset.name} {model}"


def typed() -> list[Word]:
    """The words of this run, with the launcher of its sweep."""
    words = [word for word in task_overrides() if not word.key.startswith("tracking.")]
    return [word for word in words if word.key != "sweep"]


def typed_words() -> str:
    return " ".join(map(str, typed()))


def command_alone() -> str:
    """The command that trains this run and no other."""
    words = [word for word in typed() if not word.is_of_sweep]
    return " ".join(map(str, ["flexunet train", *words]))


def begin(
    tracker: Tracker,
    cfg: DictConfig,
    dataset: Dataset,
    folder: Path,
    tags: dict,
    weights: Mapping[str, str],
) -> None:
    """Opens the run in the store with its parameters, tags, data set and card.

    `weights` are facts of the network's first weights, for the card.
    """
    command = command_alone()
    if origin := tracker.settings.reproduces:
        tags, command = {**tags, REPRODUCES: origin}, f"flexunet reproduce run={origin}"
    tracker.begin(
        {
            **tags,
            RUN_FOLDER: str(folder),
            OVERRIDES: typed_words()[:LONGEST],
            # Runs without test pictures are comparable where they were validated on the same ones.
            "test_digest": dataset.split_digest("test" if len(dataset.split("test")) else "valid"),
            "mlflow.note.content": f"`{command}`"[:LONGEST],
        }
    )
    tracker.params(params(cfg))
    tracker.dataset(folder / "samples.csv", dataset.name, dataset.digest, str(cfg.dataset.path))
    tracker.artifact(folder / "config.yaml", "config")
    tracker.artifact(folder / "model.txt", "config")
    tracker.artifact(folder / "samples.csv")
    if (folder / provenance.FILE).is_file():
        tracker.artifact(folder / provenance.FILE)
    if (scan := dataset.scan) is not None:
        tracker.tag(keep_card(cfg, dataset, scan, folder, weights))
        tracker.artifact(folder / "card.json")
    tracker.commit()
    if tracker.has_store:
        tracker.upload()


def keep_card(
    cfg: DictConfig,
    dataset: Dataset,
    scan: ScanRecord,
    folder: Path,
    weights: Mapping[str, str],
) -> dict[str, str]:
    """Writes the data card into the run folder and logs its warnings; its summary as tags."""
    from flexunet_exp.data import card as datacard

    card = datacard.build(cfg, dataset, scan) | dict(weights)
    replace_file(folder / "card.json", datacard.to_json(card))
    for warning in card["warnings"]:
        log.warning("%s", warning)
    return {name: str(value) for name, value in datacard.summary(card).items()}


def params(cfg: DictConfig) -> dict[str, Any]:
    """The choices, and the other options of the command line: few and short.

    The UI shows all of them above every picture and makes an axis of each. The whole configuration
    is an artifact.
    """
    chosen = choices()
    settings = {
        **{group: chosen.get(group) for group in ("dataset", "model", "loss", "experiment")},
        "image_size": cfg.dataset.image_size,
        "learning_rate": cfg.optimizer.get("learning_rate"),
        "seed": cfg.trainer.seed,
        "fold": cfg.split.get("fold"),
    }
    for key in (word.key for word in task_overrides()):
        if name := param_name(key):
            settings[name] = OmegaConf.select(cfg, key)
        elif key in chosen and "@" not in key and key not in ("sweep", "launcher"):
            settings[key] = chosen[key]
    return {key: value for key, value in settings.items() if value is not None}


def mirror(tracker: Tracker, folder: Path) -> None:
    """Sends the scores, temperatures, curves and profile of an ended run to the store."""
    tracker.artifact(folder / "evaluation", "evaluation")
    if (temperatures := folder / TEMPERATURES).is_file():
        tracker.artifact(temperatures)
    for pattern in ("train_*.csv", "train_*.png", "profile.csv"):
        for path in sorted(folder.glob(pattern)):
            tracker.artifact(path, "figures")


def take_weights(store: Store, trained: Any, best: Path) -> float:
    """Copies the best network of a run that trained the same to `best`; returns its best val_dice.

    Raises InputError where neither that run's folder nor the store has the network any more.
    """
    folder = trained.data.tags.get(RUN_FOLDER, "")
    own = provenance.own_folder(trained, [best.name])
    weights = own / best.name if own else None
    with tempfile.TemporaryDirectory(dir=best.parent) as fetched:
        weights = weights or fetch_network(store, trained.info.run_id, Path(fetched))
        if weights is None:
            raise InputError(
                f"Run {trained.info.run_id} trained the same, but its network is neither in "
                f"{folder} nor in the store. Train it again with rerun=all"
            )
        with whole_or_nothing(best) as part:
            shutil.copyfile(weights, part)
    log.info(
        "Run %s (%s) has trained the same: its network is scored with predict.* and score.*.",
        trained.info.run_name,
        trained.info.run_id,
    )
    return trained.data.metrics.get(BEST_DICE, math.nan)


def skip(ended: Any, name: str, objective: str) -> outcome.Outcome:
    """The outcome of a run `name` whose work a run of the store, `ended`, has done already."""
    reached = ended.data.metrics.get(objective, math.nan)
    log.info(
        "Already done: run %s (%s), %s = %.4f. Train it again with rerun=all.",
        ended.info.run_name,
        ended.info.run_id,
        objective,
        reached,
    )
    where = ended.data.tags.get(RUN_FOLDER, "")
    failed = ended.info.status == "FAILED"
    error = ended.data.tags.get("error", "") if failed else ""
    status = "failed" if failed else "skipped"
    found = outcome.Outcome(status, name, reached, ended.info.run_id, where, error)
    found.learned, found.figures = has_learned(ended), overall(ended.data.metrics)
    return found


def overall(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures of a split over all classes together, such as val/dice."""
    splits = ("val", "test")
    return {
        key: value
        for key, value in figures.items()
        if key.count("/") == 1 and key.split("/")[0] in splits
    }


def add_files(tracking: TrackingSettings, runs: Sequence[FinishedRun], name: str) -> None:
    """Sends a file `name` of each run folder to its run."""
    if not (tracking.uri and runs):
        return
    with optional_store(f"{name} is in the run folder, but"):
        send_files(Store(tracking.uri, tracking.experiment_name, create=False), runs, name)


def send_files(store: Store, runs: Sequence[FinishedRun], name: str) -> None:
    for run in runs:
        if stored := store.run_of(run.run_id, str(run.folder)):
            artifacts.log_files(store, stored.info.run_id, run.folder / name, "")


def add_results(
    tracking: TrackingSettings,
    runs: Sequence[FinishedRun],
    folder: Path,
    name: str,
    files: Sequence[str] = (),
) -> None:
    """Adds the results of a command to the run, or to the common parent, below `name`.

    `files` of each run folder go to its own run.
    """
    if not tracking.uri:
        return
    own = [(run.run_id, str(run.folder)) for run in runs if run.is_best]
    with optional_store(f"{folder} is whole, but"):
        store = Store(tracking.uri, tracking.experiment_name, create=False)
        for file in files:
            send_files(store, runs, file)
        for run_id in known_owners(store, own):
            place = artifacts.add_folder(store, run_id, folder, name)
            log.info("Added to run %s as %s", run_id, place)


def add_evaluation(
    tracking: TrackingSettings,
    runs: Sequence[FinishedRun],
    folder: Path,
    figures: Mapping[str, float],
) -> None:
    """Adds an evaluation to its runs in the store, or to their common parent; replaces nothing.

    The files go below the artifact folder `evaluation2` (3, …), the figures beside the run's own
    as `evaluation2/test/dice` …, without those of single classes.
    """
    if not tracking.uri:
        return
    few = {key: value for key, value in figures.items() if key.count("/") == 1}
    own = [(run.run_id, str(run.folder)) for run in runs if run.is_best]
    with optional_store(f"{folder} is whole, but"):
        store = Store(tracking.uri, tracking.experiment_name, create=False)
        for run_id in known_owners(store, own):
            place = artifacts.add_evaluation(store, run_id, folder, few)
            log.info("Added to run %s as %s", run_id, place)


def known_owners(store: Store, own: Sequence[tuple[str | None, str]]) -> list[str]:
    """The ids that get a result of runs (id or None, folder); says so where there is none."""
    found = store.owners(own)
    if own and not found:
        log.info("Added to no run: %s has none of these folders.", store.uri)
    return found


def add_reproduction(
    tracking: TrackingSettings,
    run_id: str,
    report: Path,
    figures: Mapping[str, float],
    verdict: str,
    params: Mapping[str, str],
    overrides: str,
) -> None:
    """Adds the verdict on a run that was trained again: the report, figures, and a tag.

    The run gets the parameters and the words of the first, by which `compare` knows its cell and
    its command: its own configuration was composed from one file, without choices and words.
    """
    with optional_store(f"{report} is whole, but"):
        store = Store(tracking.uri or "", tracking.experiment_name, create=False)
        artifacts.log_files(store, run_id, report, "")
        now = milliseconds()
        defined = [(key, v, now, 0) for key, v in figures.items() if not math.isnan(v)]
        store.log_metrics(run_id, defined)
        store.log_tags(run_id, {REPRODUCTION: verdict, OVERRIDES: overrides})
        store.log_params(run_id, params)
