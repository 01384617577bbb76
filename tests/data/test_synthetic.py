"""Drawn pictures: reproducible, exactly labelled, and written all at once or not at all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flexunet_exp.data import synthetic
from flexunet_exp.errors import InputError
from tests.support.properties import examples

DEFECTS = [(name, defect) for name, defects in synthetic.CLASSES.items() for defect in defects]
SMALL = {"images_per_class": 2, "good": 3, "size": 64, "seed": 5}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def pictures(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder).items() if name.endswith(".png")}


def test_classes_are_those_of_mvtec():
    assert synthetic.CLASSES == {
        "zipper": (
            "broken_teeth",
            "combined",
            "fabric_border",
            "fabric_interior",
            "rough",
            "split_teeth",
            "squeezed_teeth",
        ),
        "grid": ("bent", "broken", "glue", "metal_contamination", "thread"),
        "screw": (
            "manipulated_front",
            "scratch_head",
            "scratch_neck",
            "thread_side",
            "thread_top",
        ),
    }


@pytest.mark.parametrize("name", synthetic.CLASSES)
def test_the_layout_is_that_of_mvtec(tmp_path, name):
    folder = synthetic.generate(tmp_path / name, name, **SMALL)

    expected = {"train/good/000.png", "test/good/000.png", "test/good/001.png"}
    for defect in synthetic.CLASSES[name]:
        for index in ("000", "001"):
            expected |= {f"test/{defect}/{index}.png", f"ground_truth/{defect}/{index}_mask.png"}
    assert set(pictures(folder)) == expected
    for relative in expected:
        with Image.open(folder / relative) as image:
            assert image.size == (64, 64)
            assert image.mode == ("L" if relative.endswith("_mask.png") else "RGB")
            pixels = np.asarray(image)
        decoded = cv2.imread(str(folder / relative), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(decoded[..., ::-1] if decoded.ndim == 3 else decoded, pixels)
        if relative.endswith("_mask.png"):
            assert set(np.unique(pixels)) == {0, 255}


@pytest.mark.parametrize(("good", "in_train", "in_test"), [(0, 0, 0), (1, 1, 0), (5, 2, 3)])
def test_half_of_the_good_pictures_are_for_training(tmp_path, good, in_train, in_test):
    folder = synthetic.generate(tmp_path / "g", "grid", **{**SMALL, "good": good})
    assert len(list(folder.glob("train/good/*.png"))) == in_train
    assert len(list(folder.glob("test/good/*.png"))) == in_test


@pytest.mark.parametrize("name", synthetic.CLASSES)
def test_bytes_do_not_depend_on_workers_or_on_how_many_are_drawn(tmp_path, name):
    one = pictures(synthetic.generate(tmp_path / "one", name, **SMALL, workers=1))
    two = pictures(synthetic.generate(tmp_path / "two", name, **SMALL, workers=2))
    more = {**SMALL, "images_per_class": 4, "good": 7}
    many = pictures(synthetic.generate(tmp_path / "many", name, **more))
    assert one == two
    assert one.items() <= many.items()


def test_no_two_pictures_are_alike_and_the_seed_changes_them_all(tmp_path):
    first = pictures(synthetic.generate(tmp_path / "first", "screw", **SMALL))
    other = pictures(synthetic.generate(tmp_path / "other", "screw", **{**SMALL, "seed": 6}))
    images = [content for name, content in {**first}.items() if "ground_truth" not in name]
    images += [content for name, content in other.items() if "ground_truth" not in name]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize(("name", "defect"), DEFECTS)
def test_the_defect_is_visible_inside_its_mask_and_nothing_changes_far_away(name, defect):
    size = 128
    areas = []
    for index in range(6):
        image, mask = synthetic.render(name, defect, index, seed=3, size=size)
        twin, empty = synthetic.render(name, None, index, seed=3, size=size)
        assert not empty.any()
        difference = np.abs(image.astype(int) - twin).mean(-1)
        # Three percent of the picture away from the mask, and one pixel for the rounding.
        reach = 2 * (round(0.03 * size) + 1) + 1
        far = cv2.dilate(mask, np.ones((reach, reach), np.uint8)) == 0
        assert difference[far].max() == 0
        assert difference[mask > 0].mean() > 8
        assert difference[mask > 0].sum() > 0.7 * difference.sum()
        areas.append((mask > 0).mean())
    assert min(areas) > 0.001 and max(areas) < 0.09
    assert max(areas) > 1.1 * min(areas)


@given(
    category=st.sampled_from(DEFECTS),
    index=st.integers(0, 2**40),
    seed=st.integers(0, 2**63),
    size=st.integers(64, 131),
)
@examples(40)
def test_every_scene_has_a_defect_at_every_size(category, index, seed, size):
    image, mask = synthetic.render(*category, index, seed, size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert mask.shape == (size, size) and set(np.unique(mask)) == {0, 255}
    assert image.std() > 5


def test_the_same_set_is_not_written_again(tmp_path):
    folder = synthetic.generate(tmp_path / "grid", "grid", **SMALL)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    calls = []
    again = synthetic.generate(
        folder, "grid", **SMALL, progress=lambda done, total: calls.append(done)
    )
    assert again == folder
    assert calls == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_a_cut_off_run_leaves_nothing_half_and_does_not_hurt_the_next(tmp_path):
    def cut_off(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    folder = tmp_path / "grid"
    with pytest.raises(KeyboardInterrupt):
        synthetic.generate(folder, "grid", **SMALL, progress=cut_off)
    assert list(tmp_path.iterdir()) == []

    (tmp_path / ".grid.0123" / "test").mkdir(parents=True)
    synthetic.generate(folder, "grid", **SMALL)
    assert len(pictures(folder)) == 2 * 2 * 5 + 3


def test_two_at_once_end_with_one_whole_set(tmp_path):
    folder = tmp_path / "screw"
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(synthetic.generate, folder, "screw", **SMALL) for _ in range(2)]
    assert [run.result() for run in runs] == [folder, folder]
    assert list(tmp_path.iterdir()) == [folder]
    alone = synthetic.generate(tmp_path / "alone", "screw", **SMALL)
    assert contents(folder) == contents(alone)


def test_the_record_tells_how_it_was_drawn(tmp_path):
    folder = synthetic.generate(tmp_path / "grid", "grid", **SMALL)
    record = json.loads((folder / "synthetic.json").read_text())
    assert record == {"name": "grid", **SMALL, "version": synthetic.VERSION}


def test_progress_counts_every_picture(tmp_path):
    calls = []
    synthetic.generate(
        tmp_path / "grid", "grid", **SMALL, progress=lambda *counts: calls.append(counts)
    )
    assert calls == [(done, 13) for done in range(1, 14)]


def test_other_parameters_and_foreign_folders_are_never_overwritten(tmp_path):
    folder = synthetic.generate(tmp_path / "grid", "grid", **SMALL)
    before = contents(folder)
    with pytest.raises(InputError, match="seed.*Name another folder"):
        synthetic.generate(folder, "grid", **{**SMALL, "seed": 6})
    assert contents(folder) == before

    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.png").write_bytes(b"cat")
    (foreign / "synthetic.json").write_text("{ not json")
    with pytest.raises(InputError, match="photos"):
        synthetic.generate(foreign, "grid", **SMALL)
    with pytest.raises(InputError, match="cat.png"):
        synthetic.generate(foreign / "cat.png", "grid", **SMALL)
    with pytest.raises(InputError, match="No folder can be made"):
        synthetic.generate(foreign / "cat.png" / "grid", "grid", **SMALL)
    assert (foreign / "cat.png").read_bytes() == b"cat"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "grid").mkdir()
    folder = synthetic.generate(tmp_path / "grid", "grid", **SMALL)
    assert len(pictures(folder)) == 2 * 2 * 5 + 3


def test_all_bad_parameters_are_told_at_once(tmp_path):
    with pytest.raises(InputError) as raised:
        synthetic.generate(
            tmp_path / "x", "zippr", images_per_class=0, good=-1, size=63, seed=-1, workers=0
        )
    problems = raised.value.problems
    assert len(problems) == 6
    assert "zipper, grid, screw" in problems[0] and "Did you mean 'zipper'" in problems[0]
    for problem, word in zip(
        problems[1:], ["images_per_class", "good", "size", "seed", "workers"], strict=True
    ):
        assert word in problem
    assert list(tmp_path.iterdir()) == []
