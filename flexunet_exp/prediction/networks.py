"""Trained networks, ready to predict: from finished runs and `predict.*` to a predictor."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose, validation
from flexunet_exp.errors import InputError
from flexunet_exp.prediction.predictor import VIEWS, Ensemble, Predictor
from flexunet_exp.system import tensorflow
from flexunet_exp.tracking.find_runs import FinishedRun

if TYPE_CHECKING:
    import keras


EXPECTED_FILE = "Expected a .keras file, such as best.keras of a run folder."


@dataclass(frozen=True)
class Trained:
    """One network, or several that predict together, and the classes they tell apart."""

    predictor: Predictor | Ensemble
    class_names: tuple[str, ...]  # background first
    palette: np.ndarray  # (C, 3) uint8 RGB
    settings: dict[str, Any]  # the predict.* in force


def load(runs: Sequence[FinishedRun], overrides: DictConfig) -> Trained:
    """The networks of `runs`, predicting as the first was scored but for what `overrides` says.

    Raises InputError where the runs have other classes or tiles, or a network cannot be read.
    """
    check_classes(runs)
    check_tiles(runs, overrides)
    settings = predict_settings(runs[0].cfg, overrides)
    predictors = [
        predictor(load_network(run, settings["precision"]), run.cfg, settings) for run in runs
    ]
    classes = compose.plain(runs[0].cfg.dataset.classes)
    return Trained(
        predictors[0] if len(predictors) == 1 else Ensemble(predictors),
        tuple(entry["name"] for entry in classes),
        np.array([entry["color"] for entry in classes], np.uint8),
        settings,
    )


def predict_settings(cfg: DictConfig, overrides: DictConfig | None = None) -> dict[str, Any]:
    """`predict.*` of a run, and what replaces it."""
    settings = settings_of("predict", cfg, overrides)
    settings["batch_size"] = settings["batch_size"] or cfg.trainer.batch_size
    if settings["tile"] == "auto":
        patch = compose.patch_size(cfg)
        settings["tile"] = list(patch) if patch else "none"
    return settings


def settings_of(
    section: str, cfg: DictConfig, overrides: DictConfig | None = None
) -> dict[str, Any]:
    """`predict.*` or `score.*` of a run (of before there were any: the defaults), and what replaces
    it: whatever is not null in `overrides`."""
    defaults = OmegaConf.load(compose.conf_dir() / section / "default.yaml")
    settings = compose.plain(defaults)
    for part in (cfg.get(section), overrides):
        given = {} if part is None else compose.plain(part)
        settings |= {name: value for name, value in given.items() if value is not None}
    return settings


def predictor(model: keras.Model, cfg: DictConfig, settings: Mapping[str, Any]) -> Predictor:
    """How a network of the run configured by `cfg` predicts with these `predict.*`."""
    return Predictor(
        model,
        compose.image_size(cfg),
        settings["batch_size"],
        tile_size(settings["tile"]),
        settings["overlap"],
        settings["tta"],
    )


def facts(settings: Mapping[str, Any], size: tuple[int, int], score: DictConfig) -> dict[str, str]:
    """What a report says of how pictures became predictions, and predictions scores."""
    return {
        "prediction": describe(settings, size),
        "found": f"{score.object_overlap:.0%} of a defect predicted as its class",
        "outline": f"matches within {score.boundary_tolerance} px",
    }


def describe(settings: Mapping[str, Any], size: tuple[int, int]) -> str:
    """A sentence for a report: how pictures become predictions."""
    how = told(settings["tile"])
    if tile_size(settings["tile"]):
        how += f" that overlap by {settings['overlap']:.0%}"
    how += f", seen at {size[0]} × {size[1]} px"
    views = len(VIEWS[settings["tta"]])
    return how + (f", the mean of {views} views" if views > 1 else "")


def describe_patches(patch: tuple[int, int], size: tuple[int, int]) -> str:
    """A sentence for the log: what the network is trained on, and how much of it it sees."""
    seen = f"{size[0]} × {size[1]} px"
    what = f"Training on patches of {patch[0]} × {patch[1]} px, which the network sees at {seen}"
    if patch == size:
        return f"{what}: full resolution."
    return f"{what}. Full resolution would be dataset.patch.size={compose.size_text(size)}"


def tile_size(tile: Any) -> tuple[int, int] | None:
    """(height, width) of `predict.tile`; None where a picture is predicted as a whole."""
    return None if tile == "none" else compose.sides(tile)


def load_network(run: FinishedRun, precision: str = "as_trained") -> keras.Model:
    """The run's best network, never compiled; rebuilt where it is to compute in another precision.

    Raises InputError naming a file that cannot be read as one, or is not of these classes and size.
    """
    network = read_network(run.network)
    check_network(network, run)
    return in_precision(network, run.cfg, precision)


def check_network(network: keras.Model, run: FinishedRun) -> None:
    """Raises InputError unless the network gives one logit a class for pictures of this size."""
    size, classes = compose.image_size(run.cfg), len(run.cfg.dataset.classes)
    found = output_shape(network, size)
    if found[:2] != size:
        raise InputError(
            f"{run.network} takes no pictures of {size[0]} × {size[1]} px. Give the "
            "dataset.image_size it was trained at; it is a multiple of 2 to the number of poolings."
        )
    if found[2:] != (classes,):
        raise InputError(
            f"{run.network} tells apart {found[-1]} classes, but {run.cfg.dataset.name} has "
            f"{classes}. Choose the dataset it was trained on."
        )


def output_shape(network: keras.Model, size: tuple[int, int]) -> tuple[int, ...]:
    """(H, W, C) of what the network makes of a picture; nothing where it cannot take one."""
    try:
        shape = network.compute_output_shape((1, *size, 3))
    except Exception:  # each layer has errors of its own
        return ()
    # A network that was read gives a list with one shape, one that was made the shape.
    return tuple(np.ravel(shape).tolist())[1:]


def in_precision(model: keras.Model, cfg: DictConfig, precision: str) -> keras.Model:
    """The network that `cfg` describes, computing in `precision`; the same if it does already."""
    if precision in ("as_trained", cfg.trainer.precision):
        return model
    if "model" not in cfg:
        raise InputError(
            f"predict.precision={precision} needs the configuration of the network's run: name the "
            "run, or a .keras file in its folder."
        )
    import keras

    validation.check_targets(cfg, ("model",))
    shape = (*compose.image_size(cfg), 3)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        rebuilt = compose.build(cfg.model, input_shape=shape, num_classes=model.output_shape[-1])
    finally:
        keras.config.set_dtype_policy(before)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def read_network(path: Path) -> keras.Model:
    """A `.keras` file's network; what is inside runs no code of its own (Keras's safe mode)."""
    import keras

    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is missing, cut off or no Keras file. {EXPECTED_FILE}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, h5py, json and Keras each raise kinds of their own
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: no Keras network that can be read ({reason}). {EXPECTED_FILE}"
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


def check_tiles(runs: Sequence[FinishedRun], overrides: DictConfig) -> None:
    """Raises InputError unless all runs are to see equally large parts of a picture."""
    tiles = [predict_settings(run.cfg, overrides)["tile"] for run in runs]
    if problems := [
        f"{run.folder} predicts {told(tile)}; {runs[0].folder} {told(tiles[0])}. What is right for "
        "one is another scale for the other: score them one by one, or give all of them one "
        "predict.tile=SIZE or none."
        for run, tile in zip(runs, tiles, strict=True)
        if tile_size(tile) != tile_size(tiles[0])
    ]:
        raise InputError(problems)


def told(tile: Any) -> str:
    size = tile_size(tile)
    return f"tiles of {size[0]} × {size[1]} px" if size else "whole pictures"


def prepare_process(run: FinishedRun) -> None:
    """Sets TensorFlow up as the run was; InputError where this process is set up otherwise."""
    if tensorflow.needs_own_process(run.cfg.trainer):
        raise InputError(
            "This run has other threads or determinism than the one before it in this process, "
            "which TensorFlow cannot change. Give the command for one run at a time."
        )
    tensorflow.prepare(run.cfg.trainer)
