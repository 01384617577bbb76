"""flexunet export-labels writes what a run predicts, with a network that a real run trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from flexunet_exp.commands.export_labels import command, predicting, settings
from flexunet_exp.commands.export_labels.reading import Labels
from flexunet_exp.data import dataset
from flexunet_exp.data.annotations.writing import Sample
from flexunet_exp.data.annotations.writing.naming import classes_of
from flexunet_exp.errors import InputError
from tests.support import exports, standin
from tests.support.running import flexunet


@pytest.fixture(scope="module")
def tested(run_folder) -> list:
    """The rows of the run's test pictures."""
    table = dataset.read_table(run_folder / "samples.csv")
    return list(dataset.rows(table[table["split"] == "test"]))


def scored(run_folder: Path, row) -> np.ndarray:
    """The mask that the run was scored with."""
    name = dataset.sample_name(row)
    with Image.open(run_folder / f"evaluation/test/predictions/{name}.png") as picture:
        return np.array(picture)


def masks_of(folder: Path) -> dict[bytes, np.ndarray]:
    """The mask of each picture's content in a COCO export."""
    export = exports.read("coco", folder)
    masks = exports.masks(export)
    return {one.file.read_bytes(): masks[one.name] for one in export.pictures}


def test_the_test_part_gets_the_masks_that_the_run_was_scored_with(workspace, run_folder, tested):
    done = flexunet(workspace, "export-labels", "run=latest", "output=labels", "format=coco")
    assert done.returncode == 0 and "Predicted by" in done.stdout, done.stdout
    assert (workspace / "labels/annotations/instances_test.json").is_file()
    found = masks_of(workspace / "labels")
    assert len(found) == len(tested) and any(mask.any() for mask in found.values())
    for row in tested:
        np.testing.assert_array_equal(found[Path(row.image).read_bytes()], scored(run_folder, row))


def test_any_pictures_are_predicted_and_the_broken_one_is_left_out(workspace, run_folder, tested):
    photos = workspace / "pho tos"
    photos.mkdir()
    picture = Path(tested[0].image).read_bytes()
    (photos / "a.png").write_bytes(picture)
    (photos / "broken.png").write_bytes(b"no picture")
    words = (f"run={run_folder}", f"input={photos}", "output=found", "format=coco")
    done = flexunet(workspace, "export-labels", *words)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert f"{photos / 'broken.png'}: no readable image" in done.stdout
    (mask,) = masks_of(workspace / "found").values()
    np.testing.assert_array_equal(mask, scored(run_folder, tested[0]))


def test_a_data_set_beside_a_run_is_refused(workspace, run_folder):
    words = (f"run={run_folder}", "dataset=grid", "output=never", "format=coco")
    done = flexunet(workspace, "export-labels", *words)
    assert done.returncode == 1 and "Leave dataset out" in done.stdout
    assert not (workspace / "never").exists()


def test_a_network_outside_of_a_run_is_refused(tmp_path, compose):
    (tmp_path / "net.keras").write_bytes(b"any")
    cfg = compose(
        *("export_labels", f"run={tmp_path / 'net.keras'}", f"input={tmp_path}"),
        *(f"output={tmp_path / 'new'}", "format=coco"),
    )
    with pytest.raises(InputError, match="does not lie in a run folder"):
        command.task(cfg)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["min_area=5"], "Add a run: run=RUN"),
        (["min_probability=0.5"], "Add a run: run=RUN"),
        (["input=[a,b]"], "expected the folder of one set"),
        (["run=latest", "min_area=0"], "Try min_area=20"),
    ],
)
def test_options_that_go_with_a_run_alone(compose, words, problem):
    with pytest.raises(InputError, match=problem):
        settings.check(compose("export_labels", "output=a", "format=coco", *words))


def predicted(pictures: list[Path], **limits) -> Labels:
    """The labels of pictures by a network that tells the classes by the brightness."""
    network = standin.trained()
    samples = [Sample(path, path.stem, "") for path in pictures]
    refused: list[str] = []
    read = predicting.readable(samples, 16, network.channels, refused)
    cfg = OmegaConf.create({"min_area": 1, "min_probability": 0.0} | limits)
    masks = predicting.predicted(network.predictor, read, network.class_names, cfg)
    return Labels(classes_of(network.class_names, network.palette), samples, masks, refused)


@pytest.mark.parametrize("kind", ["coco", "cvat", "label_studio", "labelme", "voc", "yolo"])
def test_every_format_keeps_predicted_regions_with_their_holes(tmp_path, kind):
    hole = ("background", 8, 8, 4, 4)
    drawn = standin.draw(tmp_path / "in/a.png", ("scratch", 4, 4, 12, 12), hole)
    good = standin.draw(tmp_path / "in/b.png")
    assert command.written(predicted([drawn, good]), kind, tmp_path / "out") == 0
    masks = exports.masks(exports.read(kind, tmp_path / "out"))
    expected = np.zeros((32, 32), np.uint8)
    expected[4:16, 4:16] = 1
    expected[8:12, 8:12] = 0
    np.testing.assert_array_equal(sorted(masks.items())[0][1], expected)
    assert not sorted(masks.items())[1][1].any()


def test_small_regions_become_background(tmp_path):
    path = standin.draw(tmp_path / "a.png", ("scratch", 4, 4, 2, 2), ("dent", 16, 16, 8, 8))
    ((_, mask),) = predicted([path], min_area=5).masks
    assert np.count_nonzero(mask) == 64 and mask[20, 20] == 2


def test_pictures_that_are_all_broken_leave_nothing(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="a.png: the file is empty"):
        command.written(predicted([tmp_path / "a.png"]), "coco", tmp_path / "out")
