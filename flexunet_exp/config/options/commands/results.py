"""Options of compare, reproduce, ui and sync."""

from __future__ import annotations

from flexunet_exp.config.options.row import Option
from flexunet_exp.config.rules import (
    Rule,
    between,
    count,
    flag,
    is_text,
    is_text_or_texts,
    one_of,
    or_null,
    part,
    text,
)

ROWS = (
    Option(
        "run",
        "run folder, or that of a multirun; null: all below ./outputs",
        literal=True,
        commands=("sync",),
    ),
    Option(
        "runs",
        "null or latest: the newest sweep; all; the id or name of a sweep; run ids or folders",
        Rule(
            lambda value: value is None or is_text_or_texts(value),
            "null, latest, all, a sweep's id or name, or a list [a,b] of run ids",
            "latest",
        ),
        literal=True,
        commands=("compare",),
    ),
    Option(
        "filter",
        "filter in MLflow's language, over params, metrics, tags and attributes",
        or_null(text("a filter", "\"params.loss = 'dice'\"")),
        literal=True,
        commands=("compare",),
    ),
    Option(
        "metric",
        "validation figure that ranks the cells; missed: the share of defective parts that pass",
        Rule(
            lambda value: is_text(value) and (value == "missed" or value.startswith("val/")),
            "a validation figure (test is shown beside it), or missed",
            "val/dice",
        ),
        commands=("compare",),
    ),
    Option(
        "at",
        "share of good parts, 0 to 1, that metric=missed allows to be stopped",
        part(0.05),
        commands=("compare",),
    ),
    Option(
        "top",
        "leaders of each group that are compared in pairs and drawn",
        between(1, 10, example=5),
        commands=("compare",),
    ),
    Option("images", "test pictures on the contact sheet", count(8), commands=("compare",)),
    Option(
        "code",
        "where the code that decides the weights differs: warn says so and trains, strict refuses",
        one_of("warn", "strict"),
        commands=("reproduce",),
    ),
    Option(
        "data",
        "where pictures, masks, split or first weights differ: strict refuses, warn says so and "
        "trains",
        one_of("strict", "warn"),
        commands=("reproduce",),
    ),
    Option(
        "script",
        "new file that gets the commands for another machine; nothing is trained then",
        or_null(text("a file", "run.sh")),
        literal=True,
        commands=("reproduce",),
    ),
    Option(
        "data_root",
        "folder of all data sets; null: where the run had its data",
        or_null(text("a folder", "data")),
        literal=True,
        commands=("reproduce",),
    ),
    Option(
        "port",
        "port of the UI; null: the first free one from 5000 on",
        or_null(between(1024, 65535, example=8000)),
        commands=("ui",),
    ),
    Option("open_browser", "opens the UI in the browser", flag(example=False), commands=("ui",)),
    Option("columns", "columns of the runs table; []: those of MLflow", commands=("ui",)),
)
