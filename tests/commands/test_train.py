"""The main job end to end, through the real command line, a real store and real pictures."""

from __future__ import annotations

import json
import math
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from flexunet_exp.data.masks import read_image
from flexunet_exp.runs import claims
from flexunet_exp.scores import confusions
from tests.support.running import (
    Command,
    all_runs,
    flexunet,
    signalled,
    start_flexunet,
    store,
    wait_until,
)


def test_the_run_folder_holds_what_it_should(run_folder):
    expected = [
        *(
            ".hydra/config.yaml",
            "train.log",
            "config.yaml",
            "samples.csv",
            "card.json",
            "model.txt",
            "best.keras",
        ),
        *("train_losses.csv", "train_losses.png", "train_metrics.csv", "train_metrics.png"),
        *("evaluation/valid/scores.csv", "evaluation/test/scores.json", "result.json"),
        *("evaluation/test/confusions.npz", "evaluation/test/figures/confusion.png"),
    ]
    assert [name for name in expected if not (run_folder / name).is_file()] == []
    losses = pd.read_csv(run_folder / "train_losses.csv")
    assert list(losses.columns) == ["epoch", "loss", "val_loss"] and list(losses["epoch"]) == [1, 2]


def test_epoch_pictures_are_palette_masks_at_native_size(run_folder):
    pictures = sorted((run_folder / "epoch_change_infer").glob("epoch_*.png"))
    masks = [path for path in pictures if not path.stem.endswith("_panel")]
    assert len(masks) == 3 * 6 and len(pictures) == 6 * 6  # before training, and two epochs
    for path in masks:
        with Image.open(path) as mask:
            assert mask.mode == "P" and mask.size == (64, 64)


def test_scores_are_a_function_of_the_stored_counts_and_masks(run_folder):
    folder = run_folder / "evaluation" / "test"
    kept = confusions.load_counts(folder / "confusions.npz")
    table = pd.read_csv(run_folder / "samples.csv")
    assert len(kept.names) == (table["split"] == "test").sum()
    summary = confusions.summary(kept.counts, kept.classes)
    written = json.loads((folder / "scores.json").read_text())
    for name, value in summary.items():
        assert written[name] == (None if math.isnan(value) else pytest.approx(value, abs=1e-12))
    for name, counts in zip(kept.names, kept.counts, strict=True):
        with Image.open(folder / "predictions" / f"{name}.png") as mask:
            found = np.bincount(np.asarray(mask).ravel(), minlength=len(kept.classes))
        np.testing.assert_array_equal(counts.sum(axis=0), found)


def test_the_store_mirrors_the_run(workspace, run_folder):
    (run,) = all_runs(workspace)
    assert run.info.status == "FINISHED"
    assert run.data.tags["run_folder"] == str(run_folder)
    assert {"signature", "overrides", "host", "test_digest"} <= set(run.data.tags)
    assert run.data.params["dataset"] == "grid" and run.data.params["base_filters"] == "2"
    assert "trainer.epochs" not in run.data.params and len(run.data.params) <= 12
    written = json.loads((run_folder / "evaluation" / "test" / "scores.json").read_text())
    assert run.data.metrics["test/dice"] == written["dice"]
    assert {"val/dice", "val/dice/bent", "test/dice_coef_multiclass"} <= set(run.data.metrics)
    client = store(workspace).client
    history = client.get_metric_history(run.info.run_id, "epoch/val/loss")
    assert [entry.step for entry in history] == [1, 2]
    losses = pd.read_csv(run_folder / "train_losses.csv")["val_loss"]
    np.testing.assert_allclose([entry.value for entry in history], losses)
    top = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"config", "evaluation", "figures", "images", "samples.csv", "card.json"} <= top
    card = json.loads((run_folder / "card.json").read_text())
    smallest = min(one["smallest"]["resized"] for one in card["defects"].values())
    assert run.data.tags["data_digest"] == card["digest"]
    assert run.data.tags["smallest_defect_px"] == str(smallest)
    assert (run.data.tags["off_palette_share"], run.data.tags["leakage_share"]) == ("0.0", "0.0")
    assert run.inputs.dataset_inputs[0].dataset.name == "grid"


def test_only_slider_pictures_are_under_images(workspace):
    (run,) = all_runs(workspace)
    names = [
        item.path for item in store(workspace).client.list_artifacts(run.info.run_id, "images")
    ]
    assert names and all("epoch_change_infer~" in name and "step" in name for name in names)
    steps = {name.split("+step+")[1].split("+")[0] for name in names}
    assert steps == {"0", "1", "2"}


def test_the_stored_model_predicts_as_the_run_did(workspace, run_folder, tmp_path):
    import mlflow

    (run,) = all_runs(workspace)
    kept = store(workspace)
    mlflow.set_tracking_uri(kept.uri)
    (logged,) = kept.client.search_logged_models([kept.experiment_id])
    model = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    table = pd.read_csv(run_folder / "samples.csv")
    sample = table[table["split"] == "test"].iloc[0]
    logits = model.predict(read_image(sample["image"])[None])
    name = sample["source"].replace("/", "-")
    with Image.open(run_folder / "evaluation/test/predictions" / f"{name}.png") as mask:
        np.testing.assert_array_equal(logits[0].argmax(-1), np.asarray(mask))
    assert logged.source_run_id == run.info.run_id
    assert model.metadata.load_input_example(logged.artifact_location).shape == (1, 128, 128, 3)


def test_the_checkpoint_carries_no_optimizer(run_folder):
    import keras

    model = keras.saving.load_model(run_folder / "best.keras")
    assert getattr(model, "optimizer", None) is None


def test_the_same_command_trains_nothing_and_says_so(workspace, run_folder, tiny):
    """What a run left behind that was killed when it had just finished is removed."""
    before = len(all_runs(workspace))
    signature = all_runs(workspace)[0].data.tags["signature"]
    claims.begin(run_folder, signature).release()
    done = flexunet(workspace, "train", *tiny)
    assert not claims.is_marked(run_folder)
    assert done.returncode == 0
    assert "Already done" in done.stdout and "rerun=all" in done.stdout
    assert len(all_runs(workspace)) == before


@pytest.mark.parametrize("run", ["latest", "folder", "id"])
def test_evaluate_gives_the_figures_the_run_ended_with(workspace, run_folder, run):
    (tracked,) = all_runs(workspace)
    words = {"folder": str(run_folder), "id": tracked.info.run_id}
    before = sorted(run_folder.rglob("*"))
    done = flexunet(workspace, "evaluate", f"run={words.get(run, run)}")
    assert done.returncode == 0, done.stdout
    assert "These are the figures the run ended with." in done.stdout
    assert sorted(run_folder.rglob("*")) == before


def test_a_run_that_learned_nothing_is_whole_says_so_and_is_not_the_best(workspace, run_folder):
    """Two epochs of a tiny network: nothing else in this file needs more."""
    printed = (workspace / "printed.txt").read_text()
    assert "Training       all 2 epochs are done." in printed
    assert "Kept           the last epoch, 2. No epoch's val_dice exceeded" in printed
    assert "Learned        nothing" in printed
    (tracked,) = all_runs(workspace)
    assert tracked.info.status == "FINISHED" and tracked.data.tags["learned"] == "false"
    assert json.loads((run_folder / "result.json").read_text())["learned"] is False
    best = flexunet(workspace, "evaluate", "run=best")
    assert best.returncode == 1 and "has learned anything" in best.stdout


def test_evaluate_from_the_store_alone(workspace, run_folder):
    aside = run_folder.with_name("moved")
    run_folder.rename(aside)
    try:
        done = flexunet(workspace, "evaluate", "run=latest")
    finally:
        aside.rename(run_folder)
    assert done.returncode == 0, done.stdout
    assert "These are the figures the run ended with." in done.stdout


def test_evaluate_from_the_store_alone_by_id_from_another_folder(workspace, run_folder, tmp_path):
    (tracked,) = all_runs(workspace)
    aside = run_folder.with_name("moved")
    run_folder.rename(aside)
    try:
        uri = f"tracking.uri=sqlite:///{workspace}/mlruns/mlflow.db"
        done = flexunet(tmp_path, "evaluate", f"run={tracked.info.run_id}", uri)
    finally:
        aside.rename(run_folder)
    assert done.returncode == 0, done.stdout
    assert not list(tmp_path.glob("*.db"))


def test_a_stranger_s_run_folder_cannot_build_what_it_likes(run_folder, tmp_path):
    victim = tmp_path / "precious.txt"
    victim.write_text("mine")
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    cfg = OmegaConf.load(run / "config.yaml")
    target = "flexunet_exp.data.masks.write_palette_mask"
    cfg.dataset.layout = {"_target_": target, "path": str(victim), "mask": [[0]], "palette": []}
    OmegaConf.save(cfg, run / "config.yaml")
    done = flexunet(tmp_path, "evaluate", f"run={run}", "tracking=none")
    assert done.returncode == 1 and "cannot be used as dataset" in done.stdout
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_folder_that_holds_a_run_is_refused_and_left_alone(run_folder, tiny, command):
    before = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    words = [*tiny, "trainer.seed=5"] if command == "train" else [f"run={run_folder}"]
    done = flexunet(run_folder.parent, command, *words, f"hydra.run.dir={run_folder}")
    assert done.returncode == 1 and "holds a run already. Nothing was changed" in done.stdout
    assert {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()} == before


def test_a_folder_in_which_nothing_was_made_takes_the_next_command(tmp_path, tiny):
    """A mistyped value, or a Ctrl-C before the training, leaves a log and an outcome alone."""
    where = f"hydra.run.dir={tmp_path / 'mine'}"
    mistyped = flexunet(tmp_path, "train", *tiny, where, "model.num_layers=0")
    assert mistyped.returncode == 1 and (tmp_path / "mine" / "result.json").exists()
    at = ("SIGTERM", "flexunet_exp.data.dataset:load", 1)
    stopped = signalled(tmp_path, *at, "train", *tiny, where)
    assert stopped.returncode == 130, stopped.stdout
    assert "The same command goes on from there." in stopped.stdout
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    lacking = [one for one in tiny if not one.startswith("model")]
    damaged = ["model=unet_lite0", f"model.encoder_weights={tmp_path / 'damaged.pth'}"]
    refused = flexunet(tmp_path, "train", *lacking, where, *damaged)
    assert refused.returncode == 1 and (tmp_path / "mine" / "config.yaml").exists(), refused.stdout
    done = flexunet(tmp_path, "train", *tiny, where, "trainer.epochs=1")
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "mine" / "result.json").read_text())["status"] == "finished"


def test_finished_work_that_is_not_good_enough_fails_when_it_is_required(workspace, tiny):
    done = flexunet(workspace, "train", *tiny, "require=0.99")
    assert done.returncode == 1 and "must exceed 0.99" in done.stdout


def test_evaluate_of_nothing_is_one_sentence(workspace, tmp_path):
    done = flexunet(workspace, "evaluate", f"run={tmp_path}")
    assert done.returncode == 1
    assert "is not a finished run: it lacks config.yaml" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.fixture(scope="module")
def swept(tmp_path_factory, tiny) -> tuple[Path, list[subprocess.CompletedProcess]]:
    """The same sweep with one broken value, run twice."""
    folder = tmp_path_factory.mktemp("sweep")
    command = ["train", "-m", *tiny, "trainer.epochs=1"]
    choices = ["loss=cross_entropy,ce_dice", "model.base_filters=2,0"]
    return folder, [flexunet(folder, *command, *choices) for _ in range(2)]


def test_a_sweep_goes_on_after_failures_and_ends_with_all_cells(swept):
    folder, (first, _) = swept
    assert first.returncode == 1
    table = first.stdout[first.stdout.rindex("Sweep") :]
    assert table.count("finished") == 2 and table.count("failed: model.base_filters=0 is not") == 2
    assert "bf=0 cross_entropy" in table and "bf=0 ce_dice" in table


def test_cells_are_nested_under_one_parent_and_named_by_what_differs(swept):
    folder, _ = swept
    runs = all_runs(folder)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1 and parents[0].info.status == "FAILED"
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId")]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    finished = [run for run in children if run.info.status == "FINISHED"]
    assert [run.info.run_name for run in finished] == ["bf=2 cross_entropy", "bf=2 ce_dice"]
    failed = [run for run in children if run.info.status == "FAILED"]
    assert all("base_filters" in run.data.tags["error"] for run in failed)


def test_the_parent_keeps_the_table_of_its_cells(swept):
    folder, _ = swept
    parent = next(run for run in all_runs(folder) if "sweep" in run.data.tags)
    table = pd.read_csv(Path(unquote(urlsplit(parent.info.artifact_uri).path), "cells.csv"))
    assert table["cell"].tolist() == [0, 1, 2, 3]
    assert dict(zip(table["name"], table["status"], strict=True)) == {
        "bf=2 cross_entropy": "skipped",
        "bf=0 cross_entropy": "failed",
        "bf=2 ce_dice": "skipped",
        "bf=0 ce_dice": "failed",
    }
    assert table["error"].str.contains("base_filters=0").sum() == 2


def test_the_same_sweep_again_trains_nothing_that_was_finished(swept):
    folder, (_, second) = swept
    assert second.returncode == 1
    assert second.stdout.count("Already done") == 2
    finished = [run for run in all_runs(folder) if run.info.status == "FINISHED"]
    assert len(finished) == 2


def test_failures_are_seen_whatever_the_cells_folders_are_called(tmp_path, tiny):
    folders = "hydra.sweep.subdir=cell_${hydra.job.num}_x"
    words = ["model.base_filters=0,-1", "trainer.seed=3", "split.seed=4", folders]
    done = flexunet(tmp_path, "train", "-m", *tiny, *words)
    assert done.returncode == 1
    assert "bf=0" in done.stdout and "bf=-1" in done.stdout
    assert len(list(tmp_path.glob("outputs/multirun/*/*/cell_*_x/result.json"))) == 2
    parents = [run for run in all_runs(tmp_path) if "sweep" in run.data.tags]
    assert [run.info.status for run in parents] == ["FAILED"]


@pytest.mark.heavy
def test_a_seed_of_the_split_is_not_taken_for_that_of_the_training(tmp_path, tiny):
    flexunet(tmp_path, "train", *tiny, "split.seed=5")
    (run,) = all_runs(tmp_path)
    assert run.data.params["seed"] == "0" and run.data.params["split.seed"] == "5"


def test_a_sweep_over_an_unknown_choice_leaves_nothing_behind(tmp_path, tiny):
    done = flexunet(tmp_path, "train", "-m", *tiny, "loss=dice,dise")
    assert done.returncode == 1 and "cross_entropy" in done.stdout
    assert all_runs(tmp_path) == []


def test_ctrl_c_ends_the_whole_sweep(tmp_path, tiny):
    endless = ["trainer.epochs=5000", "callbacks.early_stopping.patience=5000"]
    process = start_flexunet(tmp_path, "train", "-m", *tiny, *endless, "trainer.seed=0,1")
    wait_until(lambda: list(tmp_path.glob("outputs/multirun/*/*/0/resume/state.npy")))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in output
    assert [run.info.status for run in all_runs(tmp_path)] == ["KILLED", "KILLED"]


def long_run(folder: Path, tiny: list[str]) -> tuple[Command, Path]:
    """A run of very many epochs, whose first epoch is over."""
    endless = ["trainer.epochs=5000", "callbacks.early_stopping.patience=5000"]
    process = start_flexunet(folder, "train", *tiny, *endless)
    wait_until(lambda: list(folder.glob("outputs/*/*/resume/state.npy")))
    (found,) = folder.glob("outputs/*/*")
    return process, found


def test_ctrl_c_keeps_what_was_trained_and_ends_the_run_killed(tmp_path, tiny):
    process, run = long_run(tmp_path, tiny)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in output
    (tracked,) = all_runs(tmp_path)
    assert tracked.info.status == "KILLED"
    assert json.loads((run / "result.json").read_text())["status"] == "killed"
    assert (run / "best.keras").is_file() and (run / "train_losses.csv").is_file()


@pytest.mark.heavy
def test_a_closed_terminal_ends_the_run_killed(tmp_path, tiny):
    """As when an ssh connection breaks: nothing can be printed any more."""
    endless = ["trainer.epochs=5000", "callbacks.early_stopping.patience=5000"]
    command = [sys.executable, "-m", "flexunet_exp", "train", *tiny, *endless]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(command[0], command)
    ends = time.monotonic() + 120
    while not list(tmp_path.glob("outputs/*/*/resume/state.npy")):
        assert time.monotonic() < ends
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert [run.info.status for run in all_runs(tmp_path)] == ["KILLED"]


@pytest.mark.heavy
def test_a_stop_file_ends_after_the_epoch_with_scores(tmp_path, tiny):
    process, run = long_run(tmp_path, tiny)
    (run / "STOP").touch()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    (tracked,) = all_runs(tmp_path)
    assert tracked.info.status == "FINISHED" and "STOP file" in tracked.data.tags["stopped"]
    assert (run / "evaluation" / "test" / "scores.json").is_file()
    assert not (run / "STOP").exists()


def test_a_loss_that_explodes_fails_the_run_with_epoch_and_step(tmp_path, tiny):
    done = flexunet(tmp_path, "train", *tiny, "optimizer=sgd",
                    "optimizer.learning_rate=1e38", "loss=cross_entropy")  # fmt: skip
    assert done.returncode == 1
    assert "in epoch 1, step" in done.stdout and "Traceback" not in done.stdout
    (tracked,) = all_runs(tmp_path)
    assert tracked.info.status == "FAILED" and "epoch 1, step" in tracked.data.tags["error"]


def test_missing_data_says_what_to_do(tmp_path):
    done = flexunet(tmp_path, "train", "dataset=zipper", "data_root=no where")
    assert done.returncode == 1
    for hint in ("mvtec_anomaly_detection/zipper", "mvtec.com", "dataset/layout=synthetic"):
        assert hint in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "mlruns").exists()


def test_without_a_store_the_run_folder_is_enough(tmp_path, tiny):
    done = flexunet(tmp_path, "train", *tiny, "tracking=none", "debug=smoke")
    assert done.returncode == 0, done.stdout
    (best,) = tmp_path.glob("outputs/*/*/best.keras")
    assert not (tmp_path / "mlruns").exists()
    again = flexunet(tmp_path, "evaluate", f"run={best.parent}", "tracking=none")
    assert again.returncode == 0, again.stdout
    assert "These are the figures the run ended with." in again.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize(("kilobytes", "is_recorded"), [(40, False), (400, True)])
def test_a_full_disk_is_one_sentence_and_a_failed_run(tmp_path, tiny, kilobytes, is_recorded):
    """In the store too, unless the run's folder has no room to write down what that is told."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        done = flexunet(tmp_path, "train", *tiny, f"hydra.run.dir={disk}/run")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 1
    assert "No space left on device" in done.stdout and "Traceback" not in done.stdout
    found = all_runs(tmp_path)
    assert len(found) == is_recorded
    for tracked in found:
        assert tracked.info.status == "FAILED" and "No space left" in tracked.data.tags["error"]
