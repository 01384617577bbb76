"""decision.yaml: kept by name, read again, refused where it is damaged or of something else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from flexunet_exp.decisions import file
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.rules import ClassRule, Rule, Shape
from flexunet_exp.errors import InputError

RULE = Rule({"scratch": ClassRule(9, Shape(16, 0.7)), "dent": ClassRule(0)})
DECISION = Decision(
    *("default", "guarantee", "part", "all", {"max_missed": 0.1, "confidence": 0.9}),
    *(file.values_of(RULE), ["a1", "b2"], {"tta": "none", "tile": "none"}),
    *({"part": "calibration", "pictures": 9, "sources": 9, "digest": "0f"}, 0.3),
    {"parts": {"missed": [0.0, 0.0, 0.2, 9]}},
)


def test_decisions_are_kept_by_name(tmp_path):
    file.keep(DECISION, tmp_path)
    file.keep(replace(DECISION, name="careful", level="region"), tmp_path)
    file.keep(replace(DECISION, kind="estimate"), tmp_path)  # in place of the first
    kept = file.read_all(tmp_path / "decision.yaml")
    assert {name: (one.kind, one.level) for name, one in kept.items()} == {
        "default": ("estimate", "part"),
        "careful": ("guarantee", "region"),
    }
    assert file.named("careful", tmp_path).rule == RULE


def test_a_decision_is_not_replaced_unless_asked(tmp_path):
    runs = [tmp_path / name for name in "abc"]
    for run in runs[:2]:
        run.mkdir()
        file.keep(DECISION, run)
    file.check_free("careful", runs, overwrite=False)
    file.check_free("default", runs, overwrite=True)
    with pytest.raises(InputError) as refused:
        file.check_free("default", runs, overwrite=False)
    first, second = refused.value.problems
    assert f"{runs[0] / 'decision.yaml'} has a decision default (guarantee, level=part" in first
    assert str(runs[1]) in second and "overwrite=true" in second and "name=NAME" in second


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.pop("rules"),
        lambda entry: entry["rules"]["dent"].update(threshold=0.33),
        lambda entry: entry.update(level="window"),
        lambda entry: entry.update(rules={}),
        lambda entry: entry.update(wanted={"max_missed": "low"}),
        lambda entry: entry.update(more=1),
    ],
)
def test_a_damaged_file_is_an_error_with_what_to_type(tmp_path, change):
    path = file.keep(DECISION, tmp_path)
    content = yaml.safe_load(path.read_text())
    change(content["decisions"]["default"])
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"decision.yaml.* flexunet decide run=RUN"):
        file.named("default", tmp_path)


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: [", "decisions: 3", "!!python/object:os.system {}"]
)
def test_a_file_of_something_else_is_an_error(tmp_path, text):
    (tmp_path / "decision.yaml").write_text(text)
    with pytest.raises(InputError, match="not a file of decisions"):
        file.named("default", tmp_path)


def test_a_missing_decision_is_named_with_those_there_are(tmp_path):
    with pytest.raises(InputError, match="has no decision yet"):
        file.named("default", tmp_path)
    file.keep(DECISION, tmp_path)
    with pytest.raises(InputError, match="Did you mean 'default'.* There are: default"):
        file.named("defualt", tmp_path)


def test_a_decision_fits_its_own_classes_networks_and_settings_alone():
    same = {"tta": "none", "tile": "none"}
    file.fitting(DECISION, ["scratch", "dent"], ["b2", "a1"], same)
    with pytest.raises(InputError) as refused:
        file.fitting(DECISION, ["dent", "scratch"], ["a1"], same | {"tta": "flips"})
    classes, networks, settings = refused.value.problems
    assert "is of the classes scratch, dent" in classes
    assert "chosen for 2 networks with other weights than these 1" in networks
    assert "predict.tta=none; here it is flips" in settings


@pytest.mark.parametrize(("chosen", "here"), [([256, 256], 256), (256, [256, 256])])
def test_a_square_tile_is_the_same_however_it_is_typed(chosen, here):
    decision = replace(DECISION, predict={"tile": chosen})
    file.fitting(decision, ["scratch", "dent"], ["b2", "a1"], {"tile": here})
    with pytest.raises(InputError, match=r"chosen with predict.tile=.* here it is 128\."):
        file.fitting(decision, ["scratch", "dent"], ["b2", "a1"], {"tile": 128})
