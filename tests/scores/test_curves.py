"""Curves from histograms agree with scikit-learn and with going threshold by threshold."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from sklearn import metrics

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError
from flexunet_exp.scores import curves
from tests.support.properties import examples

pytestmark = pytest.mark.filterwarnings("error")

FIGURES = ["pixel_auroc", "average_precision", "au_pro", "image_auroc"]
Pictures = tuple[np.ndarray, np.ndarray]


def random_pictures(seed: int, images: int, levels: int) -> Pictures:
    """Scores and truth (images, 17, 13): blobs of defects, ties among `levels` scores."""
    draw = np.random.default_rng(seed)
    truth = np.zeros((images, 17, 13), np.uint8)
    for mask in truth[draw.random(images) < 0.7]:
        smooth = ndimage.gaussian_filter(draw.random(mask.shape), 1)
        mask[smooth > np.quantile(smooth, 0.8)] = draw.integers(1, 4)
    truth[: images // 2 + 1][draw.random((images // 2 + 1, 17, 13)) < 0.1] = 1
    chosen = draw.integers(0, curves.LEVELS, levels)
    rank = (draw.random(truth.shape) * 0.7 + 0.3 * (truth > 0)) * levels
    scores = np.sort(chosen)[rank.astype(int).clip(0, levels - 1)].astype(np.uint16)
    truth[draw.random(truth.shape) < 0.08] = IGNORE
    return scores, truth


def histograms(scores: np.ndarray, truth: np.ndarray) -> curves.ScoreHistograms:
    return curves.collect(curves.score_histogram(*pair) for pair in zip(scores, truth, strict=True))


def slow_au_pro(scores: np.ndarray, truth: np.ndarray, limit: float) -> float:
    """Threshold by threshold, with masks; the area by many small steps of linear interpolation."""
    defects = []
    for index, mask in enumerate(truth):
        labels, number = ndimage.label((mask > 0) & (mask < IGNORE), np.ones((3, 3)))
        defects += [(index, labels == number_ + 1) for number_ in range(number)]
    good = truth == 0
    if not defects or not good.any():
        return math.nan
    points = [(0.0, 0.0)]
    for threshold in np.unique(scores)[::-1]:
        above = scores >= threshold
        pro = np.mean([above[index][mask].mean() for index, mask in defects])
        points.append((above[good].mean(), pro))
    points.append((1.0, 1.0))
    inside = [point for point in points if point[0] <= limit]
    (x0, y0), beyond = inside[-1], [point for point in points if point[0] > limit]
    if beyond:
        x1, y1 = beyond[0]
        inside.append((limit, y0 + (y1 - y0) * (limit - x0) / (x1 - x0)))
    x, y = zip(*inside, strict=True)
    return float(np.trapezoid(y, x) / limit)


random_case = given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([1, 2, 5, 30, 4000]))


@examples(40)
@random_case
def test_pixel_figures_are_those_of_scikit_learn(seed, images, levels):
    scores, truth = random_pictures(seed, images, levels)
    valid = truth != IGNORE
    label, score = truth[valid] > 0, scores[valid].astype(int)
    found = curves.figures(histograms(scores, truth))
    expected = {"pixel_auroc": math.nan, "average_precision": math.nan}
    if label.any() and not label.all():
        expected = {
            "pixel_auroc": metrics.roc_auc_score(label, score),
            "average_precision": metrics.average_precision_score(label, score),
        }
    assert {name: found[name] for name in expected} == pytest.approx(
        expected, abs=1e-9, nan_ok=True
    )


@examples(40)
@random_case
def test_image_auroc_is_that_of_scikit_learn(seed, images, levels):
    scores, truth = random_pictures(seed, images + 3, levels)
    known = (truth != IGNORE).any(axis=(1, 2))
    label = ((truth > 0) & (truth != IGNORE)).any(axis=(1, 2))[known]
    highest = np.where(truth == IGNORE, 0, scores).max(axis=(1, 2))[known].astype(int)
    both = label.any() and not label.all()
    expected = metrics.roc_auc_score(label, highest) if both else math.nan
    found = curves.image_auroc(histograms(scores, truth))
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


@examples(40)
@given(
    st.integers(0, 2**32),
    st.integers(1, 4),
    st.sampled_from([1, 2, 5, 30]),
    st.sampled_from([0.05, 0.3, 1.0]),
)
def test_au_pro_is_that_of_a_slow_evaluation(seed, images, levels, limit):
    scores, truth = random_pictures(seed, images, levels)
    expected = slow_au_pro(scores, truth, limit)
    found = curves.au_pro(histograms(scores, truth), limit=limit)
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


@examples(40)
@random_case
def test_figures_are_between_0_and_1_or_undefined(seed, images, levels):
    weights = np.random.default_rng(seed).integers(0, 3, (7, images))
    found = curves.figures(histograms(*random_pictures(seed, images, levels)), weights)
    assert list(found) == FIGURES
    for name, values in found.items():
        assert values.shape == (7,)
        assert (np.isnan(values) | ((values >= 0) & (values <= 1))).all(), name


@examples(20)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_weights_count_an_image_as_often_as_repeating_it(seed, images):
    scores, truth = random_pictures(seed, images, 30)
    weights = np.random.default_rng(seed).integers(0, 4, (3, images))
    found = curves.figures(histograms(scores, truth), weights)
    for index, row in enumerate(weights):
        repeated = histograms(scores.repeat(row, axis=0), truth.repeat(row, axis=0))
        expected = curves.figures(repeated)
        resample = {name: values[index] for name, values in found.items()}
        assert resample == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_weights_of_one_change_nothing_however_many_resamples_there_are(monkeypatch):
    collection = histograms(*random_pictures(7, 4, 4000))
    expected = curves.figures(collection)
    # A block of few levels, so that sums are carried over many times.
    monkeypatch.setattr(curves, "_BLOCK", 64)
    found = curves.figures(collection, np.ones((5, 4), int))
    for name in FIGURES:
        assert found[name] == pytest.approx([expected[name]] * 5, abs=1e-12)
        assert getattr(curves, name)(collection) == pytest.approx(expected[name], abs=1e-12)


def test_a_perfect_score_gives_1():
    _, truth = random_pictures(3, 4, 2)
    truth[0] = 0
    scores = np.where(truth > 0, 60000, 20).astype(np.uint16)
    found = curves.figures(histograms(scores, truth))
    assert found == pytest.approx(dict.fromkeys(FIGURES, 1.0), abs=1e-12)


def test_a_constant_score_is_chance():
    truth = np.zeros((2, 4, 5), np.uint8)
    truth[0, :2, :2] = 2
    found = curves.figures(histograms(np.full(truth.shape, 99, np.uint16), truth))
    # One straight line from (0, 0) to (1, 1): 0.3 * 0.3 / 2 of 0.3.
    expected = [0.5, 4 / 40, 0.15, 0.5]
    assert found == pytest.approx(dict(zip(FIGURES, expected, strict=True)), abs=1e-12)


def test_au_pro_of_a_case_worked_by_hand():
    # Defects of 1 and 4 pixels, the latter joined diagonally; 10 pixels of background.
    truth = np.zeros((3, 5), np.uint8)
    truth[0, 0] = 1
    truth[[0, 1, 2, 2], [3, 2, 3, 4]] = [1, 2, 1, 1]
    scores = np.zeros((3, 5), np.uint16)
    scores[0, 0], scores[0, 3], scores[0, 1] = 9, 8, 8
    scores[[1, 2, 2], [2, 3, 4]] = 7
    histogram = curves.score_histogram(scores, truth)
    assert histogram.values.tolist() == [0, 7, 8, 9]
    assert histogram.negatives.tolist() == [9, 0, 1, 0]
    assert histogram.positives.tolist() == [0, 3, 1, 1]
    assert histogram.overlap.tolist() == [0, 0.75, 0.25, 1]
    assert (histogram.components, histogram.highest) == (2, 9)
    # Points (0, 1/2), (1/10, 5/8), (1/10, 1), (1, 1).
    area = 0.1 * (1 / 2 + 5 / 8) / 2 + 0.2
    assert curves.au_pro(curves.collect([histogram])) == pytest.approx(area / 0.3, abs=1e-12)


def test_figures_are_undefined_without_positives_or_negatives():
    scores = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    for value in (0, 1, IGNORE):
        found = curves.figures(histograms(scores, np.full((1, 3, 4), value, np.uint8)))
        assert all(math.isnan(figure) for figure in found.values())
    nothing = curves.collect([])
    assert all(math.isnan(figure) for figure in curves.figures(nothing).values())
    assert np.isnan(curves.curve_points(nothing).fpr).all()


def test_a_wholly_ignored_image_keeps_its_row_and_changes_no_figure():
    scores, truth = random_pictures(4, 4, 30)
    alone = histograms(scores, truth)
    ignored = np.full((1, 17, 13), IGNORE, np.uint8)
    more = histograms(np.concatenate([scores[:1], scores]), np.concatenate([ignored, truth]))
    assert curves.highest(more).tolist() == [-1, *curves.highest(alone)]
    assert curves.figures(more) == pytest.approx(curves.figures(alone))


def test_concatenating_is_pooling_the_images():
    scores, truth = random_pictures(11, 5, 300)
    parts = [histograms(scores[a:b], truth[a:b]) for a, b in ((0, 2), (2, 2), (2, 5))]
    assert_equal(curves.concatenate(parts), histograms(scores, truth))


def test_thinned_histograms_give_nearly_the_same_figures_and_leave_theirs_alone():
    draw = np.random.default_rng(3)
    truth = np.zeros((6, 300, 200), np.uint8)
    truth[:4, 40:70, 50:90], truth[2:, 200:210, 20:180] = 1, 2
    evidence = draw.normal(size=truth.shape) + 1.5 * (truth > 0)
    whole = histograms(curves.quantise(1 / (1 + np.exp(-2 * evidence))), truth)
    before = [part.toarray() for part in whole[:3]]
    weights = draw.integers(0, 3, (20, 6))
    exact, few = (curves.figures(kept, weights) for kept in (whole, curves.thinned(whole)))
    assert len(np.unique(curves.thinned(whole).negatives.indices)) <= 2001
    for name in ("pixel_auroc", "average_precision", "au_pro"):
        np.testing.assert_allclose(few[name], exact[name], atol=5e-4)
    for part, kept in zip(whole[:3], before, strict=True):
        np.testing.assert_array_equal(part.toarray(), kept)


def test_quantising_rounds_clips_and_refuses_nan():
    anomaly = np.array([-1e-7, 0, 0.4 / 65535, 0.6 / 65535, 0.5, 1, 1.0000001])
    expected = [0, 0, 0, 1, 32768, 65535, 65535]
    assert curves.quantise(anomaly).dtype == np.uint16
    assert curves.quantise(anomaly).tolist() == expected
    assert curves.quantise(np.array([1, 0.5], np.float16)).tolist() == [65535, 32768]
    with pytest.raises(ValueError):
        curves.quantise(np.array([0.5, math.nan]))


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError):
        curves.score_histogram(np.zeros((2, 3), np.uint16), np.zeros((3, 2), np.uint8))


def test_curve_points_are_few_and_lie_on_the_curves():
    scores, truth = random_pictures(2, 200, 30000)
    points = curves.curve_points(histograms(scores, truth))
    valid = truth != IGNORE
    fpr, tpr, _ = metrics.roc_curve(
        truth[valid] > 0, scores[valid].astype(int), drop_intermediate=False
    )
    assert len(fpr) > 10000 and 500 < len(points.fpr) <= 2002
    assert set(zip(points.fpr.round(9), points.recall.round(9), strict=True)) <= set(
        zip(fpr.round(9), tpr.round(9), strict=True)
    )
    assert [(curve[0], curve[-1]) for curve in points[:3]] == [(0, 1)] * 3
    assert points.precision[0] == 1
    assert points.precision[-1] == pytest.approx((truth[valid] > 0).mean())
    assert all((np.diff(curve) >= 0).all() for curve in points[:3])
    whole = curves.au_pro(histograms(scores, truth), limit=1.0)
    assert np.trapezoid(points.pro, points.fpr) == pytest.approx(whole, abs=1e-4)


def assert_equal(found: curves.ScoreHistograms, expected: curves.ScoreHistograms) -> None:
    for one, other in zip(found[:3], expected[:3], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one.toarray(), other.toarray())
    np.testing.assert_array_equal(found.components, expected.components)


def test_stored_histograms_come_back(tmp_path):
    path = tmp_path / "scores.npz"
    collection = histograms(*random_pictures(6, 3, 500))
    curves.save_histograms(path, ["bent/000", "Größe 7", "傷"], collection)
    stored = curves.load_histograms(path)
    assert stored.names.tolist() == ["bent/000", "Größe 7", "傷"]
    assert_equal(stored.histograms, collection)
    assert curves.figures(stored.histograms) == curves.figures(collection)
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.npz"]


def test_stored_histograms_of_no_image_come_back(tmp_path):
    curves.save_histograms(tmp_path / "scores.npz", [], curves.collect([]))
    stored = curves.load_histograms(tmp_path / "scores.npz")
    assert len(stored.names) == 0 and stored.histograms.negatives.shape == (0, curves.LEVELS)


def damage_nothing_there(path: Path) -> None:
    path.unlink()


def damage_cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_text(path: Path) -> None:
    path.write_text("no archive")


def damage_one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.arange(3))


def damage_array_missing(path: Path) -> None:
    np.savez(path, names=np.array(["a"]))


def damage_other_number_of_names(path: Path) -> None:
    curves.save_histograms(path, ["a", "b"], histograms(*random_pictures(6, 3, 500)))


def change_array(path: Path, name: str, change) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **arrays | {name: change(arrays[name])})


def damage_shorter_array(path: Path) -> None:
    change_array(path, "overlap", lambda values: values[:-1])


def damage_wrong_starts(path: Path) -> None:
    change_array(path, "positive_starts", lambda starts: starts + 1)


def damage_falling_starts(path: Path) -> None:
    change_array(path, "negative_starts", lambda starts: starts[[0, 2, 1, 3]])


def damage_pickle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, archive.open("names.npy", "w") as file:
        np.lib.format.write_array(file, np.array([{}, None], dtype=object))


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing_there,
        damage_cut_off,
        damage_empty,
        damage_text,
        damage_one_array,
        damage_array_missing,
        damage_other_number_of_names,
        damage_shorter_array,
        damage_wrong_starts,
        damage_falling_starts,
        damage_pickle,
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, damage):
    path = tmp_path / "scores.npz"
    curves.save_histograms(path, ["a", "b", "c"], histograms(*random_pictures(6, 3, 500)))
    damage(path)
    with pytest.raises(InputError, match="scores.npz: .*flexunet evaluate run=RUN"):
        curves.load_histograms(path)
