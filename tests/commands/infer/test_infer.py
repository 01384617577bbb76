"""flexunet infer through the real command line, with a network that a real run trained."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flexunet_exp.commands.infer import command, report, settings
from flexunet_exp.errors import InputError
from flexunet_exp.system import progress
from tests.support.running import Command, flexunet, start_flexunet
from tests.support.standin import trained

MANY = 200


@pytest.fixture(scope="module")
def tested(run_folder) -> pd.DataFrame:
    table = pd.read_csv(run_folder / "samples.csv")
    return table[table["split"] == "test"]


def test_any_names_get_the_masks_that_the_run_was_scored_with(workspace, run_folder, tested):
    photos = workspace / "pho tos [1]"
    for sample in tested.itertuples():
        name = sample.source.replace("/", "-")
        (photos / "ñ=1").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample.image, photos / "ñ=1" / f"{name}, 傷.PNG")
    (photos / "broken.png").write_bytes(b"")
    before = set(workspace.rglob("*")) - set(photos.rglob("*"))
    done = flexunet(workspace, "infer", "run=latest", f"input={photos.name}", "output=out (ü)")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert f"{len(tested)} pictures predicted" in done.stdout and "1 refused" in done.stdout
    assert f"{photos / 'broken.png'}: the file is empty" in done.stdout
    for sample in tested.itertuples():
        name = sample.source.replace("/", "-")
        with (
            Image.open(run_folder / "evaluation/test/predictions" / f"{name}.png") as scored,
            Image.open(workspace / "out (ü)/masks/ñ=1" / f"{name}, 傷.png") as mask,
        ):
            np.testing.assert_array_equal(np.array(mask), np.array(scored))
    new = {path.relative_to(workspace).parts[0] for path in set(workspace.rglob("*")) - before}
    assert new == {photos.name, "out (ü)"}
    summary = pd.read_csv(workspace / "out (ü)/summary.csv")
    assert list(summary["status"]) == ["ok"] * len(tested) + ["refused"]


def lines(output: Path) -> int:
    records = output / "records.jsonl"
    return max(0, records.read_bytes().count(b"\n") - 1) if records.exists() else 0


def stopped_after(process: Command, output: Path, number: int, how: int) -> str:
    """Sends the signal when some pictures are done; what the process printed."""
    while lines(output) < number and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(how)
    return process.communicate(timeout=60)[0]


@pytest.mark.heavy
def test_it_goes_on_after_kill_9_and_after_ctrl_c(workspace, run_folder, tested):
    photos, output = workspace / "many", workspace / "out"
    photos.mkdir()
    image = Image.open(tested.iloc[0]["image"]).resize((700, 500))
    image.save(photos / "0000.png")
    for number in range(1, MANY):
        shutil.copyfile(photos / "0000.png", photos / f"{number:04d}.png")
    words = ("infer", f"run={run_folder}", "tracking=none", f"input={photos}", "output=out")
    killed = start_flexunet(workspace, *words)
    stopped_after(killed, output, 5, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    after_kill = lines(output)
    assert 5 <= after_kill < MANY and not (output / "summary.csv").exists()
    interrupted = start_flexunet(workspace, *words)
    printed = stopped_after(interrupted, output, after_kill + 5, signal.SIGINT)
    assert interrupted.returncode == 130 and "Traceback" not in printed
    assert "the same command goes on from there" in printed
    after_interrupt = lines(output)
    assert after_kill + 5 <= after_interrupt < MANY
    assert len(pd.read_csv(output / "summary.csv")) == after_interrupt
    masks = list((output / "masks").glob("*.png"))
    assert {Image.open(path).size for path in masks} == {(700, 500)}
    done = flexunet(workspace, *words)
    assert done.returncode == 0, done.stdout
    assert f"{MANY - after_interrupt} pictures predicted" in done.stdout
    assert f"{after_interrupt} were done before" in done.stdout
    written = [json.loads(line) for line in (output / "records.jsonl").open()][1:]
    assert len({record["path"] for record in written}) == len(written) == MANY
    assert len(pd.read_csv(output / "summary.csv")) == MANY
    assert {path.name for path in output.iterdir()} == {
        *("masks", "overlays", "records.jsonl", "regions.csv", "summary.csv")
    }
    assert len({path.read_bytes() for path in (output / "masks").iterdir()}) == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["output=out"], "input is missing"),
        (["input=photos"], "output is missing"),
        (["input=[]", "output=out"], r"input=\[\] is not a picture"),
        (["input=[a,3]", "output=out"], "is not a picture"),
        (["input=a", "output=[out]"], "is not a folder"),
        (["input=a", "output=out", "min_area=0"], "Try min_area=20"),
        (["input=a", "output=out", "min_probability=50"], "Try min_probability=0.5"),
        (["input=a", "output=out", "overlays=maybe"], "is not true or false"),
        (["input=a", "output=out", "predict.tta=all"], "none, flips or flips_turns"),
        (["input=a", "output=out", "predict.overlap=1"], "from 0 to below 1"),
    ],
)
def test_wrong_settings_are_sentences(compose, words, problem):
    with pytest.raises(InputError, match=problem):
        settings.check(compose("infer", *words))


def test_all_wrong_settings_are_told_at_once(compose):
    with pytest.raises(InputError) as caught:
        settings.check(compose("infer", "min_area=0.5", "min_probability=-1"))
    assert len(caught.value.problems) == 4


def test_no_picture_is_told_before_anything_is_loaded(tmp_path):
    done = flexunet(tmp_path, "infer", "input=photos/**/*.png", "output=out")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert done.stdout.startswith("flexunet infer: input=photos/**/*.png: no picture found")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_sentence_and_more_room_goes_on(tmp_path, monkeypatch, compose):
    disk = tmp_path / "disk"
    disk.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    for number in range(9):
        Image.fromarray(noise).save(tmp_path / f"photos/{number}.png")
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    monkeypatch.setattr(command, "load", lambda cfg: (trained(), "a run", None))
    cfg = compose("infer", f"input={tmp_path / 'photos'}", f"output={disk / 'out'}")
    try:
        with pytest.raises(InputError, match="No space left on device. Fix this"):
            command.task(cfg)
        subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
        command.task(cfg)
        assert len(pd.read_csv(disk / "out/summary.csv")) == 9
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_last_message_lists_some_of_many_refused_pictures(tmp_path, monkeypatch, compose):
    (tmp_path / "photos").mkdir()
    for number in range(25):
        (tmp_path / f"photos/{number:02d}.png").write_text("no picture")
    monkeypatch.setattr(command, "load", lambda cfg: (trained(), "a run", None))
    with pytest.raises(InputError) as caught:
        command.task(compose("infer", f"input={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"))
    assert len(caught.value.problems) == report.LISTED + 1
    assert "5 more, in " in caught.value.problems[-1]
    assert len(pd.read_csv(tmp_path / "out/summary.csv")) == 25


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch, caplog):
    clock = iter([0.0, 4.0, 10.0, 11.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level("INFO"):
        lines = progress.Lines(100)
        for done in (10, 20, 21):
            lines(done)
    assert caplog.messages == ["20 of 100 pictures, 2.0 a second, 0:40 left"]
