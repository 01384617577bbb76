"""Locks between processes: who waits, who is refused, and what is left on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from flexunet_exp.system import locks


def test_a_second_holder_is_refused_until_the_first_ends(tmp_path):
    path = tmp_path / "lock"
    with locks.exclusive(path):
        assert locks.is_held(path)
        with pytest.raises(locks.Locked, match="lock is locked by another process"):
            locks.exclusive(path)
    assert not locks.is_held(path) and path.is_file()
    locks.exclusive(path).close()


def test_waiting_ends_at_the_deadline(tmp_path, caplog):
    path = tmp_path / "lock"
    started = time.monotonic()
    with locks.exclusive(path), caplog.at_level("INFO"), pytest.raises(locks.Locked):
        locks.exclusive(path, seconds=0.2, notice="Waiting for a test")
    assert time.monotonic() - started >= 0.2
    assert caplog.messages == [f"Waiting for a test ({path})"]


def test_a_file_that_is_open_already_can_be_locked(tmp_path):
    with open(tmp_path / "data", "wb") as first, open(tmp_path / "data", "rb+") as second:
        locks.acquire(first)
        with pytest.raises(locks.Locked):
            locks.acquire(second)
    assert (tmp_path / "data").read_bytes() == b""


def test_asking_for_the_holder_changes_nothing(tmp_path):
    assert not locks.is_held(tmp_path / "lock") and not list(tmp_path.iterdir())
    (tmp_path / "lock").write_text("content")
    assert not locks.is_held(tmp_path / "lock")
    assert (tmp_path / "lock").read_text() == "content"
    with locks.exclusive(tmp_path / "lock"):
        assert locks.is_held(tmp_path / "lock") and locks.is_held(tmp_path / "lock")


def test_shared_holders_keep_out_who_wants_it_alone(tmp_path):
    path = tmp_path / "lock"
    with locks.shared(path):
        assert locks.is_held(path, by_any=True) and not locks.is_held(path)
        with locks.shared(path), pytest.raises(locks.Locked):
            locks.exclusive(path)
        with pytest.raises(locks.Locked):
            locks.exclusive(path)
    assert not locks.is_held(path, by_any=True)
    locks.exclusive(path).close()


def test_who_shares_a_file_that_its_holder_removes_makes_it_anew(tmp_path):
    path, shares, seen = tmp_path / "lock", threading.Event(), threading.Event()

    def share() -> None:
        with locks.shared(path):
            shares.set()
            assert seen.wait(30)

    waiting = threading.Thread(target=share)
    with locks.exclusive(path):
        waiting.start()
        assert not shares.wait(0.3)
        path.unlink()
    assert shares.wait(30) and locks.is_held(path, by_any=True)
    seen.set()
    waiting.join()


def test_who_waited_for_a_temporary_lock_keeps_others_out(tmp_path):
    def hold() -> None:
        with locks.temporary(path, locks.FOREVER):
            holds.set()
            assert seen.wait(30)

    path = tmp_path / "lock"
    holds, seen = threading.Event(), threading.Event()
    waiting = threading.Thread(target=hold)
    with locks.temporary(path):
        waiting.start()
        assert not holds.wait(0.3)
    assert holds.wait(30)
    assert locks.is_held(path)
    seen.set()
    waiting.join()
    assert not locks.is_held(path) and not list(tmp_path.iterdir())


def test_a_killed_holder_holds_nothing(tmp_path):
    script = "import sys; from pathlib import Path; from flexunet_exp.system import locks\n"
    script += "with locks.temporary(Path(sys.argv[1])): print(flush=True), sys.stdin.read()"
    words = [sys.executable, "-c", script, str(tmp_path / "lock")]
    pipe = subprocess.PIPE
    holder = subprocess.Popen(words, stdin=pipe, stdout=pipe, env={**os.environ})
    assert holder.stdout.readline()
    assert locks.is_held(tmp_path / "lock")
    holder.kill()
    holder.communicate()
    assert (tmp_path / "lock").exists() and not locks.is_held(tmp_path / "lock")
    with locks.temporary(tmp_path / "lock"):
        pass
    assert not list(tmp_path.iterdir())
