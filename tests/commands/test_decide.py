"""flexunet decide: chosen by goals, kept by name, applied by infer and evaluate; refusals."""

from __future__ import annotations

import base64
import csv
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from flexunet_exp.commands.decide import evidence, settings
from flexunet_exp.decisions import file
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import deciding
from flexunet_exp.reporting import nearest
from flexunet_exp.runs.folder import load
from flexunet_exp.scores import region_record
from tests.support.decided import kept as keep_one
from tests.support.running import all_runs, flexunet, store

REGIONS = "evaluation/{}/regions.npz"


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory, tiny) -> Path:
    """A folder in which a run with a calibration part was trained."""
    folder = tmp_path_factory.mktemp("calibrated")
    more = ["dataset.layout.images_per_class=6", "dataset.layout.good_images=12"]
    words = [*tiny, *more, "split.calibration=0.3", f"data_root={folder}"]
    done = flexunet(folder, "train", *words)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def run(calibrated) -> Path:
    (folder,) = calibrated.glob("outputs/*/*_grid_flexunet")
    return folder


@pytest.fixture(scope="module")
def decided(calibrated, run) -> str:
    """What the command prints; the run has the decision `default` afterwards."""
    done = flexunet(calibrated, "decide", f"run={run}", "max_missed=0.9", "level=region")
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_an_evaluation_keeps_the_regions_of_every_part(run):
    table = pd.read_csv(run / "samples.csv")
    for split in ("valid", "test", "calibration"):
        record = region_record.load(run / REGIONS.format(split))
        assert set(record.sources) == set(table.loc[table["split"] == split, "source"])
    assert not (run / "evaluation/calibration/scores.json").exists()  # it is not scored
    curve = pd.read_csv(run / "evaluation/test/free_response.csv")
    assert set(curve["class"]) > {"all"}
    assert curve["found"].dropna().between(0, 1).all()


def test_a_decision_is_kept_and_shown(calibrated, run, decided):
    kept = yaml.safe_load((run / "decision.yaml").read_text())["decisions"]["default"]
    assert kept["kind"] == "guarantee"
    assert kept["wanted"] == {"max_missed": 0.9, "confidence": 0.9}
    assert kept["data"]["part"] == "calibration"
    assert kept["expected"]["all"]["missed"][0] <= 0.9
    assert kept["test"]["parts"]
    assert "guarantee" in decided
    (page,) = calibrated.glob("outputs/*/*_decide/decide/decide.html")
    assert page.read_text().count("<svg") == 2
    stored = [one for one in all_runs(calibrated) if one.info.status == "FINISHED"][0].info.run_id
    files = {file.path for file in store(calibrated).client.list_artifacts(stored)}
    assert {"decision.yaml", "decide"} <= files


def test_a_kept_decision_is_replaced_only_if_asked(calibrated, run, decided):
    kept = (run / "decision.yaml").read_text()
    words = [f"run={run}", "max_missed=0.8", "level=region"]
    done = flexunet(calibrated, "decide", *words)
    assert done.returncode == 1
    assert "has a decision default (guarantee, level=region max_missed=0.9" in done.stdout
    assert (run / "decision.yaml").read_text() == kept
    again = [words[0], "max_missed=0.9", "level=region", "overwrite=true"]
    assert flexunet(calibrated, "decide", *again).returncode == 0
    assert (run / "decision.yaml").read_text() == kept


def test_infer_stops_and_passes_by_a_decision(calibrated, run, decided):
    pictures = pd.read_csv(run / "samples.csv")["image"][:3].tolist()
    (calibrated / "photos").mkdir()
    for number, picture in enumerate(pictures):
        shutil.copy(picture, calibrated / "photos" / f"{number}.png")
    words = [f"run={run}", "input=photos", "output=results"]
    done = flexunet(calibrated, "infer", *words, "decision=default")
    assert done.returncode == 0, done.stdout
    with open(calibrated / "results" / "summary.csv") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        stopped = float(row["margin"]) >= 0
        assert row["decision"] == ("stop" if stopped else "pass")
        assert bool(row["reasons"]) == stopped == (int(row["num_regions"]) > 0)
    refused = flexunet(calibrated, "infer", *words, "decision=defaul")
    assert refused.returncode == 1
    assert "Did you mean 'default'?" in refused.stdout
    other = flexunet(calibrated, "infer", *words, "decision=default", "predict.tta=flips")
    assert "was chosen with predict.tta=none" in other.stdout


def test_evaluate_scores_what_remains_under_a_decision(calibrated, run, decided):
    done = flexunet(calibrated, "evaluate", f"run={run}", "decision=default")
    assert done.returncode == 0, done.stdout
    assert "defective parts passed" in done.stdout
    assert "The run ended with other figures" not in done.stdout
    page = max(calibrated.glob("outputs/*/*_evaluate/evaluation/report.html"))
    text = page.read_text()
    assert "default (guarantee, level=region max_missed=0.9" in text
    near = text[text.index("Nearest to the decision") : text.index('id="classes"')]
    assert near.count("data:image/jpeg;base64,") == near.count("<figcaption") > 0
    assert "What other goals would have cost there" in text


def test_goals_that_the_parts_cannot_support_are_refused(calibrated, run):
    words = [f"run={run}", "max_false_alarms=0.01", "name=strict"]
    done = flexunet(calibrated, "decide", *words)
    assert done.returncode == 1
    assert "cannot support max_false_alarms=0.01 with confidence=0.9" in done.stdout
    assert "The best that they support is max_false_alarms=0." in done.stdout


def test_a_run_without_a_calibration_part_is_refused(workspace, run_folder):
    done = flexunet(workspace, "decide", f"run={run_folder}", "max_missed=0.1")
    assert done.returncode == 1
    assert "has no calibration part" in done.stdout


def test_folds_give_an_estimate_and_predict_again_what_is_not_kept(folds):
    runs = sorted(path.parent for path in folds.glob("outputs/multirun/*/*/*/best.keras"))
    (runs[0] / REGIONS.format("test")).unlink()
    done = flexunet(folds, "decide", f"run={runs[0].parent}", "max_missed=0.9", "name=careful")
    assert done.returncode == 0, done.stdout
    assert "so it is predicted again" in done.stdout
    assert "This is an estimate" in done.stdout
    assert f"flexunet infer run={runs[0].parent} decision=careful" in done.stdout
    kept = [yaml.safe_load((one / "decision.yaml").read_text())["decisions"] for one in runs]
    assert [list(one) for one in kept] == [["careful"]] * 3
    assert len(kept[0]["careful"]["networks"]) == 3
    alone = flexunet(
        folds, "infer", f"run={runs[0]}", f"input={runs[0]}", "output=x", "decision=careful"
    )
    assert "was chosen for 3 networks" in alone.stdout


def test_a_run_without_validation_pictures_is_refused(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation"))
    table = (copy / "samples.csv").read_text()
    (copy / "samples.csv").write_text(table.replace(",valid,", ",train,"))
    with pytest.raises(InputError, match="no validation pictures, on which the least area"):
        evidence.regions_of(load(copy), "valid")


def test_a_decision_of_older_weights_is_refused(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation"))
    decision = keep_one(copy, "old", 9, Shape())
    file.keep(replace(decision, networks=["0123456789abcdef"]), copy)
    found = [load(copy)]
    with pytest.raises(InputError, match="decision=old was chosen for 1 networks with other wei"):
        deciding.named("old", found, {})


def test_the_page_shows_the_nearest_pictures_and_what_other_goals_cost(calibrated, run, decided):
    (page, *_) = sorted(calibrated.glob("outputs/*/*_decide/decide/decide.html"))
    text = page.read_text()
    record = region_record.load(run / REGIONS.format("calibration"))
    shown = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(shown) == min(len(record.names), 2 * nearest.MOST)
    with Image.open(io.BytesIO(base64.b64decode(shown[0]))) as thumbnail:
        width, height = thumbnail.size
        assert height < width < 3 * height  # the picture, and its truth beside it
    assert "What other goals would cost" in text and "is gone" not in text
    assert f"<dd>flexunet decide run={run} max_missed=0.9 level=region</dd>" in text
    assert "<dd>grid</dd>" in text and 'class="legend"' in text
    assert text.count("<td>max_missed ≤ 0.") == 5 and "a goal is tested on one" in text
    assert not re.search(r'src="(?!data:)', text)
    kept = yaml.safe_load((run / "decision.yaml").read_text())["decisions"]["default"]["prices"]
    assert [one["goal"] for one in kept] == [0.01, 0.02, 0.05, 0.1, 0.2]
    assert all(("needs" in one) != ("threshold" in one) for one in kept)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "What shall hold"),
        (["max_missed=0.1", "cost_missed=5"], "by goals or by costs"),
        (["cost_missed=5"], "there is no cost_false_alarm, defect_rate"),
        (["max_missed=1.5"], "max_missed=1.5 is not"),
        (["max_missed=0"], "max_missed=0 is not"),
        (["max_false_alarms=-0.1"], "max_false_alarms=-0.1 is not"),
        (["max_missed=0.1", "run='models:/grid@champion'"], "a registered model, which never"),
        (["max_false_alarms=2"], "max_false_alarms=2 is not below 1"),
        (["level=region", "max_false_alarms=5"], "is not below 5"),
        (["max_missed=0.1", "by=class"], "goals of parts are of all classes"),
        (["max_missed=0.1", "name=none"], "and not none"),
        (["max_missed=0.1", "level=window"], "part, region or pixel"),
        (["max_missed=0.1", "confidence=1"], "confidence=1 is not"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_loaded(compose, words, message):
    with pytest.raises(InputError, match=message):
        settings.check(compose("decide", *words))


@pytest.mark.parametrize(
    "words",
    [
        ["max_false_alarms=0.05", "max_missed=0.1"],
        ["level=region", "by=class", "max_false_alarms=1.5"],
        ["cost_missed=100", "cost_false_alarm=1", "defect_rate=0.01"],
    ],
)
def test_settings_that_can_be_are_accepted(compose, words):
    settings.check(compose("decide", *words))
