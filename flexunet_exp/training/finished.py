"""Finds work that a run of the store has already done: it is skipped, not trained again."""

from __future__ import annotations

import math
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from flexunet_exp.config.identity import Identity
from flexunet_exp.errors import Hopeless
from flexunet_exp.runs import claims
from flexunet_exp.runs.outcome import Outcome, keep_outcome, read_outcome
from flexunet_exp.tracking import outbox, record
from flexunet_exp.tracking.outbox import Outbox
from flexunet_exp.tracking.record import BEST_DICE
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training.settings import Request


def skip(request: Request, identity: Identity, tracker: Tracker) -> Outcome | None:
    """The outcome of a run that did the same work, as `rerun` reads it; None where there is none.

    Records that run in the multirun, and registers its model where `tracking.register` names one.
    Raises Hopeless where the run did not reach what `require` asks for.
    """
    store = tracker.store_with(identity.signature)
    if store is None:
        return None
    ended = store.ended(identity.signature, identity.scoring, request.rerun)
    if ended is None:
        return None
    outcome = record.skip(ended, tracker.name, request.objective)
    if parent := tracker.settings.parent_run_id:
        store.record_skipped(parent, ended.info.run_id, record.typed_words())
    require(request.require, ended.data.metrics.get(BEST_DICE, math.nan))
    if outcome.status == "skipped":
        complete(outcome, identity.signature)
        if name := tracker.settings.register:
            from flexunet_exp.tracking import registry

            registry.register(
                store, ended.info.run_id, Path(outcome.folder), name, request.objective
            )
    return outcome


def require(least: float | None, reached: float) -> None:
    """Raises Hopeless unless a run's best val_dice, at training size, exceeds `least`."""
    if least is not None and not reached > least:
        raise Hopeless(
            f"val_dice reached {reached:.4f} and must exceed {least}. If the network cannot "
            "memorise these pictures, check the model, the loss, the learning rate and the masks."
        )


def complete(outcome: Outcome, signature: str) -> None:
    """Completes a run that the store has as finished, but that was killed before it cleaned up.

    Removes the state and the unsent entries of the outbox, and writes `finished` to result.json.
    """
    folder = Path(outcome.folder)
    with suppress(claims.Busy, outbox.Held):
        if taken := claims.take_up(folder, signature):
            if outbox.exists(folder):
                with closing(Outbox(folder)) as kept:
                    kept.rewind(kept.facts.delivered)
            taken.end()
        if (kept_one := read_outcome(folder)).status == "killed":
            whole = replace(kept_one, status="finished", objective=outcome.objective)
            keep_outcome(folder, whole)
