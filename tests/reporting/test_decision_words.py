"""A decision in words: what its figures are worth, and what they do not say."""

from __future__ import annotations

from dataclasses import replace

from flexunet_exp.decisions import file
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.rules import ClassRule, Rule
from flexunet_exp.reporting import decision_words as words
from flexunet_exp.reporting.decision_warnings import warnings

DECISION = Decision(
    *("careful", "estimate", "part", "all", {"max_missed": 0.1, "confidence": 0.9}),
    file.values_of(Rule({"scratch": ClassRule(0)})),
    *(["a1", "b2"], {}, {"part": "test", "pictures": 50, "sources": 50, "digest": "0f"}, 0.3),
    dict.fromkeys(
        ("all", "parts"),
        {"false_alarms": [0.25, 0.1, 0.4, 8], "missed": [0.0, 0.0, 0.069, 42]},
    ),
)


def test_an_estimate_says_that_the_folds_together_may_stop_fewer_parts():
    sentence = words.kind_sentence(DECISION)
    assert "lower probabilities" in sentence and "may stop fewer parts than estimated" in sentence
    assert "ensemble=true decision=careful" in sentence and "split.calibration=0.2" in sentence
    guarantee = words.kind_sentence(replace(DECISION, kind="guarantee"))
    assert "fewer" not in guarantee


def test_a_decision_that_may_stop_everything_is_warned_of():
    def warned(decision: Decision = DECISION, **figures: list[float]) -> str:
        expected = dict.fromkeys(("all", "parts"), {**DECISION.expected["all"], **figures})
        return " ".join(warnings(replace(decision, expected=expected)))

    assert not warned()
    every = {"false_alarms": [1.0, 0.688, 1.0, 8]}
    assert "1.000, the most that there can be, so the decision may stop every" in warned(**every)
    assert "Choose a weaker goal, or add max_false_alarms=0.1" in warned(**every)
    prices = [{"goal": 0.05, "needs": 45}, {"goal": 0.2, "false_alarms": 0.125, "missed": 0.1}]
    cheaper = warned(replace(DECISION, prices=prices), **every)
    assert "such as max_missed=0.2 (good parts stopped 0.125)" in cheaper
    unsure = warned(false_alarms=[0.5, 0.02, 1.0, 2])
    assert "good parts stopped: 0.500, whose 90% interval reaches 1" in unsure
    nothing = warned(false_alarms=[float("nan"), 0.0, 1.0, 0])
    assert "There is no good part that shows it" in nothing
    by_cost = replace(DECISION, wanted={"cost_missed": 100.0, "confidence": 0.9})
    passing = warned(by_cost, missed=[1.0, 0.9, 1.0, 42])
    assert "pass every defective part. Its costs are the least" in passing


def test_regions_and_whole_parts_are_both_looked_at():
    expected = {
        "all": {"false_alarms": [5.0, 4.0, 5.0, 8], "missed": [0.0, 0.0, 0.1, 9]},
        "parts": {"false_alarms": [1.0, 0.7, 1.0, 8], "missed": [0.0, 0.0, 0.1, 9]},
    }
    found = list(warnings(replace(DECISION, level="region", expected=expected)))
    assert [one.split(": ")[0] for one in found] == [
        "false alarms a picture (5 at most)",
        "good parts stopped",
    ]


def test_a_goal_of_regions_says_how_to_give_one_of_parts():
    expected = {
        "all": {"false_alarms": [0.1, 0.0, 0.2, 8], "missed": [0.3, 0.2, 0.4, 9]},
        "parts": {"false_alarms": [0.1, 0.0, 0.2, 8], "missed": [0.9, 0.7, 1.0, 9]},
    }
    (found,) = warnings(replace(DECISION, level="region", expected=expected))
    assert found.endswith("Its goals count no parts. Give one that does: level=part max_missed=0.1")


def test_prices_say_whose_goal_it_is_and_which_parts_are_lacking():
    prices = [
        {"goal": 0.05, "needs": 45},
        {"goal": 0.2, "threshold": 0.4, "false_alarms": 0.125, "missed": 0.1},
        {"goal": 0.01, "needs": None},
    ]
    few, granted, none = words.price_rows(replace(DECISION, prices=prices))
    assert few == ("max_missed ≤ 0.05", "not granted", "", "", "45 parts with defects")
    assert granted == ("max_missed ≤ 0.2", "0.4", "0.125", "0.100", "")
    assert none.needs == "no number is enough"
    alarms = replace(DECISION, prices=prices, wanted={"max_false_alarms": 0.1, "confidence": 0.9})
    assert next(words.price_rows(alarms))[::4] == ("max_false_alarms ≤ 0.05", "45 good parts")
    regions = next(words.price_rows(replace(alarms, level="region")))
    assert regions.needs == "45 parts"
