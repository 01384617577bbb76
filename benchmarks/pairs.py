"""python benchmarks/pairs.py [PAIRS]: how often two runs are found to differ, by plain percentiles
of the stratified bootstrap and by `scores.paired`; of equal runs it should be 5 %.

Pictures have one defect each, of sizes that spread tenfold (0.8) or hardly (0.2). The difficulty of
a picture is common to both runs, and each run adds random errors of its own. A true difference is
one of the logit of recall. `theory` is the power of Student's t for the true mean and standard
deviation of the simulated differences, with the degrees of freedom of `scores.paired`. Prints a
Markdown table.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np
from scipy import stats

from flexunet_exp.scores import bootstrap, paired

DESIGNS = ((5, 20), (5, 8), (5, 4), (2, 6), (7, 3))  # classes, sources of each
SPREADS = (0.8, 0.2)  # of the logarithm of defect and false alarm sizes
AHEAD = (0.0, 0.4)
RESAMPLES = 2000


def simulated_pair(
    draw: np.random.Generator, labels: np.ndarray, ahead: float, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (N, C, C) of two runs on N pictures of classes `labels`, from 1."""
    number, classes = len(labels), int(labels.max()) + 1
    size = np.exp(draw.normal(np.log(2000), spread, number))
    easy, picture = draw.normal(0.3, 1.2, number), np.arange(number)
    counts = np.zeros((2, number, classes, classes))
    for run, shift in enumerate((ahead, 0.0)):
        recall = 1 / (1 + np.exp(-easy - shift - draw.normal(0, 0.6, number)))
        counts[run, picture, labels, labels] = np.round(size * recall)
        counts[run, picture, labels, 0] = np.round(size) - np.round(size * recall)
        counts[run, picture, 0, labels] = np.round(size * np.exp(draw.normal(-1.5, spread, number)))
        counts[run, picture, 0, 0] = 1e6
    return counts[0], counts[1]


def found(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> tuple[float, bool, bool]:
    """The difference, and whether it is significant by each of the two methods."""
    sources = np.arange(len(labels))
    weights = bootstrap.resampled(sources, labels, RESAMPLES)
    drawn = bootstrap.macro_dice(first, weights) - bootstrap.macro_dice(second, weights)
    low, high = bootstrap.interval(drawn)
    part = paired.Part(first[None], second[None], sources, labels)
    result = paired.paired_difference([part], RESAMPLES)
    return result.difference, low > 0 or high < 0, result.p < paired.LEVEL


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| classes × sources | sizes | difference | percentiles | as compare does | theory |")
    print("|---|---:|---:|---:|---:|---:|")
    for (classes, sources), spread, ahead in itertools.product(DESIGNS, SPREADS, AHEAD):
        labels = np.repeat(np.arange(1, classes + 1), sources)
        draw = np.random.default_rng(0)
        pairs = [found(*simulated_pair(draw, labels, ahead, spread), labels) for _ in range(number)]
        truth, plain, ours = np.array(pairs, float).T
        effect, freedom = truth.mean() / truth.std(ddof=1), len(labels) - classes
        limit = stats.t.ppf([0.025, 0.975], freedom)
        cdf = stats.nct.cdf(limit, freedom, effect if ahead else 0)
        print(
            f"| {classes} × {sources} | {spread} | {truth.mean() if ahead else 0:+.3f} | "
            f"{plain.mean():.1%} | {ours.mean():.1%} | {cdf[0] + 1 - cdf[1]:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
