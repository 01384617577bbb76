"""Applies a decision of a run to its predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from flexunet_exp.config import compose
from flexunet_exp.config.options.commands import NONE
from flexunet_exp.decisions import file
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.rules import Rule
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.prediction.predictor import Band, Prediction
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.scores.regions import STEPS, planes


class Decided(NamedTuple):
    """A picture's prediction under a rule, and how far it is from the other decision."""

    prediction: Prediction
    margin: float  # at least 0 for a stopped picture; see `Rule.margin`


def named(name: str, runs: Sequence[FinishedRun], settings: PredictSettings) -> Decision | None:
    """The decision `name` of the runs that predict together; None for `none`.

    Raises InputError if there is no such decision, or it is of other networks or settings.
    """
    if name == NONE:
        return None
    decision = file.named(name, runs[0].folder)
    classes = [entry["name"] for entry in compose.plain(runs[0].cfg.dataset.classes)][1:]
    networks = [weights_digest(run.network) for run in runs]
    file.fitting(decision, classes, networks, settings.decisive())
    return decision


def collect(bands: Iterable[Band], rule: Rule) -> Decided:
    """The prediction of a picture under a rule; its certainty is rounded down to 1/240."""
    levels, background = [], 1.0
    for band in bands:
        levels.append(planes(band.probabilities))
        background = min(background, float(band.probabilities[..., 0].min()))
    return of_levels(np.concatenate(levels, axis=1), 1 - background, rule)


def of_levels(levels: np.ndarray, anomaly: float, rule: Rule) -> Decided:
    mask = rule.mask(levels)
    own = np.take_along_axis(levels, np.maximum(mask.astype(np.intp) - 1, 0)[None], axis=0)[0]
    certainty = (own / STEPS).astype(np.float16)
    return Decided(Prediction(mask, certainty, anomaly), rule.margin(levels))
