"""Fixtures of trainings from kept features."""

from __future__ import annotations

import keras
import pytest

from flexunet_exp.data import dataset as datasets
from flexunet_exp.training import fit
from flexunet_exp.training.settings import TrainingSettings

UNET = (
    *("model=unet", "model.encoder_weights=null", "model.decoder_filters=4", "loss=ce_dice"),
    *("dataset.cache=features", "dataset.feature_type=float32", "~callbacks.epoch_images"),
    *("trainer.batch_size=4", "trainer.deterministic=true"),
)


@pytest.fixture(scope="session")
def unet_words(tiny) -> list[str]:
    """The words for a U-Net with random weights on small pictures, trained from kept features."""
    return [*(word for word in tiny if not word.startswith("model.")), *UNET]


@pytest.fixture
def made(unet_words, compose, tmp_path):
    """made(words…) → settings, data set, network, of `unet_words` and these; first weights of a
    `seed`."""

    def make(*words: str, seed: int = 0):
        cfg = compose("train", *unet_words, f"cache_dir={tmp_path}/cache", *words)
        keras.utils.set_random_seed(seed)
        settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
        return settings, dataset, fit.compiled_model(settings, dataset)

    return make
