"""Optimizers on fixed gradients: the one-pass Adam against Keras's own, and a slower part."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from flexunet_exp.optimizers import FusedAdam, slow_down


def trajectory(optimizer: keras.optimizers.Optimizer, gradients: np.ndarray) -> np.ndarray:
    """The weights after each of the gradients (steps, N)."""
    weight = keras.Variable(np.linspace(-1, 1, gradients.shape[1]), dtype="float32")
    optimizer.build([weight])
    values = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
        values.append(keras.ops.convert_to_numpy(weight))
    return np.stack(values)


def by_hand(gradients: np.ndarray, rate: float, epsilon: float = 1e-7) -> np.ndarray:
    """Kingma and Ba's update in float64, with Keras's place of epsilon."""
    weight = np.linspace(-1, 1, gradients.shape[1])
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    values = []
    for step, gradient in enumerate(gradients.astype(np.float64), start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        scale = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weight = weight - scale * first / (np.sqrt(second) + epsilon)
        values.append(weight)
    return np.stack(values)


@pytest.fixture
def gradients() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(12, 50)).astype(np.float32)


def test_it_is_adam_as_published(gradients):
    np.testing.assert_allclose(
        trajectory(FusedAdam(0.01), gradients), by_hand(gradients, 0.01), atol=1e-6
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clipvalue": 0.4},
        {"global_clipnorm": 1.0},
        {"weight_decay": 0.004},
        {"amsgrad": True},
        {"use_ema": True, "ema_momentum": 0.9},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    ],
    ids=str,
)
def test_it_equals_keras(gradients, options):
    ours = trajectory(FusedAdam(0.01, **options), gradients)
    theirs = trajectory(keras.optimizers.Adam(0.01, **options), gradients)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_schedule_is_followed(gradients):
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 12)
    ours = trajectory(FusedAdam(schedule), gradients)
    np.testing.assert_allclose(
        ours, trajectory(keras.optimizers.Adam(schedule), gradients), atol=1e-6
    )
    assert np.abs(ours - trajectory(FusedAdam(0.01), gradients)).max() > 1e-3


def test_it_is_found_again_after_saving(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(FusedAdam(0.02), "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, FusedAdam)


def decayed(rate: float) -> keras.optimizers.schedules.LearningRateSchedule:
    return keras.optimizers.schedules.CosineDecay(rate, 12)


KINDS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate),
    "nesterov": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "adam": lambda rate: FusedAdam(rate, clipvalue=0.4),
    "adam of keras": lambda rate: keras.optimizers.Adam(rate, amsgrad=True),
    "adamw": lambda rate: FusedAdam(rate, weight_decay=0.1),
    "adamw on a schedule": lambda rate: FusedAdam(decayed(rate), weight_decay=0.1),
    "averaged": lambda rate: FusedAdam(rate, use_ema=True, ema_momentum=0.9),
    "accumulated": lambda rate: FusedAdam(rate, gradient_accumulation_steps=2),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate, weight_decay=0.1),
    "lion": lambda rate: keras.optimizers.Lion(rate, weight_decay=0.1),
}


def together(optimizer: keras.optimizers.Optimizer, gradients: np.ndarray, late: int = 0):
    """Two weights after the gradients, the second trained a tenth as fast, from step `late` on."""
    start = np.linspace(-1, 1, gradients.shape[1])
    first, second = (keras.Variable(start, dtype="float32") for _ in range(2))
    slow_down(optimizer, [second], 0.1, late)
    optimizer.build([first, second])
    for step, gradient in enumerate(gradients):
        trained = [first, second] if step >= late else [first]
        optimizer.apply([keras.ops.convert_to_tensor(gradient)] * len(trained), trained)
    return np.asarray(first), np.asarray(second)


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_part_is_trained_as_with_a_tenth_of_the_rate(gradients, kind):
    """Against two optimizers, each with its own learning rate; the other part is as without."""
    fast, slow = together(KINDS[kind](0.01), gradients)
    np.testing.assert_array_equal(fast, trajectory(KINDS[kind](0.01), gradients)[-1])
    np.testing.assert_allclose(slow, trajectory(KINDS[kind](0.001), gradients)[-1], atol=2e-7)
    assert np.abs(slow - fast).max() > 1e-3


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_its_first_step_is_a_tenth_of_the_plain_one(gradients, kind):
    start = np.linspace(-1, 1, gradients.shape[1])
    fast, slow = together(KINDS[kind](0.5), gradients[:1])
    np.testing.assert_allclose(slow - start, 0.1 * (fast - start), rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("kind", ["sgd", "nesterov", "adam", "adamw", "accumulated"])
def test_a_part_that_begins_late_is_trained_as_if_the_training_began_then(gradients, kind):
    """Adam's moments are corrected for their own steps; else its first would be three times it."""
    fast, slow = together(KINDS[kind](0.01), gradients, late=6)
    np.testing.assert_array_equal(fast, trajectory(KINDS[kind](0.01), gradients)[-1])
    alone = trajectory(KINDS[kind](0.001), gradients[6:])[-1]
    np.testing.assert_allclose(slow, alone, atol=2e-7)


def test_a_slowed_optimizer_keeps_its_state_and_rate(gradients):
    """What a stopped training keeps: as many variables as before, and one rate for callbacks."""
    weight = keras.Variable(np.zeros(50), dtype="float32")
    plain, slowed = FusedAdam(0.01), FusedAdam(0.01)
    slow_down(slowed, [weight], 0.1)
    for optimizer in (plain, slowed):
        optimizer.build([weight])
    assert [v.shape for v in slowed.variables] == [v.shape for v in plain.variables]
    slowed.learning_rate = 0.005
    slowed.apply([keras.ops.convert_to_tensor(gradients[0])], [weight])
    assert float(slowed.learning_rate) == pytest.approx(0.005) and int(slowed.iterations) == 1
    np.testing.assert_allclose(np.abs(np.asarray(weight)).max(), 0.0005, rtol=1e-4)


class Counted(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that falls with the steps, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, step):
        self.asked += 1
        return 0.01 / (1.0 + keras.ops.cast(step, "float32"))


def test_the_weight_decay_of_many_weights_asks_a_schedule_once(gradients):
    """A traced step holds the operations of every question: Keras asks for each weight."""

    def step_of(kind):
        schedule = Counted()
        weights = [keras.Variable(np.linspace(-1, 1, 50), dtype="float32") for _ in range(9)]
        optimizer = kind(schedule, weight_decay=0.1)
        optimizer.build(weights)
        optimizer.apply([keras.ops.convert_to_tensor(gradients[0])] * 9, weights)
        return schedule.asked, [keras.ops.convert_to_numpy(weight) for weight in weights]

    ours, ours_after = step_of(FusedAdam)
    theirs, theirs_after = step_of(keras.optimizers.Adam)
    assert (ours, theirs) == (2, 10)
    np.testing.assert_allclose(ours_after, theirs_after, atol=1e-6)
