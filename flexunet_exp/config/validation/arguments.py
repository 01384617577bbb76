"""Checks the arguments of `_target_`s by rules in a file beside the target's module.

Rules have a file of their own because the module of a model or a loss imports Keras, and the light
step does not. The rules of a module `nets/wide.py` are in `nets/wide_rules.py`, those of a package
`nets/` are in `nets/rules.py`: `RULES = {"wide": Arguments(…)}` by the name of the function or
class. The file is run without importing the module beside it. It may be missing. `IMAGENET` in it
has the sha256 of encoders' weights files, which a run's identity takes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from flexunet_exp.config.building import is_trusted
from flexunet_exp.config.rules import Arguments, broken_rules
from flexunet_exp.config.validation.targets import target_nodes

OURS, KERAS = "flexunet_exp.", "keras."


class Node(NamedTuple):
    """A mapping with a `_target_`, where it stands, and the rules of its arguments."""

    key: str
    arguments: dict
    rules: Arguments


def ruled_nodes(settings: dict, sections: Iterable[str]) -> Iterator[Node]:
    """The nodes of these sections that have rules."""
    for section in sections:
        for key, node in target_nodes(settings.get(section), section):
            if rules := rules_of(str(node["_target_"])):
                yield Node(key, node, rules)


def broken_arguments(settings: dict, sections: Iterable[str]) -> Iterator[str]:
    """The problems of single arguments."""
    for node in ruled_nodes(settings, sections):
        yield from broken_rules(node.arguments, node.rules.rules, f"{node.key}.")


def unfitting_arguments(settings: dict, sections: Iterable[str]) -> Iterator[str]:
    """The problems of arguments that are valid alone, but not together or with other settings."""
    for node in ruled_nodes(settings, sections):
        if node.rules.together:
            yield from node.rules.together(node.key, node.arguments, settings)


def rules_of(target: str) -> Arguments | None:
    """The rules of a `_target_`; None if it has none, or is not trusted."""
    return table_entry("RULES", target)


def divisor_of(model: Mapping[str, Any]) -> int | None:
    """What both sides of a picture divide by, as the model's rules say; None where they do not."""
    rules = rules_of(str(model["_target_"]))
    return rules.divisor(model) if rules and rules.divisor else None


def imagenet_sha256(encoder: str) -> str | None:
    """The sha256 of what encoder_weights=imagenet loads for a `_target_`; None if not known."""
    return table_entry("IMAGENET", encoder)


def table_entry(table: str, target: str) -> Any:
    """The entry of a `_target_` in a table of its rules' file; None if it has none."""
    if target.startswith(KERAS):  # the rules of keras.callbacks are beside flexunet_exp.callbacks
        target = OURS + target.removeprefix(KERAS)
    module, _, name = target.rpartition(".")
    path = rules_file(module) if is_trusted(target) else None
    return getattr(run(path), table, {}).get(name) if path else None


@cache
def rules_file(module: str) -> Path | None:
    """The file with the rules of a module; None if there is no such file or module."""
    top, *names = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # the running script has no spec
        return None
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*names)
    if not spec.submodule_search_locations:  # a module without a package
        place = Path(spec.origin).with_suffix("")
    path = place / "rules.py" if place.is_dir() else place.with_name(f"{place.name}_rules.py")
    return path if path.is_file() else None


@cache
def run(path: Path) -> ModuleType:
    """The module in a file, run without importing its package."""
    spec = importlib.util.spec_from_file_location(f"_rules_of_{path.parent.name}_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
