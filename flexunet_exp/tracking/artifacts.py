"""Sends, finds and fetches the files that the store keeps of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from flexunet_exp.tracking.mlflow_client import milliseconds, one_process_at_a_time
from flexunet_exp.tracking.store import Store


def log_image(store: Store, run_id: str, key: str, path: Path, timestamp: int, step: int) -> None:
    """Sends a PNG file for the slider `key`; nothing else is sent below images/."""
    from PIL import Image

    with Image.open(path) as picture:
        store.client.log_image(run_id, picture, key=key, step=step, timestamp=timestamp)


def remove_image(
    store: Store, run_id: str, key: str, path: Path, timestamp: int, step: int
) -> None:
    """Removes the store's files of this image, so that sending it again does not double it."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    uri = store.client.get_run(run_id).info.artifact_uri
    repository = get_artifact_repository(uri, store.uri)
    start = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{timestamp}+"
    for file in store.client.list_artifacts(run_id, "images"):
        if file.path.startswith(start):
            repository.delete_artifacts(file.path)


def log_files(store: Store, run_id: str, path: Path, folder: str) -> None:
    """Sends a file, or a folder with its content, into the artifact folder `folder`."""
    send = store.client.log_artifacts if path.is_dir() else store.client.log_artifact
    send(run_id, str(path), folder or None)


def add_evaluation(store: Store, run_id: str, folder: Path, figures: Mapping[str, float]) -> str:
    """Adds an evaluation's files and figures to a run; returns the name they have there."""
    with one_process_at_a_time(store.uri):
        name = f"evaluation{max(1, last_number(store, run_id, 'evaluation')) + 1}"
        store.client.log_artifacts(run_id, str(folder), name)
    now = milliseconds()
    defined = {key: value for key, value in figures.items() if not math.isnan(value)}
    store.log_metrics(run_id, [(f"{name}/{key}", v, now, 0) for key, v in defined.items()])
    return name


def add_folder(store: Store, run_id: str, folder: Path, name: str) -> str:
    """Adds a folder's files to a run, never over others: below `name`, else name2, name3 …"""
    with one_process_at_a_time(store.uri):
        number = last_number(store, run_id, name) + 1
        place = name if number == 1 else f"{name}{number}"
        store.client.log_artifacts(run_id, str(folder), place)
    return place


def last_number(store: Store, run_id: str, name: str) -> int:
    """The number of the run's last artifact folder of this name: 1 for `name`, 2 for name2 …"""
    names = [file.path for file in store.client.list_artifacts(run_id)]
    numbers = [re.fullmatch(rf"{name}(\d*)", found) for found in names]
    return max((int(n[1] or 1) for n in numbers if n), default=0)


def fetch_file(store: Store, artifact_uri: str, path: str, folder: Path) -> Path | None:
    """Fetches a file of the run with this artifact address into `folder`; None without the file.

    The client's own function queries the database three times a file, most of its time.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        repository = get_artifact_repository(artifact_uri, store.uri)
        return Path(repository.download_artifacts(path, str(folder)))
    except (MlflowException, OSError):
        return None


def fetch_all(store: Store, run_id: str, folder: Path) -> Path:
    """Fetches the run's artifacts into `folder`."""
    import mlflow

    mlflow.artifacts.download_artifacts(
        run_id=run_id, artifact_path="", dst_path=str(folder), tracking_uri=store.uri
    )
    return folder
