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
        ((*PATCHES, "dataset.image_size=256"), 8),
        ((*PATCHES, "dataset.image_size=384"), 7),  # 7.1
        ((*PATCHES, "dataset.image_size=1536"), 1),  # 0.4
        ((*PATCHES, "dataset.image_size=768", "predict.batch_size=5"), 5),
        ((*PATCHES, "trainer.batch_size=auto"), "auto"),
    ],
)
def test_a_million_pixels_at_once_after_steps_on_patches_of_features(compose, words, number):
    cfg = compose("train", "trainer.batch_size=8", *words)
    assert PredictSettings.from_config(cfg).batch_size == number
