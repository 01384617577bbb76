"""The memory of a training, predicted from its built network before the first step.

On a CPU it is that of the process, on GPUs that of one of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from flexunet_exp.callbacks import EpochImages, TiledEpochImages
from flexunet_exp.config import building
from flexunet_exp.data.feed.kept_features import AT_ONCE
from flexunet_exp.data.tiles import Size
from flexunet_exp.models import activations
from flexunet_exp.models.activations import WEIGHTED, bytes_of
from flexunet_exp.models.graph import Calls, calls_of
from flexunet_exp.prediction.kept_logits import MOST_FEATURES
from flexunet_exp.prediction.predictor import VIEWS
from flexunet_exp.system import memory
from flexunet_exp.system.tensorflow import has_gpu
from flexunet_exp.training.features import FromFeatures
from flexunet_exp.training.settings import TrainingSettings
from flexunet_exp.training.supervision import DeeplySupervised

log = logging.getLogger(__name__)

GIGA = 10**9
VISIBLE = GIGA // 20  # 0.1 GB when it is written

# Maps of the size of the logits, in float32. Of the loss: truth, log-probability, probability,
# three products of them, and their gradient. Of the scores: two one-hot masks and a transposed one,
# which are still there while the gradients of the last layers are computed.
LOSS_MAPS, SCORES_MAPS = 7, 3

# oneDNN computes the gradient of a kernel in a layout of its own, and it is copied into that of
# TensorFlow. The C library keeps the memory of the former, and rarely finds a block of that size
# which is free: both count for all weights.
GRADIENTS = 2
# Of the largest kernel: while oneDNN computes its gradient, it also has copies of the kernel in its
# layouts of the forward and the backward pass, and a partial sum of each of two threads.
KERNEL_COPIES = 4

# A step's graph in Python and TensorFlow, and the code that oneDNN compiles for it: bytes for each
# call of a layer with weights, measured (docs/measured/memory.md).
TRACED = 2_000_000


@dataclass(frozen=True)
class Prediction:
    """Bytes that a training takes at most.

    `picture` is what the maps of one picture take in a step, with those of the loss; `elsewhere`
    what all maps take outside of the steps, by where this is.
    """

    program: int
    weights: int  # with their gradients, and the optimizer's variables
    picture: int
    elsewhere: Mapping[str, int]
    devices: int  # that share a batch
    copies: int  # of the weights in this memory
    shown: int = 0  # of kept features of the pictures that are shown of epochs

    def activations(self, batch_size: int) -> dict[str, int]:
        """Bytes of maps at once, by where they are."""
        share = math.ceil(batch_size / self.devices) * self.copies
        return {f"at batch_size {batch_size}": share * self.picture, **self.elsewhere}

    def total(self, batch_size: int) -> int:
        most = max(self.activations(batch_size).values())
        return self.program + self.copies * self.weights + self.shown + most

    def describe(self, batch_size: int) -> str:
        """The total and its parts, in GB."""
        where, most = max(self.activations(batch_size).items(), key=lambda pair: pair[1])
        parts = f"program {gigabytes(self.program)}, " if self.program else ""
        parts += f"weights and optimizer {gigabytes(self.copies * self.weights)}, "
        if self.shown >= VISIBLE:
            parts += f"features of epoch pictures {gigabytes(self.shown)}, "
        parts += f"activations {gigabytes(most)} {where}"
        return f"about {gigabytes(self.total(batch_size))} GB ({parts})"

    def beside(self, peak: int, batch_size: int) -> str:
        """The measured peak, beside the predicted one."""
        predicted = gigabytes(self.total(batch_size))
        return f"{gigabytes(peak)} GB at most, {predicted} GB predicted"

    def largest_batch(self, room: int, most: int) -> int | None:
        """The largest power of two, up to `most`, with which the training fits into `room` bytes.

        Powers of two, so that a small change of the prediction rarely gives another batch. None
        where not even one picture fits.
        """
        sizes = [2**power for power in range(most.bit_length()) if self.total(2**power) <= room]
        return max(sizes, default=None)


def gigabytes(number: int) -> str:
    return f"{number / GIGA:.1f}"


def predict(model: keras.Model, settings: TrainingSettings) -> Prediction:
    """The prediction for a compiled model whose optimizer is built.

    Raises ValueError for a network without a graph of layers, and for a layer that gives no shape.
    """
    feed, devices = settings.feed, model.distribute_strategy.num_replicas_in_sync
    copies = 1 if has_gpu() else devices
    step = calls_of_step(model, feed.feature_patch or feed.size)
    validated = bytes_of_validation(calls_of_validation(model, feed.size))
    share, number = math.ceil(feed.valid_batch_size / devices) * copies, feed.valid_batch_size
    elsewhere = {f"in validation, at valid_batch_size {number}": share * validated}
    if isinstance(model, FromFeatures):
        extracted = activations.in_prediction(calls_of_image(model.extractor, feed.size).listed)
        elsewhere["where features are computed"] = AT_ONCE * extracted
    return Prediction(
        program=0 if has_gpu() else bytes_of_program(model, step),
        weights=bytes_of_weights(model, settings.process.precision),
        picture=bytes_of_picture(step),
        elsewhere=elsewhere,
        devices=devices,
        copies=copies,
        shown=bytes_of_shown(model, settings),
    )


def calls_of_image(model: keras.Model, size: Size) -> Calls:
    """The calls for one picture."""
    (taken,) = model.inputs
    return calls_of(model, [keras.KerasTensor((1, *size, taken.shape[-1]), taken.dtype)])


def bytes_of_shown(model: keras.Model, settings: TrainingSettings) -> int:
    """Of the features that are kept of the pictures which callbacks show of epochs, at most.

    How many tiles these pictures have is not known here: of tiles, as much as may be kept.
    """
    if has_gpu() or not isinstance(model, FromFeatures):
        return 0
    nodes = [(building.locate(node["_target_"]), node) for node in settings.callbacks.values()]
    shows = [(kind, node) for kind, node in nodes if kind in (EpochImages, TiledEpochImages)]
    in_tiles = settings.predict.tile_size or any(kind is TiledEpochImages for kind, _ in shows)
    if shows and in_tiles:
        return MOST_FEATURES
    maps = calls_of_image(model.extractor, settings.feed.size).outputs
    pictures = sum(node["num_images"] for _, node in shows)
    views = len(VIEWS[settings.predict.tta])
    return min(pictures * views * sum(map(bytes_of, maps)), MOST_FEATURES)


def calls_of_step(model: keras.Model, size: Size) -> Calls:
    """The calls of a step of training, for one picture or patch."""
    if isinstance(model, DeeplySupervised):
        return calls_of_image(model.in_training, size)
    return calls_of_validation(model, size)


def calls_of_validation(model: keras.Model, size: Size) -> Calls:
    """The calls for one picture of validation; from kept features, those of the decoder."""
    if not isinstance(model, FromFeatures):
        return calls_of_image(model, size)
    return calls_of(model.decoder, calls_of_image(model.extractor, size).outputs)


def bytes_of_picture(step: Calls) -> int:
    """Of all maps of a step: in the forward pass, in the loss or in the backward pass."""
    largest, logits = activations.in_training(step.listed), bytes_of_logits(step)
    in_loss = sum(activations.kept(step.listed)) + (LOSS_MAPS + SCORES_MAPS) * logits
    return max(largest.forward, in_loss, largest.backward + SCORES_MAPS * logits)


def bytes_of_validation(calls: Calls) -> int:
    """Of all maps of a picture in validation."""
    in_loss = (LOSS_MAPS + SCORES_MAPS) * bytes_of_logits(calls)
    return activations.in_prediction(calls.listed) + in_loss


def bytes_of_logits(calls: Calls) -> int:
    return sum(bytes_of(one, "float32") for one in calls.outputs)


def bytes_of_weights(model: keras.Model, precision: str) -> int:
    """Of weights, gradients and the optimizer's variables.

    All gradients are there at once: the optimizer waits for the last.
    """
    trained = [bytes_of(one) for one in model.trainable_variables]
    casts = 0 if precision == "float32" else sum(trained) // 2
    others = sum(map(bytes_of, (*model.weights, *model.optimizer.variables)))
    return others + GRADIENTS * sum(trained) + casts + KERNEL_COPIES * max(trained, default=0)


def bytes_of_program(model: keras.Model, step: Calls) -> int:
    """Of this process until now, without weights, and of the graph of a step."""
    held = sum(map(bytes_of, (*model.weights, *model.optimizer.variables)))
    traced = TRACED * sum(isinstance(call.operation, WEIGHTED) for call in step.listed)
    return max(0, memory.resident() - held) + traced


def log_prediction(model: keras.Model, settings: TrainingSettings) -> Prediction | None:
    """Logs the prediction, and a warning where the machine has less; None where there is none."""
    try:
        predicted = predict(model, settings)
    except ValueError as error:
        log.info("Memory: not predicted. %s", error)
        return None
    batch_size = settings.feed.batch_size
    log.info("Memory: %s", predicted.describe(batch_size))
    if problem := too_large(predicted, batch_size):
        log.warning("%s", problem)
    return predicted


def lines(predicted: Prediction, batch_size: int) -> Iterator[str]:
    """The prediction as lines of a description of the network."""
    yield f"{'memory:':<17}{predicted.describe(batch_size)}"
    yield f"{'a picture more:':<17}{predicted.picture / GIGA:.3f} GB"
    if problem := too_large(predicted, batch_size):
        yield problem


def too_large(predicted: Prediction, batch_size: int) -> str:
    """What a training would take and has, and what to type; empty where it fits."""
    room = memory.of_gpus() if has_gpu() else memory.resident() + memory.free()
    if room is None or predicted.total(batch_size) <= room:
        return ""
    fitting = predicted.largest_batch(room, batch_size)
    advice = f"trainer.batch_size={fitting}" if fitting else smaller(predicted, room)
    return (
        f"The training may take {gigabytes(predicted.total(batch_size))} GB, and "
        f"{gigabytes(room)} GB are free for it. Type {advice}"
    )


def smaller(predicted: Prediction, room: int) -> str:
    """What to type where a training with one picture a step does not fit."""
    if replace(predicted, elsewhere={}).total(1) <= room:
        return "trainer.valid_batch_size=1, or a smaller dataset.image_size"
    return "a smaller dataset.image_size, or a smaller model"


def peak() -> int:
    """The most that this process, or on a GPU TensorFlow there, has taken in this run."""
    if has_gpu():
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return memory.peak()


def forget_peak() -> None:
    """Counts `peak` from now on."""
    if has_gpu():
        tf.config.experimental.reset_memory_stats("GPU:0")
    memory.forget_peak()
