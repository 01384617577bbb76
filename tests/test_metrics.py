"""The on-device scores against scikit-learn, and how they reach Keras's logs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from flexunet_exp.metrics import Invented, SegmentationScores
from tests.support.properties import examples

IGNORE = 255
CLASSES = ["background", "bent", "cut", "scratch"]


def logits_of(prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Logits whose largest is at `prediction`, the others anything below."""
    rng = np.random.default_rng(0)
    low = rng.uniform(-3, 3, (*prediction.shape, num_classes))
    return np.where(np.eye(num_classes)[prediction] > 0, 4, low).astype(np.float32)


def figures(metric: SegmentationScores) -> dict[str, float]:
    return {name: float(value) for name, value in metric.result().items()}


@examples(40)
@given(
    shown=st.lists(st.sampled_from([0, 1, 2, 3, IGNORE]), min_size=1, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_scores_equal_those_of_scikit_learn(shown, seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice(shown, (3, 5, 4)).astype(np.uint8)
    prediction = rng.integers(0, 4, truth.shape)
    metric = SegmentationScores(CLASSES)
    metric.update_state(truth, logits_of(prediction, 4))
    found = figures(metric)

    valid = truth != IGNORE
    pair = truth[valid], prediction[valid]
    present = [c for c in (1, 2, 3) if c in shown and (truth == c).any()]
    for name, score in (("dice", f1_score), ("iou", jaccard_score)):
        macro = 0.0
        for c in (1, 2, 3):
            expected = (
                score(*pair, labels=[c], average="macro", zero_division=0) if c in present else 0
            )
            assert found[f"{name}/{CLASSES[c]}"] == pytest.approx(expected)
            macro += expected / max(1, len(present))
        assert found[name] == pytest.approx(macro)
    counts = confusion_matrix(*pair, labels=range(4)) if valid.any() else np.zeros((4, 4))
    np.testing.assert_array_equal(metric.counts, counts)


def test_how_images_are_batched_makes_no_difference():
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 3, IGNORE], (6, 8, 8)).astype(np.uint8)
    logits = rng.normal(size=(6, 8, 8, 4)).astype(np.float32)
    one, many = SegmentationScores(CLASSES), SegmentationScores(CLASSES)
    one.update_state(truth, logits)
    for part in (slice(0, 1), slice(1, 5), slice(5, 6)):
        many.update_state(truth[part], logits[part])
    assert figures(one) == figures(many)


def test_counts_beyond_the_integers_of_float32_are_exact():
    truth = np.ones((1, 64, 64), np.uint8)
    metric = SegmentationScores(CLASSES[:2])
    metric.counts.assign([[0, 0], [0, 2**24 + 1]])
    metric.update_state(truth, logits_of(truth, 2))
    assert int(metric.counts[1, 1]) == 2**24 + 1 + 64 * 64


def test_reset_forgets():
    metric = SegmentationScores(CLASSES)
    mask = np.full((1, 4, 4), 2, np.uint8)
    metric.update_state(mask, logits_of(mask, 4))
    assert figures(metric)["dice"] == 1
    metric.reset_state()
    assert set(figures(metric).values()) == {0.0}


def test_keras_compiles_it_with_xla():
    metric = SegmentationScores(CLASSES)
    truth = np.full((2, 4, 4), 2, np.uint8)
    compiled = tf.function(metric.update_state, jit_compile=True)
    compiled(tf.constant(truth), tf.constant(logits_of(truth, 4)))
    assert int(metric.counts[2, 2]) == truth.size


def test_fit_logs_each_figure_by_its_name_pooled_over_the_epoch():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, 4, 4, 3)).astype(np.float32)
    truth = rng.choice([0, 1, 2, IGNORE], (5, 4, 4)).astype(np.uint8)
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 1)(image))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=[SegmentationScores(CLASSES)])
    logs = model.fit(
        images, truth, batch_size=2, verbose=0, validation_data=(images, truth)
    ).history

    names = [f"{f}{c}" for f in ("dice", "iou") for c in ("", "/bent", "/cut", "/scratch")]
    assert set(logs) == {"loss", "val_loss", *names, *(f"val_{name}" for name in names)}
    prediction = np.asarray(model(images)).argmax(-1)
    valid = truth != IGNORE
    expected = f1_score(truth[valid], prediction[valid], labels=[1, 2], average="macro")
    assert logs["val_dice"][0] == logs["dice"][0] == pytest.approx(expected)
    assert logs["val_dice/scratch"] == [0.0]


def test_serialised_and_back_it_has_its_classes_and_name():
    metric = SegmentationScores(CLASSES, name="scores_at_training_size")
    back = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(back, SegmentationScores)
    assert back.get_config() == metric.get_config()


def test_invented_pixels_are_those_of_pictures_without_a_defect():
    truth, prediction = np.zeros((2, 3, 4, 4), np.uint8)
    truth[1, 0, 0] = 2  # this picture shows a defect
    truth[2, 0] = IGNORE  # four ignored pixels
    prediction[0, :2, 0] = 1
    prediction[1] = 3  # counts nowhere
    prediction[2, :2, 1] = 3  # one of two is ignored
    metric = Invented()
    for picture in range(3):  # batch by batch
        part = slice(picture, picture + 1)
        metric.update_state(truth[part], logits_of(prediction[part], 4))
    assert float(metric.result()) == pytest.approx((2 + 1) / (16 + 12))
    metric.reset_state()
    metric.update_state(truth[1:2], logits_of(prediction[1:2], 4))
    assert float(metric.result()) == 0
