"""`predict.*` as a run has it."""

from __future__ import annotations

import pytest

from flexunet_exp.prediction.settings import PredictSettings

PATCHES = ("model=unet", "dataset.cache=features", "dataset.patch.features=256")


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ((), 8),
        (PATCHES[:2], 8),
        ((*PATCHES, "dataset.image_size=512"), 2),
        ((*PATCHES, "dataset.image_size=768"), 1),  # 0.9
        ((*PATCHES, "dataset.image_size=768", "predict.batch_size=5"), 5),
    ],
)
def test_as_many_pictures_at_once_as_have_the_pixels_of_a_step(compose, words, number):
    cfg = compose("train", "trainer.batch_size=8", *words)
    assert PredictSettings.from_config(cfg).batch_size == number
