"""Batches: uint8, in an order and with augmentation that (seed, epoch, index) alone decide."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flexunet_exp.data import augmentation
from flexunet_exp.data.dataset import load
from flexunet_exp.data.feed import batches as pipeline
from flexunet_exp.data.feed import feed as feeding
from flexunet_exp.data.feed import sampling
from flexunet_exp.data.feed.reader import SampleReader
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.training.profile import Profile

LIGHT = [augmentation.HorizontalFlip(), augmentation.QuarterTurn(), augmentation.Brightness()]


@pytest.fixture(scope="module")
def dataset(tiny_dataset):
    return load(tiny_dataset())


def reader(dataset, cache="none"):
    return SampleReader(dataset, dataset.table, (64, 64), cache)


def training(source, transforms, seed, epochs, **options):
    sampler = sampling.sampler(**described(source), seed=seed)
    return pipeline.training(source, sampler, transforms, (64, 64), 4, epochs, **options)


def described(source):
    """What a sampler asks for: the labels of the pictures, and which classes they show."""
    table = pd.DataFrame(source.samples)
    masks = [source.dataset.layout.read_mask(sample) for sample in source.samples]
    shows = np.array([[(mask == c).any() for c in range(6)] for mask in masks])
    return {"labels": table["label"].tolist(), "shows": shows}


def collect(batches):
    return [(images.numpy(), masks.numpy()) for images, masks in batches]


def test_every_epoch_shows_every_sample_once_in_a_new_order(dataset):
    source = reader(dataset)
    count = len(source)
    steps = pipeline.steps_per_epoch(count, 4)
    seen = collect(training(source, [], seed=3, epochs=2))
    assert steps == -(-count // 4) and len(seen) == 2 * steps
    epochs = [
        np.concatenate([images for images, _ in part]) for part in (seen[:steps], seen[steps:])
    ]
    plain = {source(index)[0].tobytes() for index in range(count)}
    for images in epochs:
        assert images.dtype == np.uint8 and images.shape == (count, 64, 64, 3)
        assert {image.tobytes() for image in images} == plain
    assert epochs[0].tobytes() != epochs[1].tobytes()


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_the_same_seed_gives_the_same_bytes_with_any_cache(dataset, cache):
    expected = collect(training(reader(dataset), LIGHT, seed=1, epochs=2))
    again = collect(training(reader(dataset, cache), LIGHT, seed=1, epochs=2))
    other = collect(training(reader(dataset, cache), LIGHT, seed=2, epochs=2))
    for (images, masks), (images_again, masks_again) in zip(expected, again, strict=True):
        np.testing.assert_array_equal(images, images_again)
        np.testing.assert_array_equal(masks, masks_again)
    assert any(
        (a[0] != b[0]).any()
        for a, b in zip(expected, other, strict=True)
        if a[0].shape == b[0].shape
    )


def test_an_epoch_does_not_depend_on_the_ones_before(dataset):
    short = training(reader(dataset), LIGHT, seed=1, epochs=1)
    long = training(reader(dataset), LIGHT, seed=1, epochs=3)
    steps = pipeline.steps_per_epoch(len(reader(dataset)), 4)
    for first, same in zip(collect(short), collect(long)[:steps], strict=True):
        np.testing.assert_array_equal(first[0], same[0])


def test_an_ended_training_leaves_neither_threads_nor_pictures(dataset, compose, tmp_path):
    words = ["dataset=grid", "dataset.cache=memory", "augmentation=none"]
    feeds = [
        feeding.feed(
            replace(FeedSettings.from_config(compose("train", *words)), size=(64, 64)), dataset
        )
        for _ in range(3)
    ]
    for one in feeds:
        collect(one.training.take(one.steps))
        collect(one.validation)
        assert any(reader.cache for reader in one.readers)
        one.release()
        assert not any(reader.cache for reader in one.readers)
    pool = [thread for thread in threading.enumerate() if thread in pipeline.readers()._threads]
    assert 1 <= len(pool) <= 2


def test_evaluation_keeps_the_order_of_the_table(dataset):
    source = reader(dataset)
    images = np.concatenate(
        [images for images, _ in collect(pipeline.evaluation(source, (64, 64), 4))]
    )
    assert [image.tobytes() for image in images] == [
        source(index)[0].tobytes() for index in range(len(source))
    ]


def test_memory_cache_reads_each_file_once(dataset, monkeypatch):
    source = reader(dataset, "memory")
    reads = []
    monkeypatch.setattr(
        SampleReader,
        "read",
        lambda self, index: (
            reads.append(index) or (np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8))
        ),
    )
    for _ in range(3):
        source(0), source(1)
    assert reads == [0, 1]


def test_no_thread_that_tunes_them_can_hold_up_their_end(dataset, tmp_path):
    """findings/tensorflow_data_iterators_end_late.sh: by up to a minute."""
    source = reader(dataset)
    trained = training(source, [], seed=0, epochs=1)
    timed = Profile(tmp_path / "profile.csv").timing_batches(trained)
    for batches in (trained, timed, pipeline.evaluation(source, (64, 64), 4)):
        assert batches.options().autotune.enabled is False
