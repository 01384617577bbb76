"""The lines of yaml that would mend what a check found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from omegaconf import DictConfig

from flexunet_exp.data import grouping


def yaml_lines(cfg: DictConfig, sentences: Iterable[str]) -> list[str]:
    """The options that mend what the sentences say, as yaml; empty where none does."""
    found = grouping.mends(sentences)
    classes = [line for line in found if line.startswith("- ")]
    options = {key: value for key, value in found.items() if key not in classes}
    tree = nested(options)
    lines = list(as_yaml(tree))
    if classes:
        known = [f"- {{name: {one.name}, color: {list(one.color)}}}" for one in cfg.dataset.classes]
        named = "  classes:  # give each NAME the name of its class"
        of_classes = [named, *(f"    {line}" for line in [*known, *classes])]
        lines = ["dataset:", *of_classes, *(line for line in lines if line != "dataset:")]
    return lines


def nested(options: Mapping[str, str]) -> dict:
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
        else:
            yield f"{indent}{key}: {value}"
