"""The decoder first, then the encoder with it: what is trained when, and the same after a kill."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

from flexunet_exp.callbacks import always
from flexunet_exp.data import dataset as datasets
from flexunet_exp.models.encoders import efficientnet_lite
from flexunet_exp.training import fit
from flexunet_exp.training.settings import TrainingSettings
from tests.support.running import all_runs, same_weights, signalled, train

SMALL = (
    *("model=unet", "model.encoder._target_=tests.support.small_encoder.small"),
    *("~model.encoder.features", "model.encoder_weights=null", "model.encoder_trainable=all"),
    *("model.decoder_filters=4", "model.skip_filters=4", "~callbacks.epoch_images"),
)
PHASES = (
    *(*SMALL, "model.encoder_from_epoch=2", "trainer.epochs=4", "trainer.deterministic=true"),
    *("optimizer=adamw", "optimizer.use_ema=true", "schedule=cosine", "schedule.warmup_epochs=0"),
)


@pytest.fixture(scope="module", autouse=True)
def _trusted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEXUNET_TRUSTED", "tests")
        yield


@pytest.fixture(scope="module")
def words(tiny) -> list[str]:
    """Those of a training on tiny pictures, without a model."""
    return [word for word in tiny if not word.startswith("model.")]


class Weights(keras.callbacks.Callback):
    """Keeps the encoder's weights and the decoder's at the end of every epoch."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.kept = encoder, []

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(weights_of(self.model, self.encoder))


def weights_of(model, encoder) -> tuple[list, list]:
    ours = set(encoder.pyramid.layers)
    parts = ([one for one in model.layers if (one in ours) == which] for which in (True, False))
    return tuple([w for layer in part for w in layer.get_weights()] for part in parts)


def changed(before: list, after: list) -> int:
    return sum(not np.array_equal(one, two) for one, two in zip(before, after, strict=True))


@pytest.fixture
def trained(words, compose):
    """trained(words…) → the encoder, its weights and the decoder's: at first, after each epoch."""

    def train_some(*more: str):
        cfg = compose("train", *words, *SMALL, *more)
        keras.utils.set_random_seed(0)
        settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
        model = fit.compiled_model(settings, dataset)
        encoder = model.encoder
        feed = fit.feed_of(model, settings, dataset, 0)
        watched = Weights(encoder)
        first = weights_of(model, encoder)
        callbacks = [always.EncoderPhases(encoder), watched]
        steps = {"steps_per_epoch": feed.steps, "epochs": settings.feed.epochs}
        model.fit(feed.training, **steps, callbacks=callbacks, shuffle=False, verbose=0)
        return encoder, [first, *watched.kept]

    return train_some


def test_the_encoder_is_trained_from_its_epoch_on(trained):
    encoder, (first, *epochs) = trained("model.encoder_from_epoch=2", "trainer.epochs=3")
    encoders, decoders = zip(first, *epochs, strict=True)
    assert [changed(encoders[n], encoders[n + 1]) for n in range(2)] == [0, 0]
    assert all(changed(decoders[n], decoders[n + 1]) for n in range(3))
    assert changed(encoders[2], encoders[3]) == len(encoders[3])  # the statistics, too


def test_without_statistics_of_the_batch_these_stay(trained):
    words = ("model.encoder_trainable=no_batch_norm", "model.encoder_from_epoch=1")
    encoder, (first, _, last) = trained(*words, "trainer.epochs=2")
    norms = [isinstance(one, keras.layers.BatchNormalization) for one in encoder.pyramid.layers]
    kernels = sum(bool(one.weights) for one in encoder.pyramid.layers) - sum(norms)
    assert changed(first[0], last[0]) == kernels


def test_a_slower_encoder_moves_a_tenth_as_far(trained):
    """One step of plain gradient descent: its length is the rate's."""
    one_step = ("trainer.epochs=1", "trainer.batch_size=100", "optimizer=sgd")
    moved = {}
    for rate in (1.0, 0.1):
        words = (f"model.encoder_rate={rate}", *one_step, "optimizer.learning_rate=1e-2")
        encoder, (first, last) = trained("model.encoder_trainable=no_batch_norm", *words)
        moved[rate] = [
            sum(float(np.abs(a - b).sum()) for a, b in zip(*pair, strict=True))
            for pair in zip(first, last, strict=True)
        ]
    assert moved[0.1][0] == pytest.approx(0.1 * moved[1.0][0], rel=0.01)
    assert moved[0.1][1] == pytest.approx(moved[1.0][1], rel=1e-3)


def run_folder(folder: Path) -> Path:
    (found,) = folder.glob("outputs/*/*")
    return found


@pytest.fixture(scope="module")
def command(words) -> list[str]:
    return [*words, *PHASES]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, command) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = train(folder, *command)
    assert done.returncode == 0, done.stdout
    assert "From this epoch on the encoder is trained, too." in done.stdout
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize(
    "nth",
    [
        pytest.param(2, id="while the decoder is trained alone"),
        pytest.param(4, id="while both are trained"),
    ],
)
def test_a_run_killed_in_either_phase_trains_the_same(tmp_path, command, uninterrupted, nth):
    """Killed as it is about to write the state of epoch `nth`, it goes on from the one before."""
    at = ("SIGKILL", "flexunet_exp.training.state:Keeper.write", nth)
    assert signalled(tmp_path, *at, "train", *command).returncode == -signal.SIGKILL
    done = train(tmp_path, *command)
    assert done.returncode == 0, done.stdout
    assert "Going on with the unfinished run" in done.stdout
    assert same_weights(run_folder(tmp_path), run_folder(uninterrupted))


@pytest.mark.heavy
def test_a_run_says_where_its_first_weights_are_from(tmp_path, words):
    packaged = efficientnet_lite.PACKAGES["efficientnet_lite0"]
    if packaged.path is None:
        pytest.skip("needs the extra `pretrained`")
    done = train(
        tmp_path, *words, "model=unet_lite0", "trainer.epochs=1", "~callbacks.epoch_images"
    )
    assert done.returncode == 0, done.stdout
    folder, (run,) = run_folder(tmp_path), all_runs(tmp_path)
    expected = {
        "encoder_weights": "imagenet",
        "encoder_weights_sha256": packaged.sha256,
        "encoder_weights_licence": "Apache-2.0",
    }
    card = json.loads((folder / "card.json").read_text())
    assert {name: card[name] for name in expected} == expected
    assert {name: run.data.tags[name] for name in expected} == expected
    assert f"encoder weights sha256: {packaged.sha256}" in (folder / "model.txt").read_text()
