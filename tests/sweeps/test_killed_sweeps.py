"""Sweeps whose command is gone: their workers end, no cell stays RUNNING, and all can go on."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import pytest

from flexunet_exp.runs import claims, outcome
from flexunet_exp.sweeps.parent_run import Multirun, outcomes_in
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import HOST, PARENT, RUN_FOLDER
from flexunet_exp.tracking.uploads import upload
from flexunet_exp.training import resuming
from tests.support import running
from tests.support.running import (
    Command,
    all_runs,
    metrics_of,
    signalled,
    start_flexunet,
    store,
    train,
    wait_until,
)

WAITING = running.SUPPORT / "waiting.py"
QUICK = ("tracking.log_model=false", "callbacks.epoch_images=null")
TWO_AT_ONCE = ("launcher=joblib", "trainer.threads=1")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.heavy
def test_workers_end_with_the_command_and_begin_nothing_more(tmp_path):
    words = ("tracking=none", "trainer.seed=0,1,2,3", *TWO_AT_ONCE)
    process = Command(tmp_path, str(WAITING), "-m", *words)
    pids = "outputs/multirun/*/*/*/pid"
    wait_until(lambda: len(list(tmp_path.glob(pids))) == 2)
    process.kill()
    workers = [int(path.read_text()) for path in tmp_path.glob(pids)]
    wait_until(lambda: not any(map(is_alive, workers)), seconds=20)
    assert len(list(tmp_path.glob(pids))) == 2


@pytest.fixture
def ended():
    """Processes that are killed after the test: joblib's idle workers wait five minutes."""
    pids: list[int] = []
    yield pids
    for pid in filter(is_alive, pids):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.heavy
def test_a_sweep_on_joblib_is_killed_and_goes_on_at_once(tmp_path, tiny, ended):
    """The command alone is killed; the same one meets the worker that still trains the cell.

    One cell, for each takes seconds.
    """
    words = ["-m", *tiny, *TWO_AT_ONCE, *QUICK, "trainer.epochs=4", "trainer.seed=1"]
    process = start_flexunet(tmp_path, "train", *words)
    cell = "outputs/multirun/*/*/0"
    wait_until(lambda: list(tmp_path.glob(f"{cell}/resume/state.npy")))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    ended += map(int, children.split())
    process.kill()
    done = train(tmp_path, *words)
    assert done.returncode == 0, done.stdout
    (log,) = (path for path in tmp_path.glob(f"{cell}/train.log") if "epoch" in path.read_text())
    assert "Going on with the unfinished run" in log.read_text()
    parent, run = all_runs(tmp_path)
    assert [parent.info.status, run.info.status] == ["FINISHED", "FINISHED"]
    assert run.data.tags[PARENT] == parent.info.run_id
    known = metrics_of(tmp_path, run)
    assert set(known.values()) == {1}
    assert sorted(step for key, step, _ in known if key == "epoch/val/loss") == [1, 2, 3, 4]


def test_ctrl_c_while_the_table_is_made_leaves_no_sweep_running(tmp_path):
    words = ("-m", "dataset.path=/nowhere", "trainer.seed=1,2")
    done = signalled(
        tmp_path, "SIGINT", "flexunet_exp.sweeps.parent_run:print_cells", 1, "train", *words
    )
    assert done.returncode == 130 and "Traceback" not in done.stdout
    assert [run.info.status for run in all_runs(tmp_path)] == ["KILLED", "FAILED", "FAILED"]


def test_ctrl_c_while_a_sweep_is_being_ended_leaves_it_ended(tmp_path):
    words = ("-m", "dataset.path=/nowhere", "trainer.seed=1,2")
    at = ("SIGINT", "flexunet_exp.tracking.sender:Sender.end_run", 3)
    done = signalled(tmp_path, *at, "train", *words)
    assert done.returncode == 130 and "Traceback" not in done.stdout
    assert [run.info.status for run in all_runs(tmp_path)] == ["FAILED", "FAILED", "FAILED"]


def test_a_parent_whose_store_was_away_at_the_end_is_sent_later(tmp_path, compose):
    cfg = compose("train", f"tracking.uri=sqlite:///{tmp_path}/mlruns/mlflow.db")
    sweeping = Multirun(TrackingSettings.from_config(cfg), tmp_path / "sweep", ["trainer.seed"])
    sweeping.open_parent(["trainer.seed=1,2"], "abc", "failed")
    (sweeping.folder / "0").mkdir(parents=True)
    outcome.keep_outcome(sweeping.folder / "0", outcome.Outcome("finished", "s=1"))
    sweeping.keep_cells(outcomes_in(sweeping.folder))
    with closing(sqlite3.connect(tmp_path / "mlruns/mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        sweeping.end("FINISHED")
    (parent,) = all_runs(tmp_path)
    assert parent.info.status == "RUNNING"
    assert upload(sweeping.folder).left == 0
    (parent,) = all_runs(tmp_path)
    assert parent.info.status == "FINISHED"
    assert store(tmp_path).client.list_artifacts(parent.info.run_id)[0].path == "cells.csv"


@pytest.fixture
def ending(tmp_path, compose):
    """A sweep in a store of its own that is about to end."""
    cfg = compose("train", f"tracking.uri=sqlite:///{tmp_path}/mlruns/mlflow.db")
    multirun = Multirun(TrackingSettings.from_config(cfg), tmp_path / "sweep")
    multirun.is_new = False
    multirun.parent_run_id = store(tmp_path).create_run("sweep", {"sweep": "abc"})
    return multirun


@pytest.mark.parametrize(
    ("all_ended", "elsewhere"),
    [
        pytest.param(False, "RUNNING", id="interrupted: jobs on other machines may go on"),
        pytest.param(True, "KILLED", id="every cell has ended"),
    ],
)
def test_a_sweep_that_ends_leaves_no_cell_running_that_nobody_trains(
    ending, tmp_path, all_ended, elsewhere
):
    folders = {name: tmp_path / name for name in ("killed", "trained", "elsewhere")}
    held = {name: claims.begin(folder, name) for name, folder in folders.items()}
    for name, folder in folders.items():
        host = "another" if name == "elsewhere" else socket.gethostname()
        tags = {PARENT: ending.parent_run_id, RUN_FOLDER: str(folder), HOST: host}
        store(tmp_path).create_run(name, tags)
        if name != "trained":
            held[name].release()
    ending.end("KILLED", all_ended)
    statuses = {run.info.run_name: run.info.status for run in all_runs(tmp_path)}
    assert statuses == {
        "sweep": "KILLED",
        "killed": "KILLED",
        "trained": "RUNNING",
        "elsewhere": elsewhere,
    }
    held["trained"].release()


def test_a_run_whose_process_is_ending_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    claim = claims.begin(tmp_path / "run", "abc")
    home = SimpleNamespace(folder=tmp_path / "run")
    untracked = SimpleNamespace(store_with=lambda signature: None)
    resuming.await_end("never", "abc", home, untracked)
    assert claims.is_busy(home.folder)
    Timer(0.5, claim.release).start()
    resuming.await_end("auto", "abc", home, untracked)
    assert not claims.is_busy(home.folder)


def test_a_process_on_another_machine_is_waited_for_longer(tmp_path, monkeypatch):
    """Of a machine that is gone, the file server ends the lock only after a while."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resuming, "PATIENCE", 0)
    claim = claims.begin(tmp_path / "run", "abc")
    home = SimpleNamespace(folder=tmp_path / "run")
    untracked = SimpleNamespace(store_with=lambda signature: None)
    resuming.await_end("auto", "abc", home, untracked)
    assert claims.is_busy(home.folder)
    mark = {"signature": "abc", "host": "another"}
    (home.folder / "resume" / "run.json").write_text(json.dumps(mark))
    Timer(0.5, claim.release).start()
    resuming.await_end("auto", "abc", home, untracked)
    assert not claims.is_busy(home.folder)
