"""flexunet inspect: layers, and the memory of a training."""

from __future__ import annotations

import re

from tests.support import running

TINY = ("model.base_filters=2", "model.num_layers=3", "dataset.image_size=64")


def test_the_memory_follows_the_layers(tmp_path):
    done = running.flexunet(tmp_path, "inspect", *TINY, "trainer.batch_size=8")
    assert done.returncode == 0, done.stdout
    assert "kept MB" in done.stdout
    assert re.search(
        r"^memory: +about \d+\.\d GB \(program .* at batch_size 8\)$", done.stdout, re.M
    )
    assert re.search(r"^a picture more: +0\.\d+ GB$", done.stdout, re.M)


def test_it_shows_the_batch_that_fits(tmp_path):
    words = ("trainer.batch_size=auto", "trainer.precision=auto")
    done = running.flexunet(tmp_path, "inspect", *TINY, *words, "trainer.memory=2GiB")
    assert done.returncode == 0, done.stdout
    (number,) = re.findall(r"at batch_size (\d+)\)", done.stdout)
    assert int(number).bit_count() == 1 and int(number) > 1
    none = running.flexunet(tmp_path, "inspect", *TINY, *words, "trainer.memory=100MB")
    assert none.returncode == 1 and "Type trainer.memory=" in none.stdout, none.stdout
    assert "Traceback" not in none.stdout


def test_a_training_from_features_is_described_too(tmp_path):
    words = ("model=unet", "model.encoder_weights=null", "dataset.image_size=64")
    both = [
        running.flexunet(tmp_path, "inspect", *words, f"dataset.cache={cache}").stdout
        for cache in ("features", "none")
    ]
    assert all("memory:" in printed for printed in both), both
