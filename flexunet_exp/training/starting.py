"""init_from: a training that begins with the weights of another network."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from flexunet_exp.errors import Hopeless
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.system.files import write_table
from flexunet_exp.tracking import find_runs

if TYPE_CHECKING:
    import keras
    import pandas as pd

log = logging.getLogger(__name__)

LAYERS = "init_from.csv"  # in the run folder: what was taken over, and what was not
MOST_LISTED = 10


@dataclass(frozen=True)
class Start:
    """The weights that a training begins with."""

    source: str  # the id of the run that trained them; without one, their file
    network: Path
    digest: str  # of the weights


def find(cfg: DictConfig, download_to: Path) -> Start | None:
    """What `init_from=` names, None where it is null; InputError where it names no network."""
    if cfg.init_from is None:
        return None
    run = find_runs.find(cfg, download_to, "init_from")
    is_registered = str(cfg.init_from).startswith(find_runs.REGISTERED)  # and downloaded
    source = str(cfg.init_from) if is_registered else run.run_id or str(run.network)
    return Start(source, run.network, weights_digest(run.network))


def take_over(model: keras.Model, start: Start, folder: Path) -> None:
    """Gives the model the weights of every layer that has the same name and shapes in both.

    What was left out is logged, and kept in the run folder. Raises Hopeless if no layer fits.
    """
    from flexunet_exp.models.files import read_network

    ours, theirs = dict(layers_of(model)), dict(layers_of(read_network(start.network)))
    reasons = {name: why_not(name, ours, theirs) for name in {**ours, **theirs}}
    fitting = [name for name, reason in reasons.items() if not reason]
    if not fitting:
        raise Hopeless(
            f"init_from={start.source}: no layer of {start.network} has the name and the shapes of "
            f"a layer of this network. Layers there: {listed(theirs)}; here: {listed(ours)}. Take "
            "a run of the same model= and model.*"
        )
    for name in fitting:
        ours[name].set_weights(theirs[name].get_weights())
    write_table(folder / LAYERS, table_of(reasons))
    log_taken(start, len(fitting), reasons)


def layers_of(model: keras.Model, above: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers with weights by name, those of a model within the model after its own name."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer, f"{above}{layer.name}/")
        elif layer.weights:
            yield above + layer.name, layer


def why_not(name: str, ours: dict, theirs: dict) -> str:
    """Why a layer is left out; empty if it is taken over."""
    if name not in theirs:
        return "it is not there"
    if name not in ours:
        return "it is only there"
    here, there = ([tuple(w.shape) for w in layers[name].weights] for layers in (ours, theirs))
    if here != there:
        return f"{there} there, {here} here"
    is_other = is_fixed(ours[name]) and not has_equal_weights(ours[name], theirs[name])
    return "its weights follow from the model's arguments, which differ" if is_other else ""


def is_fixed(layer: keras.layers.Layer) -> bool:
    """Whether a layer's weights are not learned, but follow from the model's arguments.

    Its initializer says so: a layer that is frozen for a time is not trainable either.
    """
    return getattr(getattr(layer, "depthwise_initializer", None), "is_final", False)


def has_equal_weights(one: keras.layers.Layer, other: keras.layers.Layer) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(own, its) for own, its in pairs)


def table_of(reasons: dict[str, str]) -> pd.DataFrame:
    """One row per layer: `layer taken because`."""
    import pandas as pd

    rows = [(name, not reason, reason) for name, reason in reasons.items()]
    return pd.DataFrame(rows, columns=["layer", "taken", "because"])


def log_taken(start: Start, taken: int, reasons: dict[str, str]) -> None:
    log.info("Starts with the weights of %s: %d layers are taken over.", start.source, taken)
    left = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
    if left:
        more = f" … all are in {LAYERS}" if len(left) > MOST_LISTED else ""
        log.warning("Left out, %d layers: %s%s", len(left), ", ".join(left[:MOST_LISTED]), more)


def listed(layers: dict) -> str:
    names = list(layers)
    return ", ".join(names[:MOST_LISTED]) + (" …" if len(names) > MOST_LISTED else "")
