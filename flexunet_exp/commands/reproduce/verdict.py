"""Whether a run that was trained again is equal to the first: weights, figures, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import results, scoring
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.runs.folder import FILES
from flexunet_exp.scores import confusions, paired
from flexunet_exp.scores.paired import PairedDifference, Part
from flexunet_exp.scores.record import CONFUSIONS, IMAGES, TEXT, read_table

EQUAL, WITHIN, DIFFERENT = "equal bit for bit", "within chance", "different"
JUDGED = ("test", "valid")  # the first that both runs have is compared picture by picture


class Verdict(NamedTuple):
    """A verdict with its reason and its figures."""

    verdict: str
    because: str
    has_equal_weights: bool
    weights: tuple[str, str]  # digests, of the run and of the one trained again
    figures: dict[str, tuple[float, float]]  # by tracked name, of both
    paired: PairedDifference | None = None

    @property
    def is_reproduced(self) -> bool:
        return self.verdict != DIFFERENT

    def metrics(self) -> dict[str, float]:
        """The figures that the store keeps; NaN for an undefined one."""
        found = {"reproduction/equal_weights": float(self.has_equal_weights)}
        if self.paired is not None:
            named = {"difference": self.paired.difference, "low": self.paired.low}
            named["high"] = self.paired.high
            found |= {f"reproduction/{name}": value for name, value in named.items()}
        return found

    def as_json(self) -> dict[str, Any]:
        pair = self.paired._asdict() if self.paired else None
        return {
            "verdict": self.verdict,
            "because": self.because,
            "weights": {"run": self.weights[0], "again": self.weights[1]},
            "paired_macro_dice": pair,
            "figures": {
                name: {"run": first, "again": again, "difference": again - first}
                for name, (first, again) in self.figures.items()
            },
        }


def of(first: Path, again: Path) -> Verdict:
    """The verdict on the runs in two folders."""
    digests = (weights_digest(first / FILES[-1]), weights_digest(again / FILES[-1]))
    is_equal, figures = digests[0] == digests[1], figures_of(first, again)
    facts = (is_equal, digests, figures)
    if not figures:
        said = "The run keeps no scores to compare, and its weights are "
        verdict, end = (EQUAL, "equal.") if is_equal else (DIFFERENT, "not equal.")
        return Verdict(verdict, said + end, *facts)
    other = [name for name, pair in figures.items() if not np.array_equal(*pair, equal_nan=True)]
    said = "The weights are equal" if is_equal else "The weights differ"
    said += f", {len(other)} of {len(figures)} figures differ"
    try:
        if is_equal and not other and has_equal_counts(first, again):
            because = (
                f"Weights, all {len(figures)} figures and the counts of each picture are equal."
            )
            return Verdict(EQUAL, because, *facts)
        split, pair = difference(first, again)
    except InputError as error:
        return Verdict(DIFFERENT, f"{said}, and no test compares them: {error}", *facts)
    verdict, reason = judged(pair, split)
    return Verdict(verdict, f"{said}. {reason}", *facts, pair)


def has_equal_counts(first: Path, again: Path) -> bool:
    """Whether each picture that the first run scored has the same pixel counts in both."""
    for split in scoring.SCORED:
        if counts_file(first, split).is_file():
            old, new = (confusions.load_counts(counts_file(run, split)) for run in (first, again))
            if not all(map(is_equal, old, new)):
                return False
    return True


def is_equal(old: np.ndarray, new: np.ndarray) -> bool:
    """Whether two arrays are equal; NaN, of a picture that is ignored whole, equals NaN."""
    return np.array_equal(old, new, equal_nan=old.dtype.kind == new.dtype.kind == "f")


def figures_of(first: Path, again: Path) -> dict[str, tuple[float, float]]:
    """The figures that the first run keeps, with those of the second; NaN where it has none."""
    found = {}
    for split, prefix in scoring.SCORED.items():
        before, after = (results.read_summary(one / "evaluation" / split) for one in (first, again))
        for name, value in before.items():
            found[f"{prefix}/{name}"] = (value, after.get(name, float("nan")))
    return found


def judged(pair: PairedDifference, split: str) -> tuple[str, str]:
    """The verdict on a difference, and the sentence that gives its reason."""
    said = f"{split.capitalize()} macro Dice differs by {pair.difference:+.2g}"
    if few := paired.too_few(pair):
        return DIFFERENT, f"{said}, and no test can call it chance: {few}."
    said += f" (95 % interval {pair.low:+.2g} to {pair.high:+.2g}, {pair.num_sources} sources)"
    if pair.low <= 0 <= pair.high:
        return WITHIN, f"{said}; the interval contains 0."
    return DIFFERENT, f"{said}; the interval does not contain 0."


def difference(first: Path, again: Path) -> tuple[str, PairedDifference]:
    """The split, and the paired difference of the second run minus the first on its pictures.

    Raises InputError where they were not scored on the same pictures and masks.
    """
    split = next((s for s in JUDGED if counts_file(first, s).is_file()), JUDGED[0])
    old, new = (confusions.load_counts(counts_file(run, split)) for run in (first, again))
    if old.classes.tolist() != new.classes.tolist():
        raise InputError("the runs have different classes.")
    tested, pictures = (pictures_of(run, split) for run in (again, first))
    if not tested["sha256"].sort_index().equals(pictures["sha256"].sort_index()):
        common = len(pd.merge(tested, pictures, on="sha256"))
        raise InputError(
            f"the runs were scored on different pictures ({common} of {len(pictures)} are "
            "the same)."
        )
    place = {name: index for index, name in enumerate(old.names)}
    counts = old.counts[[place[name] for name in new.names]]
    if not np.array_equal(new.counts.sum(axis=2), counts.sum(axis=2)):
        raise InputError("the masks of the scored pictures changed between the runs.")
    rows = tested.loc[new.names.tolist()]
    sources, labels = (rows[key].to_numpy(str) for key in ("source", "label"))
    part = Part(new.counts[None], counts[None], sources, labels)
    return split, paired.paired_difference([part])


def counts_file(run: Path, split: str) -> Path:
    return run / "evaluation" / split / CONFUSIONS


def pictures_of(run: Path, split: str) -> pd.DataFrame:
    """`source label sha256` of each scored picture, by its name."""
    return read_table(run / "evaluation" / split / IMAGES)[list(TEXT)].set_index("name")
