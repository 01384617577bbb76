"""A decision promoted with a model: it is applied wherever the model is, unless told otherwise."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import flexunet_exp
from flexunet_exp.commands.promote.command import task
from flexunet_exp.decisions import file
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.errors import InputError
from flexunet_exp.tracking import registry
from flexunet_exp.tracking.served_pictures import Refused
from tests.support import decided, running
from tests.support.running import flexunet

MODEL = "run='models:/tiny@champion'"
DOCS = Path(__file__).parents[2] / "docs" / "guides" / "export.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny) -> SimpleNamespace:
    """A store whose champion `tiny` has the decision `strict`; its run has also `never`."""
    folder = tmp_path_factory.mktemp("promoted")
    done = flexunet(folder, "train", *tiny, "tracking.register=tiny", f"data_root={folder}")
    assert done.returncode == 0, done.stdout
    (run,) = folder.glob("outputs/*/*_grid_flexunet")
    strict = decided.kept(run, "strict", place=5, shape=Shape(4, 0.3))
    decided.kept(run, "never", place=18, shape=Shape(10**6))
    words = (f"run={run}", "name=tiny", "decision=strict", "force=true")
    done = flexunet(folder, "promote", *words)
    assert done.returncode == 0, done.stdout
    (photos := folder / "photos").mkdir()
    for number, picture in enumerate(pd.read_csv(run / "samples.csv")["image"][:6]):
        with Image.open(picture) as opened:  # half of them larger than the network's input
            size = (64, 64) if number % 2 else (110, 83)
            opened.convert("RGB").resize(size).save(photos / f"{number}.png")
    return SimpleNamespace(folder=folder, photos=photos, run=run, strict=strict, said=done.stdout)


def versions(home) -> dict[int, str | None]:
    """The decision of each version."""
    found = running.store(home.folder).client.search_model_versions("name = 'tiny'")
    return {int(one.version): one.tags.get("decision") for one in found}


@pytest.fixture(scope="module")
def predicted(home) -> list[dict[str, str]]:
    """The summary of `infer` on the photos, with the decision that it applies by itself."""
    words = [MODEL, "input=photos", "output=results", "probabilities=true"]
    done = flexunet(home.folder, "infer", *words)
    assert done.returncode == 0, done.stdout
    assert "Decision: strict (guarantee, level=part" in done.stdout
    with open(home.folder / "results" / "summary.csv") as opened:
        return list(csv.DictReader(opened))


def test_a_run_with_another_decision_is_another_version(home, compose):
    assert versions(home) == {1: None, 2: "strict"}
    assert "Version 2 of tiny is the champion now" in home.said and "strict" in home.said
    uri = f"tracking.uri=sqlite:///{home.folder}/mlruns/mlflow.db"
    for words in ((), ("decision=strict",)):  # neither makes a version, nor takes the decision away
        task(compose("promote", f"run='{home.run}'", "name=tiny", uri, *words))
    assert versions(home) == {1: None, 2: "strict"}
    store = running.store(home.folder)
    assert registry.champion(store, "tiny").version in (2, "2")
    with pytest.raises(InputError, match="Did you mean 'strict'"):
        task(compose("promote", f"run='{home.run}'", "name=tiny", uri, "decision=strikt"))
    assert versions(home) == {1: None, 2: "strict"}


def test_infer_applies_the_promoted_decision(home, predicted):
    assert {row["decision"] for row in predicted} <= {"pass", "stop"}
    for row in predicted:
        assert (row["decision"] == "stop") == (float(row["margin"]) >= 0) == bool(row["reasons"])
    other = flexunet(
        home.folder, "infer", MODEL, "input=photos", "output=other", "decision=none", "min_area=3"
    )
    assert other.returncode == 0 and "Decision: none" in other.stdout
    assert "margin" not in (home.folder / "other" / "summary.csv").read_text()
    refused = flexunet(home.folder, "infer", MODEL, "input=photos", "output=x", "min_area=3")
    assert refused.returncode == 1 and "decision=strict says which regions" in refused.stdout


def test_a_served_model_answers_what_infer_says(home, predicted):
    store = running.store(home.folder)
    mlflow.set_tracking_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/tiny@champion")
    contents = [(home.photos / row["file"]).read_bytes() for row in predicted]
    photos = pd.DataFrame({"image": contents})
    for answer, row in zip(model.predict(photos), predicted, strict=True):
        assert (answer["decision"], str(answer["margin"])) == (row["decision"], row["margin"])
        assert "; ".join(answer["reasons"]) == row["reasons"]
        assert answer["decision_name"] == "strict"
    never = model.predict(photos, params={"decision": "never"})
    assert {answer["decision"] for answer in never} == {"pass"}
    (plain, *_) = model.predict(photos, params={"decision": "none", "min_area": 2})
    assert "decision" not in plain and "margin" not in plain
    with pytest.raises(Refused, match="Did you mean 'never'"):
        model.predict(photos, params={"decision": "nevr"})
    with pytest.raises(Refused, match="decision=strict says which regions remain"):
        model.predict(photos, params={"min_area": 2})


def test_a_loaded_run_applies_it_too(home, predicted):
    uri = f"tracking.uri=sqlite:///{home.folder}/mlruns/mlflow.db"
    run = flexunet_exp.load_run("models:/tiny@champion", uri)
    found = run.predict([home.photos / row["file"] for row in predicted])
    assert [(one.decision, str(one.margin)) for one in found] == [
        (row["decision"], row["margin"]) for row in predicted
    ]
    plain = flexunet_exp.load_run("models:/tiny@champion", uri, "decision=none")
    assert plain.predict(home.photos / predicted[0]["file"]).decision is None


def program() -> dict:
    """The names of the program in the guide that applies a decision without this package."""
    (text,) = re.findall(r"```python\n(import json\n.*?)```", DOCS.read_text(), re.S)
    names: dict = {}
    exec(text, names)
    return names


def turning(margin: float) -> list[tuple[int, bool]]:
    """By how many steps of 1/20 each threshold may rise, and where the decision turns."""
    last = round(margin * 20)  # 19 thresholds; that of `strict` is the sixth
    stops = [(last, True)] if last >= -5 else []
    return stops + ([(last + 1, False)] if last + 1 <= 13 else [])


def raised(decision: dict, places: int) -> dict:
    """The decision with all thresholds higher."""
    moved = [one | {"least_steps": one["least_steps"] + 12 * places} for one in decision["classes"]]
    return decision | {"classes": moved}


def test_an_exported_decision_and_network_decide_as_infer_does(home, predicted):
    import onnxruntime

    done = flexunet(home.folder, "export", MODEL, "format=onnx", "output=net", "images=1")
    assert done.returncode == 0 and "Decision: strict" in done.stdout, done.stdout
    decision = json.loads((home.folder / "net" / "decision.json").read_text())
    proof = json.loads((home.folder / "net" / "parity.json").read_text())
    assert proof["proven"] and proof["decision"]["name"] == "strict"
    assert proof["decision"]["equal_pixels"] == 1.0
    assert proof["decision"]["parts_with_the_same_verdict"] == proof["decision"]["parts"] == 1
    assert decision["expected"]["parts"]["missed"] == [None, 0.0, 0.2, 9]
    session = onnxruntime.InferenceSession(home.folder / "net" / "model.onnx")
    size = json.loads((home.folder / "net" / "classes.json").read_text())["input"]["image_size"]
    names = program()
    for row in predicted:
        with Image.open(home.photos / row["file"]) as opened:
            image = np.array(opened.convert("RGB"))
        probabilities = names["probabilities"](session, image, size["height"], size["width"])
        outcome = "stop" if names["is_stopped"](probabilities, decision) else "pass"
        assert outcome == row["decision"]
        for steps, is_stopped in turning(float(row["margin"])):
            assert names["is_stopped"](probabilities, raised(decision, steps)) == is_stopped
    done = flexunet(
        home.folder, "export", MODEL, "format=saved_model", "output=bare", "decision=none",
        "images=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert not (home.folder / "bare" / "decision.json").exists()


def test_a_promoted_name_stays_out_of_a_run_folder(home):
    assert file.promoted(home.run) is None
    assert "promoted" not in (home.run / "decision.yaml").read_text()
