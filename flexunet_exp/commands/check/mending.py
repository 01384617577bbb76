"""The lines of yaml that would mend what a check found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.data import grouping
from flexunet_exp.data.masks import mask_classes


def yaml_lines(cfg: DictConfig, sentences: Iterable[str]) -> list[str]:
    """The options that mend what the sentences say, as yaml; empty where none does."""
    found = grouping.mends(sentences)
    lines = [line for line in found if line.startswith("- ")]
    options = {key: value for key, value in found.items() if key not in lines}
    return list(as_yaml(nested({**of_classes(cfg, lines), **options})))


def of_classes(cfg: DictConfig, lines: Sequence[str]) -> dict[str, list[str]]:
    """The option that lists the classes of the masks, with these lines more; {} for none."""
    if not lines:
        return {}
    if held := cfg.dataset.layout.get("mask_classes"):
        meant = "# give each NAME a name of its own, each CLASS one of dataset.classes"
        return {mask_classes.OPTION: [meant, *map(class_line, held), *lines]}
    meant = "# give each NAME the name of its class"
    return {"dataset.classes": [meant, *map(class_line, cfg.dataset.classes), *lines]}


def class_line(one: DictConfig) -> str:
    merged = f", class: {one['class']}" if "class" in one else ""
    return f"- {{name: {one.name}, color: {list(one.color)}{merged}}}"


def nested(options: Mapping[str, Any]) -> dict:
    """Options by their parts: {"a.b": 1} is {"a": {"b": 1}}."""
    tree: dict = {}
    for key, value in options.items():
        *sections, last = key.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[last] = value
    return tree


def as_yaml(tree: Mapping, indent: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from as_yaml(value, indent + "  ")
        elif isinstance(value, list):
            comment, *lines = value
            yield f"{indent}{key}:  {comment}"
            yield from (f"{indent}  {line}" for line in lines)
        else:
            yield f"{indent}{key}: {value}"
