"""A decision in words: what its figures are worth, and what they do not say."""

from __future__ import annotations

from dataclasses import replace

from flexunet_exp.decisions import file
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.rules import ClassRule, Rule
from flexunet_exp.reporting import decision_words as words

DECISION = Decision(
    *("careful", "estimate", "part", "all", {"max_missed": 0.1, "confidence": 0.9}),
    file.values_of(Rule({"scratch": ClassRule(0)})),
    *(["a1", "b2"], {}, {"part": "test", "pictures": 50, "sources": 50, "digest": "0f"}, 0.3),
    {"parts": {"false_alarms": [0.25, 0.1, 0.4, 8], "missed": [0.0, 0.0, 0.069, 42]}},
)


def test_an_estimate_says_that_the_folds_together_may_stop_fewer_parts():
    sentence = words.kind_sentence(DECISION)
    assert "lower probabilities" in sentence and "may stop fewer parts than estimated" in sentence
    assert "ensemble=true decision=careful" in sentence and "split.calibration=0.2" in sentence
    guarantee = words.kind_sentence(replace(DECISION, kind="guarantee"))
    assert "fewer" not in guarantee
