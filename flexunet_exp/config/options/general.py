"""Options of the run as a whole, of the store and of sweeps."""

from __future__ import annotations

from flexunet_exp.config.options.row import DATA, WEIGHTS, Option
from flexunet_exp.config.rules import (
    Rule,
    at_least,
    count,
    flag,
    is_model_name,
    is_number,
    is_text,
    one_of,
    or_null,
    text,
)

ROWS = (
    # The run as a whole
    Option("data_root", "folder of all data sets", text("a folder", "data"), DATA, literal=True),
    Option(
        "cache_dir",
        "folder of dataset.cache=disk, and what trainer.precision=auto and batch_size=auto found",
        text("a folder", "cache"),
        literal=True,
        optional=True,
    ),
    Option(
        "monitor",
        "figure that decides the best epoch, early stopping and learning-rate steps",
        changes=WEIGHTS,
        example="monitor=val_loss",
    ),
    Option(
        "objective",
        "figure that a run returns to a sweep, and that run=best compares",
        example="objective=val/iou",
    ),
    Option(
        "require",
        "what val_dice of the best epoch must exceed, else the run fails",
        or_null(Rule(is_number, "a number", "null")),
    ),
    Option("dry", "prints what would be trained, and stops", flag(), optional=True),
    Option(
        "rerun",
        "which finished work is trained again: failed skips finished work, all trains everything, "
        "none skips failed work too",
        one_of("failed", "all", "none"),
    ),
    Option(
        "init_from",
        "whose weights a training begins with, by layer name and shape; null: random weights. "
        "MLflow run id, run folder, latest, best, models:/NAME@ALIAS, .keras file",
        or_null(text("a run or a .keras file", "latest")),
        DATA,
        param="init_from",
        literal=True,
        optional=True,
    ),
    # Where it is recorded
    Option(
        "tracking.uri",
        "address of the MLflow store; null: no store",
        or_null(text("an address", "sqlite:///mlruns/mlflow.db")),
        literal=True,
        example="tracking=local",
    ),
    Option(
        "tracking.experiment_name",
        "MLflow experiment that holds the runs",
        text("a name", "flexunet"),
        literal=True,
    ),
    Option(
        "tracking.run_name",
        "name of the run; null: what differs in a sweep, else data set and model",
        or_null(text("a name", "first")),
        literal=True,
    ),
    Option("tracking.log_model", "stores the best model in the run", flag()),
    Option(
        "tracking.register",
        "registered model that gets the best model as its next version",
        or_null(
            Rule(
                is_model_name,
                "the name of a registered model (letters, digits, _ - and dots)",
                "zipper",
            )
        ),
        optional=True,
    ),
    Option(
        "tracking.parent_run_id",
        "run of the sweep; set by a multirun for its jobs",
        Rule(lambda value: value is None or is_text(value), "null", "null"),
    ),
    Option(
        "tracking.trial",
        "study, number and epochs; set by a study for its trials",
        Rule(lambda value: value is None or isinstance(value, dict), "null", "null"),
        optional=True,
    ),
    Option(
        "tracking.reproduces",
        "run that is trained again; set by flexunet reproduce for its run",
        Rule(lambda value: value is None or is_text(value), "null", "null"),
        literal=True,
        optional=True,
    ),
    Option(
        "tracking.vary",
        "keys in which cells differ; set by a multirun",
        Rule(lambda value: isinstance(value, list), "a list", "[]"),
    ),
    # Several runs
    Option("launcher.parallel", "runs at once", count(2), optional=True),
    Option(
        "launcher.cpus",
        "cores of a run; null: those of the machine divided by launcher.parallel",
        or_null(count(4)),
        optional=True,
    ),
    Option(
        "launcher.gpus",
        "GPUs of a run; null: those of the machine, spread over the runs",
        or_null(at_least(0, example=1)),
        optional=True,
    ),
    Option("hydra.run.dir", "run folder", pattern=True, example="hydra.run.dir=FOLDER"),
    Option(
        "hydra.sweep.dir", "folder of a multirun", pattern=True, example="hydra.sweep.dir=FOLDER"
    ),
    Option("hydra.*", "Hydra's own options, and those of its sweepers and launchers"),
)
