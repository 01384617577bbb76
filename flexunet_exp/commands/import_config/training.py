"""The keys of a training: optimizer, loss, epochs, early stopping, learning rate, pictures."""

from __future__ import annotations

from typing import Any

from flexunet_exp.commands.import_config.keys import (
    MEANT,
    NO_EFFECT,
    TAKEN,
    UNSUPPORTED,
    Key,
    Outcome,
    Project,
    Table,
    no_effect,
    said,
    taken,
    unsupported,
)
from flexunet_exp.config.rules import (
    Rule,
    count,
    flag,
    fraction,
    is_int,
    is_text,
    not_negative,
    one_of,
    positive,
)

LOSSES = {  # in the original → conf/loss
    "categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "cross_entropy",
    "dice_loss_multiclass": "dice",
    "dice_loss": "dice",
    "bce_dice_loss": "ce_dice",
}
OPTIMIZERS = {"adam": "adam", "adamw": "adamw"}
INERT = 10  # epochs: the patience that Keras 2 took when the original named it wrongly
TEXT = Rule(is_text, "a text in quotes", "'Adam'")
WHOLE = Rule(is_int, "a whole number", "10")
OWN_FOLDER = "a run writes into a folder of its own"


def optimizer(value: str, project: Project) -> Outcome:
    if value.lower() not in OPTIMIZERS:
        return Outcome(UNSUPPORTED, "the original has Adam and AdamW; Adam is taken")
    return Outcome(TAKEN, "", {"/optimizer": OPTIMIZERS[value.lower()]})


def loss(value: str, project: Project) -> Outcome:
    name = LOSSES.get(value)
    if name is None:
        says = "conf/loss has none of this name; cross_entropy is taken"
        return Outcome(UNSUPPORTED, says, {"/loss": "cross_entropy"})
    if value == "categorical_crossentropy":
        return Outcome(TAKEN, "", {"/loss": name})
    says = "its loss of one output" if value == "binary_crossentropy" else "it could not be trained"
    return Outcome(MEANT, f"{says} there; here over all classes", {"/loss": name})


def patience(value: int, project: Project) -> Outcome:
    if value <= 0:
        return Outcome(TAKEN, "no early stopping", {"callbacks.early_stopping": None})
    return Outcome(TAKEN, "", {"callbacks.early_stopping.patience": value})


def reducer(value: bool, project: Project) -> Outcome:
    if value:
        return Outcome(TAKEN, "", {"callbacks.reduce_lr.min_lr": 0})
    return Outcome(TAKEN, "the learning rate stays", {"callbacks.reduce_lr": None})


def of_reducer(name: str, value: Any, project: Project) -> Outcome:
    if not project.get("train", "learning_rate_reducer"):
        return Outcome(NO_EFFECT, "learning_rate_reducer is off")
    if name == "factor":
        return Outcome(TAKEN, "", {"callbacks.reduce_lr.factor": value})
    if project.faithful:
        says = f"the original waited {INERT} epochs whatever the key said"
        return Outcome(MEANT, says, {"callbacks.reduce_lr.patience": INERT})
    says = f"it never arrived at Keras, which waited {INERT} epochs; here it is as written"
    return Outcome(MEANT, says, {"callbacks.reduce_lr.patience": value})


def pictures(value: bool, project: Project) -> Outcome:
    if value:
        return Outcome(TAKEN, "", {"callbacks.epoch_images.every": 1})
    return Outcome(TAKEN, "no pictures of epochs", {"callbacks.epoch_images": None})


def number_of_pictures(value: int, project: Project) -> Outcome:
    if not project.get("train", "epoch_change_infer"):
        return Outcome(NO_EFFECT, "epoch_change_infer is off")
    says = "chosen over the whole data set, not the first of mini_test"
    return Outcome(TAKEN, says, {"callbacks.epoch_images.num_images": max(value, 1)})


def tiled_pictures(value: bool, project: Project) -> Outcome:
    if not value:
        return Outcome(TAKEN, "off")
    side = project.get("tiledinfer", "split_size")
    settings = {"tile": side, "overlap": overlap(project), "every": 1}
    settings["num_images"] = max(project.get("train", "num_infer_images"), 1)
    tiled = {f"callbacks.tiled_epoch_images.{key}": each for key, each in settings.items()}
    chosen = {"/callbacks": ["default", "tiled_epoch_images"]}
    return Outcome(TAKEN, "", chosen | tiled)


def tiles(value: int, project: Project) -> Outcome:
    side_and_margin = (
        f"predict.tile={project.get('tiledinfer', 'split_size')} predict.overlap={overlap(project)}"
    )
    says = f"flexunet infer run=RUN … {side_and_margin}"
    if project.get("train", "epoch_change_tiled_infer"):
        says = f"callbacks.tiled_epoch_images; for {says}"
    return Outcome(MEANT, f"neighbouring tiles are blended; {says}")


def overlap(project: Project) -> float:
    """The share of a tile's side that neighbours have in common, below 1."""
    margin, side = (project.get("tiledinfer", key) for key in ("overlapping", "split_size"))
    return round(min(2 * margin / (side + 2 * margin), 0.9), 3)


TRAINING: Table = {
    ("model", "optimizer"): Key(optimizer, TEXT, "Adam"),
    ("model", "learning_rate"): taken("optimizer.learning_rate", positive(1e-4), 1e-4),
    ("model", "clipvalue"): taken("optimizer.clipvalue", positive(0.2), 0.2),
    ("model", "loss"): Key(loss, TEXT, "categorical_crossentropy"),
    ("model", "metrics"): said("each run has it as dice_coef_multiclass, beside honest figures"),
    ("train", "epochs"): taken("trainer.epochs", count(100), 100),
    ("train", "batch_size"): taken("trainer.batch_size", count(4), 4),
    ("train", "patience"): Key(patience, WHOLE, 10),
    ("train", "metrics"): said("train_metrics.csv has every figure"),
    ("train", "learning_rate_reducer"): Key(reducer, flag(), False),
    ("train", "reducer_factor"): Key(
        lambda value, project: of_reducer("factor", value, project), fraction(0.4), 0.4
    ),
    ("train", "reducer_patience"): Key(
        lambda value, project: of_reducer("patience", value, project), count(4), 4
    ),
    ("train", "epoch_change_infer"): Key(pictures, flag(), True),
    ("train", "num_infer_images"): Key(number_of_pictures, WHOLE, 6),
    ("train", "epoch_change_tiled_infer"): Key(tiled_pictures, flag(), False),
    ("train", "steps_per_epoch"): unsupported("an epoch shows every training picture once"),
    ("train", "validation_steps"): unsupported("a validation reads every picture once"),
    ("train", "save_weights_only"): no_effect("nothing in the original reads it"),
    ("train", "create_backup"): no_effect("nothing in the original reads it"),
    ("train", "epoch_changeinfer"): no_effect("nothing in the original reads it"),
    ("train", "epoch_changeinfer_dir"): no_effect("nothing in the original reads it"),
    ("train", "poch_change_infer"): no_effect("a misspelt epoch_change_infer, which is on anyway"),
    **{
        ("train", name): unsupported(OWN_FOLDER)
        for name in (
            "model_dir",
            "eval_dir",
            "epoch_change_infer_dir",
            "epoch_change_tiled_infer_dir",
        )
    },
    ("eval", "eval_dir"): unsupported(OWN_FOLDER),
    ("eval", "batch_size"): taken("predict.batch_size", count(4)),
    ("infer", "images_dir"): unsupported("flexunet infer run=RUN input=FOLDER names it"),
    ("infer", "output_dir"): unsupported("flexunet infer run=RUN output=FOLDER names it"),
    ("tiledinfer", "images_dir"): unsupported("flexunet infer run=RUN input=FOLDER names it"),
    ("tiledinfer", "output_dir"): unsupported("flexunet infer run=RUN output=FOLDER names it"),
    ("tiledinfer", "split_size"): Key(tiles, count(512), 512),
    ("tiledinfer", "overlapping"): Key(tiles, not_negative(64), 64),
    ("debug", "verbose"): no_effect("it printed more"),
    **{
        ("model", f"epoch_change_{name}"): no_effect(
            "nothing in the original reads it here: its section is [train]"
        )
        for name in ("infer", "infer_dir", "tiled_infer", "tiled_infer_dir")
    },
    ("model", "show_summary"): no_effect("nothing in the original reads it"),
    ("model", "color_order"): no_effect("read from the wrong section, and never used"),
    ("dataset", "class_name"): said("layout image_mask", one_of("ImageCategorizedMaskDataset")),
}
