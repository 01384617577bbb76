"""Builds a model from its settings and trains it to its best weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from flexunet_exp.callbacks import always, configured, qualifying
from flexunet_exp.config import building
from flexunet_exp.config.validation.arguments import divisor_of
from flexunet_exp.data import grey_levels, masks
from flexunet_exp.data.dataset import Dataset, rows
from flexunet_exp.data.feed import feed as feeding
from flexunet_exp.data.feed import kept_features
from flexunet_exp.data.feed.good_share import ADAPTIVE, ShareOf
from flexunet_exp.data.splits import pick_samples
from flexunet_exp.data.tiles import Size
from flexunet_exp.errors import InputError
from flexunet_exp.losses.pool import pool_of
from flexunet_exp.metrics import Invented, SegmentationScores
from flexunet_exp.models import files, fused_norm, summary
from flexunet_exp.models.encoders.encoder import Encoder, encoder_of
from flexunet_exp.optimizers import slow_down
from flexunet_exp.prediction import networks
from flexunet_exp.prediction.kept_logits import SameImages
from flexunet_exp.prediction.predictor import Predictor
from flexunet_exp.prediction.settings import describe_patches
from flexunet_exp.system import collection, tensorflow
from flexunet_exp.training import class_weights, features, profile, state, supervision
from flexunet_exp.training.settings import TrainingSettings

log = logging.getLogger(__name__)

GOOD_SHARE = "(good share)"  # the name of its callback
EXAMPLE_SIDE = 128  # pixels of an example that the store keeps


def compiled_model(settings: TrainingSettings, dataset: Dataset) -> keras.Model:
    """The model with its loss, optimizer and on-device scores."""
    shape = (*settings.feed.size, dataset.channels.number)
    with tensorflow.strategy(settings.process):
        model = building.build(
            settings.model,
            input_shape=shape,
            num_classes=dataset.num_classes,
            input_dtype=dataset.dtype,
        )
        warn_of_fewer_bits(model, dataset)
        check_output(model, shape, dataset)
        encoder = encoder_of(model)
        if settings.feed.cache == "features":
            model = features.FromFeatures(model.input, model.output, name=model.name)
            model.encoder = encoder
        if settings.deep_supervision is not None:
            model = supervision.supervised(model, settings.deep_supervision)
        scores = SegmentationScores(list(dataset.class_names))
        loss = build_loss(settings.loss, dataset)
        build_pool(loss, model, dataset)
        if settings.deep_supervision is not None:
            supervision.check_loss(loss)
        optimizer = build_optimizer(settings, dataset, encoder)
        more = [Invented()] if settings.feed.good_share == ADAPTIVE else []
        model.compile(optimizer, loss, metrics=[scores, *more])
        fused_norm.fuse(model)
        model.optimizer.build(model.trainable_variables)
    return model


def build_optimizer(
    settings: TrainingSettings, dataset: Dataset, encoder: Encoder | None
) -> keras.optimizers.Optimizer:
    """The optimizer, its learning rate following the schedule; the encoder's is its share of it."""
    rate = build_schedule(settings, dataset)
    optimizer = building.build({**settings.optimizer, "learning_rate": rate})
    if encoder and encoder.is_apart:
        first = encoder.from_epoch * feeding.steps_per_epoch(settings.feed, dataset)
        slow_down(optimizer, encoder.variables(), encoder.rate, first)
    return optimizer


def build_schedule(settings: TrainingSettings, dataset: Dataset) -> Any:
    """The learning rate over the steps of the training; a number if it is constant."""
    return building.build(
        settings.schedule,
        learning_rate=settings.optimizer["learning_rate"],
        steps_per_epoch=feeding.steps_per_epoch(settings.feed, dataset),
        epochs=settings.feed.epochs,
    )


def check_output(model: keras.Model, shape: tuple[int, int, int], dataset: Dataset) -> None:
    """Raises InputError unless the model gives one float32 logit a class for every pixel."""
    expected = (1, *shape[:2], dataset.num_classes)
    found = tuple(model.compute_output_shape((1, *shape)))
    if found != expected or model.output.dtype != "float32":
        raise InputError(
            f"The model turns an image of {shape} into {model.output.dtype} {found[1:]}; expected "
            f"float32 logits {expected[1:]}, one a class ({', '.join(dataset.class_names)}). "
            "Its last layer must be linear, with num_classes channels and dtype float32."
        )


def build_loss(loss: Mapping[str, Any], dataset: Dataset) -> keras.losses.Loss:
    """The loss; `class_weights` is `none`, a list, or a rule over the training split's pixels."""
    node = dict(loss)
    rule = node.get("class_weights")
    if rule == "none":
        node["class_weights"] = None
    elif isinstance(rule, str):
        effective = rule == "effective_number"
        weigh = (
            class_weights.effective_number_weights if effective else class_weights.balanced_weights
        )
        node["class_weights"] = weigh(dataset.split_pixels("train"))
        weights = dict(zip(dataset.class_names, node["class_weights"], strict=True))
        log.info("Class weights: %s", {name: round(value, 3) for name, value in weights.items()})
    return building.build(node)


def build_pool(loss: keras.losses.Loss, model: keras.Model, dataset: Dataset) -> None:
    """Makes room for the sums of the last batches; InputError where devices share a batch."""
    if (pool := pool_of(loss)) is None:
        return
    if (devices := model.distribute_strategy.num_replicas_in_sync) > 1:
        raise InputError(
            f"loss.pool_batches={pool.batches} counts over whole batches, and {devices} devices "
            "share a batch here. Type loss.pool_batches=1, or train on one device "
            "(CUDA_VISIBLE_DEVICES=0)"
        )
    pool.build(dataset.num_classes)


def describe(model: keras.Model, size: Size) -> str:
    """The text of model.txt: the layers, or the reason why they cannot be listed; first weights.

    A failure is logged as a warning and does not end the run.
    """
    origin = "".join(f"{name.replace('_', ' ')}: {text}\n" for name, text in origin_of(model))
    try:
        return summary.describe(model, (*size, model.input.shape[-1])) + origin
    except Exception as error:  # of a layer of any package
        log.warning("The layers of the model cannot be listed. %s", error)
        return summary.undescribed(model, error) + origin


def origin_of(model: keras.Model) -> Iterator[tuple[str, str]]:
    """Where the first weights of a model's encoder come from: names and texts, of those known."""
    encoder = encoder_of(model)
    origin = encoder.pyramid.origin if encoder else None
    if origin:
        facts = {"": origin.name, "_sha256": origin.sha256, "_licence": origin.licence}
        yield from ((f"encoder_weights{end}", text) for end, text in facts.items() if text)


def fit(
    model: keras.Model,
    settings: TrainingSettings,
    dataset: Dataset,
    keeper: state.Keeper,
    progress: state.Progress,
    extra: Mapping[str, keras.callbacks.Callback] | None = None,
) -> None:
    """Trains the model from `progress` to the end of the training.

    Afterwards the model and best.keras have the weights of the best epoch. `extra` are callbacks
    beside the configured ones, by name, such as a study's pruning.
    """
    if not progress.fitted:
        try:
            train(model, settings, dataset, keeper, progress, extra or {})
        except KeyboardInterrupt:
            if not keeper.best.exists():
                files.save_model(model, keeper.best)
            raise
    # best.keras has no heads that only deep supervision needs.
    stored = keras.saving.load_model(keeper.best, compile=False)
    files.without_optimizer(model).set_weights(stored.get_weights())


def train(
    model: keras.Model,
    settings: TrainingSettings,
    dataset: Dataset,
    keeper: state.Keeper,
    progress: state.Progress,
    extra: Mapping[str, keras.callbacks.Callback],
) -> None:
    warn_of_absent_classes(dataset)
    if patch := settings.feed.patch:
        log.info("%s", describe_patches(patch, settings.feed.size))
    shares = adaptive_share(settings, dataset, progress)
    feed = feed_of(model, settings, dataset, progress.epochs, shares.share_of if shares else None)
    batches = feed.training
    predictor = predictor_in_training(model, settings)
    run = configured.Run(keeper.best.parent, dataset, predictor, keeper.tracker, progress.epochs)
    listed = all_callbacks(model, settings, run, keeper, progress, extra, shares)
    watched = list(listed.values())
    if settings.profile:
        watch = profile.Profile(run.folder / profile.FILE)
        batches, watched = watch.timing_batches(batches), watch.watching(listed)
    line = always.EpochLine(settings.feed.epochs, feed.drawn, settings.feed.batch_size)
    try:
        model.fit(
            batches,
            steps_per_epoch=feed.steps,
            initial_epoch=progress.epochs,
            epochs=settings.feed.epochs,
            validation_data=feed.validation,
            callbacks=[always.CollectAfterTracing(), *watched, line],
            shuffle=False,
            verbose=0,
        )
    finally:
        collection.resume()
        line.close()
        feed.release()


def adaptive_share(
    settings: TrainingSettings, dataset: Dataset, progress: state.Progress
) -> always.AdaptiveGoodShare | None:
    """What decides an adaptive share of good pictures; it goes on from the state of the training.

    The state is needed before the first batch, which is read before the callbacks begin.
    """
    if settings.feed.good_share != ADAPTIVE:
        return None
    kept = progress.callbacks.get(GOOD_SHARE, {}).get("invented", [])
    steps = feeding.steps_per_epoch(settings.feed, dataset)
    return always.AdaptiveGoodShare(kept, steps)


def predictor_in_training(model: keras.Model, settings: TrainingSettings) -> Predictor:
    """What predicts the pictures that are shown of the epochs."""
    shown = SameImages(model) if isinstance(model, features.FromFeatures) else model
    return networks.predictor(shown, settings.predict)


def feed_of(
    model: keras.Model,
    settings: TrainingSettings,
    dataset: Dataset,
    first_epoch: int,
    share_of: ShareOf | None = None,
) -> feeding.Feed:
    """The batches of the training: pictures, or what the frozen part makes of them."""
    replicas = model.distribute_strategy.num_replicas_in_sync
    if isinstance(model, features.FromFeatures):
        kept = features.kept(model, settings, dataset)
        return kept_features.feed_of(settings.feed, dataset, kept, first_epoch, replicas, share_of)
    return feeding.feed(settings.feed, dataset, first_epoch, replicas, model.input.dtype, share_of)


def all_callbacks(
    model: keras.Model,
    settings: TrainingSettings,
    run: configured.Run,
    keeper: state.Keeper,
    progress: state.Progress,
    extra: Mapping[str, keras.callbacks.Callback],
    shares: always.AdaptiveGoodShare | None = None,
) -> dict[str, keras.callbacks.Callback]:
    """The configured callbacks between those that every training has, by name, in their order.

    The names of the latter are in parentheses, which no configured name can have.
    """
    averaging = settings.optimizer.get("use_ema", False)
    encoder = encoder_of(model)
    pool = pool_of(model.loss)
    configured_ones = fitting(build_callbacks(settings, run), model)
    named = {
        **({"(encoder)": always.EncoderPhases(encoder)} if encoder and encoder.is_apart else {}),
        **({"(averaged weights)": always.AveragedWeights()} if averaging else {}),
        **({"(pooled batches)": always.PooledBatches(pool)} if pool else {}),
        "(learning rate)": always.LearningRate(),
        **({GOOD_SHARE: shares} if shares else {}),
        "(qualifying)": qualifying.FromFirstQualifying(configured_ones.values()),
        **configured_ones,
        "(epoch metrics)": always.EpochMetrics(run.tracker),
        **extra,
    }
    often = settings.save_every, settings.feed.epochs
    keeps_last = settings.keep_state and is_constant(model)
    keep_state = state.KeepState(keeper, progress, named, *often, keeps_last)
    return {**named, "(state)": keep_state, "(tracking)": state.Upload(run.tracker, keep_state)}


def build_callbacks(
    settings: TrainingSettings, run: configured.Run
) -> dict[str, keras.callbacks.Callback]:
    """The configured callbacks by name, in their order."""
    return {name: building.build(node, run=run) for name, node in settings.callbacks.items()}


def fitting(
    callbacks: Mapping[str, keras.callbacks.Callback], model: keras.Model
) -> dict[str, keras.callbacks.Callback]:
    """The callbacks without those that change a learning rate which a schedule sets."""
    if is_constant(model):
        return dict(callbacks)
    kept: dict[str, keras.callbacks.Callback] = {}
    for name, callback in callbacks.items():
        if isinstance(callback, keras.callbacks.ReduceLROnPlateau):
            log.info("callbacks.%s is left out: the schedule sets the learning rate.", name)
        else:
            kept[name] = callback
    return kept


def is_constant(model: keras.Model) -> bool:
    """Whether no schedule sets the learning rate."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return not isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)


def warn_of_absent_classes(dataset: Dataset) -> None:
    pixels = dataset.split_pixels("valid")
    absent = [name for name, n in zip(dataset.class_names, pixels, strict=True) if not n]
    if absent:
        log.warning(
            "No validation picture shows %s: its epoch figures are logged as 0 and do not count in "
            "the mean.",
            ", ".join(absent),
        )


def warn_of_fewer_bits(model: keras.Model, dataset: Dataset) -> None:
    if model.input.dtype == "uint8" != dataset.dtype:
        log.warning(
            "The pictures have %d bits, the network takes 8: they are converted. To use all bits, "
            "give the model's function the argument input_dtype (uint8 or uint16).",
            dataset.bit_depth,
        )


def input_example(model: keras.Model, settings: TrainingSettings, dataset: Dataset) -> np.ndarray:
    """A picture as the network takes it, (1, h, w, N): the first shown in epoch images."""
    sample = next(rows(pick_samples(dataset.table, 1)))
    image, _ = dataset.read(sample)
    size = example_size(model, settings)
    return grey_levels.converted(masks.resize_image(image, size), model.input.dtype)[None]


def example_size(model: keras.Model, settings: TrainingSettings) -> Size:
    """About EXAMPLE_SIDE (height, width), because MLflow keeps it as text: 47 MB for 768 px.

    The size of the training where the network is not known to take another.
    """
    step = divisor_of(settings.model)
    if step is None or None not in model.input.shape[1:3]:
        return settings.feed.size
    side = max(1, EXAMPLE_SIDE // step) * step
    return side, side
