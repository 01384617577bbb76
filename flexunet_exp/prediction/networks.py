"""From finished runs and `predict.*` to a predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import building, compose, validation
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.data.tiles import Size
from flexunet_exp.errors import InputError
from flexunet_exp.models.files import read_network, without_optimizer
from flexunet_exp.prediction import calibration
from flexunet_exp.prediction.predictor import Ensemble, Predictor, members_of
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings

if TYPE_CHECKING:
    import keras

Value = TypeVar("Value")


@dataclass(frozen=True)
class TrainedNetworks:
    """One network, or several that predict together, and the classes they tell apart."""

    predictor: Predictor | Ensemble
    class_names: tuple[str, ...]  # background first
    palette: np.ndarray  # (C, 3) uint8 RGB
    settings: PredictSettings  # in force
    bit_depth: Bits = 16  # of the values in 16-bit pictures
    channels: Channels = RGB


@dataclass(frozen=True)
class Blueprint:
    """The settings to build a network again in another precision."""

    model: dict[str, Any] | None  # the section `model`; None where only the network's file is known
    size: Size
    precision: str  # it was trained in

    @classmethod
    def from_config(cls, cfg: DictConfig) -> Blueprint:
        model = compose.plain(cfg.model) if "model" in cfg else None
        return cls(model, compose.image_size(cfg), cfg.trainer.precision)


def load(runs: Sequence[FinishedRun], overrides: Mapping[str, Any]) -> TrainedNetworks:
    """The networks of `runs`, with the `predict.*` of the first run and the `overrides`.

    Raises InputError where the runs differ in classes or tiles, a network cannot be read, or one
    that is to be calibrated has no temperatures.
    """
    check_classes(runs)
    check_tiles(runs, overrides)
    check_bits(runs)
    check_channels(runs)
    settings = [PredictSettings.from_config(run.cfg, overrides) for run in runs]
    precision = settings[0].precision
    temperatures = temperatures_of(runs, settings[0].calibrated)
    predictors = [
        predictor(load_network(run, precision), replace(settings[0], size=own.size)).calibrated(
            own_temperatures
        )
        for run, own, own_temperatures in zip(runs, settings, temperatures, strict=True)
    ]
    classes = compose.plain(runs[0].cfg.dataset.classes)
    return TrainedNetworks(
        predictors[0] if len(predictors) == 1 else Ensemble(predictors),
        tuple(entry["name"] for entry in classes),
        np.array([entry["color"] for entry in classes], np.uint8),
        settings[0],
        compose.bit_depth(runs[0].cfg),
        Channels.of(compose.channels(runs[0].cfg)),
    )


def temperatures_of(
    runs: Sequence[FinishedRun], is_calibrated: bool
) -> list[np.ndarray] | list[None]:
    """The temperatures of each run's network, if they are to be applied.

    Raises InputError naming every run that lacks them.
    """
    if not is_calibrated:
        return [None] * len(runs)
    found, problems = [], []
    for run in runs:
        try:
            found.append(calibration.read(run).divisors)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found


def recalibrated(
    trained: TrainedNetworks, runs: Sequence[FinishedRun], is_calibrated: bool
) -> TrainedNetworks:
    """The loaded networks of `runs` with their temperatures, or without; the same where it is so.

    Raises InputError naming every run that lacks them.
    """
    if trained.settings.calibrated == is_calibrated:
        return trained
    temperatures = temperatures_of(runs, is_calibrated)
    members = [
        one.calibrated(own)
        for one, own in zip(members_of(trained.predictor), temperatures, strict=True)
    ]
    return replace(
        trained,
        predictor=members[0] if len(members) == 1 else Ensemble(members),
        settings=replace(trained.settings, calibrated=is_calibrated),
    )


def predictor(model: Any, settings: PredictSettings) -> Predictor:
    """A predictor of a network with these settings, without temperatures."""
    return Predictor(
        model,
        settings.size,
        settings.batch_size,
        settings.tile_size,
        settings.overlap,
        settings.tta,
    )


def load_network(run: FinishedRun, precision: str = "as_trained") -> keras.Model:
    """The run's best network, not compiled; rebuilt for another precision.

    Raises InputError naming a file that cannot be read as a network, or has other classes or sizes.
    """
    network = read_network(run.network)
    check_network(network, run)
    return in_precision(network, Blueprint.from_config(run.cfg), precision)


def check_network(network: keras.Model, run: FinishedRun) -> None:
    """Raises InputError unless the network gives one logit a class for pictures of this size."""
    size, classes = compose.image_size(run.cfg), len(run.cfg.dataset.classes)
    channels, taken = Channels.of(compose.channels(run.cfg)), network.inputs[0].shape[-1]
    if taken != channels.number:
        raise InputError(
            f"{run.network} takes pictures of {taken} channels, but {channels.typed}. Give the "
            f"dataset.channels it was trained with: a number, {taken}, or the names of the lights."
        )
    found = output_shape(network, size)
    if found[:2] != size:
        raise InputError(
            f"{run.network} takes no pictures of {size[0]} × {size[1]} px. Give the "
            "dataset.image_size it was trained at: a multiple of 2 to the number of poolings."
        )
    if found[2:] != (classes,):
        raise InputError(
            f"{run.network} tells apart {found[-1]} classes, but {run.cfg.dataset.name} has "
            f"{classes}. Choose the dataset it was trained on."
        )


def output_shape(network: keras.Model, size: tuple[int, int]) -> tuple[int, ...]:
    """The output shape (H, W, C) for a picture; empty where the network cannot take it."""
    try:
        shape = network.compute_output_shape((1, *size, network.inputs[0].shape[-1]))
    except Exception:  # layers raise errors of many types
        return ()
    # A network read from a file gives a list with one shape, a built network the shape.
    return tuple(np.ravel(shape).tolist())[1:]


def in_precision(model: keras.Model, made: Blueprint, precision: str) -> keras.Model:
    """The network in `precision`; the same object where it has that precision already.

    Raises InputError where it would have to be rebuilt, and only its file is known.
    """
    if precision == "as_trained":
        return model
    import keras

    if made.model is None:  # nothing but its layers says what it was trained in
        check_computes(model, keras.DTypePolicy(precision).compute_dtype, precision)
        return model
    if precision == made.precision:
        return model
    validation.check_targets(OmegaConf.create({"model": made.model}), ("model",))
    classes = model.output_shape[-1]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        rebuilt = building.build(
            without_first_weights(made.model),
            input_shape=(*made.size, model.inputs[0].shape[-1]),
            num_classes=classes,
            input_dtype=model.inputs[0].dtype,
        )
    finally:
        keras.config.set_dtype_policy(before)
    # A supervised network also has the weights of its side heads, which predict nothing.
    rebuilt.set_weights(without_optimizer(model).get_weights())
    return rebuilt


def check_computes(model: keras.Model, wanted: str, precision: str) -> None:
    """Raises InputError unless the network's layers compute in `wanted`, the head's aside."""
    exact = "float32"  # of the head, in every precision
    found = {layer.compute_dtype for layer in model.layers} - {exact} or {exact}
    if found != {wanted}:
        raise InputError(
            f"predict.precision={precision} needs the configuration of the network's run, as the "
            f"network computes in {', '.join(sorted(found))}. Name the run, or a .keras file in "
            "its folder, or leave predict.precision out."
        )


def without_first_weights(model: dict[str, Any]) -> dict[str, Any]:
    """The section `model` of a network whose weights are known: those it began with may be gone."""
    return model | {"encoder_weights": None} if "encoder_weights" in model else model


def check_classes(runs: Sequence[FinishedRun]) -> None:
    """Raises InputError unless all runs have the first one's classes."""
    names = [[entry["name"] for entry in run.cfg.dataset.classes] for run in runs]
    problems = [
        f"{run.folder} has the classes {', '.join(found)}; {runs[0].folder} has "
        f"{', '.join(names[0])}. Only runs of the same classes predict together."
        for run, found in unlike_the_first(runs, names)
    ]
    if problems:
        raise InputError(problems)


def check_tiles(runs: Sequence[FinishedRun], overrides: Mapping[str, Any]) -> None:
    """Raises InputError unless all runs predict parts of a picture of one size."""
    all_settings = [PredictSettings.from_config(run.cfg, overrides) for run in runs]
    first = all_settings[0]
    if problems := [
        f"{run.folder} predicts {own.parts}; {runs[0].folder} {first.parts}. They see pictures "
        "at different scales: score them one by one, or give all of them one predict.tile=SIZE "
        "or none."
        for run, own in zip(runs, all_settings, strict=True)
        if own.tile_size != first.tile_size
    ]:
        raise InputError(problems)


def check_bits(runs: Sequence[FinishedRun]) -> None:
    """Raises InputError unless all runs scale 16-bit pictures alike."""
    depths = [compose.bit_depth(run.cfg) for run in runs]
    if problems := [
        f"{run.folder} has dataset.bit_depth={found}; {runs[0].folder} has {depths[0]}. Runs that "
        "predict together must scale 16-bit pictures alike: train them with one."
        for run, found in unlike_the_first(runs, depths)
    ]:
        raise InputError(problems)


def check_channels(runs: Sequence[FinishedRun]) -> None:
    """Raises InputError unless all runs read the same channels."""
    channels = [Channels.of(compose.channels(run.cfg)) for run in runs]
    if problems := [
        f"{run.folder} has {found.typed}; {runs[0].folder} has {channels[0].typed}. Only runs of "
        "the same channels predict together."
        for run, found in unlike_the_first(runs, channels)
    ]:
        raise InputError(problems)


def unlike_the_first(
    runs: Sequence[FinishedRun], values: Sequence[Value]
) -> list[tuple[FinishedRun, Value]]:
    """Each run whose value is not that of the first run, with its value."""
    return [(run, value) for run, value in zip(runs, values, strict=True) if value != values[0]]


def prepare_process(run: FinishedRun) -> None:
    """Sets TensorFlow up as for the run; InputError where the process is set up otherwise."""
    process = ProcessSettings.from_config(run.cfg)
    if tensorflow.needs_own_process(process):
        raise InputError(
            "This run has other threads or another determinism than the run before it in this "
            "process, and TensorFlow cannot change these. Give the command for one run at a time."
        )
    tensorflow.prepare(process)
