"""A comparison as data: groups, leaders with their evidence, pairs, and what is left out."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from flexunet_exp.commands.compare import evidence as evidences
from flexunet_exp.commands.compare import missed as missing
from flexunet_exp.commands.compare.cells import LESS_IS_BETTER, Group, cells_of, groups_of
from flexunet_exp.commands.compare.evidence import Evidence, Files
from flexunet_exp.commands.compare.selection import Selection, Trial, newest
from flexunet_exp.decisions.missed import Missed
from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.scores import paired
from flexunet_exp.scores.paired import PairedDifference

log = logging.getLogger(__name__)

NO_RANK = tuple(  # validation figures that are only counts, or of which less is better
    f"val/{start}" for start in ("baseline_", "num_", "false_alarms", "smallest_found")
)
BETTER, WORSE, TIE, UNKNOWN = "better", "worse", "tie", "no verdict"


class PairTest(NamedTuple):
    """How two leaders are compared on test."""

    difference: Callable[[Evidence, Evidence], PairedDifference]  # InputError: why there is none
    is_less_better: bool = False


MACRO_DICE = PairTest(evidences.difference)


class Pair(NamedTuple):
    """Two leaders by their places in the group; `verdict` judges the first of them."""

    first: int
    second: int
    result: PairedDifference | None  # None if they are not comparable
    holm: float  # the p-value corrected for the number of pairs
    verdict: str
    because: str  # why there is no verdict


@dataclass
class Judged:
    """A group with the evidence on its leaders, the best cells, by their places from 0."""

    group: Group
    leaders: dict[int, Evidence]
    pairs: list[Pair]
    missed: dict[int, Missed] = field(default_factory=dict)  # on test, with metric=missed

    def label(self, place: int) -> str:
        return self.group.label(self.group.cells[place])

    @property
    def has_folds(self) -> bool:
        """Whether a leader's test pictures come from several folds, which are pooled."""
        return any(len(tests) > 1 for one in self.leaders.values() for tests in one.units())

    @property
    def against_first(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.first == 0]

    def of_first(self, place: int) -> str:
        """A leader's verdict on test against the first; empty if the two are not a pair."""
        verdicts = [pair.verdict for pair in self.against_first if pair.second == place]
        turned = {BETTER: WORSE, WORSE: BETTER}
        return turned.get(verdicts[0], verdicts[0]) if verdicts else ""


@dataclass
class Comparison:
    """All that is shown; cells are ranked by `metric`, and `twin` is the same figure on test."""

    title: str
    metric: str
    groups: list[Judged]
    left_out: list[tuple[Trial, str]]  # runs, and why
    where: tuple[str, ...]  # the words that make a command use their store
    notes: list[str] = field(default_factory=list)
    at: float = 0.0  # with metric=missed: the share of good parts stopped

    @property
    def twin(self) -> str:
        return twin(self.metric)

    @property
    def tested_figure(self) -> str:
        """What the pairs compare on test, in words."""
        return "share of missed parts" if self.metric in LESS_IS_BETTER else "macro Dice"


def twin(metric: str) -> str:
    return metric.replace("val/", "test/", 1)


def compare(
    selection: Selection,
    metric: str,
    top: int,
    files: Files,
    where: tuple[str, ...] = (),
    at: float = 0.0,
) -> Comparison:
    """Ranks the selected runs, and compares the leaders of each group in pairs.

    `metric` is a validation figure, or `missed`, at a share of good parts stopped. Raises
    InputError if no run can be ranked.
    """
    trials = newest(selection.trials)
    finished = [trial for trial in trials if trial.status == "FINISHED"]
    left_out = [(trial, why(trial)) for trial in trials if trial.status != "FINISHED"]
    if metric == missing.MISSED:
        metric = f"val/{missing.MISSED}"
        finished, without = missing.measured(finished, files, at)
        left_out += without
        check_measured(finished, without)
    else:
        check_metric(metric, finished, selection)
    cells, outdated = cells_of(finished)
    left_out += outdated
    notes: list[str] = []
    is_missed = metric == f"val/{missing.MISSED}"
    test = PairTest(missing.Pairing(files, at), True) if is_missed else MACRO_DICE
    groups = [judged(group, top, files, notes, test) for group in groups_of(cells, metric)]
    if is_missed:
        for one in groups:
            add_missed(one, files, at)
        notes.append(missing.note(at))
    notes = notes_on(groups, metric) + notes
    return Comparison(selection.title, metric, groups, left_out, where, notes, at)


def check_measured(finished: Sequence[Trial], without: Sequence[tuple[Trial, str]]) -> None:
    """Raises InputError, with the reasons, if no run has the share missed."""
    if not finished:
        reasons = dict.fromkeys(reason for _, reason in without)
        raise InputError(
            [f"No run can be ranked by metric={missing.MISSED}: {one}" for one in reasons]
            or [f"There is no finished run to rank by metric={missing.MISSED}. Try runs=all"]
        )


def add_missed(one: Judged, files: Files, at: float) -> None:
    """Adds what the leaders miss on test."""
    for place in one.leaders:
        if (found := missing.on_test(one.group.cells[place], files, at)) is not None:
            one.missed[place] = found


def why(trial: Trial) -> str:
    return f"{trial.status.lower()}: {trial.error}" if trial.error else trial.status.lower()


def check_metric(metric: str, finished: Sequence[Trial], selection: Selection) -> None:
    if not finished:
        ends = Counter(trial.status.lower() for trial in selection.trials)
        counts = ", ".join(f"{number} {end}" for end, number in ends.items())
        found = f"none of its runs has finished ({counts})" if ends else "there is no run in it"
        raise InputError(
            f"{selection.title}: {found}, so there is nothing to compare. Try runs=all or another "
            "tracking.experiment_name=NAME, or train with flexunet train"
        )
    known = sorted({key for trial in finished for key in trial.metrics if can_rank(key)})
    if metric in known:
        return
    hint = did_you_mean(str(metric), known)
    overall = ", ".join(key for key in known if key.count("/") == 1)
    raise InputError(
        f"metric={metric} is not a validation figure of these runs of which higher is better."
        f"{hint} Runs are ranked by validation, and test is shown beside it. There are: {overall}, "
        "and those of each class such as val/dice/NAME"
    )


def can_rank(figure: str) -> bool:
    """Whether a higher value of this figure means a better run."""
    return figure.startswith("val/") and not figure.startswith(NO_RANK)


def judged(group: Group, top: int, files: Files, notes: list[str], test: PairTest) -> Judged:
    """The group with its best `top` cells read and compared; adds what is missing to `notes`."""
    leaders = {}
    for place, cell in enumerate(group.cells[:top]):
        log.info("Reading %s: %s", group.name, group.label(cell))
        try:
            leaders[place] = evidences.of_cell(cell, files)
        except InputError as error:
            notes += [
                f"#{place + 1} of {group.name} is not compared: {why}" for why in error.problems
            ]
    return Judged(group, leaders, pairs_of(leaders, test))


def pairs_of(leaders: Mapping[int, Evidence], test: PairTest) -> list[Pair]:
    """Every pair, its p-value corrected by Holm over those that have a verdict."""
    found: list[tuple[int, int, PairedDifference | None, str]] = []
    for first, second in itertools.combinations(leaders, 2):
        try:
            result = test.difference(leaders[first], leaders[second])
            found.append((first, second, result, paired.too_few(result)))
        except InputError as error:
            found.append((first, second, None, str(error)))
    corrected = paired.holm([pair[2].p if pair[2] and not pair[3] else np.nan for pair in found])
    return [
        Pair(*pair[:3], holm, verdict(pair[2], holm, test.is_less_better), pair[3])
        for pair, holm in zip(found, corrected, strict=True)
    ]


def verdict(result: PairedDifference | None, holm: float, is_less_better: bool) -> str:
    """What a difference says of the first of a pair."""
    if result is None or np.isnan(holm):
        return UNKNOWN
    if holm > paired.LEVEL:
        return TIE
    return WORSE if (result.difference > 0) == is_less_better else BETTER


def notes_on(groups: Sequence[Judged], metric: str) -> list[str]:
    """Sentences on groups, partial cells and undefined figures, which the tables only show."""
    notes = []
    if len(groups) > 1:
        notes.append(
            f"The runs have {len(groups)} different sets of test pictures or classes. Each set has "
            "its own leaderboard."
        )
        notes += [f"{one.group.name}: {one.group.tested_on}." for one in groups]
    for one in groups:
        partial = [cell for cell in one.group.cells if one.group.is_partial(cell)]
        if partial:
            notes.append(
                f"{one.group.name}: {len(partial)} cells (marked *) have fewer or more folds than "
                "the others, or not every fold of each seed. They are ranked last, and their means "
                "are not comparable."
            )
        undefined = [cell for cell in one.group.cells if np.isnan(cell.values(metric)).any()]
        if undefined:
            notes.append(
                f"{one.group.name}: {len(undefined)} cells have runs without {metric}. They are "
                "ranked below cells that have it in every run."
            )
        notes += unlearned(one.group)
    return notes


def unlearned(group: Group) -> list[str]:
    """A sentence on runs that have learned nothing; none where all have learned."""
    runs = [trial for cell in group.cells for trial in cell.trials]
    ids = [trial.run_id[:8] for trial in runs if not trial.learned]
    if not ids:
        return []
    named = ", ".join(ids[:5]) + (" …" if len(ids) > 5 else "")
    first = (
        "No cell has, so there is no winner."
        if not group.cells[0].has_learned
        else ("Cells of such runs alone are ranked last.")
    )
    return [
        f"{group.name}: {len(ids)} of {len(runs)} runs have learned nothing: in no epoch did they "
        f"beat predicting nothing and everything ({named}). {first}"
    ]
