"""Learn-then-test over a sequence of rules, from the safest to the boldest.

Each rule is tested against a goal in this order, all at one level, and the first that fails ends
the sequence. With a probability of at least 1 - delta, no rule before the end misses the goal,
however many there are (fixed-sequence testing; Angelopoulos et al. 2021, arXiv:2110.01052). The
order must not depend on the losses that are tested. Several sequences share delta (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexunet_exp.decisions import betting, bounds


@dataclass(frozen=True)
class Losses:
    """The loss of each of S sources under each of T rules, the safest rule first."""

    values: np.ndarray  # (S, T) float64, 0 to `most`
    is_binary: bool = True  # whether a loss is 0 or 1 by its meaning, not by chance
    most: float = 1.0  # the largest loss there can be

    @property
    def number(self) -> int:
        return len(self.values)

    @property
    def totals(self) -> np.ndarray:
        """The sums (T,) over sources, as shares of the largest loss."""
        return self.values.sum(axis=0) / self.most

    @property
    def means(self) -> np.ndarray:
        """The mean loss (T,); NaN without sources."""
        return self.totals * self.most / (self.number or np.nan)

    def reversed(self) -> Losses:
        return Losses(self.values[:, ::-1], self.is_binary, self.most)

    def holding(self, goal: float, delta: float) -> int:
        """How many rules, from the first on, keep the mean loss at most `goal`, all at once."""
        failed = ~self.granted(goal, delta)
        return int(np.argmax(failed)) if failed.any() else len(failed)

    def granted(self, goal: float, delta: float) -> np.ndarray:
        """Whether each rule (T,) alone keeps the mean loss at most `goal`."""
        if not self.is_binary:
            return betting.granted(self.values / self.most, goal / self.most, delta)
        return bounds.p_values(self.totals, self.number, goal) <= delta

    def upper_bounds(self, delta: float) -> np.ndarray:
        """The least goal (T,) that `holding` would grant each rule at `delta`."""
        if self.is_binary:
            each = np.array([bounds.upper_bound(one, self.number, delta) for one in self.totals])
        else:
            each = betting.upper_bounds(self.values / self.most, delta)
        return np.maximum.accumulate(each) * self.most

    def interval(self, index: int, confidence: float) -> tuple[float, float]:
        """The two-sided interval of one rule's mean loss."""
        if self.is_binary:
            return bounds.interval(float(self.totals[index]), self.number, confidence)
        low, high = betting.interval(self.values[:, index] / self.most, confidence)
        return low * self.most, high * self.most

    def needed(self, index: int, goal: float, delta: float) -> int | None:
        """How many sources like these it takes to grant the goal to a rule; None for none."""
        if not self.is_binary:
            losses = self.values[:, index] / self.most
            return betting.number_needed(losses, goal / self.most, delta)
        mean = float(self.totals[index] / self.number) if self.number else 0.0
        return bounds.number_needed(mean, goal, delta)
