"""Learning rates against a curve written with NumPy, at every step."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flexunet_exp import schedules
from flexunet_exp.config import building, compose
from flexunet_exp.errors import InputError
from tests.support.properties import examples


def curve(schedule, steps: int) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(steps)])


def curve_by_hand(peak: float, steps: int, warmup: int, final_fraction: float) -> np.ndarray:
    rise = np.linspace(0, peak, warmup + 2)[1:-1]
    angle = np.linspace(0, np.pi, steps - warmup)
    smallest = peak * final_fraction
    return np.concatenate([rise, smallest + (peak - smallest) * (np.cos(angle) + 1) / 2])


def test_ten_steps_by_hand():
    schedule = schedules.cosine(0.1, steps_per_epoch=2, epochs=4, warmup_epochs=1.5)
    expected = [0.025, 0.05, 0.075, 0.1, 0.0855, 0.0505, 0.0155, 0.001]
    np.testing.assert_allclose(curve(schedule, 8), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs", "warmup_epochs", "warmup", "final_fraction"),
    [
        pytest.param(7, 12, 3, 21, 0.01, id="whole epochs"),
        pytest.param(10, 5, 0.25, 2, 0.1, id="part of an epoch"),
        pytest.param(6, 4, 0, 0, 0.0, id="no warm-up, down to 0"),
        pytest.param(25, 1, 0, 0, 0.01, id="one epoch"),
        pytest.param(25, 1, 0.2, 5, 0.01, id="one epoch with warm-up"),
        pytest.param(10, 1, 0.8, 8, 0.5, id="longest warm-up there can be"),
        pytest.param(3, 4, 1, 3, 1.0, id="no decay"),
    ],
)
def test_every_step_of_the_curve(steps_per_epoch, epochs, warmup_epochs, warmup, final_fraction):
    steps = steps_per_epoch * epochs
    schedule = schedules.cosine(0.02, steps_per_epoch, epochs, warmup_epochs, final_fraction)
    expected = curve_by_hand(0.02, steps, warmup, final_fraction)
    np.testing.assert_allclose(curve(schedule, steps), expected, rtol=1e-5, atol=1e-8)
    assert float(schedule(steps + 5)) == pytest.approx(0.02 * final_fraction, abs=1e-8)


def test_a_single_step_has_the_full_rate():
    assert float(schedules.cosine(0.02, 1, 1, warmup_epochs=0)(0)) == pytest.approx(0.02)


@given(
    steps_per_epoch=st.integers(1, 400),
    epochs=st.integers(3, 500),
    warmup=st.floats(0, 0.3),
    final_fraction=st.floats(0, 1),
    progress=st.floats(0, 1),
)
@examples(100)
def test_any_step_of_any_curve(steps_per_epoch, epochs, warmup, final_fraction, progress):
    steps = steps_per_epoch * epochs
    step = round(progress * (steps - 1))
    schedule = schedules.cosine(0.3, steps_per_epoch, epochs, warmup * epochs, final_fraction)
    warmup_steps = round(warmup * epochs * steps_per_epoch)
    expected = curve_by_hand(0.3, steps, warmup_steps, final_fraction)[step]
    assert float(schedule(step)) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_rate_is_a_function_of_the_step_alone():
    make = {"steps_per_epoch": 5, "epochs": 6, "warmup_epochs": 2, "final_fraction": 0.01}
    whole = curve(schedules.cosine(0.01, **make), 30)
    fresh = schedules.cosine(0.01, **make)
    backwards = [float(fresh(step)) for step in reversed(range(30))][::-1]
    np.testing.assert_array_equal(backwards, whole)


def trained(schedule, first: int, last: int, state=None) -> list[np.ndarray]:
    """Weight and optimizer variables after steps `first` .. `last` - 1 on a parabola."""
    weight = keras.Variable([1.0])
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build([weight])
    variables = [weight, *optimizer.variables]
    for variable, value in zip(variables, state or variables, strict=True):
        variable.assign(value)

    @tf.function
    def step():
        optimizer.apply([2 * weight.value])

    for _ in range(first, last):
        step()
    return [np.asarray(variable) for variable in variables]


def test_an_optimizer_continued_from_its_state_does_the_same_steps():
    schedule = schedules.cosine(0.1, steps_per_epoch=4, epochs=5, warmup_epochs=1.5)
    whole = trained(schedule, 0, 20)
    halfway = trained(schedule, 0, 11)
    again = trained(schedules.cosine(0.1, 4, 5, 1.5), 11, 20, halfway)
    for continued, uninterrupted in zip(again, whole, strict=True):
        np.testing.assert_array_equal(continued, uninterrupted)


def test_a_constant_rate_is_a_number_that_callbacks_can_lower():
    rate = schedules.constant(6e-5)
    assert rate == 6e-5
    optimizer = keras.optimizers.Adam(rate)
    optimizer.learning_rate = 3e-5
    assert float(optimizer.learning_rate) == pytest.approx(3e-5)


def test_a_warm_up_as_long_as_the_training_becomes_a_tenth_of_it(caplog):
    for warmup_epochs in (2.9, 3, 4):
        caplog.clear()
        found = schedules.cosine(0.1, steps_per_epoch=5, epochs=3, warmup_epochs=warmup_epochs)
        expected = curve_by_hand(0.1, 15, 2, 0.01)
        np.testing.assert_allclose(curve(found, 15), expected, rtol=1e-4)
        (warning,) = caplog.messages
        assert f"schedule.warmup_epochs={warmup_epochs} takes" in warning
        assert "15 steps" in warning and "a tenth of the training, 2 steps" in warning
    one = schedules.cosine(0.1, steps_per_epoch=1, epochs=1, warmup_epochs=3)
    assert float(one(0)) == pytest.approx(0.1)


def test_all_values_out_of_range_are_named_at_once():
    with pytest.raises(InputError) as error:
        schedules.cosine(0, 0, 2.5, warmup_epochs=float("inf"), final_fraction=1.5)
    problems = error.value.problems
    assert [problem.split("=")[0] for problem in problems] == [
        "optimizer.learning_rate",
        "steps_per_epoch",
        "trainer.epochs",
        "schedule.warmup_epochs",
        "schedule.final_fraction",
    ]
    with pytest.raises(InputError, match=r"optimizer\.learning_rate='fast'"):
        schedules.constant("fast")


@pytest.mark.parametrize("name", ["constant", "cosine"])
def test_yaml_gives_all_that_the_program_does_not(name):
    yaml = compose.plain(OmegaConf.load(compose.conf_dir() / "schedule" / f"{name}.yaml"))
    from_program = {"learning_rate": 0.01, "steps_per_epoch": 5, "epochs": 10}
    building.build(yaml, **from_program)
    parameters = inspect.signature(building.locate(yaml.pop("_target_"))).parameters
    assert yaml == {key: parameters[key].default for key in parameters.keys() - from_program}
