"""flexunet export: files that compute what the network does, in the runtimes they are made for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from flexunet_exp.commands.export import (
    command,
    folders,
    formats,
    parity,
    pictures,
    rule_parity,
    settings,
)
from flexunet_exp.commands.export import proof as proving
from flexunet_exp.commands.export.parity import Network, Tolerance
from flexunet_exp.config import building
from flexunet_exp.config.compose import plain
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.masks import read_image
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import networks
from flexunet_exp.runs.folder import load
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking import artifacts, find_runs
from tests.support import decided
from tests.support.running import all_runs, flexunet, store

FILES = {"classes.json", "parity.csv", "parity.json"}


@pytest.fixture
def export_run(compose, run_folder):
    """Runs the command in this process, on a run that no store knows: export_run("format=…")."""

    def exported(*overrides: str) -> None:
        command.task(compose("export", f"run='{run_folder}'", "tracking=none", *overrides))

    return exported


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too, and what they hold."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def exported(workspace) -> Path:
    """The run of the workspace as an ONNX file, through the real command line."""
    done = flexunet(workspace, "export", "run=latest", "format=onnx", "output=for (ü)", "log=true")
    assert done.returncode == 0, done.stdout
    assert "Proven" in done.stdout and "100.0000%" in done.stdout
    noise = [word for word in ("tf2onnx", "Warning", "XNNPACK", "I0000") if word in done.stdout]
    assert noise == []
    return workspace / "for (ü)"


def test_what_stands_beside_the_file_is_enough_to_get_the_masks_of_the_run(exported, run_folder):
    import onnxruntime

    usage = json.loads((exported / "classes.json").read_text())
    session = onnxruntime.InferenceSession(exported / usage["file"])
    table = datasets.read_table(run_folder / "samples.csv")
    for sample in datasets.rows(table[table["split"] == "test"]):
        image = read_image(sample.image)
        assert usage["input"]["image_size"] == {"height": len(image), "width": len(image[0])}
        given = {usage["input"]["name"]: image[np.newaxis]}
        (logits,) = session.run([usage["output"]["name"]], given)
        scored = run_folder / "evaluation/test/predictions" / f"{datasets.sample_name(sample)}.png"
        with Image.open(scored) as mask:
            np.testing.assert_array_equal(logits[0].argmax(-1), np.array(mask))
    classes = plain(load(run_folder).cfg.dataset.classes)
    assert [(c["name"], c["color"]) for c in usage["classes"]] == [
        (c["name"], c["color"]) for c in classes
    ]


def test_the_proof_is_of_these_bytes_and_in_the_store(exported, workspace, tmp_path):
    proof = json.loads((exported / "parity.json").read_text())
    assert proof["proven"] and proof["sha256"] == {
        "model.onnx": datasets.file_hash(str(exported / "model.onnx"))
    }
    (row,) = proof["networks"]
    assert row["agreement"] == 1 and row["max_logit_difference"] < 1e-3
    run_id = all_runs(workspace)[0].info.run_id
    kept = artifacts.fetch_all(store(workspace), run_id, tmp_path) / "exports" / "onnx"
    assert {path.name for path in kept.iterdir()} == {*FILES, "model.onnx"}
    assert (kept / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()


def test_an_export_that_is_there_is_replaced_on_demand_alone(exported, export_run):
    before = everything(exported)
    with pytest.raises(InputError, match="overwrite=true"):
        export_run("format=saved_model", f"output='{exported}'")
    assert everything(exported) == before
    copy = exported.with_name("copy")
    shutil.copytree(exported, copy)
    export_run("format=saved_model", f"output='{copy}'", "overwrite=true", "images=1")
    assert {path.name for path in copy.iterdir()} == {*FILES, "saved_model"}


def test_what_is_no_export_is_never_replaced(tmp_path, export_run):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "classes.json").touch()
    (tmp_path / "thesis" / "chapter.tex").touch()
    (tmp_path / "a file").touch()
    for name in ("thesis", "a file"):
        with pytest.raises(InputError, match="another output="):
            export_run("format=saved_model", f"output='{tmp_path / name}'", "overwrite=true")
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_file_out_of_tolerance_is_kept_as_unproven_and_the_command_fails(workspace):
    done = flexunet(workspace, "export", "run=latest", "format=litert", "output=strict",
                    "max_logit_difference=0", "tracking=local")  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "max_logit_difference=0" in done.stdout and "strict_unproven" in done.stdout
    assert not (workspace / "strict").exists()
    kept = workspace / "strict_unproven"
    assert {path.name for path in kept.iterdir()} == {*FILES, "model.tflite"}
    assert json.loads((kept / "parity.json").read_text())["proven"] is False
    assert not list(workspace.glob(".export-*"))


def test_wrong_settings_are_all_named_before_anything_is_loaded(tmp_path):
    done = flexunet(tmp_path, "export", "format=onxx", "images=0", "min_agreement=2", "log=maybe")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    for word in ("Did you mean 'onnx'?", "saved_model, onnx, litert", "images=0", "min_agreement=2",
                 "log=maybe"):  # fmt: skip
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_a_sentence_with_what_to_type(monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "tf2onnx" else name)
    formats.check_installed("saved_model")
    with pytest.raises(InputError, match="pip install tf2onnx$"):
        formats.check_installed("onnx")


HEAVY_MODEL = pytest.param("attention_unet", marks=pytest.mark.heavy)


@pytest.mark.parametrize("name", ["flexunet", "flexunet_small", HEAVY_MODEL])
@pytest.mark.parametrize("form", sorted(formats.FORMATS))
def test_every_model_in_every_format(name, form, compose, tmp_path):
    levels = 3 if name == "attention_unet" else 2
    cfg = compose("train", "dataset=grid", f"model={name}", f"model.num_layers={levels}",
                  "model.base_filters=2", "model.batch_norm=true")  # fmt: skip
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    network = building.build(cfg.model, input_shape=(64, 64, 3), num_classes=4)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 64, 3), np.uint8)
    file, bound_to = formats.write(network, form, tmp_path, (64, 64))
    # Keras 3.15 cannot trace a bilinear UpSampling2D without the size.
    assert bound_to == ((64, 64) if name == "attention_unet" else None)
    forward = formats.opened(file, form, 1, pixels[:1, :64])
    for images in (pixels[:, :64],) if bound_to else (pixels, pixels[:1, :32]):
        logits = forward(images)
        assert logits.dtype == np.float32
        expected = network.predict_on_batch(images)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
        assert np.ptp(expected) > 0.1


@pytest.fixture
def trained_in_bfloat16(run_folder, tmp_path) -> Path:
    """A run folder whose network computes in mixed_bfloat16."""
    import keras

    folder = tmp_path / "half"
    shutil.copytree(run_folder, folder)
    cfg = OmegaConf.load(folder / "config.yaml")
    cfg.trainer.precision = "mixed_bfloat16"
    OmegaConf.save(cfg, folder / "config.yaml")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = building.build(cfg.model, input_shape=(64, 64, 3), num_classes=6)
    keras.config.set_dtype_policy(before)
    network.set_weights(keras.saving.load_model(folder / "best.keras", compile=False).get_weights())
    network.save(folder / "best.keras")
    return folder


def test_a_network_trained_in_bfloat16_is_exported_in_float32_and_compared_with_both(
    trained_in_bfloat16, export_run, tmp_path
):
    output = tmp_path / "half_onnx"
    export_run(f"run='{trained_in_bfloat16}'", "format=onnx", f"output='{output}'",
               "min_agreement=0.5")  # fmt: skip
    rows = json.loads((output / "parity.json").read_text())["networks"]
    assert [row["precision"] for row in rows] == ["mixed_bfloat16", "float32"]
    rounding, conversion = (row["max_logit_difference"] for row in rows)
    assert conversion < 1e-4 < rounding < 1


def test_a_bfloat16_network_without_its_run_is_refused(trained_in_bfloat16, tmp_path, compose):
    lonely = tmp_path / "lonely.keras"
    shutil.copyfile(trained_in_bfloat16 / "best.keras", lonely)
    cfg = compose("export", f"run='{lonely}'", "dataset=grid", "dataset.image_size=64")
    settings.check(cfg)
    with pytest.raises(InputError, match="computes in bfloat16.*run=FOLDER"):
        proving.load(find_runs.find(cfg, tmp_path))


def test_a_network_without_its_run_is_exported(run_folder, export_run, tmp_path):
    lonely, output = tmp_path / "lonely.keras", tmp_path / "exported"
    shutil.copyfile(run_folder / "best.keras", lonely)
    picture = datasets.read_table(run_folder / "samples.csv")["image"].iloc[0]
    export_run(f"run='{lonely}'", "dataset=grid", "dataset.image_size=64", f"input='{picture}'",
               "format=saved_model", f"output='{output}'")  # fmt: skip
    said = json.loads((output / "classes.json").read_text())["input"]
    assert said["image_size"] == {"height": 64, "width": 64}
    assert said["sides_divide_by"] is None


def test_pictures_that_are_gone_can_be_replaced_by_others(run_folder, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(run_folder, folder)
    samples = folder / "samples.csv"
    table = datasets.read_table(samples)
    kept = table.loc[table["split"] == "test", "image"].iloc[0]
    datasets.write_table(table.assign(image="/no/where.png"), samples)
    run = load(folder)
    with pytest.raises(InputError, match="/no/where.png.*input=PATH"):
        pictures.choose(run, None, 8, tmp_path / "out")
    assert pictures.choose(run, [kept], 8, tmp_path / "out") == [Path(kept)]


def test_the_pictures_are_of_the_test_split_and_from_all_of_it(run_folder):
    run = load(run_folder)
    table = datasets.read_table(run.samples)
    tested = table[table["split"] == "test"].set_index("image")
    chosen = [str(path) for path in pictures.choose(run, None, len(tested) // 2, Path("out"))]
    assert len(set(chosen)) == len(tested) // 2 and set(chosen) <= set(tested.index)
    assert len(set(tested.loc[chosen, "label"])) > len(chosen) // 2


class Answers:
    """A network that answers with given logits."""

    inputs = (np.zeros(0, np.uint8),)  # for pictures of bytes

    def __init__(self, logits: np.ndarray):
        self.logits = logits

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        return self.logits


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (0.0, []),
        (0.5, ["differ by up to 0.5"]),
        (3.0, ["Only 75.0000% of the pixels", "differ by up to 3"]),
        (np.nan, ["not all finite"]),
    ],
)
def test_what_differs_is_measured_and_judged(changed, words):
    logits = np.zeros((1, 2, 2, 3), np.float32)
    logits[..., 1] = 1
    other = logits.copy()
    other[0, 0, 0, 2] = changed
    network = Network("as trained (float32)", "float32", Answers(logits))
    image = np.zeros((1, 2, 2, 3), np.uint8)
    compared = parity.compare(lambda images: other, [network], [(Path("a.png"), image)] * 2)
    found = " ".join(parity.failures(parity.summary(compared), Tolerance(0.01, 0.999)))
    assert bool(found) == bool(words) and all(word in found for word in words)


PLACE = 2  # of the threshold 0.15, which a network of two epochs reaches in some pictures


@pytest.fixture
def run_decided(run_folder, tmp_path):
    """A copy of the run with a decision, and its test pictures."""
    folder = tmp_path / "decided"
    shutil.copytree(run_folder, folder)
    decision = decided.kept(folder, "low", PLACE, Shape())
    run = load(folder)
    table = datasets.read_table(run.samples)
    return run, decision, [Path(path) for path in table.loc[table["split"] == "test", "image"]]


def above(network, path: Path) -> np.ndarray:
    """The pixels (H, W) whose defect probability reaches the threshold, by plain NumPy."""
    logits = network.predict_on_batch(read_image(path)[None])[0].astype(np.float64)
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return (raised / raised.sum(-1, keepdims=True))[..., 1:].max(-1) >= 0.15


def test_a_file_is_compared_under_the_rule_of_the_decision(run_decided):
    run, decision, paths = run_decided
    network = networks.load_network(run)
    alike = rule_parity.compare(run, decision, network.predict_on_batch, paths)
    assert (alike.equal_pixels, alike.other_verdicts) == (1.0, ())
    assert alike.parts == alike.pictures == len(paths)
    assert list(alike.failures(Tolerance(0.01, 1.0))) == []

    def blind(image: np.ndarray) -> np.ndarray:
        return np.eye(6, dtype=np.float32)[np.zeros(image.shape[:3], int)] * 50

    seen = [above(network, path) for path in paths]
    other = rule_parity.compare(run, decision, blind, paths)
    assert other.equal_pixels == pytest.approx(1 - np.mean(seen), abs=2e-3)
    assert len(other.other_verdicts) == sum(mask.any() for mask in seen) > 0
    sentences = list(other.failures(Tolerance(0.01, 0.999)))
    assert "of the pixels remain as with the network" in sentences[0]
    assert f"{len(other.other_verdicts)} of {len(paths)} parts" in sentences[1]


def test_turned_views_need_a_file_that_takes_both_sizes(run_decided):
    run, decision, _ = run_decided
    run.cfg.predict.tta = "flips_turns"
    said = "decision=low .*32 × 64 px only.*predict.tta=flips or none.*decision=none"
    with pytest.raises(InputError, match=said):
        rule_parity.check_views(run, decision, (32, 64))
    for bound_to in (None, (64, 64)):
        rule_parity.check_views(run, decision, bound_to)
    run.cfg.predict.tta = "flips"
    rule_parity.check_views(run, decision, (32, 64))


def test_an_export_that_fails_half_way_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), folders.begun(tmp_path / "exports" / "grid") as part:
        (part / "model.onnx").write_bytes(b"half")
        raise RuntimeError
    assert list((tmp_path / "exports").iterdir()) == []


def test_the_default_settings_are_in_order(compose):
    settings.check(compose("export"))
