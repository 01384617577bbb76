"""flexunet export-labels writes a set's masks for annotation tools, and says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from flexunet_exp.commands.export_labels import command, predicting, reading, settings
from flexunet_exp.data.annotations.writing.naming import distinct
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.masks import write_palette_mask
from flexunet_exp.errors import InputError
from flexunet_exp.system import new_folder
from tests.support import exports, standin

CLASSES = [
    {"name": "background", "color": [0, 0, 0]},
    {"name": "crack", "color": [200, 0, 0]},
    {"name": "dent", "color": [0, 200, 0]},
]


@pytest.fixture
def made(tmp_path) -> Path:
    """A set as flexunet import makes it: a picture in each split, one without a defect."""
    folder = tmp_path / "set"
    palette = np.array([one["color"] for one in CLASSES], np.uint8)
    for split, value in (("train", 1), ("valid", 0), ("test", 2)):
        mask = np.zeros((48, 64), np.uint8)
        mask[5:20, 7:30] = value
        mask[30:34, 1:4] = 255 if split == "train" else 0
        exports.save(folder / split / "images/a.png")
        (folder / split / "masks").mkdir()
        write_palette_mask(folder / split / "masks/a.png", mask, palette)
    (folder / "imported.json").write_text(json.dumps({"classes": CLASSES}))
    return folder


def test_a_made_set_is_written_and_read_again(made, tmp_path):
    assert command.written(reading.of_folder(made), "coco", tmp_path / "labels") == 0
    export = exports.read("coco", tmp_path / "labels")
    assert sorted(one.split for one in export.pictures) == ["test", "train", "valid"]
    masks = exports.masks(export)
    for sample, mask in reading.of_folder(made).masks:
        assert (masks[f"images/{sample.shown}"] == mask).all()
    assert [one.name for one in export.classes] == ["crack", "dent", "ignore"]


def test_pictures_of_one_name_get_their_folders_in_front(made):
    names = sorted(sample.name for sample in reading.of_folder(made).samples)
    assert names == ["test_images_a", "train_images_a", "valid_images_a"]


def test_a_folder_that_does_not_say_its_classes_is_named(made):
    (made / "imported.json").write_text("{}")
    with pytest.raises(InputError, match="imported.json: it does not say the classes"):
        reading.of_folder(made)
    (made / "imported.json").unlink()
    with pytest.raises(InputError, match="neither imported.json nor prepared.json"):
        reading.of_folder(made)


def test_an_output_that_is_in_use_is_refused(made, tmp_path):
    new_folder.check_new(tmp_path / "new")
    with pytest.raises(InputError, match="is there already"):
        new_folder.check_new(made)
    with pytest.raises(InputError, match="among the pictures"):
        settings.check_outside(reading.of_folder(made).samples, made)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["/p/part.png", "/p/part.jpg"], ["part_png", "part_jpg"]),
        (["/p/A.png", "/p/a.png"], ["A_png", "a_png_2"]),
        (["/p/x.png", "/p/x.png"], ["x_png", "x_png_2"]),
        (["/x/a_b.png", "/a/b.png", "/c/b.png"], ["a_b", "b_png", "c_b"]),
        (["/a/x.png", "/b/a/x.png"], ["a_x", "b_a_x"]),
    ],
)
def test_each_picture_has_a_name_of_its_own(files, names):
    assert list(distinct([Path(file) for file in files])) == names


def test_a_set_that_was_accepted_with_complements_is_written(made, tmp_path):
    palette = np.array([one["color"] for one in CLASSES], np.uint8)
    mask = np.ones((48, 64), np.uint8)
    mask[10:20, 10:20] = 0
    exports.save(made / "train/images/b.png")
    write_palette_mask(made / "train/masks/b.png", mask, palette)
    labels = reading.of_folder(made)
    assert len(labels.samples) == 4
    assert any((found == mask).all() for _, found in labels.masks)


def test_a_picture_of_several_lights_is_labelled_once(tmp_path):
    for stem in ("a", "b"):
        standin.draw(tmp_path / f"photos/{stem}_left.png", ("scratch", 3, 4, 5, 6))
        standin.draw(tmp_path / f"photos/{stem}_right.png")
    cfg = OmegaConf.create(
        {"input": str(tmp_path / "photos"), "min_area": 1, "min_probability": 0.0}
    )
    network = standin.trained()
    network.channels = Channels.of(["left", "right"])

    labels = predicting.of_found(cfg, network, predicting.found(cfg, tmp_path / "out"))

    assert [sample.name for sample in labels.samples] == ["a_left", "b_left"]
    assert [np.count_nonzero(mask) for _, mask in labels.masks] == [30, 30]
    assert labels.refused == []
