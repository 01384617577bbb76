"""flexunet check: a card of what can be read, every problem at once, and the exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from flexunet_exp.commands.check import page, survey_data, terminal
from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from tests.support import hostile, running


@pytest.fixture
def examine(compose, tmp_path):
    def examined(*words: str):
        cfg = compose("check", "dataset=grid", f"dataset.path={tmp_path}", *words)
        validation.check_command(cfg, "check")
        return survey_data.examine(cfg)

    return examined


CLASSES = ",".join(f"{{name:{one['name']},color:{one['color']}}}" for one in hostile.CLASSES)
READY = ("dataset/layout=image_mask",)
BLUE = (0, 0, 255)  # bent, of grid


def pair(folder: Path, split: str, name: str, image: np.ndarray, mask: np.ndarray) -> None:
    hostile.save(folder / split / "images" / f"{name}.png", image)
    hostile.save(folder / split / "masks" / f"{name}.png", mask)


def structured(seed: int) -> np.ndarray:
    """Smooth blobs of 64 px, other ones for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BILINEAR))


@pytest.fixture
def ready(tmp_path) -> Path:
    """bent_0 … bent_5 in train, two pictures each in valid and test."""
    for number in range(10):
        split = "train" if number < 6 else "valid" if number < 8 else "test"
        mask = hostile.truth(BLUE, (64, 64))
        pair(tmp_path, split, f"bent_{number}", structured(number), mask)
    return tmp_path


def test_what_was_decided_about_a_set_is_said_once(ready, examine):
    (ready / "valid").rename(ready / "val")
    console = Console(record=True, width=200)
    terminal.show(examine(*READY).card, console)
    assert console.export_text().count("val/images is read as valid/images") == 1


def test_a_clean_data_set_has_its_counts_and_no_leak(ready, examine):
    card = examine(*READY).card
    assert card["errors"] == [] and card["leakage"]["pairs"] == []
    bent = card["counts"]["bent"]
    assert [bent[split]["images"] for split in ("train", "valid", "test", "all")] == [6, 2, 2, 10]
    assert card["pixel_shares"]["train"]["bent"] == pytest.approx(250 / 4096)
    assert card["defects"]["bent"]["area"] == {"min": 250, "median": 250, "max": 250}
    assert card["defects"]["bent"]["lost"] == 0  # 64 px are enlarged to 256


def test_sources_and_variants_are_counted_and_siblings_named(ready, examine):
    mirrored = np.fliplr(structured(9)).copy(), np.fliplr(hostile.truth(BLUE, (64, 64))).copy()
    pair(ready, "train", "hflipped_bent_9", *mirrored)
    pair(ready, "train", "photo", np.rot90(structured(8)).copy(), hostile.truth(BLUE, (64, 64)))
    card = examine(*READY).card
    assert card["counts"]["bent"]["train"] == {"images": 8, "sources": 8, "variants": 2}
    leaks = card["leakage"]
    assert (leaks["test_images_concerned"], leaks["test_images"], leaks["share"]) == (2, 2, 1.0)
    assert {(p["first"], p["second"]): p["why"][:24] for p in leaks["pairs"]} == {
        ("train/images/hflipped_bent_9.png", "test/images/bent_9.png"): "both of bent_9",
        ("train/images/photo.png", "test/images/bent_8.png"): "alike when turned by 270",
    }
    assert any("2 of 2 test pictures (100%)" in text for text in card["warnings"])


def test_pixels_off_the_palette_are_counted_with_their_colours(ready, examine):
    mask = hostile.truth(BLUE, (64, 64))
    mask[9, 5:12], mask[20, 5:8] = (0, 0, 200), (0, 0, 90)  # the edges of the defect
    pair(ready, "train", "bent_0", structured(0), mask)
    mask[42:60] = (70, 0, 0)
    pair(ready, "train", "bent_1", structured(1), mask)  # no edge: an error, and still counted
    card = examine(*READY).card
    odd = card["off_palette"]
    assert odd["pixels"] == 10 and odd["files"]["train/masks/bent_0.png"]["pixels"] == 10
    assert odd["share"] == pytest.approx(10 / (9 * 4096))
    assert odd["colours"]["most_frequent"] == {
        "70,0,0": {"pixels": 1152, "files": 1},
        "0,0,200": {"pixels": 14, "files": 2},
        "0,0,90": {"pixels": 6, "files": 2},
    }
    assert len(card["errors"]) == 1 and "bent_1.png" in card["errors"][0]


HELD = (
    "dataset.layout.mask_classes=[{name:background,color:[0,0,0]},"
    "{name:top,color:[9,0,0],class:bent},{name:side,color:[200,0,0],class:bent}]"
)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_only_colours_that_the_masks_do_not_hold_are_off_the_palette(order, ready, examine):
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[5:20, 5:20], mask[20, 5:20] = (200, 0, 0), (90, 0, 0)
    for path in ready.glob("*/masks/*"):
        hostile.save(path, mask if order == "rgb" else mask[..., ::-1])
    card = examine(*READY, HELD, f"dataset.layout.colour_order={order}").card
    assert card["errors"] == []
    found = list(card["off_palette"]["colours"]["most_frequent"])
    assert found == ["90,0,0" if order == "rgb" else "0,0,90"]


def test_a_colour_is_named_among_the_classes_of_the_masks(ready, examine):
    mask = hostile.truth((200, 0, 0), (64, 64))
    mask[40:60, 5:50] = (0, 99, 0)
    for path in ready.glob("*/masks/*"):
        hostile.save(path, mask)
    card = examine(*READY, HELD).card
    assert card["mends"] == [
        "dataset:",
        "  layout:",
        "    mask_classes:  # give each NAME a name of its own, each CLASS one of dataset.classes",
        "      - {name: background, color: [0, 0, 0]}",
        "      - {name: top, color: [9, 0, 0], class: bent}",
        "      - {name: side, color: [200, 0, 0], class: bent}",
        "      - {name: NAME, color: [0, 99, 0], class: CLASS}",
    ]


def test_defects_that_resizing_loses_are_warned_of(tmp_path, examine):
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    for split in ("train", "valid", "test"):
        mask = np.zeros((512, 512, 3), np.uint8)
        mask[100:140, 100:140] = BLUE
        if split == "test":
            mask[301, 300:330] = BLUE  # row 301 of 512 is not among 128 rows
        pair(tmp_path, split, f"bent_{len(split)}", np.roll(image, len(split) * 40, 0), mask)
    card = examine(*READY, "dataset.image_size=128", "model.num_layers=5").card
    bent = card["defects"]["bent"]
    assert (bent["number"], bent["lost"], bent["vanished"]) == (4, 1, 1)
    (text,) = [text for text in card["warnings"] if text.startswith("bent:")]
    assert "image_size=128 leaves less than 16 pixels of 1 of 4 defects, nothing of 1" in text
    assert "test/masks" not in text and "test/images/bent_4.png, 0 of 30" in text
    kept = int(re.search(r"image_size=(\d+) would keep", text)[1])
    assert kept % 16 == 0
    again = examine(*READY, f"dataset.image_size={kept}", "model.num_layers=5").card
    assert again["defects"]["bent"]["lost"] == 0
    assert text.endswith("at full resolution: dataset.patch.size=128.")
    coarse = examine(*READY, "dataset.image_size=128", "dataset.patch.size=512").card
    assert coarse["defects"]["bent"]["vanished"] == 1  # the same as whole pictures of 512
    (text,) = [text for text in coarse["warnings"] if text.startswith("bent:")]
    assert "dataset.patch.size=512 seen at 128 leaves less than 16 pixels" in text
    assert text.endswith("dataset.patch.size=128 would keep them.")
    fine = examine(*READY, "dataset.image_size=128", "dataset.patch.size=128").card
    assert fine["defects"]["bent"]["lost"] == 0 and fine["patch_size"] == [128, 128]
    assert fine["defects"]["bent"]["smallest"]["resized"] == 30


def test_a_card_of_nothing_readable_is_still_a_card(tmp_path, examine):
    (tmp_path / "test/bent").mkdir(parents=True)
    (tmp_path / "test/bent/000.png").write_bytes(b"")
    hostile.save(tmp_path / "ground_truth/bent/000_mask.png", hostile.truth())
    examined = examine()
    assert examined.card["unreadable"] == 1 and examined.card["defects"] == {}
    (problem,) = examined.card["errors"]  # and none that only follows from it
    assert "the file is empty" in problem
    page.write(tmp_path / "card.html", examined)


def test_a_split_that_cannot_be_is_one_error_beside_the_card(ready, examine):
    card = examine(*READY, "split=folds", "split.fold=9").card
    assert len(card["errors"]) == 1 and "split.fold=9" in card["errors"][0]
    assert card["counts"]["bent"]["all"]["images"] == 10


def test_odd_shapes_are_warned_of(ready, examine):
    pair(
        ready,
        "train",
        "bent_20",
        hostile.picture(shape=(40, 400, 3)),
        np.zeros((40, 400, 3), np.uint8),
    )
    pair(ready, "train", "bent_21", hostile.picture(shape=(1, 1, 3)), np.zeros((1, 1, 3), np.uint8))
    warnings = examine(*READY).card["warnings"]
    assert any("bent_20.png is 400 x 40 pixels" in text for text in warnings)
    assert any("bent_21.png is 1 x 1 pixels" in text for text in warnings)


def test_many_odd_shapes_are_counted_after_the_first(ready, examine):
    for number in range(20, 29):
        pair(ready, "train", f"bent_{number}", structured(number)[:9], hostile.truth(BLUE, (9, 64)))
    warnings = [
        text
        for text in examine(*READY).card["warnings"]
        if "pictures are as" in text or "distorts" in text
    ]
    assert len(warnings) == 6 and warnings[-1].startswith("4 more pictures")


def test_of_very_many_pairs_the_first_are_kept_and_all_counted(ready, examine, monkeypatch):
    monkeypatch.setattr("flexunet_exp.data.card.MOST_PAIRS", 5)
    for split in ("train", "valid", "test"):
        for number in range(30, 33):
            name = f"{split}_bent_{number}"
            pair(ready, split, name, structured(99), hostile.truth(BLUE, (64, 64)))
    card = examine(*READY).card
    leaks = card["leakage"]
    assert (leaks["number"], len(leaks["pairs"]), leaks["test_images_concerned"]) == (27, 5, 3)
    assert any("there are 27 pairs" in text for text in card["warnings"])


@pytest.mark.parametrize("word", ["strict=maybe", "small_defect=0", "dataset.image_size=no"])
def test_wrong_settings_are_named(examine, word):
    with pytest.raises(InputError, match=word.split("=")[0]):
        examine(word)


def test_wrong_settings_of_check_and_of_training_are_named_at_once(examine):
    with pytest.raises(InputError) as raised:
        examine("strict=maybe", "small_defect=0", "dataset.image_size=no")
    assert len(raised.value.problems) == 3


def result(folder: Path) -> tuple[dict, str]:
    (card,) = folder.glob("outputs/*/*_check_grid/card.json")
    return json.loads(card.read_text()), card.with_name("card.html").read_text()


@pytest.mark.heavy
def test_the_command_says_all_of_a_hostile_folder_and_shows_the_rest(tmp_path):
    data = tmp_path / "a data set"
    expected = hostile.make_raw(data)
    words = ("dataset=grid", f"dataset.path={data}", f"dataset.classes=[{CLASSES}]")
    done = running.flexunet(tmp_path / "run", "check", *words)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    card, html = result(tmp_path / "run")
    assert card["counts"]["all"]["all"]["images"] == 12 + len(hostile.GOOD_NAMES) + 1
    assert all(any(words in problem for problem in card["errors"]) for words in expected.values())
    said = " ".join(done.stdout.split())
    assert all(" ".join(problem.split()) in said for problem in card["errors"])
    assert html.count("data:image/jpeg") == 4 and "bomb_png.png" in html


def test_the_command_ends_with_0_and_with_1_when_strict(ready, tmp_path):
    words = ("check", "dataset=grid", *READY, f"dataset.path={ready}", "dataset.image_size=128")
    done = running.flexunet(tmp_path / "run", *words)
    assert done.returncode == 0 and "10 / 10 / 1" in done.stdout
    card, html = result(tmp_path / "run")
    assert card["warnings"] and "<script" not in html and 'src="http' not in html
    assert running.flexunet(tmp_path / "strict", *words, "strict=true").returncode == 1


def test_real_masks_have_the_published_number_of_pixels_off_the_palette(shared_data, compose):
    words = ("dataset=zipper", *READY, f"data_root={shared_data}")
    card = survey_data.examine(compose("check", *words)).card
    odd = card["off_palette"]
    assert (odd["pixels"], odd["masks"], len(odd["files"])) == (16073, 36, 34)
    assert card["errors"] == [] and card["leakage"]["pairs"] == []


@pytest.mark.parametrize(
    ("name", "size", "warned"),
    [
        ("grid", 256, {"metal_contamination": (195, 14, 1), "thread": (84, 6, 3)}),
        ("grid", 512, {}),
        ("screw", 512, {"manipulated_front": (50, 15, 1)}),
    ],
)
def test_real_smallest_defects(shared_data, compose, name, size, warned):
    words = (f"dataset={name}", f"data_root={shared_data}", f"dataset.image_size={size}")
    card = survey_data.examine(compose("check", *words, "dataset.good=none")).card
    found = {
        name: (one["smallest"]["area"], one["smallest"]["resized"], one["lost"])
        for name, one in card["defects"].items()
        if one["lost"]
    }
    assert found == warned and card["leakage"]["pairs"] == []
