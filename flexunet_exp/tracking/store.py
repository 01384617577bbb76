"""The MLflow store: an experiment and its runs; other modules send their files and models.

Every call has a client and an explicit run id, so that no active run of this process or its
environment can receive the figures.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, NamedTuple

from flexunet_exp.config.identity import every
from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.tracking.address import (
    NotThere,
    absolute_uri,
    artifact_location,
    require_store,
)
from flexunet_exp.tracking.mlflow_client import (
    client_of,
    load_mlflow,
    make_tables,
    milliseconds,
    one_process_at_a_time,
    paged,
)

log = logging.getLogger(__name__)

SIGNATURE = "signature"
SCORING = "scoring"  # hash of what can change the scores of the same weights
STOPPED = "stopped"  # ended early, on request or pruned: its weights are not those of its signature
EFFORT = "effort"  # hash of what decides how long a run takes
COURSE = "course"  # hash of what decides the weights but the number of epochs
EPOCHS = "epochs"  # that a run was to train
INIT_FROM = "init_from"  # the run or file whose weights it began with
CONTINUES = "continues"  # the finished run from whose last state it went on
OVERRIDES = "overrides"  # the words of a run's command line
LONGEST = 4000  # characters, at which a tag is cut off
REPRODUCES = "reproduces"  # the run, by id or folder, that `reproduce` trained again in this one
REPRODUCTION = "reproduction"  # the verdict of `reproduce`
MINUTES = "minutes"  # of a run that was trained without interruption
LEARNED = "learned"  # "false": no epoch beat predicting nothing and everything; no command's winner
ERROR = "error"  # why a run failed
RUN_FOLDER = "run_folder"
HOST = "host"  # the machine a run is trained on
MOST_METRICS = 1000  # that MLflow takes in one call
PARENT = "mlflow.parentRunId"
NEWEST = "attributes.start_time DESC"
MANY = 500  # runs a page where all are read: pages of 1,000 take 300 MB more, and as long
FEW = 20  # runs that are read where the first ones will do: MLflow takes milliseconds for each
CELL = "cell."  # on a parent run, before the id of the earlier run of a skipped cell
SWEEP = "sweep"  # on a parent run: the signature of its multirun
IS_SWEEP = f"tags.{SWEEP} LIKE '%'"
VIEW = "flexunet"  # the shared view of the experiment that `flexunet ui` makes
COLUMN_KINDS = ("attributes", "params", "metrics", "tags")


class StoredCell(NamedTuple):
    """A finished run that does the work of a multirun's cell."""

    run: Any
    words: str  # of the cell in its command; empty if they are not known
    since: int  # milliseconds: when the run became that of the cell


def skipped_cell(run: Any, value: str) -> StoredCell:
    """The cell of an earlier run, from the value of the tag that names it."""
    since, _, words = value.partition(" ")
    if not since.isdigit():  # of an earlier release
        return StoredCell(run, "", run.info.start_time)
    return StoredCell(run, words, int(since))


class Store:
    """An experiment of an MLflow store; created where missing, safely when many jobs start at once.

    Without `create`, a missing store or experiment raises NotThere, which names those that exist.
    The experiment is looked up when it is first needed: runs are found by id in any experiment.
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
        """The store if it has this experiment, else None; creates nothing."""
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
            except MlflowException:
                found = self.client.get_experiment_by_name(name)
                if found is None:  # else another job was faster
                    raise
        if found.lifecycle_stage != "active":
            raise InputError(
                f"Experiment {name!r} was deleted from the store. Restore it in the MLflow UI or "
                "choose another name with tracking.experiment_name=NAME."
            )
        return found.experiment_id

    def no_experiment(self, name: str) -> str:
        known = [experiment.name for experiment in paged(self.client.search_experiments)]
        return (
            f"There is no experiment {name!r} in {self.uri}.{did_you_mean(name, known)} There are: "
            f"{', '.join(known)}. Choose one with tracking.experiment_name=NAME"
        )

    def search(self, filter_string: str = "", among: str = "") -> Iterator[Any]:
        """All runs of the experiment that match a person's filter, and the filter `among`.

        Newest first; only a page of them is in memory at once. Raises InputError where the store
        does not understand the person's filter.
        """
        from mlflow.exceptions import MlflowException

        both = " AND ".join(filter(None, (among, filter_string.strip())))
        try:
            yield from self.each(both, size=MANY)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise InputError(
                f"MLflow cannot read filter={filter_string}: {str(error).splitlines()[0]} Try "
                "filter=\"params.loss = 'dice' and metrics.`val/dice` > 0.3\""
            ) from error

    def runs(
        self,
        filter_string: str = "",
        order_by: str = NEWEST,
        limit: int | None = None,
        experiment_id: str | None = None,
    ) -> list[Any]:
        """The runs of an experiment, by default this one, that match a filter."""
        return list(self.each(filter_string, order_by, experiment_id, limit=limit))

    def each(
        self,
        filter_string: str = "",
        order_by: str = NEWEST,
        experiment_id: str | None = None,
        **paging: Any,
    ) -> Iterator[Any]:
        """The runs that match a filter, read page by page; `paging` is that of `paged`."""
        within = [experiment_id or self.experiment_id]
        return paged(self.client.search_runs, within, filter_string, order_by=[order_by], **paging)

    def first(
        self, filter_string: str, is_wanted: Callable[[Any], bool], order_by: str = NEWEST
    ) -> Any | None:
        """The first run that matches a filter and a condition that no filter can express."""
        few = self.runs(filter_string, order_by, limit=FEW)  # nearly always it is one of these
        others = islice(self.each(filter_string, order_by, size=MANY), FEW, None)
        return next(filter(is_wanted, chain(few, others)), None)

    def newest(self, filter_string: str) -> Any | None:
        """The newest run that matches a filter."""
        return next(iter(self.runs(filter_string, limit=1)), None)

    def ended(self, signature: str, scoring: str, rerun: str) -> Any | None:
        """The newest run that did this work, as `rerun` reads it, or None."""
        return already_done(self.signed(signature), scoring, rerun)

    def signed(self, signature: str) -> list[Any]:
        """The runs of this signature, or of one that earlier code gave to the same work.

        The current signature's come first, and of each the newest.
        """
        return [
            run for name in every(signature) for run in self.runs(f"tags.{SIGNATURE} = '{name}'")
        ]

    def whole_runs(self, wanted: str, status: str, experiment_id: str | None = None) -> list[Any]:
        """Runs of this status that were not stopped early, newest first."""
        filtered = f"{wanted} AND attributes.status = '{status}'"
        runs = self.runs(filtered, experiment_id=experiment_id)
        return [run for run in runs if STOPPED not in run.data.tags]

    def cells(self, parent: Any) -> list[Any]:
        """The finished runs of a multirun, with the earlier runs of its skipped cells."""
        return [cell.run for cell in self.named_cells(parent)]

    def named_cells(self, parent: Any) -> list[StoredCell]:
        """The runs of `cells`, each with the words of its cell."""
        below, place = f"tags.`{PARENT}` = '{parent.info.run_id}'", parent.info.experiment_id
        children = self.whole_runs(below, "FINISHED", place)
        tags = parent.data.tags.items()
        skipped = [
            skipped_cell(self.client.get_run(key.removeprefix(CELL)), value)
            for key, value in tags
            if key.startswith(CELL)
        ]
        own = [
            StoredCell(run, run.data.tags.get(OVERRIDES, ""), run.info.start_time)
            for run in children[::-1]
        ]
        return skipped + own

    def record_skipped(self, parent_run_id: str, run_id: str, words: str) -> None:
        """Records in a multirun the earlier run that did the work of a cell of these words."""
        if self.has_run(parent_run_id):  # a user may delete it in the UI during the sweep
            value = f"{milliseconds()} {words[:LONGEST]}"
            self.client.set_tag(parent_run_id, f"{CELL}{run_id}", value)

    def same_weights(self, signature: str) -> Any | None:
        """The newest finished run with the weights of this signature, whatever its scoring."""
        finished = (run for run in self.signed(signature) if run.info.status == "FINISHED")
        return next((run for run in finished if STOPPED not in run.data.tags), None)

    def create_run(self, name: str, tags: Mapping[str, str], start: int | None = None) -> str:
        """Creates a run that began at `start` (milliseconds), by default now; returns its id."""
        return self.client.create_run(self.experiment_id, start, dict(tags), name).info.run_id

    def begun(self, signature: str) -> dict[str, tuple[str, str]]:
        """The runs that began this work: run folder → newest run's id and status."""
        return {
            run.data.tags.get(RUN_FOLDER, ""): (run.info.run_id, run.info.status)
            for run in reversed(self.signed(signature))
        }

    def share_columns(self, columns: Sequence[str]) -> None:
        """Makes the view of `ui_address` show these columns, such as params.loss, in the UI."""
        quoted = [f"{kind}.`{name}`" for kind, _, name in (one.partition(".") for one in columns)]
        view = json.dumps({"selectedColumns": quoted})
        self.client.set_experiment_tag(self.experiment_id, f"mlflow.sharedViewState.{VIEW}", view)

    def steps_of(self, run_id: str, metric: str) -> list[int]:
        """The steps at which a run has a value of a metric."""
        return [value.step for value in self.client.get_metric_history(run_id, metric)]

    def has_run(self, run_id: str) -> bool:
        return self.tags_of(run_id) is not None

    def tags_of(self, run_id: str) -> dict[str, str] | None:
        """The tags of a run; None where the store lacks it, or it was deleted.

        Raises MlflowException where the store cannot answer.
        """
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None
        return run.data.tags if run.info.lifecycle_stage == "active" else None

    def end_run(self, run_id: str, status: str, end: int | None = None) -> None:
        """Marks a run as ended at `end` (milliseconds), by default now."""
        self.client.set_terminated(run_id, status, end)

    def delete_run(self, run_id: str) -> None:
        """Deletes a run as the UI does, where it can be restored."""
        self.client.delete_run(run_id)

    def reopen(self, run_id: str) -> None:
        """Marks a run as running again."""
        self.client.update_run(run_id, status="RUNNING")
        if ERROR in self.client.get_run(run_id).data.tags:
            self.client.delete_tag(run_id, ERROR)

    def log_metrics(self, run_id: str, metrics: Sequence[Any]) -> None:
        """Metrics (key, value, milliseconds, step); one that is there already is not doubled."""
        from mlflow.entities import Metric

        for start in range(0, len(metrics), MOST_METRICS):
            batch = [Metric(*metric) for metric in metrics[start : start + MOST_METRICS]]
            self.client.log_batch(run_id, metrics=batch)

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.client.set_tag(run_id, key, value)

    def owners(self, runs: Iterable[tuple[str | None, str]]) -> list[str]:
        """The ids that get an evaluation of runs (id or None, folder): their parent, else each."""
        found = [self.run_of(run_id, folder) for run_id, folder in runs]
        parents = {run.data.tags.get(PARENT, "") if run else "" for run in found}
        if len(found) > 1 and len(parents) == 1 and "" not in parents:
            return list(parents)
        return [run.info.run_id for run in found if run]

    def run_of(self, run_id: str | None, folder: str) -> Any | None:
        """The run of this id, else of this run folder; None where the store has none."""
        if run_id is not None:
            return self.client.get_run(run_id)
        of_folder = f"tags.{RUN_FOLDER} = {quoted(folder)}"
        return self.newest(of_folder) or self.newest_elsewhere(of_folder)

    def newest_elsewhere(self, filter_string: str) -> Any | None:
        """The newest run of all experiments that matches a filter."""
        places = [one.experiment_id for one in self.client.search_experiments()]
        found = self.client.search_runs(places, filter_string, max_results=1) if places else []
        return next(iter(found), None)

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Adds the parameters that the run lacks: MLflow refuses to change one."""
        from mlflow.entities import Param

        known = self.client.get_run(run_id).data.params
        entries = [Param(key, str(v)[:500]) for key, v in params.items() if key not in known]
        self.client.log_batch(run_id, params=entries)

    def log_dataset(self, run_id: str, table: Any, name: str, digest: str, source: str) -> None:
        """Sets the sample table as the run's dataset input."""
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        columns = table[["label", "source", "variant", "split", "width", "height", "sha256"]]
        tags = [InputTag("mlflow.data.context", "training")]
        with warnings.catch_warnings(action="ignore"):  # hints about integer columns
            data = from_pandas(columns, source=source, name=name, digest=digest)
            entry = DatasetInput(data._to_mlflow_entity(), tags)
        self.client.log_inputs(run_id, [entry])


def quoted(text: str) -> str:
    """A text in a filter; MLflow's filters cannot quote both kinds of quotation marks."""
    quote = '"' if "'" in text else "'"
    return f"{quote}{text}{quote}"


def has_learned(run: Any) -> bool:
    """Whether a run beat predicting nothing and everything in an epoch; earlier runs do not say."""
    return run.data.tags.get(LEARNED) != "false"


def already_done(runs: Sequence[Any], scoring: str, rerun: str) -> Any | None:
    """The newest run that did this work, of `runs` of one signature, as `rerun` reads it.

    `runs` are newest first; a run that was stopped early has not done the work.
    """
    counts = {"failed": ("FINISHED",), "none": ("FINISHED", "FAILED"), "all": ()}[rerun]
    whole = [run for run in runs if STOPPED not in run.data.tags]
    scored = [run for run in whole if run.data.tags.get(SCORING) == scoring]
    wanted = [run for status in counts for run in scored if run.info.status == status]
    return next(iter(wanted), None)


def ui_address(store: Store, host: str, columns: Sequence[str]) -> str:
    """The address of the runs table with its columns in MLflow's UI."""
    view = f"&viewStateShareKey={VIEW}" if columns else ""
    page = f"experiments/{store.experiment_id}/runs"
    return f"{host}/#/{page}?workflowType=machine_learning{view}"
