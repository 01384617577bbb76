"""The lines of a plan as the text of a yaml file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import yaml

from flexunet_exp.commands.plan.lines import Line

Row = tuple[str, str]  # a line of yaml, and the comment behind it


def text(heading: Sequence[str], lines: Sequence[Line]) -> str:
    """The experiment: `heading` as comments, then the choices of files, then the values."""
    files = [line for line in lines if line.key.startswith("/")]
    values = [line for line in lines if line not in files]
    rows = [("defaults:", "")]
    rows += [(f"  - override {one.key}: {one.value}", one.reason) for one in files]
    for section, below in groupby(values, key=lambda line: line.key.split(".")[0]):
        rows += [("", ""), (f"{section}:", ""), *nested(list(below), 1)]
    width = max(len(left) for left, _ in rows)
    body = [f"{left:<{width}}  # {why}" if why else left for left, why in rows]
    return "\n".join(["# @package _global_", *(f"# {one}" for one in heading), *body, ""])


def nested(lines: Sequence[Line], depth: int) -> Iterator[Row]:
    """Lines whose keys begin alike, below the name that they share at `depth`."""
    indent = "  " * depth
    for name, group in groupby(lines, key=lambda line: line.key.split(".")[depth]):
        below = list(group)
        if below[0].key.count(".") == depth:
            yield f"{indent}{name}: {yaml_of(below[0].value)}", below[0].reason
        else:
            yield f"{indent}{name}:", ""
            yield from nested(below, depth + 1)


def yaml_of(value: Any) -> str:
    """A value on one line: null, 3, [256, 512], a text."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).partition("\n...")[0].strip()
