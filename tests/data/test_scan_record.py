"""The record of a scan: facts by picture, problems and warnings side by side, all at once."""

from __future__ import annotations

import pytest

from flexunet_exp.data.layouts import ImageMask, MVTec
from flexunet_exp.data.scan_record import NetworkView, accepted
from flexunet_exp.errors import InputError
from tests.support import hostile

VIEW = NetworkView((20, 24))


def save_raw(folder, name: str, mask_value: int = 255) -> str:
    hostile.save(folder / f"test/bent/{name}.png", hostile.picture())
    hostile.save(folder / f"ground_truth/bent/{name}_mask.png", hostile.truth(mask_value))
    return str(folder / f"test/bent/{name}.png")


def test_the_facts_of_each_file(tmp_path):
    image = save_raw(tmp_path, "000")
    record = MVTec(hostile.CLASSES).scan(tmp_path, VIEW)
    facts = record.pictures[image]
    assert (facts.width, facts.height) == (48, 40) and facts.header.kind == "PNG"
    assert facts.sha256 == record.table["sha256"][0]
    assert record.pixels[image].tolist() == [40 * 48 - 250, 250, 0]
    (defect,) = record.defects(image)
    assert (defect.area, defect.resized) == (250, 5 * 13)  # every second row and column
    assert list(record.fingerprints) == [image] and record.off_palette(image) == 0
    assert record.readable.tolist() == [True]
    assert accepted(record) is record


def test_without_a_view_neither_fingerprints_nor_defects_are_computed(tmp_path):
    image = save_raw(tmp_path, "000")
    record = MVTec(hostile.CLASSES).scan(tmp_path)
    assert record.fingerprints == {} and record.defects(image) == []
    assert record.pixels[image][1] == 250


def test_a_file_that_cannot_be_read_has_no_facts(tmp_path):
    image, other = save_raw(tmp_path, "000"), save_raw(tmp_path, "001")
    (tmp_path / "test/bent/000.png").write_bytes(b"")
    (tmp_path / "ground_truth/bent/001_mask.png").write_bytes(b"")
    record = MVTec(hostile.CLASSES).scan(tmp_path, VIEW)
    assert list(record.pictures) == [other] and list(record.masks) == [image]
    assert record.readable.tolist() == [False, False] and len(record.problems) == 2
    assert record.defects(other) == [] and record.off_palette(other) == 0


def test_problems_and_warnings_stand_side_by_side(tmp_path, caplog):
    save_raw(tmp_path, "000", mask_value=0)
    save_raw(tmp_path, "001", mask_value=7)
    save_raw(tmp_path, "002", mask_value=255)
    (tmp_path / "test/bent/notes.txt").touch()
    record = MVTec(hostile.CLASSES).scan(tmp_path)
    assert caplog.text == ""  # what is said of them is for the caller to decide
    (problem,) = record.problems
    assert "001_mask.png" in problem
    absent, ignored, black = record.warnings
    assert "1 files are ignored" in ignored and "notes.txt" in ignored
    assert "no picture of the configured cut" in absent and "000_mask.png" in black
    with pytest.raises(InputError) as refused:
        accepted(record)
    assert refused.value.problems == [problem]
    assert caplog.messages == record.warnings


def test_pixels_off_the_palette_are_of_their_picture(tmp_path):
    mask = hostile.truth((0, 0, 255))
    for name, blends in (("bent_0", 0), ("bent_1", 1)):
        hostile.save(tmp_path / f"train/images/{name}.png", hostile.picture())
        mask[9, 5 : 5 + blends] = (0, 0, 90)
        hostile.save(tmp_path / f"train/masks/{name}.png", mask)
    record = ImageMask(hostile.CLASSES, off_palette="nearest", off_palette_limit=1).scan(tmp_path)
    odd = [record.off_palette(str(tmp_path / f"train/images/bent_{n}.png")) for n in (0, 1)]
    assert odd == [0, 1]
    assert record.warnings == ["1 mask pixels (0.026 %) in 1 of 2 masks have no class colour"]
