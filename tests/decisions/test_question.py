"""Rules chosen on records of drawn pictures, what is expected of them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.decisions import question, refusals
from flexunet_exp.decisions.choosing import Costs, Goals, Risks
from flexunet_exp.decisions.question import Question
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.decisions.sequences import Losses
from flexunet_exp.errors import InputError
from flexunet_exp.scores.region_record import RegionRecord
from tests.support.region_records import Drawn, record_of


def parts(good: int, bad: int, alarms: int = 0) -> RegionRecord:
    """Good parts, of which `alarms` have a false alarm of one pixel; parts with a sure scratch."""
    pictures = [Drawn(f"good{n}") for n in range(good)]
    for one in pictures[:alarms]:
        one.predicted(1, 0, 1, 0.8)
    return record_of(
        pictures + [Drawn(f"bad{n}").true(1, 4, 4).predicted(1, 4, 4, 0.7) for n in range(bad)]
    )


def asked(level: str = "part", by: str = "all", costs: Costs | None = None, **goals) -> Question:
    shared = 2 if by == "class" else 1
    given = {"max_false_alarms": None, "max_missed": None} | goals
    return Question(level, by, Goals(**given, shared=shared), costs, 0.5)


def test_the_shape_of_regions_is_learnt_from_other_pictures():
    noisy = parts(24, 24, alarms=12)
    rule = question.answer(asked(max_missed=0.1), noisy, noisy)
    assert rule.of_class["scratch"].shape == Shape(4, 0.0)  # drops the alarms, keeps the scratches
    simple = question.answer(asked(max_missed=0.1), noisy, parts(5, 5))
    assert simple.of_class["scratch"].shape == Shape()


def test_what_is_expected_of_a_rule():
    noisy = parts(24, 24, alarms=12)
    rule = question.answer(asked(max_missed=0.1), noisy, noisy)
    expected = question.figures(asked(max_missed=0.1), noisy, rule)
    assert expected["all"] == expected["parts"]
    missed = expected["all"]["missed"]
    assert (missed.value, missed.low, missed.sources) == (0, 0, 24)
    assert missed.high == pytest.approx(1 - 0.05 ** (1 / 24))


def test_costs_choose_without_goals_and_are_bounded():
    record = parts(24, 24, alarms=3)
    costs = asked(costs=Costs(100, 1, 0.1))
    rule = question.answer(costs, record, record)
    expected, bound = question.cost(costs, record, rule)
    assert expected == 0 < bound
    assert question.cost(asked(max_missed=0.1), record, rule) == []


@pytest.mark.parametrize(
    ("wanted", "record", "message"),
    [
        (
            asked(max_false_alarms=0.05),
            parts(8, 8),
            r"8 good parts cannot .* takes 45 good parts \(37 more\)",
        ),
        (asked(max_missed=0.01), parts(8, 8), r"8 parts with defects cannot .* takes 230 "),
        (asked(max_false_alarms=0.05), parts(0, 8), "There is no good part to choose on"),
        (asked(max_missed=0.1), parts(8, 0), "There is no part with a defect to choose on"),
        (asked(costs=Costs(1, 1, 0.1)), parts(0, 8), "There is no good part"),
    ],
)
def test_what_the_parts_cannot_support_is_refused_with_what_it_takes(wanted, record, message):
    with pytest.raises(InputError, match=message):
        question.answer(wanted, record, record)


def test_what_is_offered_instead_is_granted():
    record = parts(8, 8, alarms=2)
    with pytest.raises(InputError) as refused:
        question.answer(asked(max_false_alarms=0.05), record, record)
    offered = float(str(refused.value).split("max_false_alarms=")[2].split(":")[0])
    assert question.answer(asked(max_false_alarms=offered), record, record)


def test_every_class_that_lacks_parts_is_named():
    record = parts(24, 24)
    with pytest.raises(InputError) as refused:
        question.answer(asked("region", "class", max_missed=0.5), record, record)
    (problem,) = refused.value.problems
    assert problem.startswith("There is no part with dent")


def test_a_class_of_three_parts_is_refused_with_what_it_takes_and_what_can_be_had():
    dents = [Drawn(f"d{n}").true(2, 0, 4).predicted(2, 0, 4, 0.9) for n in range(3)]
    scratches = [Drawn(f"s{n}").true(1, 0, 4).predicted(1, 0, 4, 0.9) for n in range(60)]
    record = record_of(dents + scratches + [Drawn(f"g{n}") for n in range(60)])
    with pytest.raises(InputError) as refused:
        question.answer(asked("region", "class", max_missed=0.5), record, record)
    (problem,) = refused.value.problems
    assert problem.startswith("dent: 3 parts with defects cannot support max_missed=0.5")
    assert "more), if they go wrong as often as these" in problem
    assert "The best that they support is max_missed=0." in problem


def test_no_goal_is_advised_that_would_be_refused():
    # Six good parts that are stopped at any threshold.
    risks = Risks(Losses(np.ones((6, 19))), Losses(np.zeros((9, 19))))
    (problem,) = refusals.refused(risks, "part", "all", Goals(0.1, None)).problems
    assert "=1:" not in problem and "no goal below 1 at this confidence" in problem


def test_each_class_gets_a_threshold_of_its_own():
    pictures = [Drawn(f"s{n}").true(1, 0, 4).predicted(1, 0, 4, 0.9) for n in range(24)]
    pictures += [Drawn(f"d{n}").true(2, 0, 4).predicted(2, 0, 4, 0.4) for n in range(24)]
    pictures += [Drawn(f"g{n}").predicted(1, 9, 4, 0.6).predicted(2, 9, 4, 0.2) for n in range(24)]
    record = record_of(pictures)
    rule = question.answer(asked("region", "class", max_missed=0.2), record, record)
    found = {name: one.threshold for name, one in rule.of_class.items()}
    assert 0.6 < found["scratch"] <= 0.9
    assert 0.2 < found["dent"] <= 0.4
