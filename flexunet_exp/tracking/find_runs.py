"""Finds finished runs by folder, id, name, registered model or network's file."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Hashable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.config.options import describes_recipe
from flexunet_exp.config.overrides import words_in
from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.runs.folder import (
    FILES,
    MOVING,
    WHAT_RUN_CAN_BE,
    FinishedRun,
    load,
    load_below,
    whole_folder,
)
from flexunet_exp.tracking import artifacts, provenance, registry
from flexunet_exp.tracking.store import (
    LONGEST,
    OVERRIDES,
    RUN_FOLDER,
    SCORING,
    SIGNATURE,
    SWEEP,
    Store,
    StoredCell,
    has_learned,
)
from flexunet_exp.tracking.stored_models import fetch_network

REGISTERED = "models:/"
FINISHED = f"attributes.status = 'FINISHED' AND tags.{RUN_FOLDER} LIKE '%'"
TEST_DIGEST = "test_digest"
LOWEST = "-1e308"  # of a figure
FIGURE = r"[\w.\-/: ]+"  # the names of metrics that MLflow takes


def find(cfg: DictConfig, download_to: Path, option: str = "run") -> FinishedRun:
    """The run that `run=`, or another `option`, names; InputError where it names none, or several.

    A run whose folder is gone is fetched from the store into `download_to`.
    """
    found = find_all(cfg, download_to, option)
    if len(found) > 1:
        listed = ", ".join(str(run.folder) for run in found)
        raise InputError(
            f"{option}={cfg[option]} names {len(found)} runs; expected one of {listed}."
        )
    return found[0]


def find_all(cfg: DictConfig, download_to: Path, option: str = "run") -> list[FinishedRun]:
    """The runs that `run=` names: one, several (`A,B` or `[A,B]`), or the children of a parent."""
    found: list[FinishedRun] = []
    problems: list[str] = []
    for name in names(cfg[option]):
        try:
            found += named(name, cfg, download_to / f"run{len(found)}", option)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return list({run.network: run for run in found}.values())


def names(run: Any) -> list[str]:
    if isinstance(run, ListConfig):
        return [str(name) for name in run]
    whole = str(run)
    return [whole] if Path(whole).expanduser().exists() else whole.split(",")


def named(name: str, cfg: DictConfig, download_to: Path, option: str = "run") -> list[FinishedRun]:
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        return load_below(path)
    if path.suffix == ".keras" and path.is_file():
        return [of_network(path, cfg)]
    if not cfg.tracking.uri:
        raise InputError(
            f"{option}={name!r} is not a folder, and tracking=none has no store to search."
        )
    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name, create=False)
    if name.startswith(REGISTERED):
        return [load(whole_folder(registry.fetch_registered(store, name, download_to)))]
    stored = children_or_itself(store, find_in_store(store, name, cfg.objective, option))
    return [of_stored(store, run, download_to / run.info.run_id) for run in stored]


def of_network(path: Path, cfg: DictConfig) -> FinishedRun:
    """The run whose folder a `.keras` file lies in, else the file with `dataset=`'s classes."""
    if all((path.parent / name).is_file() for name in FILES[:2]):
        run = load(path.parent)
        return FinishedRun(run.folder, run.cfg, network=path)
    classes = OmegaConf.select(cfg, "dataset.classes")
    size = OmegaConf.select(cfg, "dataset.image_size")
    if not (classes and size):
        raise InputError(
            f"{path} does not lie in a run folder, so its classes and image size are not known. "
            "Add dataset=NAME dataset.image_size=SIZE, as it was trained."
        )
    channels = OmegaConf.select(cfg, "dataset.channels", default=3)
    trainer = OmegaConf.load(compose.conf_dir() / "trainer" / "default.yaml")
    dataset = {"name": cfg.dataset.name, "classes": classes, "image_size": size}
    bits = OmegaConf.select(cfg, "dataset.bit_depth", default="auto")
    dataset |= {"channels": channels, "bit_depth": bits}
    known = {"dataset": dataset, "trainer": trainer}
    return FinishedRun(path.parent, OmegaConf.create(known), network=path)


def find_in_store(store: Store, name: str, objective: str, option: str = "run") -> Any:
    if name not in MOVING:
        return run_by_id(store, name, option)
    newest = store.newest(FINISHED)
    if newest is None:
        raise InputError(
            f"No finished run in experiment {store.name!r} of {store.uri}. Train one with flexunet "
            "train, or choose another experiment with tracking.experiment_name=NAME."
        )
    return newest if name == "latest" else best(store, objective, option)


def best(store: Store, objective: str, option: str) -> Any:
    """The run with the highest figure, of those with the test pictures of the newest one.

    Runs that have learned nothing do not count.
    """
    no_figure = f"No finished run has the figure {objective!r}. Try objective=val/dice"
    if not re.fullmatch(FIGURE, objective):
        raise InputError(no_figure)
    newest = store.first(FINISHED, is_rival)
    if newest is None:
        number = sum(1 for _ in store.search(among=FINISHED))
        raise InputError(
            f"{option}=best: none of the {number} finished runs in experiment "
            f"{store.name!r} of {store.uri} has learned anything (tag learned=false): in no "
            f"epoch did they beat predicting nothing and everything. Train longer, or name a "
            f"run: {option}=latest"
        )
    digest = newest.data.tags.get(TEST_DIGEST)
    found = store.first(
        scored(objective, digest),
        lambda run: is_rival(run) and run.data.tags.get(TEST_DIGEST) == digest,
        f"metrics.`{objective}` DESC",
    )
    if found is None:
        raise InputError(no_figure)
    return found


def is_rival(run: Any) -> bool:
    """Whether a finished run may be the best: a training, not a sweep, that has learned."""
    return RUN_FOLDER in run.data.tags and has_learned(run)


def scored(objective: str, digest: str | None) -> str:
    """The filter for finished runs with a figure, on these test pictures where there are such.

    SQLite sorts 20,000 runs by a figure in 0.2 s if the filter demands the figure and no more than
    one tag. With more tags it expects few runs, and then searches all figures for each: 14 s.
    """
    filters = ["attributes.status = 'FINISHED'", f"metrics.`{objective}` > {LOWEST}"]
    if re.fullmatch("[0-9a-f]+", digest or ""):
        filters.append(f"tags.{TEST_DIGEST} = '{digest}'")
    return " AND ".join(filters)


def run_by_id(store: Store, run_id: str, option: str = "run") -> Any:
    from mlflow.exceptions import MlflowException

    if is_id := re.fullmatch(r"[0-9a-f]{32}", run_id):
        try:
            return store.client.get_run(run_id)
        except MlflowException:
            pass
    hint = did_you_mean(run_id, MOVING)
    other = " For a run of another store add tracking.uri=ADDRESS."
    raise InputError(
        f"{option}={run_id!r} is neither a folder nor a run of {store.uri}.{hint} {WHAT_RUN_CAN_BE}"
        f"{other if is_id else ''}"
    )


def children_or_itself(store: Store, run: Any) -> Sequence[Any]:
    """The newest finished run of each of a multirun's cells; any other run by itself.

    A multirun is found again by its words and the code alone. After a change of the data or of an
    own configuration, its parent has runs of one cell with different signatures.
    """
    if SWEEP not in run.data.tags:
        return [run]
    cells = sorted(store.named_cells(run), key=lambda cell: cell.since)
    typed = {word.key for word in words_in(run.data.tags.get(OVERRIDES, ""))}
    newest = {name_of(cell, typed): cell.run for cell in cells}
    if not newest:
        raise InputError(f"The multirun {run.info.run_id} has no finished cell.")
    return list(newest.values())


def name_of(cell: StoredCell, typed: Collection[str]) -> Hashable:
    """What names a cell: its words, or the signature of its run where they are missing.

    A launcher adds words that change the rounding alone, such as the threads: another machine has
    others. They name a cell only where they were typed.
    """
    if not cell.words or len(cell.words) >= LONGEST:
        return tuple(map(cell.run.data.tags.get, (SIGNATURE, SCORING)))
    words = words_in(cell.words)
    return frozenset(str(one) for one in words if one.key in typed or describes_recipe(one.key))


def of_stored(store: Store, run: Any, download_to: Path) -> FinishedRun:
    """A run of the store, from its own folder, or fetched where that is gone or another run's."""
    folder = provenance.own_folder(run, FILES) or fetch(store, run.info.run_id, download_to)
    return load(folder, run.info.run_id)


def fetch(store: Store, run_id: str, folder: Path) -> Path:
    """Fetches a run's files from the store and arranges them as in a run folder."""
    fetched = artifacts.fetch_all(store, run_id, folder / "fetched")
    if (composed := fetched / "config" / "config.yaml").is_file():
        os.replace(composed, fetched / "config.yaml")
    if weights := fetch_network(store, run_id, fetched / "model"):
        os.replace(weights, fetched / "best.keras")
    if missing := [name for name in FILES if not (fetched / name).is_file()]:
        where = store.client.get_run(run_id).info.artifact_uri
        raise InputError(
            f"The store knows run {run_id}, but its folder is gone, and its files in {where} lack "
            f"{', '.join(missing)}. If the folder was moved, use run=FOLDER, or change the store "
            'as docs/guides/store.md says ("Moving a store").'
        )
    return fetched
