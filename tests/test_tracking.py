"""The store: no race when jobs start together, honest states, nothing undefined in it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from flexunet_exp.errors import InputError
from flexunet_exp.tracking import SIGNATURE, STOPPED, Store, tracked


@pytest.fixture
def cfg(tmp_path):
    tracking = {
        "uri": f"sqlite:///{tmp_path}/mlruns/mlflow.db",
        "experiment_name": "flexunet",
        "parent_run_id": None,
        "log_model": False,
    }
    return OmegaConf.create({"tracking": tracking})


def store(cfg) -> Store:
    return Store(cfg.tracking.uri, cfg.tracking.experiment_name)


def status(cfg, run_id: str) -> str:
    return store(cfg).client.get_run(run_id).info.status


def test_jobs_that_start_together_share_one_experiment(tmp_path):
    code = (
        "from flexunet_exp.tracking import Store; "
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


@pytest.mark.parametrize(
    ("error", "expected"), [(None, "FINISHED"), (KeyboardInterrupt, "KILLED"), (OSError, "FAILED")]
)
def test_a_run_ends_as_what_happened(cfg, error, expected):
    try:
        with tracked(cfg, "run") as tracker:
            tracker.begin({})
            if error:
                raise error("disk full")
    except (KeyboardInterrupt, OSError):
        pass
    assert status(cfg, tracker.run_id) == expected
    if expected == "FAILED":
        assert store(cfg).client.get_run(tracker.run_id).data.tags["error"] == "OSError: disk full"


def test_a_cell_that_fails_early_is_recorded_below_its_parent_and_a_single_run_is_not(cfg):
    parent = store(cfg).create_run("sweep", {})
    for parent_run_id, runs in ((None, 1), (parent, 2)):
        cfg.tracking.parent_run_id = parent_run_id
        with pytest.raises(InputError), tracked(cfg, "cell"):
            raise InputError("no such folder")
        assert len(store(cfg).runs("", "attributes.start_time DESC", limit=9)) == runs
    (child,) = store(cfg).runs(f"tags.`mlflow.parentRunId` = '{parent}'", "attributes.start_time")
    assert child.info.status == "FAILED" and "no such folder" in child.data.tags["error"]


def test_undefined_figures_stay_out(cfg):
    with tracked(cfg, "run") as tracker:
        tracker.begin({})
        tracker.metrics({"val/dice": float("nan"), "val/iou": 0.5})
    assert store(cfg).client.get_run(tracker.run_id).data.metrics == {"val/iou": 0.5}


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
def test_which_earlier_runs_count_as_done(cfg, state, tags, rerun, found):
    kept = store(cfg)
    run_id = kept.create_run("run", {SIGNATURE: "abc", **tags})
    kept.client.update_run(run_id, status=state)
    assert (kept.ended("abc", rerun) is not None) == found
    assert kept.ended("other", rerun) is None


def test_a_deleted_experiment_is_named(cfg):
    kept = store(cfg)
    kept.client.delete_experiment(kept.experiment_id)
    with pytest.raises(InputError, match="was deleted"):
        store(cfg)


def test_an_environment_variable_cannot_catch_our_figures(cfg, monkeypatch):
    stranger = store(cfg).create_run("stranger", {})
    monkeypatch.setenv("MLFLOW_RUN_ID", stranger)
    with tracked(cfg, "run") as tracker:
        tracker.begin({})
        tracker.metrics({"val/dice": 0.5})
    assert tracker.run_id != stranger
    assert store(cfg).client.get_run(stranger).data.metrics == {}
