"""A decision that fits a run, without choosing one."""

from __future__ import annotations

from pathlib import Path

from flexunet_exp.decisions import file
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.rules import ClassRule, Rule, Shape
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.runs.folder import load


def kept(folder: Path, name: str, place: int, shape: Shape) -> Decision:
    """Keeps a decision of one rule for all classes in a run folder."""
    run = load(folder)
    classes = [entry.name for entry in run.cfg.dataset.classes][1:]
    decision = Decision(
        *(name, "guarantee", "part", "all", {"max_missed": 0.1, "confidence": 0.9}),
        file.values_of(Rule(dict.fromkeys(classes, ClassRule(place, shape)))),
        [weights_digest(run.network)],
        PredictSettings.from_config(run.cfg).decisive(),
        *({"part": "calibration", "digest": "0f", "pictures": 9, "sources": 9}, 0.3),
        {"parts": {"missed": [float("nan"), 0.0, 0.2, 9]}},
    )
    file.keep(decision, folder)
    return decision
