"""Compares packages and machine, and the weights that a run began with, to those here."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from flexunet_exp.commands.reproduce.checks import DIFFERENT, SAME, UNKNOWN, Check, changes
from flexunet_exp.commands.reproduce.recorded import Recorded
from flexunet_exp.tracking import provenance
from flexunet_exp.training import starting
from flexunet_exp.training.starting import Start

RANDOM = "Random ones, from the seed."
GO_ON = "To begin with the weights that are here: data=warn."


def check(recorded: Recorded) -> Check:
    """Which versions differ, and whether it is another machine; it never refuses."""
    then = recorded.provenance.get("packages")
    if then is None:
        return Check("packages", UNKNOWN, ["The run keeps no versions of its packages."])
    now = provenance.packages()
    if found := changes(then, now):
        sentences, state = [f"Other versions: {'; '.join(found)}."], DIFFERENT
    else:
        sentences, state = [f"All {len(now)} versions are those of the run."], SAME
    machine = changes(recorded.provenance.get("machine", {}), provenance.machine())
    if machine:
        sentences.append(f"Another machine, so last digits can differ: {'; '.join(machine)}.")
    return Check("packages", state, sentences)


def first_weights(
    recorded: Recorded, wanted: DictConfig, mode: str, scratch: Path
) -> tuple[Check, Start | None]:
    """Whether the weights that the run began with are here, and these weights.

    Refuses other ones unless `mode` is warn. Raises InputError where `init_from` names no network
    any more.
    """
    start = starting.find(wanted, scratch)
    now = provenance.first_weights(wanted, (start.source, start.digest) if start else None)
    state, said = compared(recorded, now)
    sentences = [said]
    if recorded.went_on_from:
        sentences.append(
            f"The run went on from the last state of run {recorded.went_on_from}. It is trained "
            "again from the beginning."
        )
    refuses = state == DIFFERENT and mode != "warn"
    return Check("first weights", state, sentences, f"{said} {GO_ON}" if refuses else ""), start


def compared(recorded: Recorded, now: dict[str, str]) -> tuple[str, str]:
    """Whether a training now begins with the same weights, and a sentence on it."""
    if not now and "first_weights" not in recorded.provenance:
        return SAME, RANDOM
    if "first_weights" not in recorded.provenance:
        return UNKNOWN, "The run keeps no digest of the weights it began with."
    if found := changes(recorded.provenance["first_weights"], now):
        return DIFFERENT, f"Other weights to begin with: {'; '.join(found)}."
    return SAME, "Those of the run." if now else RANDOM
