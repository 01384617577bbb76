"""init_from: weights by layer name and shape, what is left out, and the digest of the weights."""

from __future__ import annotations

import io
import zipfile

import h5py
import keras
import numpy as np
import pandas as pd
import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.models.files import save_model
from flexunet_exp.models.sharpunet import sharpunet
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.training import starting


def network(classes: int, head: str = "logits", filters: int = 4) -> keras.Model:
    """A network with a network inside, batch norm and dropout."""
    inside = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(filters, 3, padding="same", name="conv")],
        name="encoder",
    )
    image = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="norm")(inside(image))
    x = keras.layers.Dropout(0.5, name="drop")(x)
    return keras.Model(image, keras.layers.Conv2D(classes, 1, name=head)(x))


def start_of(model: keras.Model, path) -> starting.Start:
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    save_model(model, path)
    return starting.Start("abc", path, weights_digest(path))


def test_layers_of_the_same_name_and_shapes_are_taken_over(tmp_path, caplog):
    theirs, ours = network(5), network(6)
    before = ours.get_layer("logits").get_weights()
    starting.take_over(ours, start_of(theirs, tmp_path / "their.keras"), tmp_path)
    for name in ("encoder", "norm"):
        for taken, given in zip(
            ours.get_layer(name).get_weights(), theirs.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(taken, given)
    for kept, own in zip(ours.get_layer("logits").get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, own)
    table = pd.read_csv(tmp_path / "init_from.csv").set_index("layer")
    assert table["taken"].to_dict() == {"encoder/conv": True, "norm": True, "logits": False}
    assert "(1, 1, 4, 5)" in table.loc["logits", "because"]
    assert "Left out, 1 layers: logits" in caplog.text


def test_layers_that_only_one_network_has_are_listed(tmp_path):
    ours = network(5, head="mine")
    starting.take_over(ours, start_of(network(5), tmp_path / "their.keras"), tmp_path)
    because = pd.read_csv(tmp_path / "init_from.csv").set_index("layer")["because"]
    assert (because["mine"], because["logits"]) == ("it is not there", "it is only there")


@pytest.mark.parametrize(("centre", "taken"), [(8, True), (9, False)])
def test_a_kernel_that_the_arguments_fix_stays_as_they_say(centre, taken, tmp_path):
    options = {"base_filters": 2, "num_layers": 2}
    save_model(sharpunet((8, 8, 3), 2, sharpening_centre=8, **options), tmp_path / "their.keras")
    start = starting.Start("abc", tmp_path / "their.keras", "0f")
    ours = sharpunet((8, 8, 3), 2, sharpening_centre=centre, **options)
    starting.take_over(ours, start, tmp_path)
    (kernel,) = ours.get_layer("skip0_sharpened").get_weights()
    assert (kernel[1, 1] == centre).all()
    table = pd.read_csv(tmp_path / "init_from.csv").set_index("layer")
    assert table["taken"].drop("skip0_sharpened").all()
    assert table.loc["skip0_sharpened", "taken"] == taken
    assert taken or "model's arguments" in table.loc["skip0_sharpened", "because"]


def test_nothing_taken_over_is_an_error_that_lists_the_layers(tmp_path):
    image = keras.Input((8, 8, 3))
    ours = keras.Model(image, keras.layers.Conv2D(5, 1, name="alone")(image))
    with pytest.raises(
        InputError, match=r"no layer of .* Layers there: encoder/conv.* here: alone"
    ):
        starting.take_over(ours, start_of(network(5), tmp_path / "their.keras"), tmp_path)
    assert not (tmp_path / "init_from.csv").exists()


def test_the_digest_is_that_of_the_weights_not_of_the_file(tmp_path):
    model = network(5)
    first = start_of(model, tmp_path / "first.keras").digest
    save_model(keras.saving.load_model(tmp_path / "first.keras"), tmp_path / "again.keras")
    assert weights_digest(tmp_path / "again.keras") == first
    model.weights[0].assign_add(np.full(model.weights[0].shape, 1e-3))
    save_model(model, tmp_path / "other.keras")
    assert weights_digest(tmp_path / "other.keras") != first


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "text.keras").write_text("no")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    for name in ("text.keras", "empty.keras", "missing.keras"):
        with pytest.raises(InputError, match=rf"{name}.* Expected a \.keras file"):
            weights_digest(tmp_path / name)


def test_a_file_that_refers_to_another_file_is_refused(tmp_path):
    start_of(network(5), tmp_path / "honest.keras")
    (tmp_path / "secret").write_bytes(bytes(64))
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("x", (8,), "f8", external=[(str(tmp_path / "secret"), 0, 64)])
    with zipfile.ZipFile(tmp_path / "honest.keras") as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", content.getvalue())
    with pytest.raises(InputError, match="x lies in another file"):
        weights_digest(tmp_path / "bad.keras")
