"""Finds the run a command is for: an unfinished one that the same command began, or a new one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from flexunet_exp.errors import Hopeless, InputError
from flexunet_exp.jobs import job, processes
from flexunet_exp.runs import claims
from flexunet_exp.runs.claims import Claim
from flexunet_exp.runs.outcome import RESULT, holds_run
from flexunet_exp.tracking import outbox, uploads
from flexunet_exp.tracking.entries import StatusEntry
from flexunet_exp.tracking.outbox import Outbox
from flexunet_exp.tracking.tracker import Tracker

log = logging.getLogger(__name__)

# Seconds that a command waits for the end of another process of its run.
PATIENCE = processes.SECONDS_TO_END + 5
# The same for a process on another machine: if that is gone, a file server ends its lock when its
# lease has run out, after 90 seconds by NFS's default.
PATIENCE_ELSEWHERE = 120


def await_end(resume: str, signature: str, home: job.Home, tracker: Tracker) -> None:
    """Waits for the end of a process that trains this run, such as a killed sweep's worker."""
    if resume == "never":
        return
    started = time.monotonic()
    for folder in claims.search(signature, begun(tracker, signature), home.folder):
        patience = PATIENCE_ELSEWHERE if claims.is_elsewhere(folder) else PATIENCE
        if claims.is_busy(folder):
            log.info("Waiting up to %d s for another process of this run, %s", patience, folder)
        while claims.is_busy(folder) and time.monotonic() < started + patience:
            time.sleep(0.2)


def begun(tracker: Tracker, signature: str) -> dict[str, tuple[str, str]]:
    """The runs in the store that began this work: run folder → newest run's id and status."""
    store = tracker.store_with(signature)
    return store.begun(signature) if store else {}


def claim(resume: str, signature: str, home: job.Home, tracker: Tracker) -> Claim:
    """The claim on the run this command is for.

    Going on with a run moves the job into its folder, and the tracker to its run in the store.
    With `resume` "never" an unfinished run is ended as KILLED and keeps its files. Raises
    InputError where another process trains the run.
    """
    stored = begun(tracker, signature)
    busy: claims.Busy | None = None
    for folder in claims.search(signature, stored, home.folder):
        try:
            taken = claims.take_up(folder, signature)
        except claims.Busy as error:
            busy = error
            continue
        if taken and resume == "never" and folder == home.folder:
            taken.release()
            home.is_ours = False
            raise InputError(
                f"{folder} holds this very run, unfinished. Choose another hydra.run.dir, or leave "
                "out trainer.resume=never to go on with it."
            )
        if taken and may_go_on(resume, taken, tracker, stored):
            home.move_to(folder)
            (folder / RESULT).unlink(missing_ok=True)  # of an interruption, which is over now
            log.info("Going on with the unfinished run in %s", folder)
            return taken
    if busy and resume != "never":
        home.is_ours = not claims.is_marked(home.folder)
        raise busy
    return begin(home, signature)


def may_go_on(
    resume: str, taken: Claim, tracker: Tracker, stored: dict[str, tuple[str, str]]
) -> bool:
    """Whether to go on with a run that was taken up; its run in the store is then the tracker's."""
    run_id, status = stored.get(str(taken.run_folder), (outbox.run_id_in(taken.run_folder), ""))
    if status == "FINISHED":  # it was killed after its last report
        taken.end()
        return False
    if resume == "never":
        abandon(taken, tracker.settings.uri)
        return False
    is_there = tracker.is_away or (run_id and tracker.store and tracker.store.has_run(run_id))
    is_told_nowhere = outbox.exists(taken.run_folder) and not tracker.settings.uri
    if is_told_nowhere or (run_id and not is_there):
        taken.release()
        which = f"run {run_id}" if run_id else "a run"
        raise InputError(
            f"The unfinished run in {taken.run_folder} is {which} of another store. Go on with it "
            "with the tracking options it began with, or start a new run with trainer.resume=never"
        )
    tracker.open(taken.run_folder)
    return True


def abandon(taken: Claim, uri: str | None) -> None:
    """Ends an unfinished run as KILLED, here and in the store at `uri`; its files stay."""
    folder = taken.run_folder
    log.info("The unfinished run in %s keeps its files; its state is removed.", folder)
    if outbox.exists(folder):
        with closing(Outbox(folder)) as kept:
            if kept.facts.run_id or kept.length:
                kept.append([StatusEntry("KILLED")])
    taken.end()
    sent = uploads.upload_own(folder, uri)
    if sent.left:
        log.warning("%s: %d entries are not in the store yet: %s", folder, sent.left, sent.because)


def begin(home: job.Home, signature: str) -> Claim:
    """A new run in the folder that Hydra made; InputError where that holds another run."""
    home.is_ours = not holds_run(home.folder) and not claims.is_marked(home.folder)
    if holds_run(home.folder):
        raise InputError(
            f"{home.folder} holds a run already. Choose another folder with hydra.run.dir=FOLDER"
        )
    taken = claims.begin(home.folder, signature)
    home.is_ours = True
    return taken


@contextmanager
def ended_if_hopeless() -> Iterator[list[Claim]]:
    """Ends the claims put into its list when their run has ended, or failed as it would again.

    After any other error (Ctrl-C, a full disk, a store or data that are away, a mistyped callback)
    it releases a claim that has a state, and the same command goes on from there. Ctrl-C also
    releases a claim without a state.
    """
    held: list[Claim] = []
    try:
        yield held
    except BaseException as error:
        for taken in held:
            goes_on = taken.has_state or isinstance(error, KeyboardInterrupt)
            if goes_on and not isinstance(error, Hopeless):
                taken.release()
            else:
                taken.end()
        raise
    for taken in held:
        taken.end()
