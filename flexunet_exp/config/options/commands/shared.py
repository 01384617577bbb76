"""Options of several commands: which run, and which decision of it."""

from __future__ import annotations

from flexunet_exp.config.options.row import Option
from flexunet_exp.config.rules import count, part

RUN = "MLflow run id, run folder, latest, best, models:/NAME@ALIAS, .keras file"
PICTURES = "a picture, a folder, a glob or a list [a,b] of these"
NONE = "none"  # decision=none applies none

ROWS = (
    Option(
        "run",
        f"finished run: {RUN}; several, or a multirun, where the command takes them",
        literal=True,
        commands=(
            *("decide", "evaluate", "export", "infer", "promote"),
            *("propose", "reproduce", "review"),
        ),
    ),
    Option(
        "min_area",
        "pixels; smaller regions become background",
        count(20),
        commands=("infer", "export_labels"),
    ),
    Option(
        "min_probability",
        "0 to 1; regions of a lower mean probability become background",
        part(0.5),
        commands=("infer", "export_labels"),
    ),
)
