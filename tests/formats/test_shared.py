"""What several formats stand on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from flexunet_exp.commands.import_ import settings
from flexunet_exp.config.overrides import Word
from flexunet_exp.data.annotations import choosing, raster
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.support import exports

POINTS = st.lists(st.tuples(*[st.floats(-30, 70).map(lambda x: round(x, 2))] * 2), min_size=3)


@given(POINTS)
def test_polygons_of_coco_are_those_of_pycocotools(points: list[tuple[float, float]]) -> None:
    crop = raster.by_coco((np.array(points, float),), (30, 40))
    drawn = np.zeros((30, 40), bool)
    drawn[crop.place] = crop.pixels
    (runs,) = coco.frPyObjects([np.array(points, float).ravel().tolist()], 30, 40)
    np.testing.assert_array_equal(drawn, coco.decode(runs))


def test_lines_that_would_need_gigabytes_are_refused() -> None:
    ring = np.array([(0, 0), (1e6, 1e6)] * 50, float)
    with pytest.raises(InputError, match="correct its coordinates"):
        raster.by_coco((ring,), (30, 40))


def test_of_pictures_of_one_name_the_folders_decide(tmp_path: Path) -> None:
    for name in ("images/left/a.png", "images/right/a.png"):
        exports.save(tmp_path / name, (4, 6))
    place = Place(tmp_path)
    assert place.pictures.find("left/a.png") == tmp_path / "images/left/a.png"
    assert place.pictures.find("a.png") is None
    assert place.pictures.find("other/a.png") is None


def test_patterns_need_no_quotes_on_a_command_line() -> None:
    assert (
        str(Word.parse("mask=gt/{stem}_label.bmp").quoted("import")) == "mask='gt/{stem}_label.bmp'"
    )


@pytest.mark.parametrize("folder", ["cvat", "voc", "cityscapes"])
def test_one_format_alone_recognises_a_tools_export(folder: str) -> None:
    assert choosing.chosen("auto", settings.formats(), Place(exports.FILES / folder))[0] == folder


def test_one_format_alone_recognises_nnunets_description(tmp_path: Path) -> None:
    exports.write(tmp_path / "dataset.json", json.dumps({"labels": {}, "file_ending": ".png"}))
    assert choosing.chosen("auto", settings.formats(), Place(tmp_path))[0] == "nnunet"
