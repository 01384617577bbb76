"""Whether an exported file under a decision's rule keeps the regions that the network keeps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.commands.export.formats import Forward
from flexunet_exp.commands.export.parity import Tolerance
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import masks
from flexunet_exp.data.tiles import Size
from flexunet_exp.decisions.file import Decision
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import deciding, networks
from flexunet_exp.prediction.deciding import Decided
from flexunet_exp.prediction.predictor import VIEWS, members_of
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.runs.folder import FinishedRun


class Exported:
    """An exported file in the place of a predictor's network."""

    def __init__(self, forward: Forward, network: Any):
        self.forward, self.inputs = forward, network.inputs

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        # One at a time, as the file is proven and as most programs use it.
        return np.concatenate([np.asarray(self.forward(one[None])) for one in images])


@dataclass(frozen=True)
class Agreement:
    """How far two predictions of the same pictures agree under a decision's rule."""

    decision: str
    pictures: int
    equal_pixels: float  # share of pixels of the same class, 0..1
    parts: int
    other_verdicts: tuple[str, ...]  # parts that one of the two stops alone

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.decision,
            "pictures": self.pictures,
            "equal_pixels": self.equal_pixels,
            "parts": self.parts,
            "parts_with_the_same_verdict": self.parts - len(self.other_verdicts),
            "other_verdicts": list(self.other_verdicts),
        }

    def describe(self) -> str:
        """The agreement in a line, for a log."""
        same = self.parts - len(self.other_verdicts)
        return (
            f"With decision {self.decision}: {self.equal_pixels:.4%} of the pixels are kept alike, "
            f"{same} of {self.parts} parts have the same verdict."
        )

    def failures(self, tolerance: Tolerance) -> Iterator[str]:
        """A sentence for each difference that is not allowed."""
        if self.equal_pixels < tolerance.min_agreement:
            yield (
                f"With decision={self.decision}, only {self.equal_pixels:.4%} of the pixels remain "
                f"as with the network; min_agreement={tolerance.min_agreement}"
            )
        if self.other_verdicts:
            yield (
                f"With decision={self.decision}, {len(self.other_verdicts)} of {self.parts} parts "
                f"get another verdict than from the network, such as {self.other_verdicts[0]}"
            )


def check_views(run: FinishedRun, decision: Decision, bound_to: Size | None) -> None:
    """Raises InputError where a turned view has another size than the only one of the file."""
    tta = PredictSettings.from_config(run.cfg, deciding.options(decision, {})).tta
    turns = any(view.turns % 2 for view in VIEWS[tta])
    if bound_to and bound_to[0] != bound_to[1] and turns:
        raise InputError(
            f"decision={decision.name} was chosen with predict.tta={tta}, whose turned views have "
            f"exchanged sides, but the file takes pictures of {bound_to[0]} × {bound_to[1]} px "
            "only. Choose a decision with predict.tta=flips or none (flexunet decide), or add "
            "decision=none."
        )


def compare(
    run: FinishedRun, decision: Decision, forward: Forward, paths: Sequence[Path]
) -> Agreement:
    """Predicts each picture at its own size with the run's network and with the file.

    Both have the tiles, views and temperatures that the decision was chosen with. A part is stopped
    if one of its pictures is; the parts are the run's sources, else single pictures.
    """
    trained = networks.load([run], deciding.options(decision, {}))
    (network,) = members_of(trained.predictor)
    file = network.with_network(Exported(forward, network.model))
    equal, total = 0, 0
    stopped: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    sources = sources_of(run)
    predictors = (network, file)
    predicted = zip(
        *(
            predict(masks.read_image(path, trained.bit_depth, trained.channels) for path in paths)
            for predict in predictors
        ),
        strict=True,
    )
    for path, both in zip(paths, predicted, strict=True):
        own, exported = (deciding.collect(bands, decision.rule) for bands in both)
        equal += int(np.count_nonzero(own.prediction.mask == exported.prediction.mask))
        total += own.prediction.mask.size
        part = sources.get(str(path), str(path))
        stopped[part].append((is_stopped(own), is_stopped(exported)))
    other = [
        part for part, pairs in stopped.items() if len(set(map(any, zip(*pairs, strict=True)))) > 1
    ]
    return Agreement(decision.name, len(paths), equal / total, len(stopped), tuple(other))


def is_stopped(decided: Decided) -> bool:
    return decided.margin is not None and decided.margin >= 0


def sources_of(run: FinishedRun) -> dict[str, str]:
    """The source of each picture of the run, by the picture's path."""
    if not run.samples.is_file():
        return {}
    table = datasets.read_table(run.samples)
    return dict(zip(table["image"], table["source"], strict=True))
