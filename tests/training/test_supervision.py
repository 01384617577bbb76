"""Deep supervision: side outputs in the loss of a training, and nowhere else."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from omegaconf import open_dict

from flexunet_exp.config import compose, identity
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from flexunet_exp.losses import CrossEntropy
from flexunet_exp.models import files
from flexunet_exp.models.attention_unet import attention_unet
from flexunet_exp.models.flexunet import flexunet
from flexunet_exp.models.u2net import u2netp
from flexunet_exp.models.unet3plus import unet3plus
from flexunet_exp.prediction import networks
from flexunet_exp.prediction.networks import Blueprint
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import fit, state, supervision
from flexunet_exp.training.settings import TrainingSettings

SHAPE = (32, 32, 3)
ATTENTION = "flexunet_exp.models.attention_unet.attention_unet"


def attention(tiny_dataset, *words: str):
    """The tiny training, of an attention U-Net, which has no base_kernel."""
    cfg = tiny_dataset("trainer.epochs=1", *words)
    with open_dict(cfg):
        del cfg.model.base_kernel, cfg.model.dilation
        cfg.model._target_ = ATTENTION
    return cfg


def batch() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), dtype=np.uint8)
    return image, (image[..., 0] // 86).astype(np.uint8)


@pytest.mark.parametrize(
    ("model", "sides"),
    [
        (lambda: attention_unet(SHAPE, 3, base_filters=2, num_layers=4, batch_norm=False), 2),
        (lambda: unet3plus(SHAPE, 3, base_filters=2, num_layers=3), 2),
        pytest.param(
            lambda: u2netp(SHAPE, 3, base_filters=2, inner_filters=2), 6, marks=pytest.mark.heavy
        ),
    ],
    ids=["attention_unet", "unet3plus", "u2netp"],
)
def test_the_loss_of_a_step_is_the_weighted_sum_and_prediction_sees_one_output(model, sides):
    plain = model()
    weights = [0.5 / (index + 1) for index in range(sides)]
    trained = supervision.supervised(plain, weights)
    trained.compile(keras.optimizers.SGD(0.0), CrossEntropy(), jit_compile=False)
    image, mask = batch()
    outputs = trained(image, training=True)
    assert [tuple(one.shape) for one in outputs] == [(2, 32, 32, 3)] * (sides + 1)
    losses = [float(CrossEntropy()(mask, one)) for one in outputs]
    expected = losses[0] + np.dot(weights, losses[1:])
    assert float(trained.train_on_batch(image, mask)) == pytest.approx(expected, rel=1e-5)
    alone = plain.predict_on_batch(image)
    np.testing.assert_array_equal(trained.predict_on_batch(image), alone)
    main = float(CrossEntropy()(mask, alone))
    assert float(trained.test_on_batch(image, mask)) == pytest.approx(main, rel=1e-5)


def test_heads_of_sides_are_trained_and_not_kept(tmp_path):
    plain = attention_unet(SHAPE, 3, base_filters=2, num_layers=4)
    trained = supervision.supervised(plain, 1.0)
    trained.compile(keras.optimizers.SGD(0.1), CrossEntropy(), jit_compile=False)
    known = {weight.path for weight in plain.weights}
    more = [weight for weight in trained.trainable_weights if weight.path not in known]
    assert [tuple(weight.shape) for weight in more] == [(1, 1, 4, 3), (3,), (1, 1, 8, 3), (3,)]
    before = [np.array(weight) for weight in more]
    trained.train_on_batch(*batch())
    assert all(np.any(a != np.array(b)) for a, b in zip(before, more, strict=True))
    files.save_model(trained, tmp_path / "best.keras")
    loaded = files.read_network(tmp_path / "best.keras")
    assert loaded.count_params() == plain.count_params()
    np.testing.assert_array_equal(loaded(batch()[0]), plain(batch()[0]))


def test_a_supervised_network_predicts_in_another_precision(tmp_path):
    options = {"base_filters": 2, "num_layers": 3}
    trained = supervision.supervised(attention_unet(SHAPE, 3, **options), 1.0)
    made = Blueprint({"_target_": ATTENTION, **options}, SHAPE[:2], "float32")
    rebuilt = networks.in_precision(trained, made, "mixed_bfloat16")
    assert "bfloat16" in {layer.compute_dtype for layer in rebuilt.layers}
    image = batch()[0]
    expected = trained.predict_on_batch(image)
    np.testing.assert_allclose(rebuilt.predict_on_batch(image), expected, atol=0.05)


def test_a_training_with_it_ends_with_the_best_network(tiny_dataset, tmp_path):
    words = ("tracking=none", "~callbacks.epoch_images", "trainer.deep_supervision=0.5")
    cfg = attention(tiny_dataset, *words)
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    dataset, settings = datasets.load(cfg), TrainingSettings.from_config(cfg)
    model = fit.compiled_model(settings, dataset)
    (tmp_path / "resume").mkdir()
    nowhere = Tracker(TrackingSettings(None, "flexunet"), "test", tmp_path)
    keeper = state.Keeper(tmp_path / "resume", nowhere)
    fit.fit(model, settings, dataset, keeper, keeper.read())
    best = files.read_network(tmp_path / "best.keras")
    image = np.zeros((1, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(best(image), model(image, training=False))


@pytest.mark.parametrize(
    ("model", "weights", "words"),
    [
        (lambda: flexunet(SHAPE, 3, 2, 3, 2), 1.0, "flexunet has no side outputs.*u2net"),
        (lambda: attention_unet(SHAPE, 3, 2, 3), [1.0, 2.0], "has 2 weights.* has 1 side"),
    ],
)
def test_what_does_not_fit_is_refused(model, weights, words):
    with pytest.raises(InputError, match=words):
        supervision.supervised(model(), weights)


def test_the_models_that_have_side_outputs_are_those_of_the_configurations():
    """The reference are the lines of source that name them."""
    named = {
        path.stem
        for path in (compose.PACKAGE / "models").glob("*.py")
        if "model.side_outputs = " in path.read_text()
    }
    expected = [
        path.stem
        for path in sorted((compose.conf_dir() / "model").glob("*.yaml"))
        if any(f"_target_: flexunet_exp.models.{name}." in path.read_text() for name in named)
    ]
    assert supervision.models_with_side_outputs() == expected
    assert "u2netp" in expected and "flexunet" not in expected


def test_a_loss_over_several_batches_is_refused(tiny_dataset):
    cfg = attention(tiny_dataset, "trainer.deep_supervision=1", "loss.pool_batches=2")
    with pytest.raises(InputError, match="loss.pool_batches=1"):
        fit.compiled_model(TrainingSettings.from_config(cfg), datasets.load(cfg))


def test_runs_without_it_keep_their_signature(tiny_dataset):
    none, some = (
        identity.with_effect(tiny_dataset(f"trainer.deep_supervision={value}"))["trainer"]
        for value in ("null", 1.0)
    )
    assert "deep_supervision" not in none and some["deep_supervision"] == 1.0
