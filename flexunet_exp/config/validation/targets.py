"""The heavy step: imports what the configuration builds, and checks every argument by name.

Signatures with `**kwargs`, such as those of Keras, would accept a misspelt name without an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config import building, compose
from flexunet_exp.errors import InputError, did_you_mean

# What the program itself passes to a target; a configuration need not (and cannot) give it.
FROM_PROGRAM = {
    "model": {"input_shape", "num_classes", "input_dtype"},
    "callbacks": {"run"},
    "split": {"table"},
    "schedule": {"learning_rate", "steps_per_epoch", "epochs"},
}


# What a target must take of it; a model that has no input_dtype is given images of uint8.
NEEDED = {"model": {"input_shape", "num_classes"}, "split": {"table"}}


def is_kind(section: str, target: Any) -> bool:
    """Whether a target is of the kind that its section builds, such as a loss."""
    if section in ("loss", "optimizer", "callbacks"):
        import keras

        base = {
            "loss": keras.losses.Loss,
            "optimizer": keras.optimizers.Optimizer,
            "callbacks": keras.callbacks.Callback,
        }[section]
        return inspect.isclass(target) and issubclass(target, base)
    if section in ("model", "split"):
        return NEEDED[section] <= set(inspect.signature(target).parameters)
    if section == "schedule":
        return "learning_rate" in inspect.signature(target).parameters
    method = {"dataset": "scan", "augmentation": "__call__"}[section]
    return inspect.isclass(target) and hasattr(target, method)


def check_targets(cfg: DictConfig, sections: Sequence[str]) -> None:
    """Checks the targets of these sections; raises InputError with every problem."""
    settings = compose.plain(cfg)
    problems: list[str] = []
    for section in sections:
        for key, node in target_nodes(settings[section], section):
            problems += target_problems(section, key, node)
    if "callbacks" in sections:
        problems += [
            f"callbacks.{name} has no _target_: a callback's yaml is `{name}: {{_target_: …}}`."
            for name, node in settings["callbacks"].items()
            if node is not None and "_target_" not in node
        ]
    if problems:
        raise InputError(problems)


def target_nodes(node: Any, key: str) -> Iterator[tuple[str, dict]]:
    """Every mapping with a `_target_` in a section, with its dotted key."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield key, node
        for name, child in node.items():
            yield from target_nodes(child, f"{key}.{name}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from target_nodes(child, f"{key}[{index}]")


def target_problems(section: str, key: str, node: dict) -> list[str]:
    """Why a target cannot be built: not importable, or an argument is unknown or missing."""
    try:
        target = building.locate(str(node["_target_"]))
    except InputError as error:
        return [f"{key}: {problem}" for problem in error.problems]
    if not is_kind(section, target):
        return [f"{key}: _target_ {node['_target_']} cannot be used as {section}."]
    accepted, required = named_arguments(target)
    from_program = FROM_PROGRAM.get(section, set())
    accepted = [name for name in accepted if name not in from_program]
    given = set(node) - {"_target_"}
    problems = [
        f"{key}.{name} is not an argument of {node['_target_']}.{did_you_mean(name, accepted)} "
        f"There are: {', '.join(accepted) or 'none'}"
        for name in sorted(given - set(accepted))
    ]
    lacking = sorted(required - given - from_program)
    problems += [f"{key}.{name} is missing; {node['_target_']} needs it." for name in lacking]
    return problems or (value_problems(key, node) if section == "augmentation" else [])


def value_problems(key: str, node: dict) -> list[str]:
    """The problems that a transform's constructor raises; it is cheap, so it is called here."""
    try:
        building.build(node)
    except InputError as error:
        return [f"{key}: {problem}" for problem in error.problems]
    return []


def named_arguments(target: Callable) -> tuple[list[str], set[str]]:
    """Argument names a target accepts, and those without a default.

    Where a class's constructor takes `**kwargs`, the names its base classes spell out count too.
    """
    constructors = (
        [vars(base)["__init__"] for base in inspect.getmro(target) if "__init__" in vars(base)]
        if inspect.isclass(target)
        else [target]
    )
    accepted: list[str] = []
    required: set[str] = set()
    for constructor in constructors:
        parameters = list(inspect.signature(constructor).parameters.values())
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        accepted += [p.name for p in named if p.name not in ("self", *accepted)]
        if constructor is constructors[0]:
            required = {p.name for p in named if p.default is p.empty and p.name != "self"}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return accepted, required - {"self"}
