"""The one-pass Adam against Keras's own, on the same fixed gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from flexunet_exp.optimizers import FusedAdam


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
