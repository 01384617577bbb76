"""What other goals would cost: a threshold with its errors, or the parts that they take."""

from __future__ import annotations

from flexunet_exp.decisions import prices, question
from flexunet_exp.decisions.choosing import Goals
from flexunet_exp.decisions.question import Question
from flexunet_exp.decisions.rules import ClassRule
from tests.support.region_records import Drawn, record_of

RECORD = record_of(
    [Drawn(f"g{n}") for n in range(46)]
    + [Drawn(f"b{n}").true(1, 0, 3).predicted(1, 0, 3, 0.7) for n in range(12)]
)


def asked(level: str = "part", by: str = question.ALL, **goals: float) -> Question:
    return Question(
        level, by, Goals(**({"max_false_alarms": None, "max_missed": None} | goals)), None, 0.5
    )


def test_a_goal_has_its_errors_or_the_parts_that_it_takes():
    found = prices.prices(asked(max_false_alarms=0.2), RECORD, ClassRule(9))
    assert [one["goal"] for one in found] == [0.01, 0.02, 0.05, 0.1, 0.2]
    assert found[0] == {"goal": 0.01, "needs": 230}
    assert found[2]["false_alarms"] == found[2]["missed"] == 0
    assert 0 < found[2]["threshold"] <= 0.7


def test_goals_are_of_the_kind_that_was_asked_for():
    (*_, last) = prices.prices(asked(max_missed=0.3), RECORD, ClassRule(9))
    assert last["goal"] == 0.2 and last["missed"] == 0
    (first, *_) = prices.prices(asked("region", max_false_alarms=1), RECORD, ClassRule(9))
    assert first["goal"] == 0.1


def test_rules_of_single_classes_and_missing_parts_have_no_prices():
    assert (
        prices.prices(asked("region", question.CLASS, max_missed=0.3), RECORD, ClassRule(9)) == []
    )
    good = record_of([Drawn("g")])
    assert prices.prices(asked(max_missed=0.3), good, ClassRule(9)) == []
