"""flexunet review: a page and a table of doubts; answers read back; nothing of the data changes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from flexunet_exp.commands.review import exporting, predicting
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import parts
from flexunet_exp.labels import review_file
from flexunet_exp.labels.compared import Box
from flexunet_exp.runs.folder import load_below
from tests.support import exports
from tests.support.running import flexunet, store


@pytest.fixture(scope="module")
def parent(folds) -> Path:
    return next(folds.glob("outputs/multirun/*/*/*/best.keras")).parents[1]


@pytest.fixture(scope="module")
def reviewed(folds, parent) -> Path:
    """The folder of a review, after the data was shown to be as before."""
    pictures = pd.concat([pd.read_csv(file) for file in parent.glob("*/samples.csv")])
    files = [Path(file) for file in {*pictures["image"], *pictures["mask"].dropna()}]
    before = {file: hashlib.sha256(file.read_bytes()).digest() for file in files}
    done = flexunet(folds, "review", f"run={parent}", "export=coco", "most=12")
    assert done.returncode == 0, done.stdout
    assert before == {file: hashlib.sha256(file.read_bytes()).digest() for file in files}
    (folder,) = folds.glob("outputs/*/*_review/review")
    return folder


def test_the_page_shows_every_doubt_of_the_table_and_what_it_is_about(reviewed, parent):
    table = pd.read_csv(reviewed / "review.csv")
    page = (reviewed / "review.html").read_text()
    assert f"<code>flexunet review run={parent} answers=review.csv" in page
    assert f"<dd>flexunet review run={parent} export=coco most=12</dd>" in page
    assert 'class="legend"' in page and "<dd>grid</dd>" in page
    assert 0 < len(table) <= 12  # a network of one epoch sees nearly nothing
    assert page.count("data:image/jpeg") == page.count("<input") == len(table)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert table["score"].is_monotonic_decreasing
    export = exports.read("coco", reviewed / "coco")
    assert {Path(one.name).stem for one in export.pictures} == set(table["picture"])


def artifacts_of_parent(folds: Path, place: str = "") -> set[str]:
    runs = store(folds).runs("", "attributes.start_time ASC", limit=100)
    (parent_run,) = {one.data.tags.get("mlflow.parentRunId") for one in runs} - {None}
    return {file.path for file in store(folds).client.list_artifacts(parent_run, place)}


def test_page_and_table_are_kept_with_the_run_that_was_reviewed(folds, reviewed):
    assert artifacts_of_parent(folds, "review") == {"review/review.csv", "review/review.html"}


def test_the_ticked_pictures_alone_are_exported(folds, parent, reviewed):
    table = pd.read_csv(reviewed / "review.csv")
    table["wrong"] = (table["picture"] == table["picture"][0]).astype(int)
    answers = folds / "answers.csv"
    table.to_csv(answers, index=False)
    words = (f"run={parent}", f"answers={answers}", "export=labelme")
    done = flexunet(folds, "review", *words)
    assert done.returncode == 0, done.stdout
    assert "ticked as wrong" in done.stdout
    (folder,) = folds.glob("outputs/*/*_review/review/labelme")
    assert [file.stem for file in folder.glob("*.json")] == [table["picture"][0]]
    assert (folder.parent / "review.csv").read_bytes() == answers.read_bytes()
    assert artifacts_of_parent(folds, "review2") == {"review2/review.csv"}


def test_ticked_doubts_that_fit_nothing_are_counted(parent, reviewed, tmp_path, caplog):
    runs = load_below(parent)
    again = predicting.reviewed(runs, OmegaConf.create({}), tmp_path / "masks")
    rows = review_file.read(reviewed / "review.csv", again.names, again.classes)
    doubted = [rows[0].doubt, rows[1].doubt._replace(kind="extra", box=Box(0, 0, 3, 3))]
    exporting.write(again, doubted, "labelme", tmp_path / "labelme")
    assert f"1 of 2 doubts are not drawn, the first of picture {rows[1].picture}" in caplog.text
    assert "predict.*" in caplog.text


def test_each_picture_is_predicted_once_for_table_page_and_export(parent, tmp_path, monkeypatch):
    asked = []
    own_parts = parts.own_parts

    def counted(groups, overrides):
        for part in own_parts(groups, overrides):
            predictor = part.predictor

            def predict(images, predictor=predictor):
                for bands in predictor(images):
                    asked.append(1)
                    yield bands

            yield part._replace(predictor=predict)

    monkeypatch.setattr(parts, "own_parts", counted)
    runs = load_below(parent)
    found = predicting.reviewed(runs, OmegaConf.create({}), tmp_path / "masks")
    first = found.looks({0, 1})
    assert [look.number for look in first] == [0, 1] and len(asked) == 2
    masks = {look.number: look.mask.copy() for look, _ in found.predicted()}
    number = len(found.names)
    assert len(masks) == number and len(asked) == 2 + number
    for look in found.looks(range(number)):
        assert found.names[look.number] == datasets.sample_name(look.sample)
        np.testing.assert_array_equal(look.mask, masks[look.number])
    assert len(asked) == 2 + number


def test_wrong_answers_and_options_are_a_sentence(folds, parent, reviewed):
    broken = folds / "broken.csv"
    table = pd.read_csv(reviewed / "review.csv")
    table.assign(kind="gone").to_csv(broken, index=False)
    done = flexunet(folds, "review", f"run={parent}", f"answers={broken}")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "line 2: kind is 'gone', expected extra, unseen, moved, class, outline" in done.stdout
    with pytest.raises(InputError, match="distance is '3,4', expected a number of pixels"):
        table.assign(distance="3,4").to_csv(broken, index=False)
        names = table["picture"].unique().tolist()
        review_file.read(broken, names, ["background", *table["proposed"], *table["label"]])
    other = flexunet(folds, "review", f"run={parent}", "export=voc", "most=0")
    assert other.returncode == 1
    assert "export" in other.stdout and "most" in other.stdout
