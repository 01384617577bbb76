"""What is made of pictures, that it goes on after any end, and that nothing else is touched."""

from __future__ import annotations

import csv
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.commands.infer import pipeline, records
from flexunet_exp.commands.infer.outputs import Output
from flexunet_exp.data.channels import Channels
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import predictor
from tests.support import running
from tests.support.standin import GREYS, NAMES, PALETTE, draw, infer, trained

SCRATCH, DENT, SPECK = ("scratch", 4, 6, 10, 3), ("dent", 20, 20, 5, 5), ("scratch", 30, 1, 1, 1)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def mask(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.mode == "P" and picture.getpalette()[:9] == PALETTE.ravel().tolist()
        return np.array(picture)


def files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def results(output: Path) -> dict[str, bytes]:
    """All files, without the records' order: it is that of the work."""
    found = files(output)
    found["records.jsonl"] = b"\n".join(sorted(found["records.jsonl"].splitlines()))
    return found


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    draw(folder / "both.png", SCRATCH, DENT, SPECK)
    draw(folder / "sub" / "傷 [1].png", DENT)
    draw(folder / "clean.png")
    draw(folder / "=1+1.png", SCRATCH)
    return folder


def test_masks_and_tables_tell_what_was_drawn(photos, tmp_path):
    report = infer(photos, tmp_path / "out")
    assert (report.done, report.with_defect, report.refused) == (4, 3, {})
    kept = mask(tmp_path / "out/masks/both.png")
    expected = np.zeros((32, 32), int)
    expected[6:9, 4:14], expected[20:25, 20:25], expected[1, 30] = 1, 2, 1
    np.testing.assert_array_equal(kept, expected)
    regions = table(tmp_path / "out/regions.csv")
    assert [row["file"] for row in regions] == ["=1+1.png", *["both.png"] * 3, "sub/傷 [1].png"]
    speck, scratch, dent = regions[1:4]
    measured = ("class", "area", "left", "top", "width", "height", "centre_x", "centre_y")
    assert [speck[key] for key in measured] == ["scratch", "1", "30", "1", "1", "1", "30.0", "1.0"]
    assert [scratch[key] for key in measured] == [
        "scratch",
        "30",
        "4",
        "6",
        "10",
        "3",
        "8.5",
        "7.0",
    ]
    assert [dent[key] for key in measured] == ["dent", "25", "20", "20", "5", "5", "22.0", "22.0"]
    assert float(dent["share"]) == pytest.approx(25 / 1024, rel=1e-5)
    # The probability of 255 being 255 and not 128 or 0, in logits of 1/20 grey level.
    sure = 1 / (1 + np.exp(-127 / 20) + np.exp(-255 / 20))
    assert float(dent["mean_probability"]) == pytest.approx(sure, abs=1e-3)
    rows = {row["file"]: row for row in table(tmp_path / "out/summary.csv")}
    assert list(rows) == ["=1+1.png", "both.png", "clean.png", "sub/傷 [1].png"]
    both, clean = rows["both.png"], rows["clean.png"]
    assert (both["num_regions"], both["defect_area"], both["dominant_class"]) == (
        "3",
        "56",
        "scratch",
    )
    assert (both["area/scratch"], both["area/dent"], both["mask"]) == ("31", "25", "masks/both.png")
    assert (clean["num_regions"], clean["defect_area"], clean["dominant_class"]) == ("0", "0", "")
    assert float(clean["anomaly"]) == pytest.approx(np.exp(-128 / 20), abs=1e-3)
    assert float(both["anomaly"]) > 0.99 and both["status"] == "ok"


def test_overlays_show_regions_and_legend_and_can_be_left_out(photos, tmp_path):
    infer(photos, tmp_path / "out")
    with Image.open(tmp_path / "out/overlays/sub/傷 [1].png") as picture:
        drawn = np.array(picture)
    assert drawn.shape[2] == 3 and drawn.shape[0] > 32
    assert (drawn[20:25, 20:25] == (0, 0, 255)).all(axis=-1).any()
    assert (drawn[:20, :20] == 0).all() and (drawn[32:] == (0, 0, 255)).all(axis=-1).any()
    infer(photos, tmp_path / "plain", overlays=False)
    assert not (tmp_path / "plain/overlays").exists()


def test_small_and_unsure_regions_are_background_in_the_mask_too(photos, tmp_path):
    infer(photos, tmp_path / "out", min_area=26)
    assert set(np.unique(mask(tmp_path / "out/masks/both.png"))) == {0, 1}
    assert [row["area"] for row in table(tmp_path / "out/regions.csv")] == ["30", "30"]
    draw(photos / "faint.png").write_bytes(b"")
    Image.fromarray(np.full((32, 32), 70, np.uint8)).save(photos / "faint.png")  # 0.52 sure
    infer(photos / "faint.png", tmp_path / "low", min_probability=0.5)
    infer(photos / "faint.png", tmp_path / "high", min_probability=0.9)
    assert (mask(tmp_path / "low/masks/faint.png") == 1).all()
    assert (mask(tmp_path / "high/masks/faint.png") == 0).all()
    (row,) = table(tmp_path / "high/summary.csv")
    assert row["num_regions"] == "0" and float(row["anomaly"]) > 0.5


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("bit_depth", 12, "dataset.bit_depth=12"), ("channels", Channels(1), "dataset.channels=1")],
)
def test_results_of_a_corrected_reading_are_others(tmp_path, name, value, shown):
    picture, corrected = draw(tmp_path / "a.png", SCRATCH), trained()
    infer(picture, tmp_path / "out")
    setattr(corrected, name, value)
    with pytest.raises(InputError, match=f"predicts with .*{shown}.*overwrite=true"):
        infer(picture, tmp_path / "out", corrected)


@pytest.mark.parametrize("bits", ["auto", 16])
def test_the_usual_reading_is_not_kept_as_older_folders_lack_it(bits):
    usual = trained()
    usual.bit_depth = bits
    assert set(pipeline.made_of(usual, pipeline.Options(), "run A")["settings"]) == {
        *("tile", "overlap", "tta", "precision", "min_area", "min_probability")
    }


def test_results_of_a_square_tile_are_the_same_however_it_is_typed(tmp_path):
    picture = draw(tmp_path / "a.png", SCRATCH)
    infer(picture, tmp_path / "out", trained(tile=[16, 16]))
    assert infer(picture, tmp_path / "out", trained(tile=16)).already == 1
    with pytest.raises(InputError, match=r"\(tile=\[16, 16\]\).*\(tile=8\)"):
        infer(picture, tmp_path / "out", trained(tile=8))


@pytest.mark.parametrize("band_values", [predictor.BAND_VALUES, 500])
def test_probabilities_are_those_of_every_class_at_every_pixel(tmp_path, monkeypatch, band_values):
    monkeypatch.setattr(predictor, "BAND_VALUES", band_values)
    picture = draw(tmp_path / "a.png", SCRATCH, DENT)
    infer(picture, tmp_path / "out", probabilities=True)
    with np.load(tmp_path / "out/probabilities/a.npz", allow_pickle=False) as archive:
        kept = archive["probabilities"]
    assert kept.shape == (32, 32, 3) and kept.dtype == np.float16
    grey = np.zeros((32, 32))
    grey[6:9, 4:14], grey[20:25, 20:25] = GREYS["scratch"], GREYS["dent"]
    weights = np.exp(-np.abs(grey[..., None] - list(GREYS.values())) / 20)
    np.testing.assert_allclose(kept, weights / weights.sum(-1, keepdims=True), atol=1e-3)


def test_each_picture_has_its_own_size_and_batches_are_full(tmp_path):
    for side in (16, 64, 200, 33, 31):
        draw(tmp_path / f"photos/{side}.png", side=side)
    network = trained(batch_size=2)
    infer(tmp_path / "photos", tmp_path / "out", network)
    for side in (16, 64, 200, 33, 31):
        assert mask(tmp_path / f"out/masks/{side}.png").shape == (side, side)
    assert network.predictor.model.sizes == [2, 2, 1]


def test_networks_that_predict_together_give_the_mean_of_their_probabilities(tmp_path):
    picture = draw(tmp_path / "a.png", side=32)
    Image.fromarray(np.full((32, 32), 60, np.uint8)).save(picture)
    alone, other = trained(), trained()
    other.predictor.model.weights = [np.array([60, 300, 600], np.float32)]
    both = trained()
    both.predictor = predictor.Ensemble([alone.predictor, other.predictor])
    infer(picture, tmp_path / "alone", alone, probabilities=True)
    infer(picture, tmp_path / "both", both, probabilities=True)
    kept = [np.load(tmp_path / name / "probabilities/a.npz") for name in ("alone", "both")]
    first, mean = (archive["probabilities"][0, 0].astype(float) for archive in kept)
    logits = -np.abs(60 - np.array([60, 300, 600])) / 20
    second = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(mean, (first + second) / 2, atol=1e-3)
    with pytest.raises(InputError, match="holds the results of"):
        infer(picture, tmp_path / "alone", both)


def bomb(path: Path) -> None:
    """A valid PNG of a few bytes whose picture would have 3,600 million pixels."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def test_what_is_no_picture_is_refused_with_its_reason_and_the_rest_goes_on(photos, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    for suffix in ("png", "jpg"):
        Image.fromarray(noise).save(photos / f"cut.{suffix}")
        whole = (photos / f"cut.{suffix}").read_bytes()
        (photos / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.png").write_bytes(b"")
    (photos / "text.png").write_text("no picture")
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    os.mkfifo(photos / "pipe.png")
    bomb(photos / "bomb.png")
    (photos / "giant.png").touch()
    os.truncate(photos / "giant.png", 2**33)
    report = infer(photos, tmp_path / "out")
    assert report.done == 4
    reasons = {picture.path.name: reason for picture, reason in report.refused.items()}
    expected = {
        "cut.png": "cut off half-way",
        "cut.jpg": "cut off half-way",
        "empty.png": "the file is empty",
        "text.png": "no readable image",
        "gone.png": "No such file",
        "pipe.png": "pipe",
        "bomb.png": "3600000000 pixels",
        "giant.png": "8.0 GiB",
    }
    assert set(reasons) == set(expected)
    for name, words in expected.items():
        assert words in reasons[name] and str(photos / name) in reasons[name]
    rows = table(tmp_path / "out/summary.csv")
    refused = {row["file"]: row["error"] for row in rows if row["status"] == "refused"}
    assert refused == reasons and len(rows) == 12


def test_a_second_time_does_only_what_is_missing_or_changed(photos, tmp_path):
    infer(photos, tmp_path / "out")
    first = results(tmp_path / "out")
    again = infer(photos, tmp_path / "out")
    assert (again.done, again.already) == (0, 4) and results(tmp_path / "out") == first
    draw(photos / "clean.png", DENT, SPECK)
    draw(photos / "new.png", SCRATCH)
    (tmp_path / "out/overlays/both.png").unlink()
    (photos / "sub/傷 [1].png").rename(photos / "sub/moved.png")
    third = infer(photos, tmp_path / "out")
    assert (third.done, third.already) == (4, 1)
    rows = {row["file"]: row for row in table(tmp_path / "out/summary.csv")}
    assert rows["clean.png"]["num_regions"] == "2" and rows["new.png"]["num_regions"] == "1"
    assert "sub/傷 [1].png" in rows  # its results are still there
    assert len(table(tmp_path / "out/regions.csv")) == 1 + 3 + 2 + 1 + 1 + 1
    assert infer(photos, tmp_path / "out", probabilities=True).done == 5
    assert infer(photos, tmp_path / "out", overwrite=True).done == 5


def test_a_picture_that_was_fine_and_is_broken_now_is_refused(photos, tmp_path):
    infer(photos, tmp_path / "out")
    (photos / "both.png").write_bytes(b"broken")
    infer(photos, tmp_path / "out")
    rows = [row for row in table(tmp_path / "out/summary.csv") if row["file"] == "both.png"]
    assert [row["status"] for row in rows] == ["refused"]
    assert "both.png" not in {row["file"] for row in table(tmp_path / "out/regions.csv")}


def made_of_both(output: Path) -> set[str]:
    """The kinds of files that are there of the picture both.png."""
    return {path.parent.name for path in output.glob("*/both.*")}


def test_files_of_a_picture_that_changed_are_those_of_the_new_one(photos, tmp_path):
    output = tmp_path / "out"
    infer(photos, output, probabilities=True)
    assert infer(photos, output, overlays=False).already == 4
    assert made_of_both(output) == {"masks", "overlays", "probabilities"}
    draw(photos / "both.png", SPECK)
    assert infer(photos, output, overlays=False).done == 1
    assert made_of_both(output) == {"masks"}
    assert (output / "probabilities/clean.npz").is_file()


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"broken"), Path.unlink])
def test_of_a_picture_that_is_refused_now_nothing_is_kept(photos, tmp_path, spoil):
    output = tmp_path / "out"
    infer(photos, output, probabilities=True)
    (photos / "both.png").rename(tmp_path / "moved.png")
    (photos / "both.png").symlink_to(tmp_path / "moved.png")
    assert infer(photos, output).already == 4
    spoil(tmp_path / "moved.png")
    assert len(infer(photos, output).refused) == 1
    assert made_of_both(output) == set()
    infer(photos / "clean.png", output)
    files = {row["file"] for row in table(output / "summary.csv")}
    assert "clean.png" in files and "both.png" not in files


def test_pictures_of_one_name_from_two_folders_stand_beside_each_other(tmp_path):
    monday, tuesday = tmp_path / "monday", tmp_path / "tuesday"
    draw(monday / "1.png", SCRATCH)
    draw(tuesday / "1.png", DENT)
    infer(monday, tmp_path / "out")
    kept = files(tmp_path / "out/masks")
    infer(tuesday, tmp_path / "out")
    assert files(tmp_path / "out/masks").items() > kept.items()
    classes = {row["file"]: row["class"] for row in table(tmp_path / "out/regions.csv")}
    assert classes == {"1.png": "scratch", str(tuesday / "1.png"): "dent"}


def test_other_settings_or_another_network_are_refused_and_named(photos, tmp_path):
    output = tmp_path / "out"
    infer(photos, output)
    before = results(output)
    differing = r"run A \(min_area=1\); this command predicts with run A \(min_area=2\)"
    with pytest.raises(InputError, match=differing):
        infer(photos, output, min_area=2)
    with pytest.raises(InputError, match=r"\(tta=none\).*\(tta=flips\).*overwrite=true"):
        infer(photos, output, trained(tta="flips"))
    other = trained()
    other.predictor.model.weights[0][1] += 1
    with pytest.raises(InputError, match="predicts with run A as it is now"):
        infer(photos, output, other)
    assert results(output) == before
    assert infer(photos, output, trained(batch_size=3)).already == 4  # changes no result


def test_overwriting_removes_what_other_settings_made(photos, tmp_path):
    output, mine = tmp_path / "out", tmp_path / "out/masks/mine.txt"
    infer(photos, output, probabilities=True)
    mine.write_text("not of the command")
    infer(photos / "both.png", output, min_area=2, overwrite=True)
    names = {name for name in files(output) if "/" in name}
    assert names == {"masks/both.png", "overlays/both.png", "masks/mine.txt"}
    assert [row["file"] for row in table(output / "summary.csv")] == ["both.png"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["thesis.txt", "records.jsonl", "regions.csv"])
def test_a_folder_that_holds_something_else_is_left_alone(photos, tmp_path, name, overwrite):
    output = tmp_path / "out"
    output.mkdir()
    (output / name).write_text('{"made_by": "someone"}\n')
    with pytest.raises(InputError, match=f"did not write .*{name}"):
        infer(photos, output, overwrite=overwrite)
    assert files(output) == {name: b'{"made_by": "someone"}\n'}
    with pytest.raises(InputError, match="is a file"):
        infer(photos, output / name)
    with pytest.raises(InputError, match="not below output"):
        infer(photos / "both.png", photos)


def test_a_folder_with_hidden_files_only_counts_as_empty(photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.gitkeep").touch()
    assert infer(photos, tmp_path / "out").done == 4


@pytest.mark.parametrize(
    "part", ["masks", "overlays", "masks/sub", "records.jsonl", "records.lock"]
)
def test_nothing_is_written_through_a_link(photos, tmp_path, part):
    outside, output = tmp_path / "outside", tmp_path / "out"
    infer(photos / "both.png", output)
    shutil.rmtree(output / part, ignore_errors=True)
    (output / part).unlink(missing_ok=True)
    (output / part).symlink_to(outside, target_is_directory=True)
    if "." not in part:
        outside.mkdir()
    with pytest.raises(InputError, match="leads out of|did not write"):
        infer(photos, output)
    assert not outside.exists() or not any(outside.iterdir())


@pytest.mark.parametrize("options", [{}, {"overwrite": True}])
@pytest.mark.parametrize("name", ["../../stolen", "{}/stolen"])
def test_a_record_that_names_a_file_elsewhere_is_none(photos, tmp_path, name, options):
    output = tmp_path / "out"
    infer(photos / "both.png", output)
    kept, stolen = output / records.RECORDS, tmp_path / "stolen.png"
    renamed = kept.read_text().replace('"both"', f'"{name.format(tmp_path)}"')
    kept.write_text(renamed)
    stolen.write_text("kept")
    (output / "masks" / "both.png").unlink()
    assert infer(photos / "both.png", output, **options).done == 1
    assert stolen.read_text() == "kept" and (output / "masks" / "both.png").is_file()


def test_the_second_of_two_in_one_folder_is_refused(photos, tmp_path):
    output = Output(tmp_path / "out", NAMES, PALETTE)
    made_of = pipeline.made_of(trained(), pipeline.Options(), "run A")
    with (
        records.opened(output, made_of, overwrite=False),
        pytest.raises(InputError, match="another flexunet infer is writing there"),
    ):
        infer(photos, tmp_path / "out")
    assert infer(photos, tmp_path / "out").done == 4
    assert not (tmp_path / "out" / records.LOCK).exists()


@pytest.mark.parametrize("cut", [1, 2, 60, 300, 10**6])
def test_torn_and_spoilt_records_are_done_again(photos, tmp_path, cut):
    infer(photos, tmp_path / "out")
    whole = results(tmp_path / "out")
    kept = tmp_path / "out" / records.RECORDS
    lines = kept.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"path": "spoilt", "regions": [7]}\n'
    body = b"".join(lines[1:])
    kept.write_bytes(lines[0] + body[: max(0, len(body) - cut)])
    report = infer(photos, tmp_path / "out")
    assert 1 < report.done <= 4
    again = results(tmp_path / "out")
    assert {name: again[name] for name in again if name != records.RECORDS} == {
        name: whole[name] for name in whole if name != records.RECORDS
    }


@pytest.mark.parametrize(
    "moment",
    [
        "flexunet_exp.system.files:replace_file 1",  # nothing is there yet
        "flexunet_exp.commands.infer.outputs:Output.write_mask 3",
        "flexunet_exp.data.masks:Image.Image.putpalette 2",  # a mask half-written
        "os:replace 6",
        "flexunet_exp.system.journal:Journal.append 4",
        "flexunet_exp.commands.infer.tables:write 1",
        "flexunet_exp.commands.infer.tables:summary_row 3",  # a table half-written
    ],
)
def test_after_kill_9_nothing_is_half_nothing_lost_and_nothing_done_twice(tmp_path, moment):
    photos = tmp_path / "photos"
    for number in range(8):
        draw(photos / f"{number}.png", ("scratch", number, number, 3 + number, 4), DENT)
    infer(photos, tmp_path / "undisturbed")
    script = running.SUPPORT / "standin.py"
    environment = {**os.environ, "PYTHONPATH": str(running.ROOT)}
    words = [sys.executable, str(script), str(photos), str(tmp_path / "out"), *moment.split(" ")]
    killed = subprocess.run(words, capture_output=True, env=environment)
    assert killed.returncode == -9, killed.stderr.decode()
    for path in (tmp_path / "out").rglob("[!.]*.png"):
        Image.open(path).load()
    kept = tmp_path / "out" / records.RECORDS
    done = len(kept.read_bytes().splitlines()) - 1 if kept.exists() else 0
    report = infer(photos, tmp_path / "out")
    assert (report.already, report.done) == (max(0, done), 8 - max(0, done))
    assert results(tmp_path / "out") == results(tmp_path / "undisturbed")


def test_an_interrupt_keeps_what_is_done_and_writes_the_tables(tmp_path, monkeypatch):
    for number in range(9):
        draw(tmp_path / f"photos/{number}.png", DENT)
    network = trained(batch_size=1)
    predict_on_batch = network.predictor.model.predict_on_batch

    def interrupted(pictures):
        if len(network.predictor.model.sizes) == 5:
            raise KeyboardInterrupt
        return predict_on_batch(pictures)

    network.predictor.model.predict_on_batch = interrupted
    with pytest.raises(KeyboardInterrupt):
        infer(tmp_path / "photos", tmp_path / "out", network)
    rows = table(tmp_path / "out/summary.csv")
    assert len(rows) == len(list((tmp_path / "out/masks").iterdir())) == 5
    assert infer(tmp_path / "photos", tmp_path / "out").done == 4


def test_names_that_no_file_can_have_are_refused_alone(tmp_path):
    draw(tmp_path / "photos/a.png", DENT)
    name = "n" * 250 + ".png"
    draw(tmp_path / "photos" / name)
    (tmp_path / "photos" / f"{'n' * 250}.bmp").write_bytes(
        (tmp_path / "photos" / name).read_bytes()
    )
    report = infer(tmp_path / "photos", tmp_path / "out")
    assert report.done == 1 and len(report.refused) == 2
    assert all("File name too long" in reason for reason in report.refused.values())
