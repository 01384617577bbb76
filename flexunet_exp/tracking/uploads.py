"""Uploads the outboxes of runs that have ended."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims
from flexunet_exp.tracking.address import absolute_uri, is_store, require_store, sqlite_file
from flexunet_exp.tracking.outbox import FACTS, Outbox, exists, read_facts
from flexunet_exp.tracking.sender import Away, Sender, Unwanted
from flexunet_exp.tracking.trouble import store_trouble

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Where outboxes lie: in run folders, and in a multirun's own.
PLACES = (*claims.DEFAULT_PLACES, "outputs/multirun/*/*")


class Sent(NamedTuple):
    """The numbers of entries taken and left by an upload, and why some are left."""

    taken: int
    left: int
    because: str = ""
    is_away: bool = False


def upload(folder: Path, uri: str | None = None) -> Sent:
    """Uploads the outbox of a run that has ended, and removes it when no entry is left.

    Uploads to the store that the outbox names, or to `uri`; never creates a store.
    """
    try:
        with closing(Outbox(folder)) as outbox:
            return upload_outbox(outbox, uri)
    except (InputError, OSError, ValueError, RecursionError) as trouble:
        return Sent(0, 1, str(trouble))


def upload_outbox(outbox: Outbox, uri: str | None) -> Sent:
    before, sender, trouble = outbox.num_left(), Sender(outbox, uri), Sent(0, 0)
    if not before:
        outbox.remove()
        return trouble
    require_known(sender.uri, is_named=uri is not None)
    try:
        sender.require_own_run()
        sender.send_refused()
        sender.send()
    except Away as away:
        is_away = not isinstance(away, Unwanted)
        trouble = Sent(0, 0, store_trouble(away.__cause__), is_away)
    left = outbox.num_left()
    if not left:
        outbox.remove()
    refused = "the store refuses it" if left else ""
    return Sent(max(0, before - left), left, trouble.because or refused, trouble.is_away)


def require_known(uri: str, is_named: bool) -> None:
    """Raises InputError where a run folder names a store that is not safe to send to.

    A run folder may come from anyone, and MLflow sends any server the password in the environment.
    """
    require_store(uri)
    if is_named:
        return
    path = sqlite_file(uri)
    if path and not is_store(path):
        raise InputError(f"{path} is not an MLflow store.")
    if not path and urlsplit(uri).hostname not in LOOPBACK:
        raise InputError(f"It is for the server {uri}. To send it there, add tracking.uri={uri}")


def upload_near(uri: str | None) -> None:
    """Uploads the outboxes of ended runs near here, so that the store has these runs."""
    if not uri:
        return
    for folder in unsent_folders(Path.cwd()):
        if is_for(folder, uri):
            sent = upload(folder, uri)
            because = f" {sent.because}" if sent.because else ""
            log.info("%s: %d entries uploaded, %d left.%s", folder, sent.taken, sent.left, because)
            if sent.is_away:
                return


def upload_own(folder: Path, uri: str | None) -> Sent:
    """Uploads the outbox of a folder, if it has one, to the outbox's own store."""
    if not exists(folder):
        return Sent(0, 0)
    return upload(folder, uri if uri and is_for(folder, uri) else None)


def is_for(folder: Path, uri: str) -> bool:
    """Whether a folder's outbox is for the store at this address; False where it is damaged."""
    with suppress(InputError):
        return read_facts(folder).uri == absolute_uri(uri)
    return False


def unsent_folders(here: Path) -> Iterator[Path]:
    """The folders of ended runs near here whose outbox is not empty."""
    for place in PLACES:
        for path in sorted(here.glob(f"{place}/{FACTS}")):
            if not claims.is_marked(path.parent):
                yield path.parent
