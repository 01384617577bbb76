"""The MLflow store: its runs, models and files. With registry and serving, what imports mlflow.

Everything goes through a client with an explicit run id: no active run in this process or its
environment can catch our figures.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.tracking.address import NotThere, absolute_uri, require_store
from flexunet_exp.tracking.mlflow_client import (
    artifact_location,
    client_of,
    load_mlflow,
    make_tables,
    one_process_at_a_time,
)

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SIGNATURE = "signature"
SCORING = "scoring"  # hash of what can change the scores of the same weights
STOPPED = "stopped"  # ended early, on request or pruned: not what its signature promises
EFFORT = "effort"  # hash of what decides how long a run takes
MINUTES = "minutes"  # that a run took which was trained in one go
ERROR = "error"  # why a run failed
RUN_FOLDER = "run_folder"
HOST = "host"  # the machine a run is trained on
MOST_METRICS = 1000  # that MLflow takes at once
MOST_RUNS = 1000  # that it gives at once
KERAS_MODEL = "model"  # the name of a run's best network among the models it stores
PARENT = "mlflow.parentRunId"
NEWEST = "attributes.start_time DESC"
CELL = "cell."  # on a parent run, before the id of a run that one of its cells skipped for
SWEEP = "sweep"  # on a parent run: the signature of its multirun
VIEW = "flexunet"  # the shared view of the experiment that `flexunet ui` makes
COLUMN_KINDS = ("attributes", "params", "metrics", "tags")


class Store:
    """An experiment of an MLflow store, created if need be, safely when many jobs start at once.

    Where it is not to be created, NotThere says that it is not there, and which there are: of the
    experiment only when it is needed, for runs are found by their ids in any.
    """

    def __init__(self, uri: str, experiment_name: str, create: bool = True):
        if not create:
            require_store(uri)
        self.uri, self.name, self.create = absolute_uri(uri), experiment_name, create
        load_mlflow(self.uri)
        with one_process_at_a_time(self.uri):
            make_tables(self.uri)
            self.client = client_of(self.uri)
            if create:
                _ = self.experiment_id

    @classmethod
    def if_there(cls, uri: str, experiment_name: str) -> Store | None:
        """The store if it has this experiment; what is not there is not made."""
        try:
            store = cls(uri, experiment_name, create=False)
            _ = store.experiment_id
        except NotThere:
            return None
        return store

    @cached_property
    def experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        name, create = self.name, self.create
        found = self.client.get_experiment_by_name(name)
        if found is None and not create:
            raise NotThere(self.no_experiment(name))
        if found is None:
            try:
                return self.client.create_experiment(name, artifact_location(self.uri))
            except MlflowException:  # another job was faster
                found = self.client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            raise InputError(
                f"Experiment {name!r} was deleted from the store. Restore it in the MLflow UI or "
                "choose another name with tracking.experiment_name=NAME."
            )
        return found.experiment_id

    def no_experiment(self, name: str) -> str:
        known = [experiment.name for experiment in self.client.search_experiments()]
        return (
            f"There is no experiment {name!r} in {self.uri}.{did_you_mean(name, known)} There are: "
            f"{', '.join(known)}. Choose one with tracking.experiment_name=NAME"
        )

    def search(self, filter_string: str = "") -> list[Any]:
        """All runs of the experiment that a filter in MLflow's own language lets through.

        Newest first. Raises InputError where the store does not understand the filter.
        """
        from mlflow.exceptions import MlflowException

        found: list[Any] = []
        token: str | None = ""
        while token is not None:
            try:
                page = self.client.search_runs(
                    [self.experiment_id],
                    filter_string,
                    max_results=MOST_RUNS,
                    order_by=[NEWEST],
                    page_token=token or None,
                )
            except MlflowException as error:
                if error.error_code != "INVALID_PARAMETER_VALUE":
                    raise
                raise InputError(
                    f"filter={filter_string} is not understood: {str(error).splitlines()[0]} Try "
                    "filter=\"params.loss = 'dice' and metrics.`val/dice` > 0.3\""
                ) from error
            found += page
            token = page.token or None
        return found

    def runs(
        self, filter_string: str, order_by: str, limit: int = 1, experiment_id: str | None = None
    ) -> list[Any]:
        within = [experiment_id or self.experiment_id]
        return self.client.search_runs(
            within, filter_string, max_results=limit, order_by=[order_by]
        )

    def ended(self, signature: str, scoring: str, rerun: str) -> Any | None:
        """The newest run that already did this work, as `rerun` reads it, or None."""
        wanted = f"tags.{SIGNATURE} = '{signature}'"
        return already_done(self.runs(wanted, NEWEST, limit=1000), scoring, rerun)

    def whole_runs(self, wanted: str, status: str, experiment_id: str | None = None) -> list[Any]:
        """Runs that came to their own end, newest first."""
        filtered = f"{wanted} AND attributes.status = '{status}'"
        runs = self.runs(filtered, NEWEST, 1000, experiment_id)
        return [run for run in runs if STOPPED not in run.data.tags]

    def by_signature(self) -> dict[str, list[Any]]:
        """Every run with a signature, newest first, by it: one question for a whole sweep."""
        found: dict[str, list[Any]] = {}
        token: str | None = None
        while token != "":
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.{SIGNATURE} LIKE '%'",
                max_results=1000,
                order_by=[NEWEST],
                page_token=token,
            )
            for run in page:
                found.setdefault(run.data.tags[SIGNATURE], []).append(run)
            token = page.token or ""
        return found

    def cells(self, parent: Any) -> list[Any]:
        """The runs of a multirun that came to their own end, those it skipped among them."""
        below, place = f"tags.`{PARENT}` = '{parent.info.run_id}'", parent.info.experiment_id
        children = self.whole_runs(below, "FINISHED", place)
        skipped = [key.removeprefix(CELL) for key in parent.data.tags if key.startswith(CELL)]
        return [self.client.get_run(run_id) for run_id in skipped] + children[::-1]

    def note_skipped(self, parent_run_id: str, run_id: str) -> None:
        """Has a multirun know the run that had done a cell's work before."""
        if self.has_run(parent_run_id):  # it may be deleted in the UI while the sweep goes on
            self.client.set_tag(parent_run_id, f"{CELL}{run_id}", "skipped")

    def same_weights(self, signature: str) -> Any | None:
        """The newest finished run that trained what this signature would, however scored."""
        return next(iter(self.whole_runs(f"tags.{SIGNATURE} = '{signature}'", "FINISHED")), None)

    def create_run(self, name: str, tags: Mapping[str, str], start: int | None = None) -> str:
        """Creates a run that began at `start` (milliseconds), by default now; its id."""
        return self.client.create_run(self.experiment_id, start, dict(tags), name).info.run_id

    def begun(self, signature: str) -> dict[str, tuple[str, str]]:
        """The runs that began this work: run folder → newest run's id and status."""
        runs = self.runs(f"tags.{SIGNATURE} = '{signature}'", NEWEST, 1000)
        return {
            run.data.tags.get(RUN_FOLDER, ""): (run.info.run_id, run.info.status)
            for run in reversed(runs)
        }

    def share_columns(self, columns: Sequence[str]) -> None:
        """Has the view of `ui_address` show these columns, such as params.loss, in MLflow's UI."""
        quoted = [f"{kind}.`{name}`" for kind, _, name in (one.partition(".") for one in columns)]
        view = json.dumps({"selectedColumns": quoted})
        self.client.set_experiment_tag(self.experiment_id, f"mlflow.sharedViewState.{VIEW}", view)

    def has_run(self, run_id: str) -> bool:
        return self.tags_of(run_id) is not None

    def tags_of(self, run_id: str) -> dict[str, str] | None:
        """None where the store has no such run, or it was deleted.

        Raises MlflowException where the store cannot say.
        """
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None
        return run.data.tags if run.info.lifecycle_stage == "active" else None

    def reopen(self, run_id: str) -> None:
        """Marks a run as running again."""
        self.client.update_run(run_id, status="RUNNING")
        if ERROR in self.client.get_run(run_id).data.tags:
            self.client.delete_tag(run_id, ERROR)

    def log_metrics(self, run_id: str, metrics: list[Any]) -> None:
        """Metrics (key, value, milliseconds, step); one that is there already is not doubled."""
        from mlflow.entities import Metric

        for start in range(0, len(metrics), MOST_METRICS):
            batch = [Metric(*metric) for metric in metrics[start : start + MOST_METRICS]]
            self.client.log_batch(run_id, metrics=batch)

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.client.set_tag(run_id, key, value)

    def log_image(self, run_id: str, key: str, path: Path, timestamp: int, step: int) -> None:
        """A PNG file for the slider `key`; the only thing written under images/."""
        from PIL import Image

        with Image.open(path) as picture:
            self.client.log_image(run_id, picture, key=key, step=step, timestamp=timestamp)

    def remove_image(self, run_id: str, key: str, path: Path, timestamp: int, step: int) -> None:
        """Removes what the store has of this image: sending it again would double it."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        uri = self.client.get_run(run_id).info.artifact_uri
        repository = get_artifact_repository(uri, self.uri)
        start = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{timestamp}+"
        for file in self.client.list_artifacts(run_id, "images"):
            if file.path.startswith(start):
                repository.delete_artifacts(file.path)

    def log_files(self, run_id: str, path: Path, folder: str) -> None:
        """A file, or a folder with all it holds, below the artifact folder `folder`."""
        send = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        send(run_id, str(path), folder or None)

    def owners(self, runs: Iterable[tuple[str | None, str]]) -> list[str]:
        """Who an evaluation of runs (id or None, folder) belongs to: their parent, else each."""
        found = [self.run_of(run_id, folder) for run_id, folder in runs]
        parents = {run.data.tags.get(PARENT, "") if run else "" for run in found}
        if len(found) > 1 and len(parents) == 1 and "" not in parents:
            return list(parents)
        return [run.info.run_id for run in found if run]

    def run_of(self, run_id: str | None, folder: str) -> Any | None:
        """The run of this id, else of this run folder; None where the store has none."""
        if run_id is not None:
            return self.client.get_run(run_id)
        quote = '"' if "'" in folder else "'"  # MLflow knows no way to write both
        return next(iter(self.runs(f"tags.{RUN_FOLDER} = {quote}{folder}{quote}", NEWEST)), None)

    def add_evaluation(self, run_id: str, folder: Path, figures: Mapping[str, float]) -> str:
        """Adds an evaluation's files and figures to a run; the name they are found below."""
        with one_process_at_a_time(self.uri):
            name = f"evaluation{max(1, self.last_number(run_id, 'evaluation')) + 1}"
            self.client.log_artifacts(run_id, str(folder), name)
        now = milliseconds()
        defined = {key: value for key, value in figures.items() if not math.isnan(value)}
        self.log_metrics(run_id, [(f"{name}/{key}", v, now, 0) for key, v in defined.items()])
        return name

    def add_folder(self, run_id: str, folder: Path, name: str) -> str:
        """Adds a folder's files to a run, never over others: below `name`, or name2, name3 …"""
        with one_process_at_a_time(self.uri):
            number = self.last_number(run_id, name) + 1
            place = name if number == 1 else f"{name}{number}"
            self.client.log_artifacts(run_id, str(folder), place)
        return place

    def last_number(self, run_id: str, name: str) -> int:
        """The number of the run's last artifact folder called so: 1 for `name`, 2 for name2 …"""
        names = [file.path for file in self.client.list_artifacts(run_id)]
        numbers = [re.fullmatch(rf"{name}(\d*)", found) for found in names]
        return max((int(n[1] or 1) for n in numbers if n), default=0)

    def artifact(self, artifact_uri: str, path: str, folder: Path) -> Path | None:
        """A file of the run with this artifact address, fetched into `folder`; None if it is none.

        The client's own way asks the database three times a file, which is most of its time.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        try:
            repository = get_artifact_repository(artifact_uri, self.uri)
            return Path(repository.download_artifacts(path, str(folder)))
        except (MlflowException, OSError):
            return None

    def has_model(self, run_id: str) -> bool:
        """Whether the run's Keras model is stored whole."""
        return self.whole_model(run_id, KERAS_MODEL) is not None

    def whole_model(self, run_id: str, name: str) -> Any | None:
        """The run's stored model of this name; half a one, of a killed run, is removed."""
        models = self.models(run_id, name)
        whole = [model for model in models if model.status == "READY"]
        for model in models:
            if model not in whole:
                self.client.delete_logged_model(model.model_id)
        return next(iter(whole), None)

    def models(self, run_id: str, name: str) -> list[Any]:
        """The run's stored models of this name, newest first."""
        wanted = f"source_run_id = '{run_id}' AND name = '{name}'"
        experiment_id = self.client.get_run(run_id).info.experiment_id
        return self.client.search_logged_models([experiment_id], wanted)

    def download(self, run_id: str, folder: Path) -> Path:
        """The run's artifacts, below `folder`."""
        import mlflow

        mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path="", dst_path=str(folder), tracking_uri=self.uri
        )
        return folder

    def download_registered(self, uri: str, folder: Path) -> Path:
        """A registered model's files, below `folder`; InputError where there is no such model."""
        import mlflow
        from mlflow.exceptions import MlflowException

        mlflow.set_tracking_uri(self.uri)
        try:
            mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))
        except MlflowException as error:
            known = [model.name for model in self.client.search_registered_models()]
            if uri.removeprefix("models:/") in known:
                raise InputError(
                    f"{uri} names no version. Expected {uri}@champion or a number: {uri}/1"
                ) from error
            there_are = f"There are: {', '.join(known)}." if known else "There are none yet."
            raise InputError(
                f"{uri} is not in the registry of {self.uri} ({str(error).splitlines()[0]}). "
                f"{there_are} Register a run with flexunet promote run=RUN name=NAME"
            ) from error
        return folder

    def download_model(self, run_id: str, folder: Path) -> Path | None:
        """The run's stored Keras model file, below `folder`; None when it kept none."""
        import mlflow

        mlflow.set_tracking_uri(self.uri)  # models:/ addresses are looked up there alone
        models = self.models(run_id, KERAS_MODEL)
        if not models:
            return None
        mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{models[0].model_id}",
            dst_path=str(folder),
        )
        return next(folder.rglob("model.keras"), None)

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Parameters the run has not got yet: what it has, MLflow would not let change."""
        from mlflow.entities import Param

        known = self.client.get_run(run_id).data.params
        entries = [Param(key, str(v)[:500]) for key, v in params.items() if key not in known]
        self.client.log_batch(run_id, params=entries)

    def log_dataset(self, run_id: str, table: Any, name: str, digest: str, source: str) -> None:
        """The sample table as the run's dataset input."""
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        columns = table[["label", "source", "variant", "split", "width", "height", "sha256"]]
        tags = [InputTag("mlflow.data.context", "training")]
        with warnings.catch_warnings(action="ignore"):  # hints about integer columns
            data = from_pandas(columns, source=source, name=name, digest=digest)
            entry = DatasetInput(data._to_mlflow_entity(), tags)
        self.client.log_inputs(run_id, [entry])

    def log_model(self, run_id: str, model: Any, example: np.ndarray) -> None:
        """The Keras model with signature and input example (1, H, W, 3) uint8."""
        import mlflow
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        channels = model.output_shape[-1]
        inputs = Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))])
        outputs = Schema([TensorSpec(np.dtype("float32"), (-1, -1, -1, channels))])
        mlflow.set_tracking_uri(self.uri)
        with mlflow.start_run(run_id=run_id), warnings.catch_warnings(action="ignore"):
            mlflow.tensorflow.log_model(
                model,
                name=KERAS_MODEL,
                signature=ModelSignature(inputs, outputs),
                input_example=example,
                pip_requirements=requirements(),
            )


def milliseconds() -> int:
    """Now, as MLflow counts time."""
    return int(time.time() * 1000)


def already_done(runs: Sequence[Any], scoring: str, rerun: str) -> Any | None:
    """The newest that did this work among runs of one signature, newest first, as `rerun` reads it.

    What was stopped early did not.
    """
    counts = {"failed": ("FINISHED",), "none": ("FINISHED", "FAILED"), "all": ()}[rerun]
    whole = [run for run in runs if STOPPED not in run.data.tags]
    scored = [run for run in whole if run.data.tags.get(SCORING) == scoring]
    wanted = [run for status in counts for run in scored if run.info.status == status]
    return next(iter(wanted), None)


def requirements() -> list[str]:
    """What the stored model needs; given, so that MLflow does not spend seconds guessing."""
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("tensorflow", "keras", "numpy")]


def ui_address(store: Store, host: str, columns: Sequence[str]) -> str:
    """The address that lands on the runs table with its columns, not on MLflow's start page."""
    view = f"&viewStateShareKey={VIEW}" if columns else ""
    page = f"experiments/{store.experiment_id}/runs"
    return f"{host}/#/{page}?workflowType=machine_learning{view}"
