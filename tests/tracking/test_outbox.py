"""The outbox and its upload to a store that is locked, full, away, or refuses a part of it."""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST
from PIL import Image

from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims, outcome
from flexunet_exp.tracking import artifacts
from flexunet_exp.tracking.entries import ArtifactEntry, StatusEntry, TagsEntry
from flexunet_exp.tracking.outbox import ENTRIES, FACTS, Facts, Held, Outbox, exists
from flexunet_exp.tracking.reachable import ANSWER_SECONDS, is_away
from flexunet_exp.tracking.sender import Sender
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import Store
from flexunet_exp.tracking.tracker import Tracker, tracked
from flexunet_exp.tracking.uploads import unsent_folders, upload
from flexunet_exp.training import finished, resuming
from tests.support.serving_store import free_port


def tracker_of(uri: str, folder: Path, parent: str | None = None) -> Tracker:
    folder.mkdir(parents=True, exist_ok=True)
    return Tracker(TrackingSettings(uri, "flexunet", parent_run_id=parent), "run", folder)


@pytest.fixture
def uri(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/mlruns/mlflow.db"


def steps(uri: str) -> list[list[int]]:
    """The steps of the metric `dice` of each run in a store."""
    store = Store(uri, "flexunet")
    ids = [run.info.run_id for run in store.search()]
    return [[m.step for m in store.client.get_metric_history(run_id, "dice")] for run_id in ids]


def epoch(tracker: Tracker, step: int) -> None:
    tracker.metrics({"dice": 0.5}, step)
    tracker.commit()
    tracker.next_attempt = 0.0  # as if that long had passed
    tracker.upload()


def test_a_locked_store_is_logged_once_and_sent_later(uri, tmp_path, caplog):
    with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
        epoch(tracker, 1)
        other = sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")
        other.execute("BEGIN EXCLUSIVE")
        epoch(tracker, 2)
        epoch(tracker, 3)
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == 1 and "another program holds its database" in said[0]
        other.close()
        with caplog.at_level("INFO"):
            epoch(tracker, 4)
        assert "The store is back: 3 entries" in caplog.text
    assert steps(uri) == [[1, 2, 3, 4]]
    tracker.close()
    assert not exists(tmp_path / "run")


def test_an_image_whose_sending_was_interrupted_is_there_once(uri, tmp_path, monkeypatch):
    whole = artifacts.log_image

    def interrupted(*entry):
        monkeypatch.undo()
        whole(*entry)
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts, "log_image", interrupted)
    tracker = tracker_of(uri, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), tracked(tracker):
        tracker.begin({})
        epoch(tracker, 1)
        Image.new("RGB", (8, 8)).save(tracker.folder / "picture.png")
        tracker.image("picture", tracker.folder / "picture.png", 1)
        epoch(tracker, 2)
    store = Store(uri, "flexunet")
    files = store.client.list_artifacts(tracker.run_id, "images")
    assert sorted(Path(file.path).suffix for file in files) == [".png", ".webp"]
    assert steps(uri) == [[1, 2]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_store_on_a_full_disk_is_sent_it_when_there_is_space(tmp_path, caplog):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    uri = f"sqlite:///{disk}/mlflow.db"
    try:
        with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
            tracker.begin({})
            epoch(tracker, 1)
            with (disk / "filler").open("wb", buffering=0) as filler:
                while True:
                    try:
                        filler.write(b"\0" * 4096)
                    except OSError:
                        break
            for step in range(2, 40):  # SQLite has some pages free
                epoch(tracker, step)
        tracker.close()
        assert caplog.text.count("its disk is full") == 1
        assert "flexunet sync run=" in caplog.text
        (disk / "filler").unlink()
        sent = upload(tmp_path / "run")
        assert sent.left == 0 and sent.taken > 0
        assert steps(uri) == [list(range(1, 40))]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_what_the_store_refuses_holds_up_nothing_else(uri, tmp_path, caplog):
    with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
        tracker.metrics({"no@name": 1.0}, 1)
        epoch(tracker, 1)
        epoch(tracker, 2)
    tracker.close()
    assert caplog.text.count("The store refused an entry") == 1 and "no@name" in caplog.text
    assert steps(uri) == [[1, 2]]
    sent = upload(tmp_path / "run")
    assert (sent.taken, sent.left, sent.because) == (0, 1, "the store refuses it")


def test_what_was_refused_is_tried_again_and_the_run_stays_ended(uri, tmp_path, monkeypatch):
    whole = Store.reopen

    def refused(*_):
        monkeypatch.setattr(Store, "reopen", whole)
        raise MlflowException("404 page not found", RESOURCE_DOES_NOT_EXIST)

    for number in range(2):  # the second time it is reopened, which is refused
        with suppress(ValueError), tracked(tracker_of(uri, tmp_path / "run")) as tracker:
            tracker.begin({})
            if number == 0:
                monkeypatch.setattr(Store, "reopen", refused)
                raise ValueError("disk")
        tracker.outbox.close()
    assert upload(tmp_path / "run").left == 0
    (run,) = Store(uri, "flexunet").search()
    assert run.info.status == "FINISHED" and "error" not in run.data.tags


def test_a_run_that_is_deleted_while_it_trains_is_logged_once(uri, tmp_path, caplog):
    with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
        epoch(tracker, 1)
        Store(uri, "flexunet").client.delete_run(tracker.run_id)
        for step in (2, 3, 4):
            epoch(tracker, step)
    held = upload(tmp_path / "run")
    assert held.left and "in use by another process" in held.because
    tracker.close()
    assert caplog.text.count("The store refused an entry") == 2  # of figures, and the status
    sent = upload(tmp_path / "run")
    assert sent.left and "or it was deleted. Restore it there" in sent.because
    Path(sent.because.rpartition("remove ")[2]).unlink()
    assert not exists(tmp_path / "run") and list(unsent_folders(tmp_path)) == []


def test_a_job_of_a_sweep_goes_on_without_the_store_and_a_single_run_does_not(tmp_path, caplog):
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Exception, match="Connection refused"):
        _ = tracker_of(nobody, tmp_path).store
    tracker = tracker_of(nobody, tmp_path / "outputs/multirun/day/time/0", parent="0" * 32)
    with tracked(tracker):
        assert tracker.store is None
        tracker.begin({})
        epoch(tracker, 1)
    tracker.close()
    assert tracker.run_id is None
    assert list(unsent_folders(tmp_path)) == [tracker.folder]
    sent = upload(tracker.folder)
    assert sent.is_away and sent.left == 3 and "it does not answer (127.0.0.1:" in sent.because


def test_a_line_that_was_cut_off_is_no_entry(tmp_path):
    outbox = Outbox(tmp_path, Facts("sqlite:///x", "e"))
    outbox.append([TagsEntry({}, time=1)])
    whole = outbox.length
    outbox.append([TagsEntry({}, time=2)])
    outbox.close()
    with (tmp_path / ENTRIES).open("ab") as file:
        file.write(b'{"what": "ta')

    again = Outbox(tmp_path)
    assert [entry.time for _, _, entry in again.left()] == [1, 2]
    with pytest.raises(Held):
        Outbox(tmp_path)
    for start, end, _ in list(again.left()):
        again.record_sent(start, end, is_refused=True)
    again.rewind(whole)  # the second is told anew by a run that goes on
    again.append([TagsEntry({}, time=3)])
    assert [entry.time for _, _, entry in again.left()] == [3]
    assert [entry.time for _, _, entry in again.refused()] == [1]
    again.remove()
    assert not any(tmp_path.iterdir())


def test_an_outbox_that_was_killed_while_it_was_rewound_loses_nothing(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path, Facts("sqlite:///x", "e"))
    outbox.append([TagsEntry({}, time=1)])
    length = outbox.length
    outbox.append([TagsEntry({}, time=2)])
    for start, end, _ in list(outbox.left()):
        outbox.record_sent(start, end, is_refused=False)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("flexunet_exp.tracking.outbox.replace_file", killed)
    with suppress(KeyboardInterrupt):
        outbox.rewind(length)
    outbox.close()
    monkeypatch.undo()
    again = Outbox(tmp_path)
    again.append([StatusEntry("KILLED", time=3)])  # by who ends the run instead of going on with it
    assert [entry.time for _, _, entry in again.left()] == [3]
    again.close()


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "link/secret.txt", "folder"])
def test_nothing_outside_of_the_run_folder_is_sent(uri, tmp_path, caplog, name):
    """A run folder may come from anyone."""
    (tmp_path / "secret.txt").write_text("secret")
    tracker = tracker_of(uri, tmp_path / "run")
    (tmp_path / "run" / "link").symlink_to(tmp_path)
    (tmp_path / "run" / "folder").mkdir()
    (tmp_path / "run" / "folder" / "secret.txt").symlink_to(tmp_path / "secret.txt")
    with tracked(tracker):
        tracker.begin({})
        tracker.add(ArtifactEntry(name, folder=""))
    store = Store(uri, "flexunet")
    assert store.client.list_artifacts(tracker.run_id) == []
    assert "lies outside the run folder" in caplog.text
    assert [run.info.status for run in store.search()] == ["FINISHED"]


def test_a_server_that_hangs_costs_seconds_once_and_is_left_alone_then(tmp_path, caplog):
    """One that takes the call and never answers: a stopped process, a broken proxy."""
    with socket.socket() as hung:
        hung.bind(("127.0.0.1", 0))
        hung.listen()
        uri = f"http://127.0.0.1:{hung.getsockname()[1]}"
        tracker = tracker_of(uri, tmp_path / "run")
        tracker.begin({})
        import mlflow  # noqa: F401 - which takes seconds of its own

        started = time.monotonic()
        for step in range(1, 60):
            tracker.metrics({"dice": 0.5}, step)
            tracker.commit()
            tracker.upload()
        assert time.monotonic() - started < 2 * ANSWER_SECONDS
        assert len(caplog.records) == 1 and "does not answer" in caplog.text
    assert tracker.outbox.num_left() == 60
    tracker.close()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nxx"])
def test_a_damaged_picture_holds_up_nothing_else(uri, tmp_path, caplog, content):
    with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
        (tracker.folder / "picture.png").write_bytes(content)
        tracker.image("picture", tracker.folder / "picture.png", 1)
        epoch(tracker, 1)
    assert steps(uri) == [[1]] and "refused an entry" in caplog.text


@pytest.mark.parametrize(("status", "is_about_the_store"), [(413, False), (503, True), (401, True)])
def test_a_proxy_that_refuses_a_file_is_not_away(status, is_about_the_store):
    response = requests.Response()
    response.status_code = status
    assert is_away(requests.HTTPError(response=response)) == is_about_the_store


def test_a_project_that_was_moved_reports_where_it_is_now(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    tracker = tracker_of(f"sqlite:///{old}/mlruns/mlflow.db", old / "run")
    tracker.begin({})
    epoch(tracker, 1)
    claims.begin(tracker.folder, "abc").release()
    tracker.close()
    old.rename(new)
    there = f"sqlite:///{new}/mlruns/mlflow.db"
    with tracked(tracker_of(there, new / "run")) as tracker:
        tracker.begin({})
        epoch(tracker, 2)
    assert steps(there) == [[1, 2]] and not old.exists()


def test_a_run_that_is_left_as_it_is_is_ended_in_its_own_store(uri, tmp_path):
    tracker = tracker_of(uri, tmp_path / "run")
    tracker.begin({})
    epoch(tracker, 1)
    claim = claims.begin(tracker.folder, "abc")
    tracker.close()
    resuming.abandon(claim, None)
    (run,) = Store(uri, "flexunet").search()
    assert run.info.status == "KILLED" and not exists(tracker.folder)


def foreign(folder: Path, facts: dict, lines: bytes) -> Path:
    """A run folder that somebody else made."""
    folder.mkdir()
    (folder / FACTS).write_text(json.dumps({"experiment": "flexunet", **facts}))
    (folder / ENTRIES).write_bytes(lines)
    return folder


TAGS = b'{"what": "tags", "time": 1, "tags": {"a": "2"}}\n'


@pytest.mark.parametrize(
    "lines",
    [
        *(b"garbage\n", b"{}\n", b"[]\n", b'{"what": 1}\n', b"\xff\n", TAGS + b'{"what": "t\n'),
        *(b'{"what": "remove", "time": 1}\n', TAGS.replace(b'"2"', b"2")),
    ],
)
def test_damaged_lines_are_one_sentence(uri, tmp_path, lines):
    Store(uri, "flexunet")
    sent = upload(foreign(tmp_path / "run", {"uri": uri}, lines))
    assert sent.left and "journal.jsonl is damaged (at byte" in sent.because


@pytest.mark.parametrize(
    "facts",
    [{"delivered": "x"}, {"delivered": -3}, {"refused": 3}, {"refused": ["a"]}, {"uri": 5}],
)
def test_damaged_facts_are_one_sentence(uri, tmp_path, facts):
    sent = upload(foreign(tmp_path / "run", {"uri": uri, **facts}, TAGS))
    assert sent.left and "journal.json is damaged" in sent.because


@pytest.mark.parametrize("facts", [{"refused": [99]}, {"delivered": 3}])
def test_positions_that_are_none_are_one_sentence(uri, tmp_path, facts):
    Store(uri, "flexunet")
    sent = upload(foreign(tmp_path / "run", {"uri": uri, **facts}, TAGS))
    assert sent.left and sent.because


def test_an_outbox_that_is_a_link_changes_nothing(uri, tmp_path):
    victim = tmp_path / "thesis.bin"
    victim.write_bytes(b"no newline at all")
    folder = foreign(tmp_path / "run", {"uri": uri}, b"")
    (folder / ENTRIES).unlink()
    (folder / ENTRIES).symlink_to(victim)
    assert "a link" in upload(folder).because
    assert victim.read_bytes() == b"no newline at all"


def test_a_run_folder_from_elsewhere_cannot_change_another_run(uri, tmp_path):
    store = Store(uri, "flexunet")
    other = store.create_run("precious", {"a": "1"})
    sent = upload(foreign(tmp_path / "run", {"uri": uri, "run_id": other}, TAGS))
    assert "not the run that this outbox began" in sent.because
    assert store.client.get_run(other).data.tags["a"] == "1"


def test_a_store_that_a_run_folder_alone_names_is_neither_made_nor_given_a_password(tmp_path):
    nowhere = f"sqlite:///{tmp_path}/elsewhere/mlflow.db"
    sent = upload(foreign(tmp_path / "one", {"uri": nowhere}, TAGS))
    assert "There is no store" in sent.because and not (tmp_path / "elsewhere").exists()
    sent = upload(foreign(tmp_path / "two", {"uri": "https://example.org"}, TAGS))
    assert "add tracking.uri=https://example.org" in sent.because


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of 128 kB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


def test_a_full_disk_leaves_no_half_entry(disk):
    outbox = Outbox(disk, Facts("sqlite:///x", "e"))
    outbox.append([TagsEntry({}, time=1)])
    with pytest.raises(OSError, match="No space left"):
        outbox.append([TagsEntry({"text": "x" * 200_000})])
    outbox.append([TagsEntry({}, time=2)])
    assert [entry.time for _, _, entry in outbox.left()] == [1, 2]
    outbox.close()


@pytest.mark.parametrize("moment", ["in training", "at the end"])
def test_a_full_disk_under_the_run_folder_does_not_leave_it_running(uri, disk, moment):
    """Nor finished without its files: the store's own disk has space."""
    with pytest.raises(OSError, match="No space left"), tracked(tracker_of(uri, disk / "run")) as t:
        t.begin({})
        t.upload()
        (t.folder / "scores.csv").write_text("1")
        fill(disk)
        for _ in range(200):
            t.artifact(t.folder / "scores.csv")
        if moment == "in training":
            t.commit()
    (run,) = Store(uri, "flexunet").search()
    assert run.info.status == "FAILED"


def test_what_fails_in_a_background_upload_is_raised_by_the_next_commit(uri, tmp_path):
    with closing(tracker_of(uri, tmp_path)) as tracker:
        tracker.begin({})
        tracker.upload()
        tracker.metrics({"dice": 0.5}, 1)
        tracker.commit()
        before = tracker.outbox.length
        with (tmp_path / ENTRIES).open("ab") as file:
            file.write(b"no entry\n")
        tracker.upload_in_background()
        with pytest.raises(InputError, match=f"is damaged .at byte {before}"):
            tracker.commit()
        tracker.rewind(before)


def test_a_background_upload_sends_what_was_committed_before_it(uri, tmp_path):
    with closing(tracker_of(uri, tmp_path / "run")) as tracker, tracked(tracker):
        tracker.begin({})
        for step in (1, 2, 3):
            tracker.metrics({"dice": 0.5}, step)
            tracker.commit()
            tracker.upload_in_background()
            tracker.metrics({"iou": 0.5}, step)  # waits for the next commit
    assert steps(uri) == [[1, 2, 3]]


def test_a_store_that_goes_away_before_the_status_is_sent_again_is_sent_it_later(
    uri, tmp_path, monkeypatch
):
    with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
        tracker.upload()
        with pytest.MonkeyPatch.context() as once:
            once.setattr(Store, "reopen", refuse)
            tracker.begin({})
            tracker.upload()
    tracker.outbox.close()
    with monkeypatch.context() as once:
        once.setattr(Sender, "end_run", leave)
        assert upload(tmp_path / "run").left == 1
    assert upload(tmp_path / "run").left == 0
    (run,) = Store(uri, "flexunet").search()
    assert run.info.status == "FINISHED"


def refuse(*_):
    raise MlflowException("404 page not found", RESOURCE_DOES_NOT_EXIST)


def leave(*_):
    raise ConnectionError("gone")


def test_a_file_that_may_not_be_read_holds_up_nothing_else(uri, tmp_path, monkeypatch):
    def closed(store, run_id, path, folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(artifacts, "log_files", closed)
    with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
        (tracker.folder / "scores.csv").write_text("1")
        tracker.artifact(tracker.folder / "scores.csv")
        epoch(tracker, 1)
    assert steps(uri) == [[1]]


def test_no_answer_about_a_run_is_not_taken_for_its_absence(uri, tmp_path, monkeypatch):
    with tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
        tracker.add(ArtifactEntry("../x", folder=""))  # which stays in the outbox
    tracker.close()

    def forbidden(*_):
        raise MlflowException("no", PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "get_run", forbidden)
    sent = upload(tmp_path / "run")
    assert sent.is_away and "deleted" not in sent.because


def test_another_program_s_database_is_left_as_it_is(tmp_path):
    """That a run folder names."""
    database = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TABLE mine (a)")
    before = database.read_bytes()
    run = b'{"what": "run", "name": "x", "tags": {}, "time": 1}\n'
    sent = upload(foreign(tmp_path / "run", {"uri": f"sqlite:///{database}"}, run))
    assert "is not an MLflow store" in sent.because and database.read_bytes() == before


def test_a_line_too_deep_and_a_folder_for_a_file_are_said(uri, tmp_path):
    Store(uri, "flexunet")
    assert upload(foreign(tmp_path / "deep", {"uri": uri}, b"[" * 200_000 + b"\n")).left
    folder = foreign(tmp_path / "run", {"uri": uri}, TAGS)
    (folder / ENTRIES).unlink()
    (folder / ENTRIES).mkdir()
    assert "Is a directory" in upload(folder).because


def unfinished_run(uri: str, folder: Path, parent: str | None = None) -> claims.Claim:
    """A run that was cut off after its first epoch, whether its store has it or not."""
    tracker = tracker_of(uri, folder, parent)
    claim = claims.begin(folder, "abc")
    tracker.begin({})
    epoch(tracker, 1)
    tracker.close()
    return claim


def test_a_run_that_its_store_is_owed_does_not_go_on_without_one(tmp_path):
    claim = unfinished_run(f"http://127.0.0.1:{free_port()}", tmp_path / "run", parent="0" * 32)
    with pytest.raises(InputError, match="a run of another store"):
        resuming.may_go_on(
            "auto", claim, Tracker(TrackingSettings(None, "flexunet"), "run", tmp_path), {}
        )


def test_a_run_keeps_its_store_while_the_one_that_is_named_is_away(uri, tmp_path):
    claim = unfinished_run(uri, tmp_path / "run")
    away = tracker_of(f"http://127.0.0.1:{free_port()}", tmp_path / "cell", parent="0" * 32)
    assert away.store is None
    assert resuming.may_go_on("auto", claim, away, {})
    assert away.outbox.facts.uri == uri
    away.close()


def test_an_outbox_in_which_nothing_was_written_is_nothing_to_end(uri, tmp_path):
    tracker = tracker_of(uri, tmp_path / "run")
    claim = claims.begin(tracker.folder, "abc")
    tracker.open(tracker.folder)
    tracker.close()
    resuming.abandon(claim, uri)
    assert not exists(tracker.folder)


def test_a_finished_run_is_not_ended_as_killed_by_what_was_left_to_send(uri, tmp_path, monkeypatch):
    """Ctrl-C came after the store had got FINISHED, and nothing noted that."""
    whole, claim = Sender.end_run, claims.begin(tmp_path / "run", "abc")

    def interrupted(*arguments):
        whole(*arguments)
        monkeypatch.setattr(Sender, "end_run", leave)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sender, "end_run", interrupted)
    with pytest.raises(KeyboardInterrupt), tracked(tracker_of(uri, tmp_path / "run")) as tracker:
        tracker.begin({})
    tracker.close()
    claim.release()
    monkeypatch.undo()
    cut_off = outcome.Outcome("killed", "cell", folder=str(tracker.folder), minutes=7.5, number=3)
    outcome.keep_outcome(tracker.folder, cut_off)
    finished.complete(outcome.Outcome("skipped", objective=0.5, folder=str(tracker.folder)), "abc")
    assert outcome.read_outcome(tracker.folder) == replace(
        cut_off, status="finished", objective=0.5
    )
    assert upload(tracker.folder).left == 0
    (run,) = Store(uri, "flexunet").search()
    assert run.info.status == "FINISHED"
