"""What is proposed, and why, as rows and sentences."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.commands.propose.judging import Judged, Report
from flexunet_exp.commands.propose.known import Known
from flexunet_exp.labels import proposing
from flexunet_exp.labels.compared import components
from flexunet_exp.labels.proposing import Candidate, Choice, Chosen
from flexunet_exp.system.files import harmless, whole_or_nothing

COLUMNS = (
    *("rank", "file", "name", "score", "uncertainty", "disagreement", "distance", "regions"),
    "reason",
)
MANY = 0.5  # share of the pictures that a signal must exceed, to be a reason


@dataclass(frozen=True)
class Proposed:
    """A proposed picture."""

    rank: int
    choice: Choice
    judged: Judged
    reason: str


@dataclass(frozen=True)
class Proposal:
    """The proposed pictures, the first first, and what became of the others."""

    pictures: list[Proposed]
    report: Report
    chosen: Chosen


def propose(report: Report, known: Known, most: int) -> Proposal:
    """Chooses at most `most` of the judged pictures."""
    candidates = [
        Candidate(one.picture.file, one.signals, one.seen.look, one.seen.fingerprint)
        for one in report.judged
    ]
    chosen = proposing.choose(candidates, known.looks, most)
    pictures = [
        Proposed(rank, choice, report.judged[choice.place], reason(choice, report))
        for rank, choice in enumerate(chosen.choices, 1)
    ]
    return Proposal(pictures, report, chosen)


def reason(choice: Choice, report: Report) -> str:
    """Why a picture was chosen, as a sentence: its strong signals, the strongest first."""
    uncertainty, disagreement = report.judged[choice.place].signals
    words = {
        "uncertainty": f"more uncertain ({uncertainty:.2g} bits) than {{}} of the others",
        "disagreement": f"the networks disagree more ({disagreement:.2g} bits) than in {{}} of the "
        "others",
        "distance": f"further from every labelled or chosen picture ({choice.distance:.1f} grey "
        "levels) than {} of the others left",
    }
    ranks = {key: rank for key, rank in choice.ranks._asdict().items() if not math.isnan(rank)}
    strong = sorted(
        (key for key, rank in ranks.items() if rank > MANY), key=lambda key: -ranks[key]
    )
    if not strong:
        return "No signal is strong; the mean of its ranks is the highest of those left."
    text = "; ".join(words[key].format(f"{ranks[key]:.0%}") for key in strong)
    return f"{text[0].upper()}{text[1:]}."


def regions(one: Judged, class_names: tuple[str, ...]) -> str:
    """The predicted regions in words: `2 scratch (310 px), 1 dent (40 px)`."""
    numbers: Counter[int] = Counter()
    for label, _, _ in components(one.mask):
        numbers[label] += 1
    areas = np.bincount(one.mask.ravel(), minlength=len(class_names))
    parts = [f"{n} {class_names[label]} ({areas[label]} px)" for label, n in numbers.items()]
    return ", ".join(parts) or "no defect"


def write(path: Path, proposal: Proposal, names: dict[Path, str], classes: tuple[str, ...]) -> None:
    """proposal.csv: the proposed pictures by rank, then the others with why they are not."""
    rows = [
        row(one.judged, names, classes, one.reason, one.rank, one.choice)
        for one in proposal.pictures
    ]
    rows += sorted(passed_over(proposal, names, classes), key=lambda values: values["file"])
    with (
        whole_or_nothing(path) as part,
        open(part, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: harmless(value) for key, value in one.items()} for one in rows)


def row(
    one: Judged,
    names: dict[Path, str],
    classes: tuple[str, ...],
    why: str,
    rank: int | None = None,
    choice: Choice | None = None,
) -> dict[str, Any]:
    return {
        "rank": rank or "",
        "file": shown(one.picture.file),
        "name": shown(names[one.picture.path]),
        "score": number(choice.score if choice else math.nan),
        "uncertainty": number(one.signals.uncertainty),
        "disagreement": number(one.signals.disagreement),
        "distance": number(choice.distance if choice else math.nan),
        "regions": regions(one, classes),
        "reason": why,
    }


def passed_over(
    proposal: Proposal, names: dict[Path, str], classes: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The rows of the pictures that are not proposed."""
    report, chosen = proposal.report, proposal.chosen
    taken = {choice.place for choice in chosen.choices}
    rows = []
    for place, one in enumerate(report.judged):
        if place in taken:
            continue
        why = "not proposed: others score higher"
        if place in chosen.copies:
            original = report.judged[chosen.copies[place]].picture.file
            why = f"not proposed: a near copy of {shown(original)}, which is"
        rows.append(row(one, names, classes, why))
    for copied in report.copied:
        why = f"not proposed: a near copy of {shown(copied.original)}, which is labelled"
        rows.append({"file": shown(copied.picture.file), "reason": why})
    for refused in report.refused:
        rows.append({"file": shown(refused.picture.file), "reason": shown(refused.reason)})
    return rows


def number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def shown(name: str) -> str:
    """A file's name as text; bytes that are no UTF-8 become �."""
    return os.fsencode(name).decode("utf-8", "replace")
