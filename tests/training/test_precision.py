"""trainer.precision=auto: measured once on the run's own network, and remembered."""

from __future__ import annotations

import json

import pytest

from flexunet_exp.data import dataset as datasets
from flexunet_exp.training import precision
from flexunet_exp.training.settings import TrainingSettings


@pytest.fixture
def auto(tiny_dataset, tmp_path):
    cfg = tiny_dataset("trainer.precision=auto", f"cache_dir={tmp_path}/cache")
    return TrainingSettings.from_config(cfg), datasets.load(cfg)


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(1.0, 0.6, "mixed_bfloat16"), (1.0, 0.97, "float32"), (1.0, 1.4, "float32")],
)
def test_bfloat16_must_be_worth_it(float32, bfloat16, chosen):
    assert precision.faster({"float32": float32, "mixed_bfloat16": bfloat16}) == chosen


def test_what_was_measured_is_remembered_and_decides(auto, monkeypatch):
    settings, dataset = auto
    chosen = precision.resolve(settings, dataset)
    (written,) = precision.memory(settings, dataset).parent.glob("precision_*")
    seconds = json.loads(written.read_text())["seconds_a_step"]
    assert all(value > 0 for value in seconds.values())
    assert chosen == precision.faster(seconds)

    other = {"float32": 2.0, "mixed_bfloat16": 1.0}
    written.write_text(json.dumps({"seconds_a_step": other}))
    monkeypatch.setattr(precision, "seconds_a_step", lambda *_: pytest.fail("timed again"))
    assert precision.resolve(settings, dataset) == "mixed_bfloat16"


@pytest.mark.parametrize("content", ["", "[]", '{"seconds_a_step": {"float32": 1}}', "nonsense"])
def test_a_damaged_memory_is_measured_anew(auto, monkeypatch, content):
    settings, dataset = auto
    path = precision.memory(settings, dataset)
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    monkeypatch.setattr(precision, "seconds_a_step", lambda *arguments: len(arguments[-1]))
    assert precision.resolve(settings, dataset) == "float32"  # its name is the shorter one
    assert json.loads(path.read_text())["seconds_a_step"]["mixed_bfloat16"] == 14


def test_another_network_or_size_is_measured_for_itself(auto, tiny_dataset):
    settings, dataset = auto
    files = {precision.memory(settings, dataset)}
    for override in ("model.base_filters=4", "dataset.image_size=32", "trainer.threads=1"):
        other = tiny_dataset(
            "trainer.precision=auto", override, f"cache_dir={settings.feed.cache_dir}"
        )
        files.add(precision.memory(TrainingSettings.from_config(other), dataset))
    assert len(files) == 4


def test_a_chosen_precision_is_left_alone(auto, monkeypatch):
    settings, dataset = auto
    monkeypatch.setattr(precision, "seconds_a_step", lambda *_: pytest.fail("timed"))
    assert precision.resolve(settings.in_precision("mixed_float16"), dataset) == "mixed_float16"
