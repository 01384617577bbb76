"""flexunet infer on lights: a picture is the files of its stem, one for each light."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data import find_pictures
from flexunet_exp.data.channels import Channels
from tests.support import standin
from tests.support.lights import tiff


@pytest.fixture
def network():
    trained = standin.trained()
    trained.channels = Channels.of(["left", "right"])
    return trained


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for stem in ("a", "sub/a"):
        standin.draw(folder / f"{stem}_left.png", ("scratch", 3, 4, 5, 6))
        standin.draw(folder / f"{stem}_right.png")
    return folder


def test_names_come_from_the_stem_of_a_picture(photos, tmp_path, network):
    assert standin.infer(photos, tmp_path / "out", network).done == 2
    masks = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("out/masks/**/*.png")}
    assert masks == {"out/masks/a.png", "out/masks/sub/a.png"}
    assert "a_left.png,masks/a.png" in (tmp_path / "out/summary.csv").read_text()


def test_one_light_stands_for_its_picture(photos, tmp_path, network):
    report = standin.infer(photos / "a_right.png", tmp_path / "out", network)
    assert report.done == 1 and (tmp_path / "out/masks/a.png").is_file()


def test_a_picture_that_lacks_a_light_is_refused(photos, tmp_path, network):
    (photos / "sub/a_left.png").unlink()
    report = standin.infer(photos, tmp_path / "out", network)
    (reason,) = report.refused.values()
    assert report.done == 1 and "sub/a_left.png: there is no such file" in reason


def test_a_change_of_any_light_is_predicted_again(photos, tmp_path, network):
    standin.infer(photos, tmp_path / "out", network)
    assert standin.infer(photos, tmp_path / "out", network).already == 2
    Image.fromarray(np.full((32, 32), 9, np.uint8)).save(photos / "a_right.png")
    report = standin.infer(photos, tmp_path / "out", network)
    assert (report.done, report.already) == (1, 1)


def test_files_of_all_channels_are_pictures_beside_lights(photos, tmp_path, network):
    tiff(photos / "b.tif", np.zeros((32, 32, 2), np.uint8))
    assert standin.infer(photos, tmp_path / "out", network).done == 3
    assert (tmp_path / "out/masks/b.png").is_file()


def test_without_lights_each_file_is_a_picture(photos, tmp_path):
    found = find_pictures.find([str(photos)], tmp_path / "out")
    assert find_pictures.of_lights(found, Channels(3)) == found
