"""flexunet export-labels writes a set's masks for annotation tools, and says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flexunet_exp.commands.export_labels import command, reading, settings
from flexunet_exp.data.masks import write_palette_mask
from flexunet_exp.errors import InputError
from flexunet_exp.system import new_folder
from tests.support import exports

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
