"""More epochs for a finished run: a new run goes on from its last state; or begins with weights."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flexunet_exp.tracking.store import (
    CONTINUES,
    COURSE,
    EPOCHS,
    INIT_FROM,
    LEARNED,
    RUN_FOLDER,
    SIGNATURE,
    Store,
)
from flexunet_exp.training import continuing
from tests.support.running import all_runs, same_weights, train

# All that keeps a state of its own: dropout, batch norm, Adam, averages, a falling learning rate, a
# loss over several batches.
SETTINGS = (
    "trainer.deterministic=true",
    "trainer.keep_state=true",
    "model.dropout_rate=0.1",
    "model.batch_norm=true",
    "optimizer.use_ema=true",
    "loss.pool_batches=3",
    "monitor=val_loss",
    "callbacks.reduce_lr.patience=1",
    "+callbacks.reduce_lr.min_delta=100",
    "callbacks.epoch_images.num_images=2",
)


def folder_of(run) -> Path:
    return Path(run.data.tags[RUN_FOLDER])


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny) -> Path:
    """A folder with a finished run of two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    done = train(folder, *tiny, *SETTINGS)
    assert done.returncode == 0, done.stdout
    assert "all 2 epochs are done" in done.stdout and "Kept           the last" in done.stdout
    return folder


@pytest.mark.heavy
def test_more_epochs_equal_all_epochs_in_one_go(trained, tmp_path, tiny):
    (first,) = all_runs(trained)
    before = contents(folder_of(first))
    words = [*tiny, *SETTINGS, "trainer.epochs=4"]
    done = train(trained, *words)
    assert done.returncode == 0 and "after epoch 2" in done.stdout, done.stdout
    assert "epoch 2/4" not in done.stdout and "epoch 3/4" in done.stdout
    second = next(run for run in all_runs(trained) if CONTINUES in run.data.tags)
    assert second.data.tags[CONTINUES] == first.info.run_id
    assert second.data.tags[SIGNATURE] != first.data.tags[SIGNATURE]
    assert contents(folder_of(first)) == before

    whole = train(tmp_path, *words)
    assert whole.returncode == 0, whole.stdout
    (uninterrupted,) = all_runs(tmp_path)
    assert same_weights(folder_of(second), folder_of(uninterrupted))
    for name in ("train_losses.csv", "train_metrics.csv"):
        pd.testing.assert_frame_equal(
            pd.read_csv(folder_of(second) / name), pd.read_csv(folder_of(uninterrupted) / name)
        )
    again = train(trained, *words)
    assert "Already done" in again.stdout


def test_a_run_that_learned_nothing_says_so_and_is_not_the_best(trained):
    (run, *_) = all_runs(trained)
    assert run.info.status == "FINISHED" and run.data.tags[LEARNED] == "false"
    assert "test/dice" in run.data.metrics


@pytest.mark.heavy
def test_a_schedule_offers_init_from_instead(trained, tiny):
    words = [*tiny, "schedule=cosine", "schedule.warmup_epochs=0", "trainer.keep_state=true"]
    assert train(trained, *words, "trainer.epochs=1").returncode == 0
    longer = train(trained, *words, "trainer.epochs=2")
    shorter = next(run for run in all_runs(trained) if run.data.tags["epochs"] == "1")
    assert longer.returncode == 0 and f"init_from={shorter.info.run_id}" in longer.stdout
    assert not (folder_of(shorter) / "last_state").exists()


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (40, "ended early, after epoch 40 of 60: more epochs alone change nothing"),
        (60, "has trained the same for 60 epochs. This run begins anew, because it kept no state"),
    ],
)
def test_why_more_epochs_begin_anew(tmp_path, caplog, last, said):
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet")
    tags = {COURSE: "abc", EPOCHS: "60", RUN_FOLDER: str(tmp_path)}
    run_id = store.create_run("run", tags)
    store.log_metrics(run_id, [("epoch/train/loss", 0.5, 0, step) for step in (last - 1, last)])
    store.end_run(run_id, "FINISHED")
    continuing.offer(continuing.find(store, "abc", 100), is_constant=True)
    assert said in caplog.text and f"init_from={run_id}" in caplog.text


def test_a_run_begins_with_the_weights_of_another(trained, tiny):
    first = all_runs(trained)[0]
    words = [*tiny, "model.base_kernel=5", "trainer.epochs=1"]
    by_id = train(trained, *words, f"init_from={first.info.run_id}")
    assert by_id.returncode == 0 and "Left out" in by_id.stdout, by_id.stdout
    (run,) = [run for run in all_runs(trained) if INIT_FROM in run.data.tags]
    assert run.data.tags[INIT_FROM] == first.info.run_id
    table = pd.read_csv(folder_of(run) / "init_from.csv")
    assert table["taken"].any() and not table["taken"].all()
    # The same weights by another name are the same work.
    by_file = train(trained, *words, f"init_from={folder_of(first) / 'best.keras'}")
    assert "Already done" in by_file.stdout
    wrong = train(trained, *words, "init_from=nowhere")
    assert wrong.returncode == 1 and "init_from='nowhere' is neither" in wrong.stdout
