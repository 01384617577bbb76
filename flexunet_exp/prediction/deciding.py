"""Applies a decision of a run to its predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.config import compose
from flexunet_exp.config.options.commands.shared import NONE
from flexunet_exp.data.tiles import Size
from flexunet_exp.decisions import file
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.rules import Rule
from flexunet_exp.errors import InputError
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.prediction import calibration, predictor
from flexunet_exp.prediction.predictor import Band, Prediction
from flexunet_exp.prediction.regions import Region
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.runs.folder import TEMPERATURES, FinishedRun
from flexunet_exp.scores.regions import STEPS, planes

STOP, PASS = "stop", "pass"
MOST_REASONS = 3  # regions that are named


class Decided(NamedTuple):
    """A picture's prediction under a rule, and how far it is from the other decision."""

    prediction: Prediction
    margin: float | None  # at least 0 for a stopped picture; see `Rule.margin`. None for no rule


def named(
    name: str | None, runs: Sequence[FinishedRun], overrides: Mapping[str, Any]
) -> Decision | None:
    """The decision `name` of the runs that predict together; None for `none`.

    Without a name, it is the decision that was promoted with a single registered model, else none.
    `overrides` replace `predict.*` of the runs. Raises InputError if there is no such decision, or
    it is of other networks, settings or temperatures.
    """
    if name is None and len(runs) == 1:
        name = file.promoted(runs[0].folder)
    if name is None or name == NONE:
        return None
    decision = file.named(name, runs[0].folder)
    classes = [entry["name"] for entry in compose.plain(runs[0].cfg.dataset.classes)][1:]
    networks = [weights_digest(run.network) for run in runs]
    settings = PredictSettings.from_config(runs[0].cfg, overrides)
    file.fitting(decision, classes, networks, settings.decisive())
    check_calibration(decision, runs, overrides.get("calibrated"))
    return decision


def check_calibration(decision: Decision, runs: Sequence[FinishedRun], asked: bool | None) -> None:
    """Raises InputError unless a decision was chosen with these temperatures, or with none.

    `asked` is `predict.calibrated` as it is typed; None leaves it to the decision.
    """
    is_calibrated = bool(decision.calibration)
    if asked is not None and asked != is_calibrated:
        raise InputError(
            f"decision={decision.name} was chosen with predict.calibrated={typed(is_calibrated)}; "
            f"here it is {typed(asked)}. Leave predict.calibrated out, or use decision={NONE}."
        )
    if is_calibrated and decision.calibration != calibration.digest(runs):
        raise InputError(
            f"decision={decision.name} was chosen with other temperatures than those in "
            f"{runs[0].folder / TEMPERATURES}. Choose again with flexunet decide "
            "predict.calibrated=true"
        )


def typed(value: bool) -> str:
    return str(value).lower()


def options(decision: Decision | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`overrides` of `predict.*` that apply a decision: calibrated if it was chosen so."""
    given = dict(overrides)
    return given if decision is None else given | {"calibrated": bool(decision.calibration)}


def sentence(decision: Decision | None) -> str:
    """What is applied, for a log."""
    applied = f"{NONE}, the most probable class of each pixel"
    return f"Decision: {decision.describe() if decision else applied}"


def outcome(margin: float) -> str:
    """What becomes of a picture with this margin."""
    return STOP if margin >= 0 else PASS


def reasons(found: Sequence[Region]) -> list[str]:
    """The largest regions that stop a picture: class, pixels and mean probability."""
    largest = sorted(found, key=lambda region: -region.area)[:MOST_REASONS]
    return [f"{one.label} {one.area} px {one.mean_probability:.2f}" for one in largest]


def check_limits(decision: Decision | None, min_area: int, min_probability: float) -> None:
    """Raises InputError for limits of regions beside a decision, which has its own."""
    if decision is not None and (min_area > 1 or min_probability > 0):
        raise InputError(
            f"decision={decision.name} says which regions remain. Leave min_area and "
            f"min_probability out, or use decision={NONE}"
        )


def collected(bands: Iterable[Band], size: Size, decision: Decision | None) -> Decided:
    """The prediction of a picture of `size` (height, width), under a decision if there is one."""
    if decision is None:
        return Decided(predictor.collect(bands, size), None)
    return collect(bands, decision.rule)


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
