"""The model registry: a run's best model as a version that can be served, and the champion.

A version carries its run's files in `artifacts/run`, a folder that `runs.load` takes as it takes a
run folder: network, configuration, sample table, and the evaluation without its pictures.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
import warnings
from contextlib import redirect_stderr, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from omegaconf import OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.data import dataset
from flexunet_exp.errors import InputError
from flexunet_exp.scores import confusions, paired
from flexunet_exp.tracking.find_runs import FILES, FinishedRun, load
from flexunet_exp.tracking.store import Store

log = logging.getLogger(__name__)

CHAMPION = "champion"
SERVED = "served"  # the name of what is registered, among the models of its run
RUN = Path("artifacts", "run")  # the run's files in it
EVALUATION = (".csv", ".json", ".npz")
JUDGED = ("config.yaml", "samples.csv", "evaluation/test/confusions.npz")


class Verdict(NamedTuple):
    """Whether a version is to replace the champion, and the figures that say so."""

    is_better: bool
    because: str


FIRST = Verdict(True, "there was no champion.")


def stored_run(store: Store, run: FinishedRun) -> str:
    """The id of a finished run of the store; InputError where it is none, or has not finished."""
    found = store.run_of(run.run_id, str(run.folder))
    if found is None:
        raise InputError(
            f"{run.folder} is no run of {store.uri}, and the registry, which is a part of the "
            "store, takes the store's own runs alone. Train it with tracking=local or "
            "tracking=server, or name that run's store with tracking.uri=ADDRESS."
        )
    if found.info.status != "FINISHED":
        raise InputError(
            f"Run {found.info.run_id} is {found.info.status}; expected a finished one. Give its "
            "own command again, which goes on with it."
        )
    return found.info.run_id


def register(store: Store, run_id: str, folder: Path, name: str, objective: str) -> Any:
    """The version of the registered model `name` that is this run's best model.

    It is made from the run's `folder` unless there is one; the same run never has two.
    """
    import mlflow

    if versions := store.client.search_model_versions(f"name = '{name}' AND run_id = '{run_id}'"):
        return versions[0]
    mlflow.set_tracking_uri(store.uri)
    model = store.whole_model(run_id, SERVED) or log_model(store, run_id, folder)
    tags = version_tags(store.client.get_run(run_id), objective)
    with redirect_stderr(io.StringIO()):  # MLflow announces it too
        version = mlflow.register_model(f"models:/{model.model_id}", name, tags=tags)
    log.info("Registered     models:/%s/%s", name, version.version)
    return version


def version_tags(run: Any, objective: str) -> dict[str, str]:
    figures = {name: run.data.metrics.get(name) for name in dict.fromkeys((objective, "test/dice"))}
    return {
        "run_id": run.info.run_id,
        "test_digest": run.data.tags.get("test_digest", ""),
        **{name: f"{value:.4f}" for name, value in figures.items() if value is not None},
    }


def log_model(store: Store, run_id: str, folder: Path) -> Any:
    """Stores what is registered as a model of the run, which is not opened again for it."""
    import mlflow
    from mlflow.models import Model

    from flexunet_exp.tracking import served_model

    experiment = store.client.get_run(run_id).info.experiment_id
    model = store.client.create_logged_model(experiment, SERVED, source_run_id=run_id)
    with TemporaryDirectory() as staging, warnings.catch_warnings(action="ignore"):
        Model.log(
            None,
            mlflow.pyfunc,
            run_id=run_id,
            model_id=model.model_id,
            python_model=served_model.__file__,
            artifacts={RUN.name: str(gather(folder, Path(staging) / RUN.name))},
            signature=served_model.signature(),
            pip_requirements=requirements(),
        )
    return model


def gather(run: Path, folder: Path) -> Path:
    """Copies those files of a run folder that a version carries into `folder`.

    Raises InputError where it is no run folder (any more).
    """
    load(run)
    evaluation = (path for path in run.glob("evaluation/*/*") if path.suffix in EVALUATION)
    for path in (*(run / name for name in FILES), *evaluation):
        copy = folder / path.relative_to(run)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return folder


def requirements() -> list[str]:
    """This package's own requirements, as they are installed; itself it is in no index."""
    from importlib.metadata import requires, version

    needed = [line for line in requires(compose.PACKAGE.name) or () if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed]
    return [f"{name}=={version(name)}" for name in names]


def champion(store: Store, name: str) -> Any | None:
    """The present champion's version, or None."""
    aliases = store.client.get_registered_model(name).aliases
    return store.client.get_model_version(name, aliases[CHAMPION]) if CHAMPION in aliases else None


def crown(store: Store, version: Any, before: Any | None, because: str) -> None:
    """Makes a version the champion, and tags it with the reason."""
    name, number = version.name, version.version
    store.client.set_registered_model_alias(name, CHAMPION, number)
    tags = {
        "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "promoted_from": f"version {before.version}" if before else "no champion",
        "promoted_because": because,
    }
    for key, value in tags.items():
        store.client.set_model_version_tag(name, number, key, value)


def fetch_scores(store: Store, version: Any, folder: Path) -> Path:
    """The run that a version carries, below `folder`: what `judge` reads, without the network."""
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(store.uri)
    address = f"models:/{version.name}/{version.version}/{RUN.as_posix()}"
    for name in JUDGED:
        with suppress(MlflowException, OSError):  # what is missing is named when it is read
            mlflow.artifacts.download_artifacts(f"{address}/{name}", dst_path=str(folder))
    return folder / RUN


def judge(challenger: Path, present: Path) -> Verdict:
    """Compares the runs in two folders on the test pictures of both."""
    try:
        result = difference(challenger, present)
    except InputError as error:
        return Verdict(False, str(error))
    figures = f"test macro Dice differs by {result.difference:+.4f}"
    if few := paired.too_few(result):
        return Verdict(False, f"{figures}; {few}.")
    figures += (
        f" (95 % interval {result.low:+.4f} to {result.high:+.4f}, {result.num_sources} sources)"
    )
    if not result.low > 0:
        return Verdict(False, f"{figures}; the interval must lie above 0.")
    return Verdict(True, f"{figures}.")


def difference(challenger: Path, present: Path) -> paired.PairedDifference:
    """The paired difference of the runs in two folders; InputError where they do not compare."""
    ours, theirs = (confusions.load_counts(counts_file(run)) for run in (challenger, present))
    if ours.classes.tolist() != theirs.classes.tolist():
        raise InputError(
            f"they tell other classes apart: {', '.join(ours.classes)}; the champion "
            f"{', '.join(theirs.classes)}."
        )
    tested, pictures = tested_pictures(challenger), tested_pictures(present)
    if hashes(tested) != hashes(pictures):
        common = len(hashes(tested) & hashes(pictures))
        raise InputError(
            f"they were tested on other pictures ({common} of {len(pictures)} are the same), so "
            f"their scores do not compare. Train it with the champion's {split_words(present)}."
        )
    place = {name: index for index, name in enumerate(theirs.names)}
    counts = theirs.counts[[place[name] for name in ours.names]]
    if not np.array_equal(ours.counts.sum(axis=2), counts.sum(axis=2)):
        raise InputError("the masks of the test pictures have changed between them.")
    rows = [tested[name] for name in ours.names]
    sources, labels = (np.array([getattr(row, key) for row in rows]) for key in ("source", "label"))
    part = paired.Part(ours.counts[None], counts[None], sources, labels)
    return paired.paired_difference([part])


def counts_file(run: Path) -> Path:
    return run / JUDGED[-1]


def tested_pictures(run: Path) -> dict[str, Any]:
    """The test rows of the run's sample table, by the names that its evaluation gives them."""
    table = dataset.read_table(run / "samples.csv")
    rows = dataset.rows(table[table["split"] == "test"])
    return {dataset.sample_name(row): row for row in rows}


def hashes(pictures: dict[str, Any]) -> set[tuple[str, str]]:
    return {(name, row.sha256) for name, row in pictures.items()}


def split_words(run: Path) -> str:
    """What to type for the same split: `split=folds split.n=5 split.fold=0 split.seed=0`."""
    split = compose.plain(OmegaConf.select(OmegaConf.load(run / "config.yaml"), "split"))
    kind = split.pop("_target_").rsplit(".", 1)[-1]
    settings = [f"split.{key}={value}".replace(" ", "") for key, value in split.items()]
    return " ".join([f"split={kind}", *settings])
