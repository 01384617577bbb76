"""Trained networks, ready to predict: from finished runs and `predict.*` to a predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from flexunet_exp import config, runtime
from flexunet_exp.errors import InputError
from flexunet_exp.predict import VIEWS, Ensemble, Predictor
from flexunet_exp.runs import FinishedRun

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Trained:
    """One network, or several that predict together, and the classes they tell apart."""

    predictor: Predictor | Ensemble
    class_names: tuple[str, ...]  # background first
    palette: np.ndarray  # (C, 3) uint8 RGB
    settings: dict[str, Any]  # the predict.* in force


def load(runs: Sequence[FinishedRun], overrides: DictConfig) -> Trained:
    """The networks of `runs`, predicting as the first was scored but for what `overrides` says.

    Raises InputError where the runs have other classes, or a network cannot be read.
    """
    check_classes(runs)
    settings = predict_settings(runs[0].cfg, overrides)
    predictors = [
        predictor(load_network(run, settings["precision"]), run.cfg, settings) for run in runs
    ]
    classes = config.plain(runs[0].cfg.dataset.classes)
    return Trained(
        predictors[0] if len(predictors) == 1 else Ensemble(predictors),
        tuple(entry["name"] for entry in classes),
        np.array([entry["color"] for entry in classes], np.uint8),
        settings,
    )


def predict_settings(cfg: DictConfig, overrides: DictConfig | None = None) -> dict[str, Any]:
    """`predict.*` of a run (of before there were any: the defaults), and what replaces it."""
    defaults = OmegaConf.load(config.conf_dir() / "predict" / "default.yaml")
    given = [config.plain(part) for part in (overrides, cfg.get("predict")) if part is not None]
    settings = config.plain(defaults)
    for part in reversed(given):
        settings |= {name: value for name, value in part.items() if value is not None}
    settings["batch_size"] = settings["batch_size"] or cfg.trainer.batch_size
    return settings


def predictor(model: keras.Model, cfg: DictConfig, settings: Mapping[str, Any]) -> Predictor:
    """How a network of the run configured by `cfg` predicts with these `predict.*`."""
    return Predictor(
        model,
        config.image_size(cfg),
        settings["batch_size"],
        tile_size(settings["tile"]),
        settings["overlap"],
        settings["tta"],
    )


def describe(settings: Mapping[str, Any], size: tuple[int, int]) -> str:
    """A sentence for a report: how pictures become predictions."""
    network = f"{size[0]} × {size[1]} px"
    tile = tile_size(settings["tile"])
    how = f"whole pictures, seen at {network}"
    if tile:
        overlap = f"{settings['overlap']:.0%}"
        how = f"tiles of {tile[0]} × {tile[1]} px that overlap by {overlap}, seen at {network}"
    views = len(VIEWS[settings["tta"]])
    return how + (f", the mean of {views} views" if views > 1 else "")


def tile_size(tile: Any) -> tuple[int, int] | None:
    """(height, width) of `predict.tile`; None where a picture is predicted as a whole."""
    if tile == "none":
        return None
    return (tile, tile) if isinstance(tile, int) else (tile[0], tile[1])


def load_network(run: FinishedRun, precision: str = "as_trained") -> keras.Model:
    """The run's best network, never compiled; rebuilt where it is to compute in another precision.

    Raises InputError naming a file that cannot be read as one.
    """
    return in_precision(read_network(run.network), run.cfg, precision)


def in_precision(model: keras.Model, cfg: DictConfig, precision: str) -> keras.Model:
    """The network that `cfg` describes, computing in `precision`; the same if it does already."""
    if precision in ("as_trained", cfg.trainer.precision):
        return model
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    shape = (*config.image_size(cfg), 3)
    rebuilt = config.build(cfg.model, input_shape=shape, num_classes=model.output_shape[-1])
    keras.config.set_dtype_policy(before)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def read_network(path: Path) -> keras.Model:
    """A `.keras` file's network; what is inside runs no code of its own (Keras's safe mode)."""
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, h5py, json and Keras each raise kinds of their own
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: no Keras network that can be read ({reason}). Expected a .keras file, such "
            "as best.keras of a run folder."
        ) from error


def check_classes(runs: Sequence[FinishedRun]) -> None:
    """Raises InputError unless all runs have the first one's classes."""
    names = [[entry["name"] for entry in run.cfg.dataset.classes] for run in runs]
    problems = [
        f"{run.folder} has the classes {', '.join(found)}; {runs[0].folder} has "
        f"{', '.join(names[0])}. Only runs of the same classes predict together."
        for run, found in zip(runs, names, strict=True)
        if found != names[0]
    ]
    if problems:
        raise InputError(problems)


def prepare_process(run: FinishedRun) -> None:
    """Sets TensorFlow up as the run was; InputError where this process is set up otherwise."""
    if runtime.needs_own_process(run.cfg.trainer):
        raise InputError(
            "This run has other threads or determinism than the one before it in this process, "
            "which TensorFlow cannot change. Give the command for one run at a time."
        )
    runtime.prepare(run.cfg.trainer)
