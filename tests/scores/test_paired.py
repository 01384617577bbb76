"""Two recipes on the same pictures: found to differ as often as they should be, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flexunet_exp.scores import bootstrap, confusions, paired
from flexunet_exp.scores.paired import Part, paired_difference

CLASSES, SOURCES = 5, 8  # of each class
LABELS = np.repeat(np.arange(1, CLASSES + 1), SOURCES)
NAMES = np.arange(len(LABELS))


def simulated_pair(
    draw: np.random.Generator, ahead: float = 0.0, spread: float = 0.8
) -> tuple[np.ndarray, np.ndarray]:
    """Two networks' counts (40, 6, 6) of 40 pictures with a defect each.

    Sizes spread tenfold, or as `spread` says; pictures are easy or hard for both, and each network
    has luck of its own.
    `ahead` moves the recall of the first, on the logistic scale.
    """
    number = len(LABELS)
    size = np.exp(draw.normal(np.log(2000), spread, number))
    easy = draw.normal(0.3, 1.2, number)
    counts = np.zeros((2, number, CLASSES + 1, CLASSES + 1))
    picture = np.arange(number)
    for run, shift in enumerate((ahead, 0.0)):
        recall = 1 / (1 + np.exp(-easy - shift - draw.normal(0, 0.6, number)))
        hits = np.round(size * recall)
        counts[run, picture, LABELS, LABELS] = hits
        counts[run, picture, LABELS, 0] = np.round(size) - hits
        counts[run, picture, 0, LABELS] = np.round(size * np.exp(draw.normal(-1.5, spread, number)))
        counts[run, picture, 0, 0] = 1e6
    return counts[0], counts[1]


def compare(first: np.ndarray, second: np.ndarray, **settings) -> paired.PairedDifference:
    part = Part(first[None], second[None], NAMES[: len(first)], LABELS[: len(first)])
    return paired_difference([part], **settings)


def macro(counts: np.ndarray) -> float:
    return confusions.summary(counts, [str(index) for index in range(counts.shape[-1])])["dice"]


def test_equal_runs_are_seldom_found_to_differ():
    draw = np.random.default_rng(0)
    found = [compare(*simulated_pair(draw), resamples=1000) for _ in range(200)]
    differing = sum(result.p < 0.05 for result in found)
    assert differing <= 0.07 * len(found)
    # And not because nothing is ever found: no fewer than 5 % would bring, 99 times of 100.
    assert differing >= stats.binom.ppf(0.01, len(found), 0.05)


@pytest.mark.heavy
def test_a_true_difference_is_found_as_often_as_theory_says():
    """With sizes alike, so that the difference is nearly normal, as theory has it."""
    draw = np.random.default_rng(1)
    pairs = [simulated_pair(draw, ahead=0.3, spread=0.2) for _ in range(200)]
    truth = [macro(first) - macro(second) for first, second in pairs]
    found = np.mean([compare(*pair, resamples=1000).p < 0.05 for pair in pairs])
    effect = np.mean(truth) / np.std(truth, ddof=1)
    freedom = len(LABELS) - CLASSES
    theory = stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, effect)
    assert 0.3 < theory < 0.9
    assert found == pytest.approx(theory, abs=3 * np.sqrt(theory * (1 - theory) / len(pairs)))


def test_the_difference_is_that_of_the_summary_and_turns_with_its_sides():
    first, second = simulated_pair(np.random.default_rng(2), ahead=1.0)
    result, turned = compare(first, second), compare(second, first)
    assert result.difference == pytest.approx(macro(first) - macro(second))
    assert result.low < result.difference < result.high
    sides = (-turned.difference, -turned.high, -turned.low, turned.p)
    assert result[:4] == pytest.approx(sides)
    assert (result.num_sources, result.smallest_class) == (40, 8)


def test_the_same_counts_differ_by_nothing():
    first, _ = simulated_pair(np.random.default_rng(3))
    assert compare(first, first)[:4] == (0, 0, 0, 1)


def test_the_interval_ends_at_0_where_p_is_5_per_cent():
    draw = np.random.default_rng(4)
    for _ in range(20):
        result = compare(*simulated_pair(draw, ahead=0.4), resamples=2000)
        assert (result.p < 0.05) == (result.low > 0 or result.high < 0)


def test_weights_have_the_variance_that_the_theory_of_stratified_samples_has():
    values = np.random.default_rng(5).normal(size=len(LABELS))
    weights = paired.rescaled(LABELS, 20_000)
    of_class = [values[label == LABELS] for label in np.unique(LABELS)]
    expected = sum(SOURCES * np.var(one, ddof=1) for one in of_class)
    assert np.var(weights @ values) == pytest.approx(expected, rel=0.05)
    for label in np.unique(LABELS):
        np.testing.assert_allclose(weights[:, label == LABELS].sum(axis=1), SOURCES)


def test_a_class_with_one_source_always_counts_once_and_is_said():
    weights = paired.rescaled(np.array(["x", "y", "y"]), 50)
    assert (weights[:, 0] == 1).all()
    first, second = simulated_pair(np.random.default_rng(6))
    alone = np.r_[0, 8:40]
    part = Part(first[None, alone], second[None, alone], NAMES[alone], LABELS[alone])
    result = paired_difference([part])
    assert "single source" in paired.too_few(result)
    assert np.isfinite(result.difference)
    # Such an interval would be too narrow, down to a point where every class has one source.
    assert np.isnan([result.low, result.high, result.p]).all()


def test_fewer_than_ten_sources_are_too_few():
    first, second = simulated_pair(np.random.default_rng(7))
    few = np.flatnonzero(LABELS <= 1)
    part = Part(first[None, few], second[None, few], NAMES[few], LABELS[few])
    assert "8 sources" in paired.too_few(paired_difference([part]))
    assert not paired.too_few(compare(first, second))


def test_pictures_of_one_source_count_as_one():
    first, second = simulated_pair(np.random.default_rng(8))
    whole = compare(first, second)
    halves = [np.concatenate([counts / 2, counts / 2])[None] for counts in (first, second)]
    part = Part(*halves, np.tile(NAMES, 2), np.tile(LABELS, 2))
    assert paired_difference([part]) == pytest.approx(whole)


def test_seeds_are_averaged_and_parts_too():
    draw = np.random.default_rng(9)
    (a, b), (c, d) = simulated_pair(draw), simulated_pair(draw)
    seeds = paired_difference([Part(np.stack([a, c]), b[None], NAMES, LABELS)])
    assert seeds.difference == pytest.approx((macro(a) + macro(c)) / 2 - macro(b))
    parts = [Part(a[None], b[None], NAMES, LABELS), Part(c[None], d[None], NAMES, LABELS)]
    both = paired_difference(parts)
    assert both.difference == pytest.approx((macro(a) - macro(b) + macro(c) - macro(d)) / 2)
    assert both.num_sources == 40


def test_pairing_makes_the_interval_narrower_than_that_of_one_run():
    first, second = simulated_pair(np.random.default_rng(10))
    result = compare(first, second)
    alone = bootstrap.macro_dice(first, bootstrap.resampled(NAMES, LABELS))
    low, high = bootstrap.interval(alone)
    assert result.high - result.low < high - low


def test_counts_of_different_pictures_are_not_compared():
    first, second = simulated_pair(np.random.default_rng(11))
    with pytest.raises(ValueError):
        compare(first, second[:39])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    """A hypothesis is rejected where Bonferroni rejects every set of hypotheses that holds it."""
    corrected = paired.holm(p_values)
    for index, p in enumerate(corrected):
        sets = [
            [q for other, q in enumerate(p_values) if other == index or chosen >> other & 1]
            for chosen in range(2 ** len(p_values))
        ]
        assert p == pytest.approx(max(min(1.0, len(one) * min(one)) for one in sets))


def test_holm_leaves_out_what_has_no_p_value():
    assert paired.holm([0.01, float("nan"), 0.04])[0] == pytest.approx(0.02)
    assert np.isnan(paired.holm([0.01, float("nan")])[1])


def test_a_figure_that_is_not_defined_has_no_verdict():
    good = np.zeros((12, 2, 2))
    good[:, 0, 0] = 1000  # no defect in the truth
    invented = good.copy()
    invented[0] = [[990, 10], [0, 0]]
    labels = np.array(["good"] * 12)
    part = Part(good[None], good[None], np.arange(12), labels)
    found = paired_difference([part], 200)
    assert np.isnan(found.difference) and np.isnan(found.p)
    assert "not defined on these test pictures" in paired.too_few(found)
