"""Options of single commands: a file for each kind of command."""

from __future__ import annotations

from flexunet_exp.config.options.commands import (
    data,
    decisions,
    labels,
    networks,
    results,
    shared,
)

ROWS = (
    *shared.ROWS,
    *data.ROWS,
    *labels.ROWS,
    *networks.ROWS,
    *decisions.ROWS,
    *results.ROWS,
)
