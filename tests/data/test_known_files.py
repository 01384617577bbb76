"""A scan reads only files that changed since the scan before, and finds what a whole scan finds."""

from __future__ import annotations

import importlib
import os
import sqlite3
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import known_files, leakage
from flexunet_exp.data.folders import pairing
from flexunet_exp.data.known_files import KnownFiles
from flexunet_exp.data.layouts import ImageMask, MVTec
from flexunet_exp.data.scan_record import MASKS, PICTURES, NetworkView
from tests.support import disks

CLASSES = [{"name": "background", "color": [0, 0, 0]}, {"name": "dent", "color": [255, 0, 0]},
           {"name": "hole", "color": [0, 255, 0]}]  # fmt: skip
VIEW = NetworkView((32, 32))
OLD = 1_700_000_000 * 10**9  # nanoseconds


def write(path: Path, image: np.ndarray, when: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    os.utime(path, ns=(when, when))
    return path


def noise(seed: int, shape: tuple[int, ...] = (48, 64, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    mask = np.zeros((48, 64), np.uint8)
    mask[5:9, 5:20] = 255
    for number, name in enumerate(("dent", "hole")):
        write(folder / f"test/{name}/0.png", noise(number))
        write(folder / f"ground_truth/{name}/0_mask.png", mask)
    write(folder / "test/good/0.png", noise(7))
    return folder


@pytest.fixture
def ready(tmp_path):
    folder = tmp_path / "ready"
    mask = np.zeros((48, 64, 3), np.uint8)
    mask[5:9, 5:20] = (0, 0, 255)  # BGR: dent
    for split in ("train", "valid", "test"):
        write(folder / split / "images" / "1.png", noise(len(split)))
        write(folder / split / "masks" / "1.png", mask)
    return folder


LAYOUTS = {"raw": lambda: MVTec(CLASSES), "ready": lambda: ImageMask(CLASSES)}


@pytest.fixture
def reads(monkeypatch):
    """The paths of the pictures that were decoded, in their order."""
    found: list[str] = []
    real = pairing.picture_facts

    def noted(path, *rest):
        found.append(Path(path).name)
        return real(path, *rest)

    monkeypatch.setattr(pairing, "picture_facts", noted)
    return found


def same(first, second) -> bool:
    plain = [
        (record.table.to_dict("records"), record.problems, record.warnings, record.notes,
         record.decisions,
         record.readable.tolist(), {k: PICTURES.pack(v) for k, v in record.pictures.items()},
         {k: MASKS.pack(v) for k, v in record.masks.items()})
        for record in (first, second)
    ]  # fmt: skip
    return plain[0] == plain[1]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_second_scan_reads_nothing_and_finds_the_same(name, request, tmp_path, reads):
    folder, kept = request.getfixturevalue(name), KnownFiles.of(tmp_path / "cache", tmp_path, [])
    layout = LAYOUTS[name]()
    bare = layout.scan(folder, VIEW)
    first = layout.scan(folder, VIEW, kept=kept)
    reads.clear()
    second = LAYOUTS[name]().scan(folder, VIEW, kept=kept)
    assert reads == []
    assert same(bare, first) and same(first, second)
    for path, facts in first.masks.items():
        for one, other in zip(facts.defects, second.masks[path].defects, strict=True):
            assert one[:8] == other[:8] and one.places.dtype == other.places.dtype
            np.testing.assert_array_equal(one.places, other.places)


def test_a_mask_is_not_read_again_either(raw, tmp_path, monkeypatch):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    monkeypatch.setattr(MVTec, "_read", lambda *_: pytest.fail("a mask was read"))
    MVTec(CLASSES).scan(raw, VIEW, kept=kept)


CHANGES = {
    "size": lambda path: write(path, noise(99, (48, 64, 3)) // 64 * 64),
    "time": lambda path: os.utime(path, ns=(OLD + 1, OLD + 1)),
    "inode": lambda path: os.replace(write(path.with_name("new.png"), cv2.imread(str(path))), path),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_is_read_again(change, raw, tmp_path, reads):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    before = os.stat(raw / "test/hole/0.png")
    CHANGES[change](raw / "test/hole/0.png")
    after = os.stat(raw / "test/hole/0.png")
    facts = [(one.st_size, one.st_mtime_ns, one.st_ino) for one in (before, after)]
    assert sum(a != b for a, b in zip(*facts, strict=True)) == 1, "the test changes one fact alone"
    reads.clear()
    found = MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    assert reads == ["0.png"]
    assert same(found, MVTec(CLASSES).scan(raw, VIEW))


def test_a_file_that_was_written_just_now_is_read_again(raw, tmp_path, reads):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    os.utime(raw / "test/good/0.png")
    MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    reads.clear()
    MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    assert len(reads) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda folder, kept: MVTec(CLASSES).scan(folder, NetworkView((16, 16)), kept=kept),
        lambda folder, kept: MVTec(CLASSES[:1] + CLASSES[:0:-1]).scan(folder, VIEW, kept=kept),
    ],
    ids=["another input size", "other numbers of classes"],
)
def test_masks_read_otherwise_are_not_mixed_up(other, raw, tmp_path):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    first = MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    found, bare = other(raw, kept), other(raw, None)
    assert same(found, bare)
    assert not same(found, first)


@pytest.mark.parametrize(
    "others",
    [CLASSES[:1] + CLASSES[:0:-1], [*CLASSES, {"name": "rip", "color": [0, 0, 255]}]],
    ids=["another order", "another number"],
)
def test_merged_masks_of_other_classes_are_not_mixed_up(others, ready, tmp_path):
    kept = KnownFiles.of(tmp_path / "cache", ready, [])
    ImageMask(CLASSES, "all", mask_classes=CLASSES).scan(ready, VIEW, kept=kept)
    layout = ImageMask(others, "all", mask_classes=CLASSES)
    assert same(layout.scan(ready, VIEW, kept=kept), layout.scan(ready, VIEW))


def test_a_problem_is_found_again(raw, tmp_path):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    (raw / "test/hole/0.png").write_bytes(b"no picture")
    os.utime(raw / "test/hole/0.png", ns=(OLD, OLD))
    first, second = (MVTec(CLASSES).scan(raw, VIEW, kept=kept) for _ in range(2))
    assert first.problems and first.problems == second.problems


def test_a_mask_folder_is_known_by_all_its_files(tmp_path):
    folder = tmp_path / "0"
    write(folder / "a.png", noise(1))
    write(folder / "b.png", noise(2))
    os.utime(folder, ns=(OLD, OLD))
    before = known_files.stamp(str(folder))
    write(folder / "b.png", noise(3), OLD + 5)
    os.utime(folder, ns=(OLD, OLD))
    assert before and known_files.stamp(str(folder)) not in ("", before)


def test_a_damaged_file_of_facts_is_no_obstacle(raw, tmp_path, reads, caplog):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    first = MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    kept.file.write_bytes(b"this is not a database" * 100)
    assert same(first, MVTec(CLASSES).scan(raw, VIEW, kept=kept))
    assert str(kept.file) in caplog.text
    reads.clear()
    assert same(first, MVTec(CLASSES).scan(raw, VIEW, kept=kept))
    assert len(reads) == 0, "it was replaced by a new one"


@pytest.mark.parametrize("said", ["[]", "{", "null", '[1, 2, "x", {"size": 3}]'])
def test_facts_that_are_none_are_read_again(said, raw, tmp_path):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    first = MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    with sqlite3.connect(kept.file) as store:
        store.execute("UPDATE facts SET said = ?", (said,))
    assert same(first, MVTec(CLASSES).scan(raw, VIEW, kept=kept))


@pytest.mark.parametrize("name", ["a file", "a name that is too long" * 20])
def test_a_folder_that_cannot_be_written_is_a_warning(name, raw, tmp_path, caplog):
    (tmp_path / "a file").touch()
    kept = KnownFiles.of(tmp_path / name, raw, [])
    assert same(MVTec(CLASSES).scan(raw, VIEW, kept=kept), MVTec(CLASSES).scan(raw, VIEW))
    assert "cache_dir=FOLDER" in caplog.text


def test_what_is_known_is_used_where_its_time_of_use_cannot_be_noted(raw, tmp_path, reads):
    with disks.mounted(tmp_path / "disk") as disk:
        kept = KnownFiles.of(disk / "cache", raw, [])
        first = MVTec(CLASSES).scan(raw, VIEW, kept=kept)
        disks.make_read_only(disk)
        reads.clear()
        assert same(first, MVTec(CLASSES).scan(raw, VIEW, kept=kept)) and reads == []


def test_a_damaged_file_of_facts_that_cannot_be_removed_is_no_obstacle(raw, tmp_path, caplog):
    with disks.mounted(tmp_path / "disk") as disk:
        kept = KnownFiles.of(disk, raw, [])
        kept.file.write_bytes(b"this is not a database" * 100)
        disks.make_read_only(disk)
        assert same(MVTec(CLASSES).scan(raw, VIEW, kept=kept), MVTec(CLASSES).scan(raw, VIEW))
    assert f"{kept.file} is damaged" in caplog.text


def test_read_only_uses_what_is_known_and_writes_nothing(raw, tmp_path, reads):
    cache = tmp_path / "cache"
    only = KnownFiles.of(cache, raw, [], read_only=True)
    first = MVTec(CLASSES).scan(raw, VIEW, kept=only)
    assert not cache.exists()
    kept = KnownFiles.of(cache, raw, [])
    MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    before = kept.file.stat().st_mtime_ns, kept.file.read_bytes()
    reads.clear()
    assert same(first, MVTec(CLASSES).scan(raw, VIEW, kept=only))
    assert reads == [] and before == (kept.file.stat().st_mtime_ns, kept.file.read_bytes())


def test_pairs_of_copies_are_compared_once(raw, tmp_path, monkeypatch):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    copy = cv2.flip(cv2.imread(str(raw / "test/hole/0.png")), 1)
    write(raw / "test/good/1.png", copy)
    found = MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    table = found.table.assign(split=["train", "test", "valid", "train"])
    first = leakage.kept_pairs(table, found.fingerprints, kept)
    assert first == leakage.across_splits(table, found.fingerprints) and len(first) == 1
    monkeypatch.setattr(leakage, "across_splits", lambda *_: pytest.fail("compared again"))
    assert leakage.kept_pairs(table, {}, kept) == first
    with pytest.raises(pytest.fail.Exception):
        leakage.kept_pairs(table.assign(split="train"), found.fingerprints, kept)


def test_other_code_knows_nothing(raw, tmp_path):
    assert KnownFiles.of(tmp_path, raw, ["a"]) != KnownFiles.of(tmp_path, raw, ["b"])
    assert KnownFiles.of(tmp_path, raw, ["a"]) != KnownFiles.of(tmp_path, raw.parent, ["a"])


def test_what_was_read_before_a_ctrl_c_is_kept(raw, tmp_path, monkeypatch, reads):
    kept = KnownFiles.of(tmp_path / "cache", raw, [])
    real = pairing.picture_facts

    def interrupted(path, *rest):
        if "good" in str(path):
            raise KeyboardInterrupt
        return real(path, *rest)

    monkeypatch.setattr(pairing, "picture_facts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    monkeypatch.setattr(pairing, "picture_facts", real)
    reads.clear()
    MVTec(CLASSES).scan(raw, VIEW, kept=kept)
    assert len(reads) == 1


OWN_LAYOUT = """
from flexunet_exp.data.layouts import MVTec

class Shifted(MVTec):
    def _read(self, row):
        found = super()._read(row)
        return found._replace(mask=found.mask[:, ::{step}])
"""


def test_masks_of_a_layout_of_ones_own_are_read_again_when_its_code_changes(
    tmp_path, compose, monkeypatch
):
    mask = np.zeros((48, 64), np.uint8)
    mask[5:9, 5:20] = 255
    write(tmp_path / "raw/test/bent/0.png", noise(1))
    write(tmp_path / "raw/ground_truth/bent/0_mask.png", mask)
    monkeypatch.setenv("FLEXUNET_TRUSTED", "own_layout")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    cfg = compose(
        *("train", "dataset=grid", f"dataset.path={tmp_path}/raw", f"cache_dir={tmp_path}/cache"),
        "dataset.layout._target_=own_layout.Shifted",
    )

    def first_defect_of(step: int) -> int:
        (tmp_path / "own_layout.py").write_text(OWN_LAYOUT.format(step=step))
        sys.modules.pop("own_layout", None)
        importlib.invalidate_caches()
        known = known_files.KnownFiles.of(
            tmp_path / "cache", tmp_path / "raw", datasets.code_of_scans(cfg.dataset.layout)
        )
        record = datasets.scan(cfg, tmp_path / "raw", 16, VIEW, known)
        (facts,) = record.masks.values()
        return facts.defects[0].left

    assert (first_defect_of(1), first_defect_of(-1), first_defect_of(1)) == (5, 44, 5)
