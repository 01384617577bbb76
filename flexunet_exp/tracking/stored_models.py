"""The models that the store keeps of a run: the Keras network, and the registered model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexunet_exp.tracking.mlflow_client import paged
from flexunet_exp.tracking.store import Store

if TYPE_CHECKING:
    import numpy as np

KERAS_MODEL = "model"  # the name of a run's best network among the models it stores
WHOLE = "READY"  # the status of a model with all its files


def whole_model(store: Store, run_id: str, name: str) -> Any | None:
    """The run's newest whole model of this name."""
    return next((m for m in models_of(store, run_id, name) if m.status == WHOLE), None)


def remove_partial_models(store: Store, run_id: str, name: str) -> None:
    """Removes the models of this name that a killed process sent in part."""
    for model in models_of(store, run_id, name):
        if model.status != WHOLE:
            store.client.delete_logged_model(model.model_id)


def models_of(store: Store, run_id: str, name: str) -> list[Any]:
    """The run's models of this name, newest first; whole or not."""
    wanted = f"source_run_id = '{run_id}' AND name = '{name}'"
    experiment_id = store.client.get_run(run_id).info.experiment_id
    return list(paged(store.client.search_logged_models, [experiment_id], wanted))


def fetch_network(store: Store, run_id: str, folder: Path) -> Path | None:
    """Fetches the file of the run's Keras network into `folder`; None where the store has none."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)  # MLflow looks models:/ addresses up in this store alone
    model = whole_model(store, run_id, KERAS_MODEL)
    if model is None:
        return None
    mlflow.artifacts.download_artifacts(
        artifact_uri=f"models:/{model.model_id}", dst_path=str(folder)
    )
    return next(folder.rglob("model.keras"), None)


def log_network(store: Store, run_id: str, model: Any, example: np.ndarray) -> None:
    """Sends the Keras network with signature and input example (1, H, W, N)."""
    import mlflow
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    channels = model.output_shape[-1]
    inputs = Schema([TensorSpec(example.dtype, (-1, -1, -1, example.shape[-1]))])
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, -1, -1, channels))])
    mlflow.set_tracking_uri(store.uri)
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings(action="ignore"):
        Model.log(
            None,
            KerasFlavor,
            name=KERAS_MODEL,
            flavor_name="mlflow.tensorflow",
            model=model,
            signature=ModelSignature(inputs, outputs),
            input_example=example,
            pip_requirements=requirements(),
            validate_serving_input=False,
        )


class KerasFlavor:
    """`mlflow.tensorflow` without a trial of the input example.

    MLflow would load the network again for it, and only warn. Its own `log_model` hands the wish
    not to try on to a function that refuses it.
    """

    @staticmethod
    def save_model(*, validate_serving_input: bool, **given: Any) -> None:
        import mlflow

        mlflow.tensorflow.save_model(**given)


def requirements() -> list[str]:
    """The requirements of the stored model; without them MLflow spends seconds guessing."""
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("tensorflow", "keras", "numpy")]
