"""What is asked of a decision: a level, and goals or costs; and the rule that answers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from flexunet_exp.decisions import choosing, levels, shapes
from flexunet_exp.decisions.choosing import Costs, Goals, Risks
from flexunet_exp.decisions.refusals import refused, require_sources
from flexunet_exp.decisions.rules import PIXEL, ClassRule, Rule, Shape
from flexunet_exp.errors import InputError
from flexunet_exp.scores.region_record import RegionRecord

ALL, CLASS = "all", "class"
PARTS = "parts"  # the parts that a rule stops, beside what its level counts


@dataclass(frozen=True)
class Question:
    """`by` all defect classes have one rule, or each class its own; `goals` or `costs`."""

    level: str
    by: str
    goals: Goals
    costs: Costs | None
    overlap: float  # share of a defect that must be covered for it to be found

    def groups(self, record: RegionRecord) -> list[tuple[str, int]]:
        """The name and the class index of each rule: 0 for one rule of all classes."""
        if self.by == ALL:
            return [(ALL, 0)]
        return [(name, index) for index, name in enumerate(record.classes) if index]

    def risks(self, record: RegionRecord, shape: Shape, index: int = 0) -> Risks:
        return levels.risks(record, self.level, shape, self.overlap, index)


def answer(question: Question, chosen_on: RegionRecord, learnt_on: RegionRecord) -> Rule:
    """The rule whose thresholds are granted by the sources of `chosen_on`.

    The shapes of regions are learnt from `learnt_on`. Raises InputError with what the sources can
    support instead, of every class that they do not suffice for.
    """
    found: dict[str, ClassRule] = {}
    problems: list[str] = []
    for name, index in question.groups(chosen_on):
        try:
            found[name] = class_rule(question, chosen_on, learnt_on, name, index)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    defects = chosen_on.classes[1:]
    return Rule({name: found[ALL] if question.by == ALL else found[name] for name in defects})


def class_rule(
    question: Question, chosen_on: RegionRecord, learnt_on: RegionRecord, name: str, index: int
) -> ClassRule:
    shape = Shape()
    if question.level != PIXEL:
        shape = shapes.learnt(
            lambda one: question.risks(learnt_on, one, index), question.goals, question.costs
        )
    risks = question.risks(chosen_on, shape, index)
    goals, costs = question.goals, question.costs
    needs = [costs is not None or goal is not None for goal in goals.wanted]
    require_sources(risks, name, *needs)
    if costs is not None:
        return ClassRule(choosing.cheapest(risks, costs), shape)
    candidates = choosing.granted(risks, goals)
    if not len(candidates):
        raise refused(risks, question.level, name, goals)
    return ClassRule(choosing.best(risks, goals, candidates), shape)


class Figure(NamedTuple):
    """A mean loss over sources, and its two-sided interval; NaN without a source."""

    value: float
    low: float
    high: float
    sources: int


Figures = Mapping[str, Mapping[str, Figure]]  # group → false_alarms, missed → figure


def figures(question: Question, record: RegionRecord, rule: Rule) -> dict[str, dict[str, Figure]]:
    """What the rule does to the pictures of a record, at its level and to whole parts."""
    return {
        name: shown(*pair, question.goals.confidence)
        for name, pair in groups_of(question, record, rule)
    }


def cost(question: Question, record: RegionRecord, rule: Rule) -> list[float]:
    """The expected cost of a part, and its upper bound; nothing where there are no costs."""
    if question.costs is None:
        return []
    first = next(iter(rule.of_class.values()))
    risks = question.risks(record, first.shape)
    expected = float(question.costs.expected(risks)[first.place])
    return [expected, question.costs.upper_bound(risks, first.place, question.goals.confidence)]


def groups_of(
    question: Question, record: RegionRecord, rule: Rule
) -> Iterator[tuple[str, tuple[Risks, int]]]:
    """Each group's losses under all thresholds, and the place of the rule's own."""
    for name, index in question.groups(record):
        of_class = rule.of_class[record.classes[index or 1]]
        yield name, (question.risks(record, of_class.shape, index), of_class.place)
    stopped = levels.stopped_by(record, rule)[:, None]
    yield PARTS, (levels.part_risks(record, stopped), 0)


def shown(risks: Risks, place: int, confidence: float) -> dict[str, Figure]:
    pairs = (("false_alarms", risks.false_alarms), ("missed", risks.missed))
    return {
        name: Figure(float(losses.means[place]), *losses.interval(place, confidence), losses.number)
        for name, losses in pairs
    }
