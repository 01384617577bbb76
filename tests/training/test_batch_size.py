"""trainer.batch_size=auto: the largest batch that fits, found once and remembered."""

from __future__ import annotations

import json

import pytest
from omegaconf import OmegaConf

from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from flexunet_exp.training import batch_size
from tests.support import running


@pytest.fixture
def auto(tiny_dataset, tmp_path):
    """auto(words…) → the configuration of a training with batch_size=auto, and its data set."""

    def composed(*words: str):
        cfg = tiny_dataset("trainer.batch_size=auto", f"cache_dir={tmp_path}/cache", *words)
        return cfg, datasets.load(cfg)

    return composed


def test_a_batch_is_at_most_the_pictures_of_an_epoch(auto):
    cfg, dataset = auto("trainer.memory=64GiB")
    number = batch_size.resolve(cfg, dataset)
    assert number <= len(dataset.split("train")) < 2 * number


def test_what_was_found_is_remembered_whatever_the_machine_has(auto, monkeypatch):
    cfg, dataset = auto()
    number = batch_size.resolve(cfg, dataset)
    (written,) = batch_size.remembered_in(cfg, dataset).parent.glob("batch_size_*")
    assert json.loads(written.read_text()) == {"batch_size": number}
    monkeypatch.setattr(batch_size.memory, "total", lambda: 1)
    assert batch_size.resolve(cfg, dataset) == batch_size.known(cfg, dataset) == number


def test_an_unknown_batch_stays_open_where_nothing_is_built(auto):
    assert batch_size.known(*auto()) == "auto"


def test_a_number_is_left_alone(tiny_dataset):
    cfg = tiny_dataset("trainer.batch_size=3")
    assert batch_size.resolve(cfg, None) == batch_size.known(cfg, None) == 3


@pytest.mark.parametrize("content", ["", "[]", '{"batch_size": "many"}', '{"batch_size": 0}'])
def test_a_damaged_memory_is_found_anew(auto, content):
    cfg, dataset = auto()
    path = batch_size.remembered_in(cfg, dataset)
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    number = batch_size.resolve(cfg, dataset)
    assert json.loads(path.read_text()) == {"batch_size": number}


def test_another_network_size_or_amount_is_found_for_itself(auto):
    words = ("model.base_filters=4", "dataset.image_size=32", "trainer.memory=4GB")
    files = {batch_size.remembered_in(*auto(*more)) for more in ((), *((one,) for one in words))}
    assert len(files) == 4


def test_a_memory_without_room_for_one_picture_is_refused(auto):
    cfg, dataset = auto("trainer.memory=100MB")
    with pytest.raises(InputError, match=r"takes about .* allows 0\.1 GB\. Type trainer.memory="):
        batch_size.resolve(cfg, dataset)


@pytest.mark.heavy
def test_the_number_stands_in_the_run_and_finds_it_again(tmp_path, tiny):
    words = [*tiny, "trainer.batch_size=auto", "trainer.epochs=1"]
    done = running.train(tmp_path, *words)
    assert done.returncode == 0, done.stdout
    (config,) = tmp_path.glob("outputs/*/*/config.yaml")
    number = OmegaConf.load(config).trainer.batch_size
    assert isinstance(number, int) and f"Batch size: {number}" in done.stdout
    again = running.train(tmp_path, *words)
    assert again.returncode == 0 and "lready done" in again.stdout, again.stdout
    shown = running.train(tmp_path, *words, "dry=true")
    assert "1 finished" in shown.stdout, shown.stdout
    named = running.train(tmp_path, *tiny, f"trainer.batch_size={number}", "trainer.epochs=1")
    assert "lready done" in named.stdout, named.stdout
