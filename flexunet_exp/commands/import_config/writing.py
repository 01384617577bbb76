"""The text of the two yaml files, and the report that is printed and kept in them as comments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flexunet_exp.commands.import_config.converting import Converted
from flexunet_exp.commands.import_config.keys import VERDICTS, Outcome

WIDTH = 60  # characters of a value that are shown


def report(converted: Converted) -> list[str]:
    """A line for each key of the file, then for each default of the original that counts."""
    lines = []
    for entry, result in converted.given:
        value = " ".join(entry.text.split())
        shown = value if len(value) <= WIDTH else f"{value[: WIDTH - 1]}…"
        lines.append(f"{entry.place} = {shown}: {sentence(result)}")
    for (section, key), value, result in converted.absent:
        lines.append(f"absent: [{section}] {key}, there {value!r}: {sentence(result)}")
    return lines


def sentence(result: Outcome) -> str:
    """`taken (model.num_layers=8); why`"""
    set_to = [f"{key.lstrip('/')}={one_line(value)}" for key, value in result.settings.items()]
    what = f" ({', '.join(set_to)})" if set_to else ""
    return f"{result.verdict}{what}{': ' if result.says else ''}{result.says}"


def counts(converted: Converted) -> str:
    found = [result.verdict for _, result in converted.given]
    return ", ".join(f"{found.count(one)} {one}" for one in VERDICTS)


def experiment(name: str, converted: Converted, heading: Sequence[str]) -> str:
    """The experiment: the report as comments, the choices of files, then the values."""
    settings = {"/dataset": name, **converted.settings}
    files = {key: value for key, value in settings.items() if key.startswith("/")}
    chosen = [f"  - override {key}: {value}" for key, value in files.items()]
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in files:
            put(tree, key.split("."), value)
    body = [f"{key}: {one_line(value)}" for key, value in tree.items()]
    comments = [f"# {line}".rstrip() for line in [*heading, "", *report(converted)]]
    return "\n".join(["# @package _global_", *comments, "defaults:", *chosen, "", *body, ""])


def put(tree: dict[str, Any], names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        tree = tree.setdefault(name, {})
    tree[names[-1]] = value


def dataset(name: str, converted: Converted, heading: Sequence[str]) -> str:
    lines = [f"# {line}" for line in heading]
    lines += ["defaults:", "  - layout: image_mask", "  - _self_", "", f"name: {name}"]
    lines += [f"path: {json.dumps(str(converted.path))}", "classes:"]
    lines += [f"  - {one_line(each)}" for each in converted.classes]
    if converted.mask_classes:
        lines += ["layout:", "  mask_classes:"]
        lines += [f"    - {one_line(each)}" for each in converted.mask_classes]
    return "\n".join([*lines, ""])


def one_line(value: Any) -> str:
    text = yaml.safe_dump(plain(value), default_flow_style=True, width=10**6, sort_keys=False)
    return text.partition("\n...")[0].strip()


def plain(value: Any) -> Any:
    """The value with lists for tuples."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def headings(file: Path, faithful: bool, name: str) -> Iterator[str]:
    did = "what the original did" if faithful else "what its author meant"
    yield f"Made by flexunet import-config of {file}: {did}."
    yield f"flexunet train experiment={name}"
