"""Runs killed at fixed points and started again by the same command: as if nothing had happened."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from flexunet_exp.runs import claims
from flexunet_exp.runs.outcome import read_outcome
from flexunet_exp.tracking.store import RUN_FOLDER
from tests.support.running import all_runs, images_of, metrics_of, same_weights, signalled, train

# All that keeps a state of its own: dropout, batch norm, Adam, averaged weights, a learning rate
# that falls, patience, augmentation, a loss over several batches.
SETTINGS = (
    "trainer.deterministic=true",
    "trainer.epochs=4",
    "model.dropout_rate=0.1",
    "model.batch_norm=true",
    "optimizer.use_ema=true",
    "loss.pool_batches=3",
    "monitor=val_loss",
    "optimizer.learning_rate=0.5",
    "callbacks.reduce_lr.patience=1",
    "+callbacks.reduce_lr.min_delta=100",
    "callbacks.epoch_images.num_images=2",
)


def the_run_folder(folder: Path) -> Path:
    (found,) = folder.glob("outputs/*/*")
    return found


def the_run(folder: Path):
    (found,) = all_runs(folder)
    return found


def metrics(folder: Path) -> Counter:
    return metrics_of(folder, the_run(folder))


def images(folder: Path) -> Counter:
    return images_of(folder, the_run(folder))


def contents(run_folder: Path) -> dict[str, bytes]:
    """Every result file of a run, but for those with times of day or the command in them."""
    timed = {"train.log", "result.json", "best.keras", "config.yaml", "provenance.json"}
    files = (path for path in run_folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(run_folder)): path.read_bytes()
        for path in files
        if path.name not in timed and ".hydra" not in path.parts
    }


@pytest.fixture(scope="module")
def command(tiny) -> list[str]:
    return [*tiny, *SETTINGS]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, command) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = train(folder, *command)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.mark.parametrize(
    ("signal_name", "function", "nth", "words"),
    [
        pytest.param(
            *("SIGKILL", "numpy:save", 500, []), id="half-way through writing its third state"
        ),
        pytest.param(
            *("SIGTERM", "numpy:save", 500, []),
            id="interrupted while it writes its third state",
            marks=pytest.mark.heavy,
        ),
        pytest.param(
            "SIGKILL",
            "mlflow:MlflowClient.log_image",
            4,
            ["trainer.save_every=2"],
            id="half-way through telling the store of two epochs",
            marks=pytest.mark.heavy,
        ),
        pytest.param(
            *("SIGTERM", "mlflow:MlflowClient.log_image", 4, []),
            id="interrupted while it tells the store of its first epoch",
            marks=pytest.mark.heavy,
        ),
        pytest.param(
            *("SIGKILL", "flexunet_exp.reporting.panels:contact_sheet", 2, []),
            id="half-way through its evaluation",
            marks=pytest.mark.heavy,
        ),
    ],
)
def test_a_killed_run_ends_as_if_it_had_not_been(
    tmp_path, command, uninterrupted, signal_name, function, nth, words
):
    killed = signalled(tmp_path, signal_name, function, nth, "train", *command, *words)
    assert killed.returncode == {"SIGKILL": -signal.SIGKILL, "SIGTERM": 130}[signal_name]
    assert (the_run_folder(tmp_path) / "resume" / "state.npy").is_file()

    # Hydra's folder for the second command is one with something in it, which must stay.
    given = tmp_path / "given"
    given.mkdir()
    (given / "notes.txt").touch()
    done = train(tmp_path, *command, *words, f"hydra.run.dir={given}")
    assert done.returncode == 0, done.stdout
    assert [path.name for path in given.iterdir()] == ["notes.txt"]
    assert "Going on with the unfinished run" in done.stdout

    ours, theirs = the_run_folder(tmp_path), the_run_folder(uninterrupted)
    assert same_weights(ours, theirs)
    assert contents(ours) == contents(theirs)
    assert json.loads((ours / "result.json").read_text())["status"] == "finished"
    assert the_run(tmp_path).info.status == "FINISHED"
    assert metrics(tmp_path) == metrics(uninterrupted)
    assert images(tmp_path) == images(uninterrupted)


def test_the_run_is_in_its_outbox_before_the_first_step(tmp_path, command):
    at = ("SIGKILL", "flexunet_exp.callbacks.configured:NanGuard.on_train_batch_end", 1)
    assert signalled(tmp_path, *at, "train", *command).returncode == -signal.SIGKILL
    folder = the_run_folder(tmp_path)
    entries = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert {"run", "params"} <= {one["what"] for one in entries}


# Each epoch is the best so far, so that the third one writes its checkpoint and its state over
# those of the first. An epoch makes three links: the former checkpoint, this state's checkpoint,
# the former state.
IMPROVING = ("callbacks.nan_guard._target_=tests.support.improving.Improving",)


@pytest.fixture(scope="module")
def trusting():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEXUNET_TRUSTED", "tests")
        yield


@pytest.fixture(scope="module")
def improved(tmp_path_factory, command, trusting) -> Path:
    folder = tmp_path_factory.mktemp("improved")
    done = train(folder, *command, *IMPROVING)
    assert done.returncode == 0 and "Kept           epoch 4" in done.stdout, done.stdout
    return folder


@pytest.mark.parametrize(
    ("nth", "best_has_changed"),
    [
        pytest.param(
            *(7, False),
            id="with its third checkpoint written, not in its place",
            marks=pytest.mark.heavy,
        ),
        pytest.param(9, True, id="with its third checkpoint in place, and the second state"),
        pytest.param(10, False, id="with its third state in place", marks=pytest.mark.heavy),
    ],
)
def test_a_run_killed_between_its_writes_ends_as_if_it_had_not_been(
    tmp_path, command, trusting, improved, nth, best_has_changed
):
    killed = signalled(tmp_path, "SIGKILL", "os:link", nth, "train", *command, *IMPROVING)
    assert killed.returncode == -signal.SIGKILL
    run = the_run_folder(tmp_path)
    kept = run / "resume" / f"best_{claims.epochs_done(run)}.keras"
    assert (kept.read_bytes() != (run / "best.keras").read_bytes()) == best_has_changed

    done = train(tmp_path, *command, *IMPROVING)
    assert done.returncode == 0 and "Going on with the unfinished run" in done.stdout
    assert same_weights(run, the_run_folder(improved))
    assert contents(run) == contents(the_run_folder(improved))
    assert metrics(tmp_path) == metrics(improved)
    assert images(tmp_path) == images(improved)


@pytest.mark.heavy
def test_another_command_leaves_an_unfinished_run_alone(tmp_path, command):
    """`never` begins beside it and ends it; a typo in a callback does not cost its state."""
    words = [*command, "callbacks.early_stopping.patience=9"]
    at = ("SIGKILL", "flexunet_exp.callbacks.configured:NanGuard.on_train_batch_end", 5)
    assert signalled(tmp_path, *at, "train", *words).returncode == -signal.SIGKILL
    state = the_run_folder(tmp_path) / "resume" / "state.npy"
    before = state.read_bytes()

    mistyped = train(tmp_path, *words, "+callbacks.epoch_images.evry=2")
    assert mistyped.returncode == 1 and "Did you mean 'every'?" in mistyped.stdout
    assert state.read_bytes() == before and the_run(tmp_path).info.status == "FAILED"

    anew = train(tmp_path, *words, "trainer.resume=never", "trainer.epochs=4")
    assert anew.returncode == 0, anew.stdout
    assert [run.info.status for run in all_runs(tmp_path)] == ["KILLED", "FINISHED"]
    assert not state.exists() and len(list(tmp_path.glob("outputs/*/*"))) == 2


def test_ctrl_c_after_the_end_does_not_make_it_a_run_that_was_cut_off(tmp_path, tiny):
    at = ("SIGTERM", "flexunet_exp.runs.claims:Claim.end", 1)
    interrupted = signalled(tmp_path, *at, "train", *tiny)
    assert interrupted.returncode == 130 and the_run(tmp_path).info.status == "FINISHED"
    done = train(tmp_path, *tiny)
    assert done.returncode == 0 and "Already done" in done.stdout
    outcome = read_outcome(Path(the_run(tmp_path).data.tags[RUN_FOLDER]))
    assert outcome.status == "finished"
    assert outcome.objective == the_run(tmp_path).data.metrics["val/dice"]


def test_the_learning_rate_fell_in_these_runs(uninterrupted):
    """Else they would not show that the plateau's state is kept."""
    lines = (the_run_folder(uninterrupted) / "train_metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("learning_rate")
    assert len({line.split(",")[column] for line in lines[1:]}) > 1
