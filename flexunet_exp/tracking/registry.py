"""The model registry: a run's best model as a version that can be served, and the champion.

A version carries its run's files in `artifacts/run`, which `runs.load` reads like a run folder:
network, configuration, sample table, temperatures, decisions, and the evaluation without its
pictures. A version never changes: a run with another decision is another version.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
import warnings
from collections.abc import Iterable
from contextlib import redirect_stderr, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flexunet_exp.config import compose
from flexunet_exp.errors import InputError
from flexunet_exp.runs.folder import FILES, TEMPERATURES, FinishedRun, load
from flexunet_exp.tracking.mlflow_client import paged
from flexunet_exp.tracking.store import Store
from flexunet_exp.tracking.stored_models import remove_partial_models, whole_model

if TYPE_CHECKING:
    from flexunet_exp.decisions.file import Decision

log = logging.getLogger(__name__)

CHAMPION = "champion"
SERVED = "served"  # the name of the registered model among the models of its run
RUN = Path("artifacts", "run")  # the run's files in it
DECISION, DECISION_DIGEST = "decision", "decision_digest"  # tags of a version
CARRIED = Path(__file__).with_name("served_model.py")  # the code that a version carries
EVALUATION = (".csv", ".json", ".npz")


def stored_run(store: Store, run: FinishedRun) -> str:
    """The run's id in the store; InputError where the store lacks it, or it has not finished."""
    found = store.run_of(run.run_id, str(run.folder))
    if found is None:
        raise InputError(
            f"{run.folder} is not a run of {store.uri}. The registry is a part of the store and "
            "takes only the store's own runs. Train it with tracking=local or tracking=server, or "
            "name that run's store with tracking.uri=ADDRESS."
        )
    if found.info.status != "FINISHED":
        raise InputError(
            f"Run {found.info.run_id} is {found.info.status}; expected a finished one. Give its "
            "own command again to go on with it."
        )
    return found.info.run_id


def register(
    store: Store,
    run_id: str,
    folder: Path,
    name: str,
    objective: str,
    decision: Decision | None = None,
    whatever: bool = True,
) -> Any:
    """The newest version of the registered model `name` that is this run's best model.

    Makes it from the run's `folder` where the run has none. With `whatever` the decision of an
    existing version does not matter; else it is `decision`, None for none. A run never has two
    versions of one decision.
    """
    import mlflow

    if version := newest(store, run_id, name, None if whatever else digest_of(decision)):
        return version
    mlflow.set_tracking_uri(store.uri)
    model_name = served_name(decision)
    remove_partial_models(store, run_id, model_name)
    model = whole_model(store, run_id, model_name) or log_model(store, run_id, folder, decision)
    tags = version_tags(store.client.get_run(run_id), objective) | decision_tags(decision)
    with redirect_stderr(io.StringIO()):  # MLflow prints it too
        version = mlflow.register_model(f"models:/{model.model_id}", name, tags=tags)
    log.info("Registered     models:/%s/%s", name, version.version)
    return version


def newest(store: Store, run_id: str, name: str, digest: str | None) -> Any | None:
    """The newest version of a run, or the one of a decision's digest, empty for no decision."""
    wanted = f"name = '{name}' AND run_id = '{run_id}'"
    found = paged(store.client.search_model_versions, wanted)
    of_decision = [one for one in found if digest in (None, one.tags.get(DECISION_DIGEST, ""))]
    return max(of_decision, key=lambda one: int(one.version), default=None)


def digest_of(decision: Decision | None) -> str:
    return decision.digest if decision else ""


def served_name(decision: Decision | None) -> str:
    """The name of the model among those of its run: the copies of two decisions differ."""
    return f"{SERVED}_{decision.digest}" if decision else SERVED


def decision_tags(decision: Decision | None) -> dict[str, str]:
    return {DECISION: decision.name, DECISION_DIGEST: decision.digest} if decision else {}


def version_tags(run: Any, objective: str) -> dict[str, str]:
    figures = {name: run.data.metrics.get(name) for name in dict.fromkeys((objective, "test/dice"))}
    return {
        "run_id": run.info.run_id,
        "test_digest": run.data.tags.get("test_digest", ""),
        **{name: f"{value:.4f}" for name, value in figures.items() if value is not None},
    }


def log_model(store: Store, run_id: str, folder: Path, decision: Decision | None) -> Any:
    """Stores the model to register as a model of the run, without reopening the run."""
    import mlflow
    from mlflow.models import Model

    from flexunet_exp.tracking import serving

    experiment = store.client.get_run(run_id).info.experiment_id
    model = store.client.create_logged_model(
        experiment, served_name(decision), source_run_id=run_id
    )
    with TemporaryDirectory() as staging, warnings.catch_warnings(action="ignore"):
        Model.log(
            None,
            mlflow.pyfunc,
            run_id=run_id,
            model_id=model.model_id,
            python_model=str(CARRIED),
            artifacts={RUN.name: str(gather(folder, Path(staging) / RUN.name, decision))},
            signature=serving.signature(),
            pip_requirements=requirements(),
        )
    return model


def gather(run: Path, folder: Path, decision: Decision | None = None) -> Path:
    """Copies those files of a run folder that a version carries into `folder`.

    `decision` is marked as the one that is applied by default. Raises InputError where `run` is not
    a run folder (any more).
    """
    load(run)
    evaluation = (path for path in run.glob("evaluation/*/*") if path.suffix in EVALUATION)
    temperatures = (path for path in (run / TEMPERATURES,) if path.is_file())
    for path in (*(run / name for name in FILES), *temperatures, *evaluation):
        copy = folder / path.relative_to(run)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    from flexunet_exp.decisions import file  # it reads tables, which start-up has no use for

    if file.has_any(run):
        kept = file.read_all(run / file.DECISIONS)
        file.write(kept, folder, promoted=decision.name if decision else None)
    return folder


def requirements() -> list[str]:
    """The installed versions of this package's requirements; the package itself is in no index."""
    from importlib.metadata import requires, version

    needed = [line for line in requires(compose.PACKAGE.name) or () if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed]
    return [f"{name}=={version(name)}" for name in names]


def champion(store: Store, name: str) -> Any | None:
    """The present champion's version, or None."""
    aliases = store.client.get_registered_model(name).aliases
    return store.client.get_model_version(name, aliases[CHAMPION]) if CHAMPION in aliases else None


def crown(store: Store, version: Any, before: Any | None, because: str) -> None:
    """Makes a version the champion, and tags the version with the reason."""
    name, number = version.name, version.version
    store.client.set_registered_model_alias(name, CHAMPION, number)
    tags = {
        "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "promoted_from": f"version {before.version}" if before else "no champion",
        "promoted_because": because,
    }
    for key, value in tags.items():
        store.client.set_model_version_tag(name, number, key, value)


def fetch_registered(store: Store, uri: str, folder: Path) -> Path:
    """Fetches a registered model's files into `folder`; InputError where it does not exist."""
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(store.uri)
    try:
        mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))
    except MlflowException as error:
        raise InputError(no_version(store, uri, str(error).splitlines()[0])) from error
    return folder


def no_version(store: Store, uri: str, because: str) -> str:
    known = [model.name for model in paged(store.client.search_registered_models)]
    if uri.removeprefix("models:/") in known:
        return f"{uri} names no version. Expected {uri}@champion or a number: {uri}/1"
    there_are = f"There are: {', '.join(known)}." if known else "There are none yet."
    return (
        f"{uri} is not in the registry of {store.uri} ({because}). {there_are} Register a run "
        "with flexunet promote run=RUN name=NAME"
    )


def fetch_files(store: Store, version: Any, names: Iterable[str], folder: Path) -> None:
    """Fetches files of the run that a version carries into `folder`; skips those it lacks."""
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(store.uri)
    address = f"models:/{version.name}/{version.version}/{RUN.as_posix()}"
    for name in names:
        with suppress(MlflowException, OSError):
            mlflow.artifacts.download_artifacts(f"{address}/{name}", dst_path=str(folder))
