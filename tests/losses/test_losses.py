"""The losses against the same formulas in float64 NumPy, and what must never reach a gradient."""

from __future__ import annotations

import inspect
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from flexunet_exp.errors import InputError
from flexunet_exp.losses import (
    CrossEntropy,
    CrossEntropyDice,
    Dice,
    Focal,
    FocalTversky,
    LovaszSoftmax,
    Tversky,
)
from tests.support.properties import examples

IGNORE = 255
KINDS = [CrossEntropy, Focal, Dice, Tversky, FocalTversky, CrossEntropyDice, LovaszSoftmax]
every_kind = pytest.mark.parametrize("kind", KINDS)


def reference_focal(truth, logits, class_weights=None, gamma=2.0, label_smoothing=0.0):
    num_classes = logits.shape[-1]
    weights = np.ones(num_classes) if class_weights is None else np.array(class_weights)
    total = weight_sum = 0.0
    for index in np.ndindex(truth.shape):
        if truth[index] != IGNORE:
            target = np.eye(num_classes)[truth[index]]
            target = (1 - label_smoothing) * target + label_smoothing / num_classes
            log_chances = log_softmax(logits[index])
            focus = (1 - np.exp(log_chances)) ** gamma
            total -= (weights * target * focus * log_chances).sum()
            weight_sum += weights[truth[index]]
    return total / weight_sum if weight_sum else 0.0


def reference_cross_entropy(truth, logits, class_weights=None, label_smoothing=0.0):
    return reference_focal(truth, logits, class_weights, 0.0, label_smoothing)


def reference_class_mean(term, truth, logits, class_weights=None, include_background=False):
    """The mean of term(whether a pixel is of the class, its softmax there)."""
    valid = truth != IGNORE
    labels, chances = truth[valid], softmax(logits[valid], axis=-1)
    total = weight_sum = 0.0
    for c in range(0 if include_background else 1, logits.shape[-1]):
        if (labels == c).any():
            weight = 1.0 if class_weights is None else class_weights[c]
            total += weight * term(labels == c, chances[:, c])
            weight_sum += weight
    return total / weight_sum if weight_sum else 0.0


def reference_dice(truth, logits, class_weights=None, smooth=0.0, include_background=False):
    def term(mine, chances):
        return 1 - (2 * chances[mine].sum() + smooth) / (mine.sum() + chances.sum() + smooth)

    return reference_class_mean(term, truth, logits, class_weights, include_background)


def reference_tversky(
    truth, logits, class_weights=None, alpha=0.3, beta=0.7, smooth=0.0, background=False, power=1.0
):
    def term(mine, chances):
        hits, invented, missed = (
            part.sum() for part in (chances[mine], chances[~mine], 1 - chances[mine])
        )
        index = (hits + smooth) / (hits + alpha * invented + beta * missed + smooth)
        return (1 - index) * max(1 - index, 1e-6) ** (power - 1)  # near 0 a line, not a root

    return reference_class_mean(term, truth, logits, class_weights, background)


def reference_lovasz(truth, logits, class_weights=None, include_background=False):
    """Algorithm 1 of the paper and its sorted errors, as the authors' own code has them."""

    def term(mine, chances):
        errors = np.abs(mine - chances)
        order = np.argsort(-errors, kind="stable")
        mine = mine[order]
        intersection = mine.sum() - mine.cumsum()
        union = mine.sum() + (~mine).cumsum()
        jaccard = 1 - intersection / union
        return errors[order] @ np.diff(jaccard, prepend=0.0)

    return reference_class_mean(term, truth, logits, class_weights, include_background)


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


@examples(40)
@given(
    batch=batches(),
    smooth=st.sampled_from([0.0, 1e-5, 1.0]),
    background=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    gamma=st.sampled_from([0.5, 1.0, 4 / 3, 3.0]),
    errors=st.sampled_from([(0.3, 0.7), (0.5, 0.5), (1.0, 0.0), (0.0, 2.0)]),
)
def test_values_equal_the_formulas(batch, smooth, background, smoothing, gamma, errors):
    truth, logits, weights = batch
    cross_entropy = reference_cross_entropy(truth, logits, weights, smoothing)
    dice = reference_dice(truth, logits, weights, smooth, background)
    tversky = (truth, logits, weights, *errors, smooth, background)
    losses = {
        CrossEntropy(weights, smoothing): cross_entropy,
        Focal(weights, gamma, smoothing): reference_focal(*batch, gamma, smoothing),
        Dice(weights, smooth, background): dice,
        Tversky(weights, *errors, smooth, background): reference_tversky(*tversky),
        CrossEntropyDice(0.5, 2.0, weights, smooth, background, smoothing): 0.5 * cross_entropy
        + 2 * dice,
        LovaszSoftmax(weights, background): reference_lovasz(*batch, background),
    }
    for loss, expected in losses.items():
        value = loss(truth, logits)
        assert value.shape == ()
        assert float(value) == pytest.approx(expected, rel=1e-5, abs=2e-5), loss.name
    focal = FocalTversky(weights, *errors, gamma, smooth, background)(truth, logits)
    expected = reference_tversky(*tversky, power=1 / gamma)
    rounding = 1e-6 * max(1, 1e-6 ** (1 / gamma - 1))  # a root's slope multiplies it
    assert float(focal) == pytest.approx(expected, rel=1e-5, abs=rounding)


WEIGHTS = [0.2, 1, 3]
LOSSES = [
    (CrossEntropy(), reference_cross_entropy, ()),
    (CrossEntropy(WEIGHTS, 0.2), reference_cross_entropy, (WEIGHTS, 0.2)),
    (Focal(), reference_focal, ()),
    (Focal(WEIGHTS, 0.5, 0.2), reference_focal, (WEIGHTS, 0.5, 0.2)),
    (Dice(WEIGHTS, 0.5, True), reference_dice, (WEIGHTS, 0.5, True)),
    (Dice(), reference_dice, ()),
    (Tversky(), reference_tversky, ()),
    (Tversky(WEIGHTS, 1, 0.2, 0.5, True), reference_tversky, (WEIGHTS, 1, 0.2, 0.5, True)),
    (FocalTversky(), reference_tversky, (None, 0.3, 0.7, 0, False, 0.75)),
    (FocalTversky(gamma=0.5), reference_tversky, (None, 0.3, 0.7, 0, False, 2)),
    (LovaszSoftmax(), reference_lovasz, ()),
    (LovaszSoftmax(WEIGHTS, True), reference_lovasz, (WEIGHTS, True)),
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


STEEP = [
    CrossEntropy(label_smoothing=0.1),
    Focal(gamma=0.3),
    Focal(gamma=0.3, label_smoothing=0.1),
    Tversky(beta=0, include_background=True),
    FocalTversky(gamma=10, include_background=True),
    LovaszSoftmax(include_background=True),
]


@pytest.mark.parametrize("loss", [*(kind() for kind in KINDS), *STEEP])
@pytest.mark.parametrize("shown", [[0, 1, 2, IGNORE], [2], [0, IGNORE], [IGNORE]])
def test_extreme_logits_stay_finite(loss, shown):
    rng = np.random.default_rng(0)
    truth = rng.choice(shown, (2, 4, 4)).astype(np.uint8)
    logits = rng.choice([-1e4, 0, 1e4], (2, 4, 4, 3)).astype(np.float32)
    assert np.isfinite(loss(truth, logits))
    assert np.isfinite(gradient(loss, truth, logits)).all()
    if shown == [IGNORE]:
        assert float(loss(truth, logits)) == 0
        assert not gradient(loss, truth, logits).any()


@pytest.mark.parametrize("loss", [*(kind() for kind in KINDS), *STEEP[1:2], *STEEP[3:]])
@pytest.mark.parametrize("margin", [1e4, 60, 16, 8])
def test_the_better_the_prediction_the_nearer_to_0_with_a_finite_gradient(loss, margin):
    truth = np.arange(48).reshape(1, 6, 8).astype(np.uint8) % 3
    logits = margin * np.eye(3, dtype=np.float32)[truth]
    value = float(loss(truth, logits))
    assert value == pytest.approx(0, abs=1e-5 if margin >= 60 else 0.9)
    slopes = gradient(loss, truth, logits)
    assert np.isfinite(slopes).all() and np.abs(slopes).max() < 1


@every_kind
def test_ignored_pixels_are_as_if_cut_out(kind):
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, IGNORE], (2, 5, 4)).astype(np.uint8)
    logits = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    valid = truth != IGNORE
    cut_out = truth[valid][None, None], logits[valid][None, None]
    assert float(kind()(truth, logits)) == pytest.approx(float(kind()(*cut_out)), rel=1e-6)
    np.testing.assert_allclose(
        gradient(kind(), truth, logits)[valid], gradient(kind(), *cut_out)[0, 0], atol=1e-7
    )


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


def test_smoothed_weighted_cross_entropy_by_hand():
    truth = np.array([[[0, 1]]], np.uint8)
    logits = np.log([[[[0.5, 0.5], [0.75, 0.25]]]]).astype(np.float32)
    first = 0.9 * 1 * np.log(2) + 0.05 * (1 * np.log(2) + 3 * np.log(2))
    second = 0.9 * 3 * np.log(4) + 0.05 * (1 * np.log(4 / 3) + 3 * np.log(4))
    value = float(CrossEntropy([1, 3], label_smoothing=0.1)(truth, logits))
    assert value == pytest.approx((first + second) / (1 + 3), rel=1e-6)


def test_focal_by_hand_on_a_doubted_and_a_confident_pixel():
    truth = np.array([[[0], [1]]], np.uint8)
    logits = np.log([[[[0.6, 0.4]], [[0.001, 0.999]]]]).astype(np.float32)
    doubted, confident = 0.4**0.5 * np.log(1 / 0.6), 0.001**0.5 * np.log(1 / 0.999)
    value = float(Focal([0, 1], gamma=0.5)(truth, logits))
    assert value == pytest.approx(confident, rel=1e-3)
    value = float(Focal([1, 3], gamma=0.5)(truth, logits))
    assert value == pytest.approx((doubted + 3 * confident) / 4, rel=1e-5)


def test_tversky_by_hand_misses_cost_more_than_inventions():
    logits = np.log([[[[0.4, 0.6], [0.8, 0.2]]]]).astype(np.float32)
    missing, inventing = (np.array([[labels]], np.uint8) for labels in ([1, 1], [1, 0]))
    missed = 1 - 0.8 / (0.8 + 0.7 * (0.4 + 0.8))
    mixed = 1 - 0.6 / (0.6 + 0.3 * 0.2 + 0.7 * 0.4)
    assert float(Tversky()(missing, logits)) == pytest.approx(missed, rel=1e-6)
    assert float(Tversky()(inventing, logits)) == pytest.approx(mixed, rel=1e-6)
    assert float(FocalTversky()(inventing, logits)) == pytest.approx(mixed**0.75, rel=1e-6)


@examples(20)
@given(batch=batches(), background=st.booleans())
def test_special_cases_meet(batch, background):
    truth, logits, weights = batch
    pairs = [
        (Focal(weights, 0, 0.1), CrossEntropy(weights, 0.1)),
        (Tversky(weights, 0.5, 0.5, 0, background), Dice(weights, 0, background)),
        (FocalTversky(weights, gamma=1), Tversky(weights)),
        (CrossEntropyDice(2, 0, weights), lambda *batch: 2 * CrossEntropy(weights)(*batch)),
    ]
    for general, special in pairs:
        expected = float(special(truth, logits))
        assert float(general(truth, logits)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_half_a_million_pixels_are_added_up_to_full_precision():
    rng = np.random.default_rng(0)
    truth = (rng.random((2, 512, 512)) < 0.01).astype(np.uint8)
    logits = rng.normal(size=(2, 512, 512, 2)).astype(np.float32)
    exact = reference_dice(truth, logits.astype(np.float64), include_background=True)
    assert float(Dice(include_background=True)(truth, logits)) == pytest.approx(exact, abs=3e-7)


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


@every_kind
def test_one_graph_serves_batches_of_any_size(kind):
    shapes = [tf.TensorSpec((None, None, None), "uint8"), tf.TensorSpec((None, None, None, 3))]
    graph = tf.function(kind(), input_signature=shapes)
    rng = np.random.default_rng(0)
    for size in [(1, 1, 1), (2, 5, 4)]:
        truth = rng.choice([0, 1, 2, IGNORE], size).astype(np.uint8)
        logits = rng.normal(size=(*size, 3)).astype(np.float32)
        assert float(graph(truth, logits)) == pytest.approx(float(kind()(truth, logits)), rel=1e-5)


@every_kind
def test_compiled_by_xla_it_is_the_same(kind):
    rng = np.random.default_rng(0)
    truth = tf.constant(rng.choice([0, 1, 2, IGNORE], (2, 9, 7)).astype(np.uint8))
    logits = tf.constant(rng.normal(size=(2, 9, 7, 3)), "bfloat16")
    values = [tf.function(kind(), jit_compile=jit)(truth, logits) for jit in (True, False)]
    assert float(values[0]) == pytest.approx(float(values[1]), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy([1.0, 2.0], 0.1),
        Focal([1.0, 2.0], 1.5, 0.1),
        Dice(smooth=0.5, include_background=True),
        Tversky([1.0, 2.0], 0.4, 0.9, 0.5, True),
        FocalTversky([1.0, 2.0], 0.4, 0.9, 2.0, 0.5, True),
        CrossEntropyDice(0.3, 0.7, [1.0, 2.0], 0.25, True, 0.1),
        LovaszSoftmax([1.0, 2.0], True),
    ],
)
def test_serialised_and_back_it_is_the_same_loss(loss):
    back = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(back) is type(loss)
    assert back.get_config() == loss.get_config()
    truth = np.array([[[0, 1]]], np.uint8)
    logits = np.array([[[[0.3, -1], [2, 0.5]]]], np.float32)
    assert float(back(truth, logits)) == float(loss(truth, logits))
    assert set(loss.get_config()) == set(inspect.signature(type(loss)).parameters)


@every_kind
def test_stored_names_are_what_finished_runs_have(kind):
    assert keras.saving.get_registered_name(kind) == f"flexunet_exp>{kind.__name__}"
    assert keras.saving.get_registered_object(f"flexunet_exp>{kind.__name__}") is kind
    assert kind().name == re.sub(r"\B([A-Z])", r"_\1", kind.__name__).lower()


def test_settings_stored_before_label_smoothing_was_there_mean_none():
    assert CrossEntropy.from_config({"class_weights": None}).label_smoothing == 0


@every_kind
def test_the_last_reduction_is_left_to_keras_which_divides_by_the_replicas(kind, monkeypatch):
    loss = kind()
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


@every_kind
def test_wrong_number_of_weights_is_said_by_the_first_step(kind):
    model = head_model(3)
    model.compile(loss=kind(class_weights=[1, 2]))
    images, truth = np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(InputError, match=r"class_weights has 2 numbers, expected 3.*none"):
        model.fit(images, truth, verbose=0)


def test_all_wrong_arguments_are_named_at_once():
    with pytest.raises(InputError) as error:
        CrossEntropyDice(-1, float("nan"), [1, -2, float("inf")], "much", "no", 1)
    weight, dice_weight, class_weights, smooth, background, smoothing = error.value.problems
    assert "cross_entropy_weight=-1" in weight
    assert "dice_weight=nan" in dice_weight
    assert "found -2, inf" in class_weights
    assert "smooth='much'" in smooth
    assert "include_background='no' must be true or false" in background
    assert "label_smoothing=1 must be a number from 0 to below 1" in smoothing


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (CrossEntropy, {"label_smoothing": -0.1}),
        (Focal, {"gamma": -1, "label_smoothing": float("nan")}),
        (Dice, {"smooth": True, "include_background": 1}),
        (Tversky, {"alpha": -0.1, "beta": "more", "smooth": -1, "include_background": None}),
        (FocalTversky, {"gamma": 0, "alpha": -1, "smooth": -1}),
        (LovaszSoftmax, {"include_background": "true"}),
    ],
)
def test_each_argument_out_of_range_is_named_with_what_to_type(kind, arguments):
    with pytest.raises(InputError) as error:
        kind(class_weights=[-1], **arguments)
    for name, value in arguments.items():
        found = [text for text in error.value.problems if f"loss.{name}={value!r}" in text]
        assert len(found) == 1 and f"Try loss.{name}=" in found[0]
    assert len(error.value.problems) == len(arguments) + 1


def test_tversky_without_any_cost_is_refused():
    with pytest.raises(InputError, match="both 0.*Try loss.beta=0.7"):
        Tversky(alpha=0, beta=0)


@every_kind
def test_a_word_in_place_of_weights(kind):
    with pytest.raises(InputError, match="found 'balanced'"):
        kind(class_weights="balanced")
