"""`score.*` of a run as one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config import compose
from flexunet_exp.prediction.settings import PredictSettings


@dataclass(frozen=True)
class ScoreSettings:
    """When a defect is found and an outline matches, and the number of resamples."""

    object_overlap: float  # share of a defect that must be predicted as its class
    boundary_tolerance: float  # pixels of the picture
    resamples: int

    @classmethod
    def from_config(
        cls, cfg: DictConfig, overrides: Mapping[str, Any] | None = None
    ) -> ScoreSettings:
        """`score.*` of the run configured by `cfg`, with `overrides` in place of its values."""
        return cls(**compose.section_or_default("score", cfg, overrides))


def report_facts(predict: PredictSettings, score: ScoreSettings) -> dict[str, str]:
    """The facts of a report: how pictures became predictions, and predictions scores."""
    return {
        "prediction": predict.describe(),
        "found": f"{score.object_overlap:.0%} of a defect predicted as its class",
        "outline": f"matches within {score.boundary_tolerance} px",
    }
