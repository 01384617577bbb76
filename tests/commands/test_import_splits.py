"""flexunet import: which split pictures of an export with splits of its own come into."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.commands.import_ import command
from flexunet_exp.errors import InputError

SIZE = (8, 10)


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8)
    Image.fromarray(noise).save(path)


def mask(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(SIZE, value, np.uint8)).save(path)


def surfaces(root: Path) -> None:
    """KolektorSDD2: ten pictures to train, four to test; every second one shows a defect."""
    for part, count in (("train", 10), ("test", 4)):
        for number in range(count):
            name = f"{part}/{10000 + number + 100 * (part == 'test')}"
            picture(root / f"{name}.png", len(part) * 100 + number)
            mask(root / f"{name}_GT.png", 255 * (number % 2))


def parts(root: Path) -> None:
    """MPDD: six good pictures to train, six defects to test."""
    for number in range(6):
        picture(root / f"tubes/train/good/{number:03}.png", number)
        picture(root / f"tubes/test/anomalous/{number:03}.png", 100 + number)
        mask(root / f"tubes/ground_truth/anomalous/{number:03}_mask.png", 255)


@pytest.fixture
def imported(compose, tmp_path, monkeypatch):
    """Imports a tree; the rows of the manifest."""
    monkeypatch.chdir(tmp_path)

    def run(make, *overrides: str) -> list[dict]:
        make(tmp_path / "export")
        words = [f"input='{tmp_path / 'export'}'", f"output='{tmp_path / 'set'}'", *overrides]
        command.task(compose("import", *words))
        with open(tmp_path / "set/manifest.csv", newline="") as file:
            return [*csv.DictReader(file)]

    return run


def test_a_share_of_train_validates_where_the_export_has_no_valid_part(imported):
    rows = imported(surfaces)

    counts = Counter((row["given_split"], row["split"]) for row in rows)
    assert counts == {("train", "train"): 8, ("train", "valid"): 2, ("test", "test"): 4}
    assert {row["label"] for row in rows if row["split"] == "valid"} == {"good", "defect"}


def test_without_a_share_to_validate_the_split_stays_as_it_is(imported):
    rows = imported(surfaces, "ratios=[1,0,0]")

    assert all(row["split"] == row["given_split"] for row in rows)


def test_a_train_part_without_defects_is_not_the_default(imported, caplog):
    with caplog.at_level("INFO"):
        rows = imported(parts)

    defects = Counter(row["split"] for row in rows if row["label"] != "good")
    assert set(defects) == {"train", "valid", "test"}
    assert {row["given_split"] for row in rows} == {"train", "test"}
    assert "shows no defect" in caplog.text


def test_a_train_part_without_defects_is_kept_on_demand(imported):
    rows = imported(parts, "splits=as_given")

    assert {row["split"] for row in rows if row["label"] != "good"} == {"test"}


def test_masks_that_are_pictures_decide_the_class_by_which_they_are_dealt(imported):
    rows = imported(surfaces, "splits=by_source", "ratios=[0.5,0.25,0.25]")

    labels = {split: {row["label"] for row in rows if row["split"] == split}
              for split in ("train", "valid", "test")}  # fmt: skip
    assert all(found == {"good", "defect"} for found in labels.values())


def test_a_damaged_mask_is_one_problem(imported, tmp_path):
    def damaged(root: Path) -> None:
        surfaces(root)
        (root / "train/10001_GT.png").write_bytes(b"\x89PNG no more")

    with pytest.raises(InputError) as caught:
        imported(damaged)

    (problem,) = caught.value.problems
    assert "10001_GT.png" in problem


def test_a_mask_of_another_size_is_one_problem(imported, tmp_path):
    def resized(root: Path) -> None:
        surfaces(root)
        Image.new("L", (3, 4)).save(root / "train/10001_GT.png")

    with pytest.raises(InputError, match="10001_GT.png is 3 × 4 pixels, its picture 10 × 8"):
        imported(resized)
