"""Options of what is trained: model, loss, augmentation, sampling, optimizer."""

from __future__ import annotations

from flexunet_exp.config.options.row import WEIGHTS, Option
from flexunet_exp.config.rules import count, flag, fraction, or_null, positive

ROWS = (
    Option(
        "split.fold",
        "which fold is tested, from 0 on (split=folds)",
        changes=WEIGHTS,
        repeats=True,
        param="fold",
        example="split.fold=0",
    ),
    Option(
        "split.seed",
        "seed that divides the sources into train, valid and test",
        changes=WEIGHTS,
        repeats=True,
        param="split.seed",
        example="split.seed=0",
    ),
    Option(
        "split.*",
        "arguments of the split (conf/split)",
        changes=WEIGHTS,
        minutes=True,
        param="*",
        example="split.n=5",
    ),
    Option(
        "augmentation.views",
        "views of each picture, drawn once, for dataset.cache=features; null: all flips and turns",
        or_null(count(16)),
        WEIGHTS,
        minutes=True,
        param="views",
        optional=True,
    ),
    Option(
        "augmentation.*",
        "transforms of the training pictures",
        changes=WEIGHTS,
        example="augmentation=strong",
    ),
    Option(
        "model.encoder_weights",
        "first weights of an encoder: null (random), imagenet, or a weights file",
        changes=WEIGHTS,
        minutes=True,
        param="encoder_weights",
        literal=True,
        optional=True,
        example="model.encoder_weights=imagenet",
    ),
    Option(
        "model.*",
        "arguments of the architecture (conf/model)",
        changes=WEIGHTS,
        minutes=True,
        param="*",
        example="model.base_filters=16",
    ),
    Option(
        "loss.*",
        "arguments of the loss (conf/loss)",
        changes=WEIGHTS,
        param="*",
        example="loss.class_weights=balanced",
    ),
    Option(
        "optimizer.learning_rate",
        "learning rate, before its schedule",
        positive("1e-3"),
        WEIGHTS,
        param="learning_rate",
    ),
    Option(
        "optimizer.clipvalue",
        "clips each element of the gradients",
        or_null(positive(0.5)),
        WEIGHTS,
        param="clipvalue",
        optional=True,
    ),
    Option(
        "optimizer.use_ema",
        "validates and keeps the moving average of the weights",
        flag(),
        WEIGHTS,
        param="use_ema",
        optional=True,
    ),
    Option(
        "optimizer.ema_momentum",
        "momentum of that average, which covers about the last 1 / (1 - ema_momentum) steps",
        fraction(0.99),
        WEIGHTS,
        param="ema_momentum",
        optional=True,
    ),
    Option(
        "optimizer.*",
        "other arguments of the optimizer (conf/optimizer)",
        changes=WEIGHTS,
        param="*",
        example="+optimizer.beta_1=0.95",
    ),
    Option(
        "schedule.*",
        "arguments of the learning-rate schedule",
        changes=WEIGHTS,
        example="schedule=cosine schedule.warmup_epochs=1",
    ),
    Option(
        "callbacks.*",
        "arguments of the callbacks (conf/callbacks)",
        changes=WEIGHTS,
        example="callbacks.early_stopping.patience=20",
    ),
    Option(
        "callbacks.curves.*",
        "curves of loss and Dice in the run folder",
        example="~callbacks.curves",
    ),
    Option(
        "callbacks.epoch_images.*",
        "pictures that are predicted again every few epochs",
        example="callbacks.epoch_images.every=10",
    ),
    Option(
        "callbacks.stop_file.*",
        "ends the training when a file STOP appears",
        example="~callbacks.stop_file",
    ),
)
