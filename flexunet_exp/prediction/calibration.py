"""calibration.json: the temperatures of a run's network, and what they were fitted on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.errors import InputError
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.runs.folder import TEMPERATURES, FinishedRun
from flexunet_exp.scores.temperature import LEAST, MOST
from flexunet_exp.system.files import replace_file

METHOD = "logits divided by temperatures, then softmax (Guo et al. 2017, arXiv:1706.04599)"

PIXELS = {"all": "all pixels", "defect": "defect pixels"}  # those that errors are measured over


@dataclass(frozen=True)
class Calibration:
    """The temperatures of a network's logits, and what they were fitted on."""

    network: str  # the digest of its weights
    classes: list[str]  # background first
    temperatures: list[float]  # one a class
    common: float  # the temperature of all logits, where one alone is fitted
    own: list[str]  # classes that have a temperature of their own
    fitted_on: dict[str, Any]  # part of the split, pictures, sources, pixels
    predict: dict[str, Any]  # the settings that the figures were measured with
    ece_before: dict[str, float]  # over all pixels, and over those of a defect
    ece_after: dict[str, float]
    nll_before: dict[str, float]
    nll_after: dict[str, float]

    @property
    def digest(self) -> str:
        """Hash (16 hex digits) of the network and its temperatures."""
        return hashed([self.network, self.temperatures])

    @property
    def divisors(self) -> np.ndarray:
        """The temperatures (C,) float32, as a predictor takes them."""
        return np.array(self.temperatures, np.float32)

    def describe(self) -> str:
        """A sentence for a log or a report, and a second one if an error got worse."""
        own = f", {', '.join(self.own)} apart" if self.own else ""
        errors = "; ".join(
            f"of {title} {self.ece_before[group]:.3g}, calibrated {self.ece_after[group]:.3g}"
            for group, title in PIXELS.items()
        )
        return (
            f"temperature {self.common:.2f}{own}, fitted on {self.fitted_on['pictures']} "
            f"validation pictures; calibration error {errors}{self.worsened()}"
        )

    def worsened(self) -> str:
        """Which errors the temperatures make worse, as a sentence after another; or nothing."""
        worse = [
            title
            for group, title in PIXELS.items()
            if self.ece_after[group] > self.ece_before[group]
        ]
        if len(worse) == 2:
            return f". Calibrated, the errors of {worse[0]} and of {worse[1]} are worse."
        return f". Calibrated, the error of {worse[0]} is worse." if worse else ""

    @property
    def figures(self) -> dict[str, float]:
        """The figures by the names under which the store tracks them."""
        return {
            "calibration/temperature": self.common,
            "calibration/ece_before": self.ece_before["all"],
            "calibration/ece_after": self.ece_after["all"],
            "calibration/ece_defect_before": self.ece_before["defect"],
            "calibration/ece_defect_after": self.ece_after["defect"],
        }


def keep(calibration: Calibration, folder: Path) -> Path:
    """Writes calibration.json into a run folder."""
    content = {"method": METHOD, **asdict(calibration)}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    replace_file(folder / TEMPERATURES, f"{text}\n".encode())
    return folder / TEMPERATURES


def has_any(run: FinishedRun) -> bool:
    return (run.folder / TEMPERATURES).is_file()


def read(run: FinishedRun) -> Calibration:
    """The calibration of a run's network, from a file that may come from anyone.

    Raises InputError where there is none, it is damaged, or it is of another network.
    """
    path = run.folder / TEMPERATURES
    again = f"flexunet evaluate run={run.folder} predict.calibrated=true"
    if not run.samples.is_file():
        raise InputError(
            f"{run.network} is not in a run folder, and predict.calibrated=true needs the "
            "temperatures that a run keeps. Name the run, or leave predict.calibrated out."
        )
    if not path.is_file():
        raise InputError(
            f"{run.folder} has no {TEMPERATURES}, and predict.calibrated=true needs its "
            f"temperatures. Fit them once, on the run's validation pictures: {again}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("method")
        found = Calibration(**content)
        check(found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: not a calibration ({str(error)[:200]}). Remove it, and fit it again: {again}"
        ) from error
    names = [entry.name for entry in run.cfg.dataset.classes]
    if found.classes != names or found.network != weights_digest(run.network):
        raise InputError(
            f"{path} is of another network than {run.network}. Use the network that the run ended "
            f"with, or remove the file and fit it again: {again}"
        )
    return found


def check(found: Calibration) -> None:
    """Raises ValueError or TypeError for a calibration that cannot be applied or shown."""
    values = np.array(found.temperatures, np.float64)
    if values.shape != (len(found.classes),) or not ((values >= LEAST) & (values <= MOST)).all():
        raise ValueError(f"temperatures {found.temperatures}")
    _ = found.describe(), found.figures


def digest(runs: Sequence[FinishedRun]) -> str:
    """Hash (16 hex digits) of the calibrations of runs, in any order."""
    return hashed(sorted(read(run).digest for run in runs))


def hashed(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
