"""Losses that count over the last batches, against the same sums in float64 NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from flexunet_exp.callbacks.always import PooledBatches
from flexunet_exp.losses import CrossEntropy, CrossEntropyDice, Dice, FocalTversky, Tversky
from flexunet_exp.losses.pool import BatchPool, pool_of

CLASSES, POOLED = 4, 3


def random_batches(number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Truths and logits, each batch with two of the classes and ignored pixels."""
    draw = np.random.default_rng(0)
    shown = [draw.choice(CLASSES, 2, replace=False) for _ in range(number)]
    return [
        (
            draw.choice([*labels, 255], (2, 5, 4)).astype(np.uint8),
            draw.normal(0, 2, (2, 5, 4, CLASSES)).astype(np.float32),
        )
        for labels in shown
    ]


def sums_of(truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Hits, true and predicted pixels of each class, (3, C)."""
    valid = truth != 255
    one_hot = np.eye(CLASSES)[truth[valid]]
    chances = softmax(logits[valid].astype(np.float64), axis=-1)
    return np.stack([(one_hot * chances).sum(0), one_hot.sum(0), chances.sum(0)])


def dice(sums: np.ndarray) -> float:
    hits, true, predicted = sums[:, 1:]
    return np.mean((1 - 2 * hits / (true + predicted))[true > 0])


def tversky(sums: np.ndarray) -> float:
    hits, true, predicted = sums[:, 1:]
    index = hits / (hits + 0.3 * (predicted - hits) + 0.7 * (true - hits))
    return np.mean((1 - index)[true > 0])


def cross_entropy(truth: np.ndarray, logits: np.ndarray) -> float:
    valid = truth != 255
    log_chances = log_softmax(logits[valid].astype(np.float64), axis=-1)
    return -np.mean(log_chances[np.arange(valid.sum()), truth[valid]])


def pooling(loss: keras.losses.Loss) -> keras.losses.Loss:
    pool_of(loss).build(CLASSES)
    pool_of(loss).turn(on=True)
    return loss


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(("kind", "term"), [(Dice, dice), (Tversky, tversky)])
def test_value_and_gradient_are_those_of_the_sums_of_the_last_batches(kind, term, traced):
    loss = pooling(kind(pool_batches=POOLED))
    batches = random_batches(6)

    def value_and_slopes(truth, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(truth, logits)
        return value, tape.gradient(value, logits)

    step = tf.function(value_and_slopes) if traced else value_and_slopes
    for n, (truth, logits) in enumerate(batches):
        past = sum(sums_of(*batch) for batch in batches[max(0, n - POOLED + 1) : n])
        value, slopes = step(tf.constant(truth), tf.constant(logits))
        assert float(value) == pytest.approx(term(past + sums_of(truth, logits)), rel=1e-5)
        for index in ((0, 1, 2, 0), (1, 4, 3, 2), (0, 0, 0, 3)):
            moved = np.zeros(logits.shape)
            moved[index] = 1e-5
            above, below = (term(past + sums_of(truth, logits + s * moved)) for s in (1, -1))
            assert float(slopes[index]) == pytest.approx((above - below) / 2e-5, abs=2e-6)


def test_a_class_that_only_earlier_batches_show_costs_where_it_is_invented():
    first, second = np.ones((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)
    logits = tf.zeros((1, 4, 4, CLASSES))

    def slopes(loss):
        loss(first, logits)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(second, logits)
        return tape.gradient(value, logits)[..., 1].numpy()

    assert not slopes(Dice()).any()
    assert (slopes(pooling(Dice(pool_batches=2))) > 0).all()


def test_one_batch_is_the_loss_as_it_is_and_has_nothing_to_keep():
    for kind in (Dice, Tversky, FocalTversky, CrossEntropyDice):
        assert pool_of(kind()) is None
        assert kind().get_config()["pool_batches"] == 1
        again = kind.from_config(kind(pool_batches=5).get_config())
        assert pool_of(again).batches == 5
    assert pool_of(CrossEntropy()) is None


def test_turned_off_it_neither_adds_nor_changes_anything():
    loss = pooling(Dice(pool_batches=POOLED))
    batches = random_batches(4)
    for batch in batches[:2]:
        loss(*batch)
    pool: BatchPool = pool_of(loss)
    before = pool.past.numpy()
    pool.turn(on=False)
    for batch in batches:
        assert float(loss(*batch)) == pytest.approx(dice(sums_of(*batch)), rel=1e-5)
    np.testing.assert_array_equal(pool.past.numpy(), before)
    np.testing.assert_allclose(before, [sums_of(*b) for b in reversed(batches[:2])], rtol=1e-5)


def test_fit_pools_in_training_alone_and_goes_on_over_the_epochs():
    """A network that gives back its input, and does not learn: each loss is known beforehand."""
    batches = random_batches(7)
    training, validation = batches[:4], batches[4:]
    inputs = keras.Input((5, 4, CLASSES))
    scale = keras.layers.Dense(CLASSES, use_bias=False, kernel_initializer="identity")
    model = keras.Model(inputs, scale(inputs))
    loss = CrossEntropyDice(pool_batches=POOLED)
    pool_of(loss).build(CLASSES)
    model.compile(keras.optimizers.SGD(0.0), loss)

    def fed(some):
        pairs = [(logits, truth) for truth, logits in some]
        types = (tf.TensorSpec((None, 5, 4, CLASSES)), tf.TensorSpec((None, 5, 4), "uint8"))
        given = tf.data.Dataset.from_generator(lambda: pairs, output_signature=types)
        return given.apply(tf.data.experimental.assert_cardinality(len(pairs)))

    seen = model.fit(
        fed(training * 3), steps_per_epoch=4, epochs=3, validation_data=fed(validation),
        callbacks=[PooledBatches(pool_of(loss))], shuffle=False, verbose=0,
    ).history  # fmt: skip
    alone = np.mean([cross_entropy(*batch) + dice(sums_of(*batch)) for batch in validation])
    np.testing.assert_allclose(seen["val_loss"], alone, rtol=1e-5)
    steps = training * 3
    expected = [
        cross_entropy(*steps[n])
        + dice(sum(sums_of(*batch) for batch in steps[max(0, n - POOLED + 1) : n + 1]))
        for n in range(len(steps))
    ]
    np.testing.assert_allclose(seen["loss"], np.reshape(expected, (3, 4)).mean(axis=1), rtol=1e-5)
    kept = pool_of(loss).past.numpy()
    assert model.evaluate(fed(validation), verbose=0) == pytest.approx(alone, rel=1e-5)
    np.testing.assert_array_equal(pool_of(loss).past.numpy(), kept)
