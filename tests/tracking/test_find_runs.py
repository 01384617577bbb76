"""Which runs `run=` names: by id in any experiment, and what is said where there are none."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flexunet_exp.config.compose import plain
from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims
from flexunet_exp.runs.folder import FILES
from flexunet_exp.tracking import find_runs, record
from flexunet_exp.tracking.store import (
    LEARNED,
    OVERRIDES,
    PARENT,
    RUN_FOLDER,
    SIGNATURE,
    SWEEP,
    Store,
)
from flexunet_exp.training import continuing


@pytest.fixture
def uri(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/mlruns/mlflow.db"


@pytest.fixture
def asked(compose, uri):
    """The configuration of a command that is given a run."""
    return lambda *words: compose("evaluate", f"tracking.uri={uri}", *words)


def finished(store: Store, folder: Path, tags: dict[str, str], compose) -> str:
    """A run as it stands in the store and in its folder, its network an empty file."""
    folder.mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(plain(compose("train"))), folder / "config.yaml")
    for name in FILES[1:]:
        (folder / name).touch()
    run_id = store.create_run(folder.name, {RUN_FOLDER: str(folder), **tags})
    store.client.set_terminated(run_id, "FINISHED")
    return run_id


@pytest.fixture
def parent(uri, tmp_path, compose) -> str:
    """A sweep of two cells in an experiment of another name than the usual one."""
    store = Store(uri, "mix")
    parent = store.create_run("sweep", {SWEEP: "abc"})
    for name in ("0", "1"):
        finished(store, tmp_path / name, {PARENT: parent, SIGNATURE: name}, compose)
    return parent


def test_a_sweep_given_again_after_a_change_of_the_data_is_its_newest_cells(
    asked, uri, tmp_path, compose
):
    store = Store(uri, "mix")
    command = "flexunet train -m dataset=grid loss=dice,focal"
    parent = store.create_run("sweep", {SWEEP: "abc", OVERRIDES: command})
    for data, threads in (("old", 2), ("new", 4)):
        for loss in ("dice", "focal"):
            words = f"dataset=grid loss={loss} trainer.threads={threads}"
            tags = {PARENT: parent, SIGNATURE: f"{data} {loss}", OVERRIDES: words}
            finished(store, tmp_path / f"{data}_{loss}", tags, compose)
    found = find_runs.find_all(asked(f"run={parent}"), tmp_path / "fetched")
    assert [run.folder.name for run in found] == ["new_dice", "new_focal"]


def test_a_skipped_cell_has_the_words_of_its_own_sweep(asked, uri, tmp_path, compose):
    """Its run was made by another command: of an experiment's yaml that was edited in between."""
    store = Store(uri, "mix")
    command = "flexunet train -m experiment=mine split.fold=0,1"
    parent = store.create_run("sweep", {SWEEP: "abc", OVERRIDES: command})
    for number in (0, 1):
        tags = {SIGNATURE: f"fold {number}", OVERRIDES: "experiment=mine"}
        single = finished(store, tmp_path / f"single_{number}", tags, compose)
        store.record_skipped(parent, single, f"experiment=mine split.fold={number}")
    found = find_runs.find_all(asked(f"run={parent}"), tmp_path / "fetched")
    assert [run.folder.name for run in found] == ["single_0", "single_1"]


def test_the_last_command_decides_whose_work_a_cell_is(asked, uri, tmp_path, compose):
    store = Store(uri, "mix")
    words = "experiment=mine loss=dice"
    parent = store.create_run("sweep", {SWEEP: "abc", OVERRIDES: f"flexunet train -m {words}"})
    first = {SIGNATURE: "first", OVERRIDES: words}
    run = finished(store, tmp_path / "first", first, compose)
    edited = {PARENT: parent, SIGNATURE: "edited", OVERRIDES: words}
    finished(store, tmp_path / "edited", edited, compose)
    store.record_skipped(parent, run, words)  # the edit was taken back
    (found,) = find_runs.find_all(asked(f"run={parent}"), tmp_path / "fetched")
    assert found.folder.name == "first"


def experiments(uri: str) -> set[str]:
    found = Store(uri, "mix", create=False).client.search_experiments()
    return {experiment.name for experiment in found}


def test_a_sweep_is_all_of_its_cells_whatever_experiment_it_is_in(asked, parent, tmp_path, uri):
    found = find_runs.find_all(asked(f"run={parent}"), tmp_path / "fetched")
    assert [run.folder.name for run in found] == ["0", "1"]
    assert experiments(uri) == {"Default", "mix"}


@pytest.mark.parametrize("run", ["latest", "best"])
def test_a_misspelt_experiment_is_named_and_not_made(asked, parent, tmp_path, uri, run):
    with pytest.raises(InputError, match="no experiment 'mixx'.* Did you mean 'mix'"):
        find_runs.find_all(asked(f"run={run}", "tracking.experiment_name=mixx"), tmp_path)
    assert experiments(uri) == {"Default", "mix"}


def test_an_experiment_without_runs_is_named(asked, uri, tmp_path):
    Store(uri, "empty")
    with pytest.raises(InputError, match="No finished run in experiment 'empty'"):
        find_runs.find_all(asked("run=latest", "tracking.experiment_name=empty"), tmp_path)


def test_no_store_is_made_to_look_for_a_run(asked, tmp_path):
    with pytest.raises(InputError, match="There is no store"):
        find_runs.find_all(asked("run=latest"), tmp_path / "fetched")
    assert not (tmp_path / "mlruns").exists()


def test_a_run_whose_files_are_nowhere_is_one_sentence(asked, uri, tmp_path, compose):
    """The project's folder was moved, or the database was restored without the files."""
    run_id = finished(Store(uri, "flexunet"), tmp_path / "run", {}, compose)
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"lack config\.yaml, samples\.csv, best\.keras.*moved"):
        find_runs.find_all(asked(f"run={run_id}"), tmp_path / "fetched")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("models:/grid", "names no version. Expected models:/grid@champion"),
        ("models:/gird@champion", r"is not in the registry.*There are: grid\."),
    ],
)
def test_a_registered_model_that_is_not_there_is_one_sentence(asked, uri, tmp_path, name, said):
    Store(uri, "flexunet").client.create_registered_model("grid")
    with pytest.raises(InputError, match=said):
        find_runs.find_all(asked(f"run='{name}'"), tmp_path / "fetched")


def test_a_run_that_learned_nothing_is_never_the_best(asked, uri, tmp_path, compose):
    store = Store(uri, "mix")
    runs = {
        name: finished(store, tmp_path / name, tags, compose)
        for name, tags in {"learned": {}, "nothing": {LEARNED: "false"}}.items()
    }
    for name, value in {"learned": 0.1, "nothing": 0.9}.items():
        store.log_metrics(runs[name], [("val/dice", value, 0, 0)])
    words = ("run=best", "tracking.experiment_name=mix")
    assert find_runs.find(asked(*words), tmp_path).run_id == runs["learned"]
    store.delete_run(runs["learned"])
    with pytest.raises(InputError, match=r"run=best: none of the 1 finished runs .*learned=false"):
        find_runs.find(asked(*words), tmp_path)
    latest = asked("run=latest", "tracking.experiment_name=mix")
    assert find_runs.find(latest, tmp_path).run_id == runs["nothing"]


def test_the_best_run_is_one_of_the_newest_test_pictures(asked, uri, tmp_path, compose):
    store = Store(uri, "pictures")
    runs = {}
    for name, (digest, value) in {
        "other": ("aa", 0.9),
        "better": ("bb", 0.5),
        "newest": ("bb", 0.4),
        "not scored": ("bb", math.nan),
    }.items():
        tags = {"test_digest": digest}
        runs[name] = finished(store, tmp_path / name, tags, compose)
        store.log_metrics(runs[name], [("val/dice", value, 0, 0)])
    best = find_runs.find_in_store(store, "best", "val/dice")
    assert best.info.run_id == runs["better"]
    for objective in ("val/nothing", "no `figure` 'at' all"):
        with pytest.raises(InputError, match="No finished run has the figure"):
            find_runs.find_in_store(store, "best", objective)


def trained_into(store: Store, folder: Path, signature: str, compose) -> str:
    """A run whose folder may have been another run's, which was removed."""
    shutil.rmtree(folder, ignore_errors=True)
    run_id = finished(store, folder, {SIGNATURE: signature}, compose)
    (folder / "provenance.json").write_text(json.dumps({"signature": signature}))
    (folder / "best.keras").write_text(signature)
    return run_id


def test_a_folder_that_a_later_run_took_is_not_taken_for_the_earlier_run(
    asked, uri, tmp_path, compose
):
    store = Store(uri, "mix")
    first = trained_into(store, tmp_path / "grid", "aaaa", compose)
    second = trained_into(store, tmp_path / "grid", "bbbb", compose)
    (found,) = find_runs.find_all(asked(f"run={second}"), tmp_path / "fetched")
    assert found.network.read_text() == "bbbb"
    with pytest.raises(InputError, match="its folder is gone"):  # and the store has no file of it
        find_runs.find_all(asked(f"run={first}"), tmp_path / "fetched")
    best = tmp_path / "new" / "best.keras"
    best.parent.mkdir()
    with pytest.raises(InputError, match="trained the same, but its network is neither"):
        record.take_weights(store, store.client.get_run(first), best)
    assert not best.exists()


def test_a_state_of_another_course_is_not_gone_on_from(tmp_path):
    (tmp_path / "last").mkdir()
    (tmp_path / continuing.LAST / claims.STATE).parent.mkdir(exist_ok=True)
    (tmp_path / continuing.LAST / claims.STATE).touch()
    continuing.mark(tmp_path, "another", 3)
    assert continuing.Shorter("x", tmp_path, 3, "another").has_state
    assert not continuing.Shorter("x", tmp_path, 3, "mine").has_state
    assert not continuing.Shorter("x", tmp_path, 4, "another").has_state


def test_a_run_is_known_by_its_folder_in_any_experiment(uri, tmp_path, compose):
    run_id = finished(Store(uri, "bolts"), tmp_path / "bolt", {}, compose)
    other = Store(uri, "mix")
    assert other.run_of(None, str(tmp_path / "bolt")).info.run_id == run_id
    assert other.run_of(None, str(tmp_path / "gone")) is None


def test_a_network_file_keeps_the_bits_it_was_trained_with(asked, tmp_path):
    (tmp_path / "net.keras").touch()
    words = [f"run={tmp_path / 'net.keras'}", "dataset=grid", "dataset.image_size=64"]
    for more, bits in ((["dataset.bit_depth=12"], 12), ([], "auto")):
        (found,) = find_runs.find_all(asked(*words, *more), tmp_path / "fetched")
        assert find_runs.compose.bit_depth(found.cfg) == bits
