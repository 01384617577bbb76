"""The losses against the same formulas in float64 NumPy, and what must never reach a gradient."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from flexunet_exp.errors import InputError
from flexunet_exp.losses import CrossEntropy, CrossEntropyDice, Dice

IGNORE = 255


def reference_cross_entropy(truth, logits, class_weights=None):
    weights = np.ones(logits.shape[-1]) if class_weights is None else np.array(class_weights)
    total = weight_sum = 0.0
    for index in np.ndindex(truth.shape):
        if truth[index] != IGNORE:
            weight = weights[truth[index]]
            total -= weight * log_softmax(logits[index])[truth[index]]
            weight_sum += weight
    return total / weight_sum if weight_sum else 0.0


def reference_dice(truth, logits, class_weights=None, smooth=0.0, include_background=False):
    valid = truth != IGNORE
    labels, chances = truth[valid], softmax(logits[valid], axis=-1)
    total = weight_sum = 0.0
    for c in range(0 if include_background else 1, logits.shape[-1]):
        if (labels == c).any():
            hits = chances[labels == c, c].sum()
            size = (labels == c).sum() + chances[:, c].sum()
            weight = 1.0 if class_weights is None else class_weights[c]
            total += weight * (1 - (2 * hits + smooth) / (size + smooth))
            weight_sum += weight
    return total / weight_sum if weight_sum else 0.0


@st.composite
def batches(draw):
    """Masks with absent classes and ignored pixels, logits of any scale, weights down to 0."""
    num_classes = draw(st.integers(2, 5))
    shape = tuple(draw(st.integers(1, 4)) for _ in range(3))
    labels = [*range(num_classes), IGNORE]
    shown = draw(st.lists(st.sampled_from(labels), min_size=1, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = rng.choice(shown, shape).astype(np.uint8)
    logits = rng.normal(0, draw(st.sampled_from([0.1, 1, 10])), (*shape, num_classes))
    weights = st.sampled_from([0.0, 0.3, 1.0, 25.0])
    class_weights = draw(st.none() | st.lists(weights, min_size=num_classes, max_size=num_classes))
    return truth, logits.astype(np.float32), class_weights


@settings(max_examples=60, deadline=None)
@given(batch=batches(), smooth=st.sampled_from([0.0, 1e-5, 1.0]), background=st.booleans())
def test_values_equal_the_formulas(batch, smooth, background):
    truth, logits, class_weights = batch
    cross_entropy = reference_cross_entropy(truth, logits, class_weights)
    dice = reference_dice(truth, logits, class_weights, smooth, background)
    losses = {
        CrossEntropy(class_weights): cross_entropy,
        Dice(class_weights, smooth, background): dice,
        CrossEntropyDice(0.5, 2.0, class_weights, smooth, background): 0.5 * cross_entropy
        + 2 * dice,
    }
    for loss, expected in losses.items():
        value = loss(truth, logits)
        assert value.shape == ()
        assert float(value) == pytest.approx(expected, rel=1e-5, abs=1e-5), loss.name


LOSSES = [
    (CrossEntropy(), reference_cross_entropy, ()),
    (CrossEntropy([0.2, 1, 3]), reference_cross_entropy, ([0.2, 1, 3],)),
    (Dice([0.2, 1, 3], 0.5, True), reference_dice, ([0.2, 1, 3], 0.5, True)),
    (Dice(), reference_dice, ()),
]


def gradient(loss, truth, logits):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(truth, logits)
    return tape.gradient(value, logits).numpy()


@pytest.mark.parametrize(("loss", "reference", "arguments"), LOSSES)
def test_gradients_equal_central_differences_and_ignored_pixels_have_none(
    loss, reference, arguments
):
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, IGNORE], (2, 3, 2)).astype(np.uint8)
    logits = rng.normal(size=(2, 3, 2, 3)).astype(np.float32)
    found = gradient(loss, truth, logits)
    expected = np.zeros(logits.shape)
    for index in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[index] = 1e-5
        above, below = (reference(truth, logits + sign * step, *arguments) for sign in (1, -1))
        expected[index] = (above - below) / 2e-5
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[truth == IGNORE].any()
    assert found[truth != IGNORE].any()


@pytest.mark.parametrize("loss", [CrossEntropy(), Dice(), CrossEntropyDice()])
@pytest.mark.parametrize("shown", [[0, 1, 2, IGNORE], [0, IGNORE], [IGNORE]])
def test_extreme_logits_stay_finite(loss, shown):
    rng = np.random.default_rng(0)
    truth = rng.choice(shown, (2, 4, 4)).astype(np.uint8)
    logits = rng.choice([-1e4, 0, 1e4], (2, 4, 4, 3)).astype(np.float32)
    assert np.isfinite(loss(truth, logits))
    assert np.isfinite(gradient(loss, truth, logits)).all()
    if shown == [IGNORE]:
        assert float(loss(truth, logits)) == 0


def test_weighted_mean_by_hand():
    truth = np.array([[[0, 1, IGNORE]]], np.uint8)
    logits = np.log([[[[0.5, 0.5], [0.75, 0.25], [1e-9, 1]]]]).astype(np.float32)
    expected = (1 * np.log(2) + 3 * np.log(4)) / (1 + 3)
    assert float(CrossEntropy([1, 3])(truth, logits)) == pytest.approx(expected, rel=1e-6)


def test_dice_is_pooled_over_the_batch_and_absent_classes_have_no_term():
    truth = np.array([[[0, 1]], [[1, IGNORE]]], np.uint8)
    chances = [[[[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]]], [[[0.7, 0.2, 0.1], [0, 1, 0]]]]
    logits = np.log(np.array(chances) + 1e-12).astype(np.float32)
    one_class = 1 - 2 * (0.6 + 0.2) / (2 + 0.25 + 0.6 + 0.2)
    assert float(Dice()(truth, logits)) == pytest.approx(one_class, rel=1e-5)


def test_a_missed_pixel_gets_no_credit():
    truth = np.zeros((1, 8, 8), np.uint8)
    truth[0, 3, 3] = 1
    logits = np.where(np.arange(2) == 0, 50.0, 0.0) + np.zeros((1, 8, 8, 1))
    assert float(Dice()(truth, logits)) == pytest.approx(1)
    assert float(Dice(smooth=1)(truth, logits)) == pytest.approx(0.5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_logits_of_any_float_type_are_computed_in_float32(dtype):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (4, 64, 64)).astype(np.uint8)
    logits = tf.cast(rng.normal(size=(4, 64, 64, 3)), dtype)
    value = CrossEntropyDice()(truth, logits)
    exact = np.asarray(tf.cast(logits, "float64"))
    expected = reference_cross_entropy(truth, exact) + reference_dice(truth, exact)
    assert value.dtype == "float32"
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy([1.0, 2.0]),
        Dice(smooth=0.5, include_background=True),
        CrossEntropyDice(0.3, 0.7, [1.0, 2.0], 0.25, True),
    ],
)
def test_serialised_and_back_it_is_the_same_loss(loss):
    back = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(back) is type(loss)
    assert back.get_config() == loss.get_config()
    truth = np.array([[[0, 1]]], np.uint8)
    logits = np.array([[[[0.3, -1], [2, 0.5]]]], np.float32)
    assert float(back(truth, logits)) == float(loss(truth, logits))


@pytest.mark.parametrize("loss", [CrossEntropy(), Dice(), CrossEntropyDice()])
def test_the_last_reduction_is_left_to_keras_which_divides_by_the_replicas(loss, monkeypatch):
    truth = np.array([[[0, 1]]], np.uint8)
    logits = np.array([[[[0.3, -1], [2, 0.5]]]], np.float32)
    alone = float(loss(truth, logits))
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", 4)
    assert float(loss(truth, logits)) == pytest.approx(alone / 4)


def head_model(num_classes: int) -> keras.Model:
    image = keras.Input((None, None, 3))
    return keras.Model(image, keras.layers.Conv2D(num_classes, 1)(image))


def test_fit_shows_the_mean_over_batches_of_unequal_size():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, 4, 4, 3)).astype(np.float32)
    truth = rng.choice([0, 1, IGNORE], (5, 4, 4)).astype(np.uint8)
    model = head_model(2)
    logits = np.asarray(model(images))
    parts = [slice(0, 2), slice(2, 4), slice(4, 5)]
    values = [reference_cross_entropy(truth[part], logits[part]) for part in parts]
    model.compile(keras.optimizers.SGD(0.0), CrossEntropy())
    history = model.fit(images, truth, batch_size=2, shuffle=False, verbose=0).history
    assert history["loss"][0] == pytest.approx(np.average(values, weights=[2, 2, 1]), rel=1e-5)


def test_wrong_number_of_weights_is_said_by_the_first_step():
    model = head_model(3)
    model.compile(loss=CrossEntropyDice(class_weights=[1, 2]))
    images, truth = np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(InputError, match=r"class_weights has 2 numbers, expected 3.*none"):
        model.fit(images, truth, verbose=0)


def test_all_wrong_arguments_are_named_at_once():
    with pytest.raises(InputError) as error:
        CrossEntropyDice(-1, float("nan"), [1, -2, float("inf")], "much")
    weight, dice_weight, class_weights, smooth = error.value.problems
    assert "cross_entropy_weight=-1" in weight
    assert "dice_weight=nan" in dice_weight
    assert "found -2, inf" in class_weights
    assert "smooth='much'" in smooth


@pytest.mark.parametrize("loss", [CrossEntropy, Dice])
def test_a_word_in_place_of_weights(loss):
    with pytest.raises(InputError, match="found 'balanced'"):
        loss(class_weights="balanced")
