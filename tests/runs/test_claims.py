"""Unfinished runs: marked, found again by their signature, never taken up twice."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims

DIES_WITH_A_CLAIM = """
import os, signal, sys
from pathlib import Path
from flexunet_exp.runs import claims
claim = claims.begin(Path(sys.argv[1]), "abc")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def dead(tmp_path):
    """The folder of a run whose process was killed."""
    folder = tmp_path / "outputs" / "2026-11-22" / "run"
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", DIES_WITH_A_CLAIM, str(folder)], check=False)
    return folder


def test_a_dead_process_lets_go_of_its_run(dead):
    (dead / f".{'0' * 32}.keras").touch()
    (dead / ".kept").touch()
    claim = claims.take_up(dead, "abc")
    assert claim is not None and claim.run_folder == dead
    assert not list(dead.glob(".0*")) and (dead / ".kept").exists()


def test_another_signature_is_another_run(dead):
    assert claims.take_up(dead, "abd") is None
    with pytest.raises(InputError, match="unfinished run of other settings"):
        claims.begin(dead, "abd")


def test_what_one_trains_no_other_takes_up(dead):
    claim = claims.take_up(dead, "abc")
    with pytest.raises(InputError, match="trainer.resume=never"):
        claims.take_up(dead, "abc")
    claim.release()
    assert claims.take_up(dead, "abc") is not None


def test_an_ended_run_is_not_found(dead, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = tmp_path / "outputs" / "2026-11-22" / "new"
    assert claims.search("abc", [], here) == [dead]
    claims.take_up(dead, "abc").end()
    assert claims.search("abc", [str(dead), ""], here) == []
    assert not (dead / "resume").exists()


def test_a_run_elsewhere_is_found_through_the_store(dead, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert claims.search("abc", [], elsewhere) == []
    assert claims.search("abc", [str(dead), str(tmp_path / "gone")], elsewhere) == [dead]


def test_a_run_is_elsewhere_until_this_machine_takes_it_up(dead):
    assert not claims.is_elsewhere(dead)
    mark = {"signature": "abc", "host": "another"}
    (dead / "resume" / "run.json").write_text(json.dumps(mark))
    assert claims.is_elsewhere(dead)
    assert claims.take_up(dead, "abc") is not None
    assert not claims.is_elsewhere(dead)


def test_a_damaged_mark_is_no_run(dead):
    (dead / "resume" / "run.json").write_text("[1]")
    assert claims.signature_in(dead) is None
