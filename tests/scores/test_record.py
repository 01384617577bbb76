"""Intervals are those of the bootstrap, and absent where the pictures are too few."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.scores import confusions
from flexunet_exp.scores import record as records
from tests.support.recording import record_of

CLASSES = ["background", "scratch", "dent"]


def pictures(scratches: int, dents: int, seed: int = 0):
    """Small masks, in which about two thirds of each defect are predicted."""
    draw = np.random.default_rng(seed)
    names = [f"scratch/{i}" for i in range(scratches)] + [f"dent/{i}" for i in range(dents)]
    masks = []
    for name in names:
        truth = np.zeros((16, 16), np.uint8)
        truth[4 : draw.integers(6, 15), 4:9] = 1 if name.startswith("scratch") else 2
        masks.append((truth, np.where(draw.random(truth.shape) < 0.66, truth, 0).astype(np.uint8)))
    return masks, names


def intervals_of(masks, names, **options):
    record = record_of(masks, names, CLASSES, **options)
    figures = records.summary(record, 0.5)
    return record, records.intervals(record, 0.5, 400, figures)


def test_an_interval_is_that_of_drawing_pictures_class_by_class():
    record, intervals = intervals_of(*pictures(12, 20))
    draw = np.random.default_rng(5)
    groups = [np.arange(12), np.arange(12, 32)]
    drawn = []
    for _ in range(2000):
        chosen = np.concatenate([draw.choice(group, len(group)) for group in groups])
        drawn.append(confusions.summary(record.counts[chosen], CLASSES)["dice"])
    low, high = np.percentile(drawn, [2.5, 97.5])
    row = intervals.loc["dice"]
    assert row["value"] == confusions.summary(record.counts, CLASSES)["dice"]
    assert row["sources"] == 32
    assert row["low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert row["high"] == pytest.approx(high, abs=0.1 * (high - low))
    for _, row in intervals.drop("image_auroc").iterrows():  # there is no good picture
        assert row["low"] <= row["value"] <= row["high"]


def test_a_class_of_few_sources_has_no_interval_of_its_own():
    _, intervals = intervals_of(*pictures(9, 12))
    assert np.isnan(intervals.loc["dice/scratch", "low"])
    assert intervals.loc["dice/scratch", "sources"] == 9
    assert intervals.loc["dice/dent", "low"] < intervals.loc["dice/dent", "high"]
    assert intervals.loc["dice", "low"] < intervals.loc["dice", "high"]


@pytest.mark.parametrize(("scratches", "dents"), [(4, 5), (3, 30)])
def test_there_is_none_over_all_classes_with_few_sources_or_one_thin_class(scratches, dents):
    _, intervals = intervals_of(*pictures(scratches, dents))
    assert intervals.loc[list(records.OVERALL), ["low", "high"]].isna().all(axis=None)


def test_copies_of_one_source_are_not_more_evidence():
    masks, names = pictures(12, 12)
    alone = intervals_of(masks, names)[1].loc["dice"]
    copies = [f"{name}/{copy}" for copy in range(5) for name in names]
    together = intervals_of(masks * 5, copies, sources=names * 5)[1].loc["dice"]
    assert together["sources"] == 24
    assert together["high"] - together["low"] == pytest.approx(
        alone["high"] - alone["low"], rel=0.25
    )


def test_pooled_records_are_one_record_of_all_their_pictures():
    masks, names = pictures(10, 10)
    parts = [record_of(masks[i::2], names[i::2], CLASSES) for i in (0, 1)]
    order = names[::2] + names[1::2]
    whole = record_of(masks[::2] + masks[1::2], order, CLASSES)
    together = records.pooled(parts)
    assert together.names == order and together.num_sources == 20
    assert records.summary(together, 0.5) == pytest.approx(
        records.summary(whole, 0.5), rel=1e-12, nan_ok=True
    )


@pytest.mark.parametrize(("good_sources", "is_known"), [(3, False), (4, True)])
def test_variants_of_few_good_pictures_give_no_interval_of_auroc(good_sources, is_known):
    masks, names = pictures(12, 12)
    good = [f"good/{number}" for number in range(good_sources)]
    empty = np.zeros((16, 16), np.uint8)
    variants = [f"{name}/{variant}" for name in good for variant in range(5)]
    sources = [*names, *(name for name in good for _ in range(5))]
    _, intervals = intervals_of(
        [*masks, *[(empty, empty)] * len(variants)], [*names, *variants], sources=sources
    )
    assert np.isfinite(intervals.loc["image_auroc", "low"]) == is_known
