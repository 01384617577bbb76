"""Calibrated runs: fitted at the end of a training or later, and applied by every command."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from scipy.special import softmax

import flexunet_exp
from flexunet_exp.commands.decide import evidence
from flexunet_exp.commands.export import report
from flexunet_exp.decisions import file
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import calibration, deciding, networks
from flexunet_exp.runs.folder import FinishedRun, load
from flexunet_exp.tracking import registry
from flexunet_exp.tracking.serving import Segmenter
from tests.commands.test_promoted_decision import program
from tests.support import decided
from tests.support.running import all_runs, flexunet, store

TEMPERATURES = [4.0, 1.5, 2.0, 3.0, 2.5, 1.0]


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny) -> SimpleNamespace:
    """A trained run with a calibration part, and some pictures."""
    folder = tmp_path_factory.mktemp("calibration")
    more = ["dataset.layout.images_per_class=6", "dataset.layout.good_images=12"]
    words = [*tiny, *more, "split.calibration=0.3", f"data_root={folder}"]
    done = flexunet(folder, "train", *words)
    assert done.returncode == 0, done.stdout
    (run,) = folder.glob("outputs/*/*_grid_flexunet")
    (photos := folder / "photos").mkdir()
    for number, picture in enumerate(pd.read_csv(run / "samples.csv")["image"][:3]):
        shutil.copy(picture, photos / f"{number}.png")
    return SimpleNamespace(folder=folder, run=run, photos=photos, said=done.stdout)


def copied(home, folder: Path, temperatures: list[float] | None = TEMPERATURES) -> FinishedRun:
    """A copy of the run with these temperatures, or without any."""
    shutil.copytree(home.run, folder)
    if temperatures is None:
        (folder / "calibration.json").unlink()
    else:
        found = replace(calibration.read(load(folder)), temperatures=temperatures)
        calibration.keep(found, folder)
    return load(folder)


@pytest.fixture(scope="module")
def strong(home, tmp_path_factory) -> FinishedRun:
    """A copy of the run with temperatures that change every picture, and two decisions."""
    run = copied(home, tmp_path_factory.mktemp("strong") / "run")
    plain = decided.kept(run.folder, "plain", place=4, shape=Shape(2, 0.1))
    settings = plain.predict | {"calibrated": calibration.digest([run])}
    file.keep(replace(plain, name="honest", predict=settings), run.folder)
    return run


def images(home) -> list[np.ndarray]:
    found = []
    for path in sorted(home.photos.iterdir()):
        with Image.open(path) as opened:
            found.append(np.array(opened.convert("RGB")))
    return found


def probabilities(run: FinishedRun, image: np.ndarray, **overrides) -> np.ndarray:
    (bands,) = networks.load([run], overrides).predictor([image])
    return np.concatenate([band.probabilities for band in bands])


def test_a_training_keeps_temperatures_and_their_figures(home):
    found = calibration.read(load(home.run))
    table = pd.read_csv(home.run / "samples.csv")
    valid = table[table["split"] == "valid"]
    assert found.fitted_on["part"] == "valid" and found.fitted_on["pictures"] == len(valid)
    assert found.fitted_on["pixels"] == len(valid) * 64 * 64  # fewer than the most of a sample
    assert found.own == []  # no class has ten validation sources
    assert set(found.temperatures) == {found.common}
    assert f"Calibration    temperature {found.common:.2f}, fitted on" in home.said
    (ended,) = [one for one in all_runs(home.folder) if one.info.status == "FINISHED"]
    stored = {key: value for key, value in ended.data.metrics.items() if "calibration/" in key}
    assert stored == pytest.approx(found.figures)
    files = {one.path for one in store(home.folder).client.list_artifacts(ended.info.run_id)}
    assert "calibration.json" in files
    page = (home.run / "evaluation/report.html").read_text()
    assert found.describe() in page and "predict.calibrated=true" in page
    assert (home.run / "evaluation/valid/figures/reliability.png").is_file()


def test_the_figures_are_those_of_the_predictions_before_and_after(home):
    from flexunet_exp.data import dataset as datasets
    from flexunet_exp.scores import reliability

    run = load(home.run)
    found = calibration.read(run)
    dataset = datasets.from_table(run.cfg, datasets.read_table(run.samples))
    samples = list(datasets.rows(dataset.split("valid")))
    truths = np.concatenate([dataset.layout.read_mask(one) for one in samples])
    for is_calibrated, kept in ((False, found.ece_before), (True, found.ece_after)):
        seen = [
            probabilities(run, dataset.read_image(one), calibrated=is_calibrated) for one in samples
        ]
        counted = reliability.counts(np.concatenate(seen), truths)
        assert reliability.ece(counted) == pytest.approx(kept["all"], abs=2e-6)
        assert reliability.ece(counted, "defect") == pytest.approx(kept["defect"], abs=2e-6)


def test_probabilities_are_divided_only_if_asked(home, strong):
    (image, *_) = images(home)
    network = networks.load([strong], {})
    logits = network.predictor.logits(network.predictor.prepared(image)[None])[0]
    plain, honest = (probabilities(strong, image, calibrated=asked) for asked in (None, True))
    np.testing.assert_allclose(plain, softmax(logits, axis=-1), atol=1e-6)
    np.testing.assert_allclose(honest, softmax(logits / TEMPERATURES, axis=-1), atol=1e-6)


@pytest.fixture(scope="module")
def summaries(home, strong) -> dict[str, list[dict[str, str]]]:
    """What infer says of the photos by each decision."""
    found = {}
    for name in ("plain", "honest"):
        words = [f"run={strong.folder}", "input=photos", f"output=by_{name}", f"decision={name}"]
        done = flexunet(home.folder, "infer", *words)
        assert done.returncode == 0, done.stdout
        with open(home.folder / f"by_{name}" / "summary.csv") as opened:
            found[name] = list(csv.DictReader(opened))
    return found


def test_a_decision_is_applied_with_the_temperatures_it_was_chosen_with(home, strong, summaries):
    for name, is_calibrated in (("plain", False), ("honest", True)):
        rule = file.named(name, strong.folder).rule
        for image, row in zip(images(home), summaries[name], strict=True):
            bands = networks.load([strong], {"calibrated": is_calibrated}).predictor([image])
            expected = deciding.collect(next(bands), rule)
            assert float(row["margin"]) == expected.margin
    margins = [[row["margin"] for row in rows] for rows in summaries.values()]
    assert margins[0] != margins[1]


def test_a_server_and_the_python_interface_say_what_infer_says(home, strong, summaries):
    segmenter = Segmenter()
    segmenter.load_context(SimpleNamespace(artifacts={"run": str(strong.folder)}))
    contents = [path.read_bytes() for path in sorted(home.photos.iterdir())]
    for name, rows in summaries.items():
        margins = [float(row["margin"]) for row in rows]
        answers = segmenter.predict(None, pd.DataFrame({"image": contents}), {"decision": name})
        assert [one["margin"] for one in answers] == margins
        run = flexunet_exp.load_run(str(strong.folder), f"decision={name}")
        assert [one.margin for one in run.predict(images(home))] == margins


def test_a_registered_version_carries_the_temperatures(strong, tmp_path):
    carried = registry.gather(strong.folder, tmp_path / "run")
    assert calibration.digest([load(carried)]) == calibration.digest([strong])


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("honest", False, "chosen with predict.calibrated=true; here it is false"),
        ("plain", True, "chosen with predict.calibrated=false; here it is true"),
    ],
)
def test_a_decision_of_another_calibration_is_refused(strong, name, asked, message):
    with pytest.raises(InputError, match=message):
        deciding.named(name, [strong], {"calibrated": asked})


def test_a_decision_of_other_temperatures_is_refused(home, strong, tmp_path):
    other = copied(home, tmp_path / "run", [1.1] * 6)
    shutil.copy(strong.folder / "decision.yaml", other.folder)
    with pytest.raises(InputError, match="chosen with other temperatures than those in"):
        deciding.named("honest", [other], {})
    assert deciding.named("plain", [other], {}).calibration == ""


def test_decide_chooses_on_calibrated_regions_and_leaves_the_others(home, tmp_path):
    run = copied(home, tmp_path / "run")
    path = run.folder / "evaluation/calibration/regions.npz"
    before = path.read_bytes()
    words = [f"run={run.folder}", "level=region", "max_missed=0.9", "tracking=none"]
    done = flexunet(tmp_path, "decide", *words, "predict.calibrated=true")
    assert done.returncode == 0, done.stdout
    assert "calibrated probabilities" in done.stdout
    kept = yaml.safe_load((run.folder / "decision.yaml").read_text())["decisions"]["default"]
    assert kept["predict"]["calibrated"] == calibration.digest([run])
    assert path.read_bytes() == before
    assert evidence.place(run, "calibration", True).joinpath("regions.npz").is_file()
    assert deciding.named("default", [load(run.folder)], {}) is not None


def test_an_export_lists_temperatures_where_they_are_to_be_applied(strong):
    honest, plain = (file.named(name, strong.folder) for name in ("honest", "plain"))
    told = report.usage(strong, "onnx", None, "uint8", honest)["output"]
    assert told["temperatures"] == TEMPERATURES
    assert "divide each logit by the temperature" in told["probabilities"]
    for other in (plain, None):
        told = report.usage(strong, "onnx", None, "uint8", other)["output"]
        assert told["temperatures"] is None and told["probabilities"].startswith("softmax")


def test_an_exported_calibrated_decision_decides_as_infer_does(home, strong, summaries):
    import onnxruntime

    words = [f"run={strong.folder}", "format=onnx", "output=net", "images=1", "tracking=none"]
    done = flexunet(home.folder, "export", *words, "decision=honest")
    assert done.returncode == 0, done.stdout
    decision = json.loads((home.folder / "net" / "decision.json").read_text())
    output = json.loads((home.folder / "net" / "classes.json").read_text())["output"]
    session = onnxruntime.InferenceSession(home.folder / "net" / "model.onnx")
    names = program()
    for image, row in zip(images(home), summaries["honest"], strict=True):
        shares = names["probabilities"](session, image, 64, 64, output["temperatures"])
        outcome = "stop" if names["is_stopped"](shares, decision) else "pass"
        assert outcome == row["decision"]


def test_a_run_without_temperatures_is_told_how_to_fit_them_and_evaluate_does(home, tmp_path):
    run = copied(home, tmp_path / "run", None)
    advice = rf"has no calibration.json.*evaluate run={run.folder} predict.calibrated=true"
    with pytest.raises(InputError, match=advice):
        networks.load([run], {"calibrated": True})
    words = [f"run={run.folder}", "predict.calibrated=true", "tracking=none"]
    done = flexunet(tmp_path, "evaluate", *words)
    assert done.returncode == 0, done.stdout
    assert "has no calibration.json yet: it is fitted now" in done.stdout
    again = calibration.read(run)
    assert again.temperatures == pytest.approx(
        calibration.read(load(home.run)).temperatures, rel=1e-3
    )
    (page,) = tmp_path.glob("outputs/*/*_evaluate/evaluation/report.html")
    assert ", calibrated" in page.read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept.pop("temperatures"),
        lambda kept: kept.update(temperatures=[1.0]),
        lambda kept: kept.update(temperatures=[1, 1, 0, 1, 1, 1]),
        lambda kept: kept.update(temperatures=[1, 1, -2, 1, 1, 1]),
        lambda kept: kept.update(temperatures=["a"] * 6),
        lambda kept: kept.update(ece_before={}),
        lambda kept: kept.update(more=1),
    ],
)
def test_a_damaged_file_is_an_error_with_what_to_type(home, tmp_path, change):
    run = copied(home, tmp_path / "run")
    path = run.folder / "calibration.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="not a calibration .* predict.calibrated=true"):
        calibration.read(run)


@pytest.mark.parametrize("text", ["", "[1]", "NaN", "{", '{"method": 1}'])
def test_a_file_of_something_else_is_an_error(home, tmp_path, text):
    run = copied(home, tmp_path / "run")
    (run.folder / "calibration.json").write_text(text)
    with pytest.raises(InputError, match="calibration.json: not a calibration"):
        calibration.read(run)


def test_temperatures_of_another_network_are_refused(home, tmp_path):
    run = copied(home, tmp_path / "run")
    calibration.keep(replace(calibration.read(run), network="0123456789abcdef"), run.folder)
    with pytest.raises(InputError, match="is of another network than"):
        calibration.read(run)
