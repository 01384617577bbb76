"""Pictures of other channels than RGB from the feed to the served network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

import flexunet_exp
from flexunet_exp.commands.export import command as exporting
from flexunet_exp.commands.infer import pipeline
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import find_pictures
from flexunet_exp.data.feed import feed as feeding
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import networks
from flexunet_exp.runs.folder import load
from flexunet_exp.training import features, fit
from flexunet_exp.training.settings import TrainingSettings
from tests.support import running
from tests.support.lights import SIDE, ready_set, tiff

LIGHTS = "dataset.channels=[left,right]"
WORDS = (
    *("dataset=grid", "dataset/layout=image_mask", "tracking=none", "trainer.batch_size=8"),
    "dataset.classes=[{name: background, color: [0,0,0]}, {name: flaw, color: [255,0,0]}]",
)
SMALL = ("model.base_filters=8", "model.base_kernel=3", "model.num_layers=3")


def words_of(folder: Path, *words: str) -> list[str]:
    return [*WORDS, f"dataset.path={folder}", f"dataset.image_size={SIDE}", *words]


@pytest.fixture(scope="module")
def lit(tmp_path_factory) -> Path:
    """A folder in which a network was trained on parts whose flaw the light `right` alone shows."""
    folder = tmp_path_factory.mktemp("lit")
    ready_set(folder / "set", 2, ["left", "right"], parts=24)
    learning = ("trainer.epochs=16", "optimizer.learning_rate=3e-3", "augmentation=none")
    quick = ("~callbacks.epoch_images", "score.resamples=10")
    words = words_of(folder / "set", LIGHTS, *SMALL, *learning, *quick)
    done = running.flexunet(folder, "train", *words)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def run_folder(lit) -> Path:
    (folder,) = lit.glob("outputs/*/*_grid_flexunet")
    return folder


def test_a_flaw_that_the_second_light_alone_shows_is_learned(lit, run_folder):
    assert flexunet_exp.load_run(run_folder).scores("test").summary["dice"] > 0.6
    assert load(run_folder).cfg.dataset.channels == ["left", "right"]


def test_arrays_lights_and_one_file_predict_the_same(lit, run_folder, tmp_path):
    run = flexunet_exp.load_run(run_folder)
    folder = lit / "set/test/images"
    files = [folder / "test0_left.png", folder / "test0_right.png"]
    array = np.dstack([np.array(Image.open(path)) for path in files])
    whole = tiff(tmp_path / "whole.tif", array)
    masks = [one.mask for one in run.predict([array, files[0], files[1], whole])]
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])
    with pytest.raises(InputError, match=r"expected \(H, W, 2\) .*: left, right"):
        run.predict(np.zeros((9, 9, 3), np.uint8))


def test_infer_takes_the_lights_of_a_stem_as_one_picture(lit, run_folder, tmp_path):
    trained = networks.load([load(run_folder)], OmegaConf.create())
    photos = lit / "set/test/images"
    found = find_pictures.find([str(photos)], tmp_path / "out")
    report = pipeline.infer(trained, found, tmp_path / "out", pipeline.Options(), "run")
    assert (report.done, len(report.refused)) == (12, 0)
    names = {path.stem for path in (tmp_path / "out/masks").iterdir()}
    assert names == {f"test{index}" for index in range(12)}
    overlay = np.array(Image.open(tmp_path / "out/overlays/test0.png"))
    assert not overlay[:2, :2, 2].any()  # two lights are shown in red and green


def test_a_run_of_lights_is_scored_again_on_its_own_pictures(run_folder):
    run = load(run_folder)
    dataset = datasets.from_table(run.cfg, datasets.read_table(run.samples))
    datasets.check_unchanged(dataset)
    sample = next(datasets.rows(dataset.split("test")))
    assert dataset.read(sample)[0].shape == (SIDE, SIDE, 2)


def test_a_served_network_of_lights_takes_a_file_of_its_channels(lit, run_folder, tmp_path):
    from flexunet_exp.tracking.serving import Refused, Segmenter

    served = Segmenter()
    served.load_context(SimpleNamespace(artifacts={"run": str(run_folder)}))
    image = np.zeros((20, 30, 2), np.uint8)
    content = tiff(tmp_path / "a.tif", image).read_bytes()
    (answer,) = served.predict(None, pd.DataFrame({"image": [content]}))
    assert (answer["height"], answer["width"]) == (20, 30)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "b.png")
    wrong = pd.DataFrame({"image": [(tmp_path / "b.png").read_bytes()]})
    with pytest.raises(Refused, match="Picture 1 of 1: has 3 channels, expected 2"):
        served.predict(None, wrong)


def test_an_export_says_its_channels(run_folder, compose, tmp_path):
    words = (f"run='{run_folder}'", "tracking=none", "images=2", f"output='{tmp_path}/out'")
    exporting.task(compose("export", *words))
    said = json.loads((tmp_path / "out/classes.json").read_text())["input"]
    assert said["shape"][-1] == 2 and said["channels"] == "left, right"


def test_networks_of_other_channels_do_not_predict_together(run_folder):
    run = load(run_folder)
    other = run.cfg.copy()
    other.dataset.channels = 2
    with pytest.raises(InputError, match=r"channels=2; .* has dataset.channels=\[left,right\]"):
        networks.load([run, replace(run, cfg=other)], OmegaConf.create())


def test_a_network_of_other_channels_than_its_configuration_is_refused(run_folder):
    run = load(run_folder)
    run.cfg.dataset.channels = 5
    with pytest.raises(InputError, match="takes pictures of 2 channels, but dataset.channels=5"):
        networks.load_network(run)


@pytest.mark.parametrize("number", [1, 2, 5, 8])
def test_a_batch_has_the_arrays_of_the_files(tmp_path, compose, number):
    ready_set(tmp_path, number)
    words = words_of(tmp_path, f"dataset.channels={number}", *SMALL, "augmentation=none")
    cfg = compose("train", *words)
    settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
    batches = feeding.feed(settings.feed, dataset)
    expected = {dataset.read_image(row).tobytes() for row in datasets.rows(dataset.split("train"))}
    images, masks = next(iter(batches.training))
    assert {image.tobytes() for image in images.numpy()} == expected
    model = fit.compiled_model(settings, dataset)
    assert model.input.shape == (None, None, None, number)
    assert np.isfinite(model.train_on_batch(images, masks)).all()


def test_the_features_of_five_channels_are_kept(tmp_path, compose):
    ready_set(tmp_path / "set", 5)
    unet = ("model=unet", "model.encoder_weights=null", "model.decoder_filters=4")
    kept = ("dataset.cache=features", "dataset.feature_type=float32", "augmentation=flips")
    words = words_of(tmp_path / "set", "dataset.channels=5", "loss=ce_dice", *unet, *kept)
    cfg = compose("train", *words, f"cache_dir={tmp_path}/cache", "dataset.image_size=64")
    settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
    model = fit.compiled_model(settings, dataset)
    found = features.kept(model, settings, dataset)
    place = next(found.places())
    image, mask = found.seen(place)
    assert image.shape == (64, 64, 5)
    *maps, truth = found.read(place)
    np.testing.assert_array_equal(truth, mask)
    computed = model.extractor.predict_on_batch(image[None])
    for ours, theirs in zip(maps, computed, strict=True):
        np.testing.assert_allclose(ours, theirs[0], atol=1e-5)
