"""The store: no race when jobs start together, honest states, nothing undefined in it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from flexunet_exp.errors import InputError
from flexunet_exp.tracking.entries import ImageEntry
from flexunet_exp.tracking.mlflow_client import milliseconds
from flexunet_exp.tracking.sender import Sender
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import RUN_FOLDER, SCORING, SIGNATURE, STOPPED, Store
from flexunet_exp.tracking.stored_models import (
    KERAS_MODEL,
    models_of,
    remove_partial_models,
    whole_model,
)
from flexunet_exp.tracking.tracker import Tracker, tracked
from tests.support import running


@pytest.fixture
def settings(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    return TrackingSettings(uri, "flexunet", log_model=False)


@pytest.fixture
def tracker(settings, tmp_path) -> Tracker:
    return Tracker(settings, "run", tmp_path)


def store(settings) -> Store:
    return Store(settings.uri, settings.experiment_name)


def status(settings, run_id: str) -> str:
    return store(settings).client.get_run(run_id).info.status


def test_a_run_began_with_its_work_and_not_with_its_training(settings, tracker):
    time.sleep(0.2)  # the data are read, the network is built
    begun = milliseconds()
    tracker.begin({})
    tracker.finish("FINISHED")
    info = store(settings).client.get_run(tracker.run_id).info
    assert info.start_time <= begun - 200 and info.end_time >= begun


@pytest.mark.heavy
def test_jobs_that_start_together_share_one_experiment(tmp_path):
    code = (
        "from flexunet_exp.tracking.store import Store; "
        f"s = Store('sqlite:///{tmp_path}/mlruns/mlflow.db', 'new'); "
        "print(s.experiment_id, s.create_run('job', {}))"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    printed = [job.communicate(timeout=120)[0].split() for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 4
    assert len({experiment for experiment, _ in printed}) == 1
    assert len({run for _, run in printed}) == 4


def test_a_store_that_was_killed_in_its_making_is_made_anew(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    code = f"from flexunet_exp.tracking.store import Store; Store({uri!r}, 'new')"
    making = subprocess.Popen([sys.executable, "-c", code])
    begun = tmp_path / "mlruns" / "mlflow.db.new"
    running.wait_until(lambda: begun.exists() and begun.stat().st_size)
    making.kill()
    assert making.wait() == -signal.SIGKILL
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()
    assert list(Store(uri, "new").search()) == []
    assert not begun.exists()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, "FINISHED"),
        (KeyboardInterrupt, "KILLED"),
        (OSError, "FAILED"),
        (SystemExit, "FAILED"),
    ],
)
def test_a_run_ends_as_what_happened(settings, tracker, error, expected):
    try:
        with tracked(tracker):
            tracker.begin({})
            if error:
                raise error("disk full")
    except (KeyboardInterrupt, OSError, SystemExit):
        pass
    assert status(settings, tracker.run_id) == expected
    if error and expected == "FAILED":
        said = store(settings).client.get_run(tracker.run_id).data.tags["error"]
        assert said == f"{error.__name__}: disk full"


def test_what_was_committed_for_a_state_that_was_not_written_is_told_once(settings, tracker):
    for _ in range(2):  # the second one goes on from where the first one's state stood: nowhere
        with suppress(KeyboardInterrupt), tracked(tracker):
            tracker.begin({})
            tracker.metrics({"dice": 0.5}, 1)
            tracker.commit()
            if not tracker.outbox.facts.run_id:
                raise KeyboardInterrupt
        time.sleep(0.002)  # another millisecond, else the store itself would see it is the same
    (metric,) = store(settings).client.get_metric_history(tracker.run_id, "dice")
    assert metric.step == 1


def test_a_deleted_parent_is_no_trouble_for_a_cell_that_is_skipped(settings):
    parent, run = (store(settings).create_run(name, {}) for name in ("sweep", "cell"))
    store(settings).client.delete_run(parent)
    store(settings).record_skipped(parent, run, "loss=dice")


@pytest.mark.parametrize("folder", ["/a/it's/x", '/a/b"c', "/a/%41?#ü"])
def test_a_run_is_found_by_its_folder(settings, folder):
    run_id = store(settings).create_run("run", {RUN_FOLDER: folder})
    assert store(settings).run_of(None, folder).info.run_id == run_id


def test_ctrl_c_in_the_last_upload_leaves_no_run_running(settings, tracker, monkeypatch):
    def interrupted(*_):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Sender, "end_run", interrupted)
    with pytest.raises(KeyboardInterrupt), tracked(tracker):
        tracker.begin({})
    assert status(settings, tracker.run_id) == "KILLED"  # the same command makes it FINISHED


def test_a_cell_that_fails_early_is_recorded_below_its_parent_and_a_single_run_is_not(
    settings, tmp_path
):
    parent = store(settings).create_run("sweep", {})
    for parent_run_id, runs in ((None, 1), (parent, 2)):
        cell = Tracker(replace(settings, parent_run_id=parent_run_id), "cell", tmp_path)
        with pytest.raises(InputError), tracked(cell):
            raise InputError("no such folder")
        assert len(store(settings).runs("", "attributes.start_time DESC", limit=9)) == runs
    (child,) = store(settings).runs(
        f"tags.`mlflow.parentRunId` = '{parent}'", "attributes.start_time"
    )
    assert child.info.status == "FAILED" and "no such folder" in child.data.tags["error"]


def test_undefined_figures_stay_out(settings, tracker):
    with tracked(tracker):
        tracker.begin({})
        tracker.metrics({"val/dice": float("nan"), "val/iou": 0.5})
    assert store(settings).client.get_run(tracker.run_id).data.metrics == {"val/iou": 0.5}


@pytest.mark.parametrize(
    ("state", "tags", "rerun", "found"),
    [
        ("FINISHED", {}, "failed", True),
        ("FINISHED", {}, "all", False),
        ("FINISHED", {STOPPED: "STOP file"}, "failed", False),
        ("FAILED", {}, "failed", False),
        ("FAILED", {}, "none", True),
        ("KILLED", {}, "none", False),
        ("RUNNING", {}, "failed", False),
    ],
)
def test_which_earlier_runs_count_as_done(settings, state, tags, rerun, found):
    kept = store(settings)
    run_id = kept.create_run("run", {SIGNATURE: "abc", SCORING: "one", **tags})
    kept.client.update_run(run_id, status=state)
    assert (kept.ended("abc", "one", rerun) is not None) == found
    assert kept.ended("abc", "other", rerun) is None
    assert (kept.same_weights("abc") is not None) == (state == "FINISHED" and not tags)
    assert kept.ended("other", "one", rerun) is None


def test_a_deleted_experiment_is_named(settings):
    kept = store(settings)
    kept.client.delete_experiment(kept.experiment_id)
    with pytest.raises(InputError, match="was deleted"):
        store(settings)


def test_an_environment_variable_cannot_catch_our_figures(settings, tracker, monkeypatch):
    stranger = store(settings).create_run("stranger", {})
    monkeypatch.setenv("MLFLOW_RUN_ID", stranger)
    with tracked(tracker):
        tracker.begin({})
        tracker.metrics({"val/dice": 0.5})
    assert tracker.run_id != stranger
    assert store(settings).client.get_run(stranger).data.metrics == {}


def test_mlflow_tells_nobody_what_is_done_with_it(settings, monkeypatch):
    from mlflow.telemetry import utils

    monkeypatch.setattr(utils, "_IS_IN_CI_ENV_OR_TESTING", False)  # there it is silent anyway
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    assert not utils.is_telemetry_disabled()
    store(settings)
    assert utils.is_telemetry_disabled()


def png(path, value: int) -> Path:
    Image.new("RGB", (32, 32), (value, 0, 0)).save(path)
    return path


def test_what_was_sent_in_part_before_an_interruption_is_not_doubled(settings, tracker, tmp_path):
    """The same figures and pictures, sent again by another process, after half of them was."""
    tracker.begin({})
    for step in (1, 2):
        tracker.metrics({"epoch/val/dice": 0.5, "epoch/val/iou": step / 10}, step)
        tracker.image("epochs/bent-001", png(tmp_path / f"{step}.png", step), step)
    tracker.tag({"stopped": "yes"})
    tracker.commit()
    for _, end, entry in list(tracker.outbox.left())[:3]:
        assert tracker.sender.send_one(entry) is None
        if not isinstance(entry, ImageEntry):  # of which nobody learns that it arrived
            tracker.outbox.record_sent(end, end, is_refused=False)
    tracker.close()

    again = Tracker(settings, "run", tmp_path)
    again.open(tmp_path)
    again.upload()
    again.upload()
    assert len(store(settings).runs("", "attributes.start_time", limit=9)) == 1
    client, run_id = store(settings).client, again.run_id
    for key, values in {"epoch/val/dice": [0.5, 0.5], "epoch/val/iou": [0.1, 0.2]}.items():
        history = client.get_metric_history(run_id, key)
        assert [(entry.step, entry.value) for entry in history] == [(1, values[0]), (2, values[1])]
    files = sorted(file.path for file in client.list_artifacts(run_id, "images"))
    assert len(files) == 4  # a PNG and a small WebP each
    assert [path.split("+")[2] for path in files] == ["1", "1", "2", "2"]
    assert client.get_run(run_id).data.tags["stopped"] == "yes"


def test_a_run_that_goes_on_keeps_the_parameters_it_has(settings, tracker, tmp_path):
    tracker.begin({})
    tracker.params({"save_every": 5})
    tracker.finish("KILLED")
    tracker.outbox.close()
    again = Tracker(settings, "run", tmp_path)
    again.open(tmp_path)
    again.begin({})
    again.params({"save_every": 1, "seed": 3})
    again.finish("FINISHED")
    assert again.run_id == tracker.run_id
    params = store(settings).client.get_run(tracker.run_id).data.params
    assert params == {"save_every": "5", "seed": "3"}


def test_half_a_model_of_a_killed_run_is_removed(settings, tracker):
    tracker.begin({})
    tracker.commit()
    tracker.upload()
    client = store(settings).client
    half = client.create_logged_model(
        store(settings).experiment_id, name="model", source_run_id=tracker.run_id
    )
    run = (store(settings), tracker.run_id, KERAS_MODEL)
    assert whole_model(*run) is None
    assert len(models_of(*run)) == 1  # a question changes nothing
    remove_partial_models(*run)
    assert not client.search_logged_models([store(settings).experiment_id])
    whole = client.create_logged_model(
        store(settings).experiment_id, name="model", source_run_id=tracker.run_id
    )
    client.finalize_logged_model(whole.model_id, "READY")
    remove_partial_models(*run)
    assert whole_model(*run).model_id == whole.model_id != half.model_id
