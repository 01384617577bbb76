"""Maps of uncertainty: what is written, that it goes on, and that kinds are never mixed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import entr, softmax

from flexunet_exp.errors import InputError
from flexunet_exp.prediction.predictor import Ensemble
from flexunet_exp.reporting import heat
from tests.support.standin import draw, infer, trained

SCRATCH = ("scratch", 4, 6, 10, 3)
FAINT = 70  # a grey level between background and scratch


@pytest.fixture
def photos(tmp_path) -> Path:
    draw(tmp_path / "photos" / "clean.png")
    draw(tmp_path / "photos" / "scratch.png", SCRATCH)
    faint = np.zeros((32, 32), np.uint8)
    faint[:, 16:] = FAINT
    Image.fromarray(faint).save(tmp_path / "photos" / "faint.png")
    return tmp_path / "photos"


def kept(output: Path, name: str) -> np.ndarray:
    with np.load(output / "uncertainty" / f"{name}.npz", allow_pickle=False) as archive:
        return archive["uncertainty"]


def rows(output: Path) -> dict[str, dict[str, str]]:
    with open(output / "summary.csv") as opened:
        return {row["file"]: row for row in csv.DictReader(opened)}


def both():
    """Two networks that disagree on faint pixels."""
    first, second = trained(), trained()
    second.predictor.model.weights = [np.array([0, 20, 255], np.float32)]
    first.predictor = Ensemble([first.predictor, second.predictor])
    return first


def test_entropy_is_kept_as_numbers_and_as_a_picture(photos, tmp_path):
    output = tmp_path / "out"
    infer(photos, output, uncertainty="entropy")
    found = kept(output, "faint")
    assert found.shape == (32, 32) and found.dtype == np.float16
    logits = -np.abs(FAINT - np.array([0, 128, 255])) / 20
    expected = entr(softmax(logits)).sum() / np.log(3)
    np.testing.assert_allclose(found[:, 16:], expected, atol=1e-3)
    assert found[:, :16].max() < 0.02
    with Image.open(output / "uncertainty" / "faint.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.array(picture), np.rint(found.astype(float) * 255))
        assert (
            np.array(picture.convert("RGB"))[0, 31].tolist()
            == heat.COLOURS[round(float(found[0, 31]) * 255)].tolist()
        )


def test_the_summary_has_the_mean_over_the_predicted_defect(photos, tmp_path):
    output = tmp_path / "out"
    infer(photos, output, uncertainty="entropy")
    table = rows(output)
    assert list(table["clean.png"])[-3:] == ["uncertainty", "status", "error"]
    assert table["clean.png"]["uncertainty"] == ""
    mean = kept(output, "faint")[:, 16:].astype(float).mean()
    assert float(table["faint.png"]["uncertainty"]) == pytest.approx(mean, rel=1e-5)
    assert float(table["scratch.png"]["uncertainty"]) < float(table["faint.png"]["uncertainty"])


def test_the_overlay_shows_the_map_beside_the_picture(photos, tmp_path):
    infer(photos, tmp_path / "out", uncertainty="entropy")
    infer(photos, tmp_path / "plain")
    shown, plain = (
        np.array(Image.open(tmp_path / name / "overlays/faint.png")) for name in ("out", "plain")
    )
    np.testing.assert_array_equal(shown[: len(plain), : plain.shape[1]], plain)
    column = shown[:32, -len(heat.above_scale(np.zeros((32, 32)), "")[0]) :][:, :32]
    np.testing.assert_array_equal(column, heat.COLOURS[heat.steps(kept(tmp_path / "out", "faint"))])
    assert not (tmp_path / "plain/uncertainty").exists()
    assert "uncertainty" not in rows(tmp_path / "plain")["clean.png"]


def test_networks_disagree_where_each_is_sure_of_another_class(photos, tmp_path):
    infer(photos, tmp_path / "out", both(), uncertainty="folds")
    found = kept(tmp_path / "out", "faint")
    each = [
        softmax(-np.abs(FAINT - np.array(levels)) / 20) for levels in ([0, 128, 255], [0, 20, 255])
    ]
    expected = entr(np.mean(each, axis=0)).sum() - np.mean([entr(one).sum() for one in each])
    np.testing.assert_allclose(found[:, 16:], expected / np.log(3), atol=1e-3)
    with Image.open(tmp_path / "out/uncertainty/faint.png") as picture:
        steps = np.rint(np.clip(found.astype(float) / 0.1, 0, 1) * 255)
        np.testing.assert_array_equal(np.array(picture), steps)


def test_the_scale_of_disagreement_ends_at_a_tenth_and_says_so():
    values = np.array([[0.0, 0.05, 0.1, 0.4]])
    assert heat.steps(values, 0.1).tolist() == [[0, 128, 255, 255]]
    whole, tenth = (heat.above_scale(np.zeros((64, 200)), "x", end) for end in (1, 0.1))
    assert whole.shape == tenth.shape and (whole != tenth).any()


def test_one_network_cannot_disagree_and_nothing_is_written(photos, tmp_path):
    with pytest.raises(InputError, match="uncertainty=folds is the disagreement of networks"):
        infer(photos, tmp_path / "out", uncertainty="folds")
    assert not (tmp_path / "out").exists()


def test_a_second_time_does_only_what_is_missing(photos, tmp_path):
    output = tmp_path / "out"
    infer(photos, output, uncertainty="entropy")
    assert infer(photos, output, uncertainty="entropy").already == 3
    for name in ("faint.png", "clean.npz"):
        (output / "uncertainty" / name).unlink()
    assert infer(photos, output, uncertainty="entropy").done == 2
    assert len(list((output / "uncertainty").iterdir())) == 6


def test_other_kinds_in_one_folder_are_refused_and_named(photos, tmp_path):
    output = tmp_path / "out"
    infer(photos, output, both(), uncertainty="entropy")
    with pytest.raises(InputError, match=r"\(uncertainty=entropy\).*\(uncertainty=folds\)"):
        infer(photos, output, both(), uncertainty="folds")
    with pytest.raises(InputError, match=r"\(uncertainty=entropy\).*\(uncertainty=not given\)"):
        infer(photos, output, both())
    infer(photos, output, both(), overwrite=True)
    assert not list((output / "uncertainty").iterdir())


def test_temperatures_are_a_setting_of_the_results(photos, tmp_path):
    output = tmp_path / "out"
    infer(photos, output)
    honest = trained(calibrated=True)
    honest.predictor = honest.predictor.calibrated(np.array([2, 2, 2], np.float32))
    with pytest.raises(InputError, match=r"\(calibrated=not given\).*\(calibrated=\[\[2.0, 2.0"):
        infer(photos, output, honest)
