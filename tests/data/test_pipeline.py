"""Batches: uint8, in an order and with augmentation that (seed, epoch, index) alone decide."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.data import augmentation, pipeline
from flexunet_exp.data.dataset import load

LIGHT = [augmentation.HorizontalFlip(), augmentation.QuarterTurn(), augmentation.Brightness()]


@pytest.fixture(scope="module")
def dataset(tiny_dataset):
    return load(tiny_dataset())


def reader(dataset, cache="none"):
    return pipeline.SampleReader(dataset, dataset.table, (64, 64), cache)


def collect(batches):
    return [(images.numpy(), masks.numpy()) for images, masks in batches]


def test_every_epoch_shows_every_sample_once_in_a_new_order(dataset):
    source = reader(dataset)
    count = len(source)
    batches, steps = pipeline.training(source, [], batch_size=4, seed=3, epochs=2)
    seen = collect(batches)
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
    expected = collect(pipeline.training(reader(dataset), LIGHT, 4, seed=1, epochs=2)[0])
    again = collect(pipeline.training(reader(dataset, cache), LIGHT, 4, seed=1, epochs=2)[0])
    other = collect(pipeline.training(reader(dataset, cache), LIGHT, 4, seed=2, epochs=2)[0])
    for (images, masks), (images_again, masks_again) in zip(expected, again, strict=True):
        np.testing.assert_array_equal(images, images_again)
        np.testing.assert_array_equal(masks, masks_again)
    assert any(
        (a[0] != b[0]).any()
        for a, b in zip(expected, other, strict=True)
        if a[0].shape == b[0].shape
    )


def test_an_epoch_does_not_depend_on_the_ones_before(dataset):
    short, steps = pipeline.training(reader(dataset), LIGHT, 4, seed=1, epochs=1)
    long, _ = pipeline.training(reader(dataset), LIGHT, 4, seed=1, epochs=3)
    for first, same in zip(collect(short), collect(long)[:steps], strict=True):
        np.testing.assert_array_equal(first[0], same[0])


def test_evaluation_keeps_the_order_of_the_table(dataset):
    source = reader(dataset)
    images = np.concatenate([images for images, _ in collect(pipeline.evaluation(source, 4))])
    assert [image.tobytes() for image in images] == [
        source(index)[0].tobytes() for index in range(len(source))
    ]


def test_memory_cache_reads_each_file_once(dataset, monkeypatch):
    source = reader(dataset, "memory")
    reads = []
    monkeypatch.setattr(
        pipeline.SampleReader,
        "read",
        lambda self, index: (
            reads.append(index) or (np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8))
        ),
    )
    for _ in range(3):
        source(0), source(1)
    assert reads == [0, 1]
