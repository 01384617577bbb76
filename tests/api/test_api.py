"""The functions for notebooks, on a tiny trained run: they give what the commands give."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import flexunet_exp
from flexunet_exp import api
from flexunet_exp.errors import InputError
from tests.support import running


@pytest.fixture
def here(workspace, monkeypatch):
    """The current folder is the one a tiny run was trained in."""
    monkeypatch.chdir(workspace)
    return workspace


@pytest.fixture
def run(here, run_folder):
    return flexunet_exp.load_run(run_folder)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 90, 3), np.uint8)


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, flexunet_exp; assert {'load_run', 'compare'} <= set(dir(flexunet_exp)); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'numpy', 'pandas', 'hydra', 'omegaconf', 'keras', 'tensorflow', 'mlflow'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_runs'"):
        flexunet_exp.load_runs  # noqa: B018


@pytest.mark.parametrize("documented", [api.load_run, api.compare, api.Run.predict])
def test_the_examples_run_as_they_are_written(here, documented):
    names = {"flexunet_exp": flexunet_exp, "np": np}
    (example,) = [
        test
        for test in doctest.DocTestFinder(recurse=False).find(documented, globs=names)
        if test.examples
    ]
    assert doctest.DocTestRunner().run(example).failed == 0


def test_a_prediction_is_what_infer_writes(run, here, tmp_path, picture):
    file = tmp_path / "photo (1).png"
    Image.fromarray(picture).save(file)
    shutil.rmtree(here / "out", ignore_errors=True)
    words = (f"run={run.folder}", f"input={file}", f"output={here / 'out'}")
    done = running.flexunet(here, "infer", *words)
    assert done.returncode == 0, done.stdout
    of_array, of_file = run.predict([picture, file])
    written = np.asarray(Image.open(next((here / "out" / "masks").glob("*.png"))))
    np.testing.assert_array_equal(of_array.mask, written)
    np.testing.assert_array_equal(of_file.mask, written)
    regions = pd.read_csv(here / "out" / "regions.csv")
    assert len(of_array.regions) == len(regions)
    assert of_array.regions["area"].sum() == regions["area"].sum()


def test_probabilities_sum_to_one_and_their_largest_is_the_mask(run, picture):
    found = run.predict(picture, probabilities=True)
    assert found.probabilities.shape == (50, 90, len(run.class_names))
    np.testing.assert_allclose(found.probabilities.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.probabilities.argmax(-1), found.mask)
    assert run.predict(picture).probabilities is None


def test_small_regions_become_background(run, picture):
    found = run.predict(picture, min_area=picture.size)
    assert found.regions.empty and not found.mask.any()


def test_all_that_are_no_pictures_are_named_at_once(run, picture, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    with pytest.raises(InputError) as raised:
        run.predict([picture / 255, picture[..., 0], text, tmp_path / "gone.png", picture])
    problems = raised.value.problems
    assert len(problems) == 4
    assert problems[0].startswith("Picture 1 is an array (50, 90, 3) of float64; expected")
    assert "Picture 2" in problems[1] and "notes.txt" in problems[2] and "gone.png" in problems[3]


def test_scores_are_those_in_the_folder(run, run_folder):
    scores = run.scores("test")
    kept = pd.read_csv(run_folder / "evaluation" / "test" / "scores.csv", index_col="class")
    assert list(scores.classes.index) == list(kept.index) == list(run.class_names)
    assert scores.summary["dice"] == scores.intervals.loc["dice", "value"]
    assert set(scores.images.columns) >= {"name", "dice"}
    with pytest.raises(InputError, match="flexunet evaluate run=RUN"):
        run.scores("train")


def test_figures_are_files_of_the_run(run):
    assert all(path.is_file() for path in run.figures.values())
    assert {"train_losses", "valid/confusion", "test/classes"} <= set(run.figures)


def test_the_configuration_is_a_copy(run):
    run.config.dataset.name = "other"
    assert run.config.dataset.name == "grid"


def test_a_network_file_is_a_run_too(run, run_folder):
    assert flexunet_exp.load_run(run_folder / "best.keras").folder == run.folder


@pytest.mark.parametrize(
    ("name", "overrides", "problem"),
    [
        ("nowhere", [], "is neither a folder nor a run"),
        ("latest", ["predict.tta=some"], "predict.tta"),
        ("latest", ["predict.tat=flips"], "Did you mean 'predict.tta'?"),
        ("latest", ["tracking.uri=sqlite:///no/mlflow.db"], "There is no store"),
    ],
)
def test_what_is_wrong_is_one_sentence(here, name, overrides, problem):
    with pytest.raises(InputError, match=re.escape(problem)):
        flexunet_exp.load_run(name, *overrides)


def test_runs_are_compared_by_folder_or_as_they_were_loaded(here, run, run_folder):
    by_folder = flexunet_exp.compare(run_folder)
    assert len(by_folder.leaderboard) == 1 and by_folder.metric == "val/dice"
    assert by_folder.leaderboard["val"].iloc[0] == run.scores("valid").summary["dice"]
    latest = flexunet_exp.load_run("latest")
    pd.testing.assert_frame_equal(
        flexunet_exp.compare([latest, run]).leaderboard, by_folder.leaderboard
    )
    with pytest.raises(InputError, match="runs=nothing is not a run"):
        flexunet_exp.compare(["nothing"])


def test_a_hydra_app_that_runs_is_left_as_it_is(here, tmp_path):
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        flexunet_exp.load_run("latest")
        assert GlobalHydra.instance().hydra is before
