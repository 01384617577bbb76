"""The space of a study: which options are searched, and between what.

An entry of `hydra.sweeper.space` is `{type: choice, values: […]}` or `{type: float|int, low: …,
high: …, step: …, log: …}`; a sweep on the command line replaces the entry of its key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flexunet_exp.config.rules import is_int, is_number
from flexunet_exp.errors import did_you_mean

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from optuna import Trial
    from optuna.distributions import BaseDistribution

KEYS = {
    "choice": ("type", "values"),
    "float": ("type", "low", "high", "step", "log"),
    "int": ("type", "low", "high", "step", "log"),
}
EXAMPLE = "{type: float, low: 1e-4, high: 1e-2, log: true}"


class Word(str):
    """A value as it was typed: in Hydra's grammar already."""


def entry_problems(key: str, entry: Any) -> Iterator[str]:
    """The problems of an entry, each with an example."""
    if not isinstance(entry, Mapping) or entry.get("type") not in KEYS:
        choice = "{type: choice, values: [8, 16]}"
        yield f"space {key}: {entry} is neither {EXAMPLE}, nor the same with int, nor {choice}"
        return
    known = KEYS[entry["type"]]
    for name in entry:
        if name not in known:
            hint = did_you_mean(str(name), known)
            yield f"space {key}: unknown {name!r}.{hint} There are: {', '.join(known)}"
    if entry["type"] == "choice":
        yield from choice_problems(key, entry.get("values"))
    else:
        yield from range_problems(key, entry)


def choice_problems(key: str, values: Any) -> Iterator[str]:
    scalars = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if not scalars or not all(v is None or isinstance(v, str | int | float) for v in values):
        yield f"space {key}: values={values} is not a list of words or numbers such as [8, 16]"
    elif len(set(map(text_of, values))) < len(values):
        yield f"space {key}: values={list(values)} has a value twice"


def range_problems(key: str, entry: Mapping) -> Iterator[str]:
    wanted: Sequence[Any] = [entry.get(name) for name in ("low", "high", "step", "log")]
    low, high, step, log = wanted
    fits = is_int if entry["type"] == "int" else is_number
    kind = "whole numbers" if entry["type"] == "int" else "numbers"
    if not (fits(low) and fits(high)):
        yield f"space {key}: low={low} and high={high} must be {kind}, as in {EXAMPLE}"
        return
    if not low < high:
        yield f"space {key}: low={low} is not below high={high}"
    if step is not None and not (fits(step) and 0 < step <= high - low):
        yield f"space {key}: step={step} is not above 0 and at most high - low"
    if log not in (None, True, False):
        yield f"space {key}: log={log} is neither true nor false"
    elif log and step is not None:
        yield f"space {key}: log and step exclude each other"
    elif log and low <= 0:
        yield f"space {key}: low={low} must be above 0 on a logarithmic scale"


def distribution(entry: Mapping) -> BaseDistribution:
    """An entry without problems as Optuna's distribution; a choice's values are words."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if entry["type"] == "choice":
        return CategoricalDistribution([text_of(value) for value in entry["values"]])
    low, high, log, step = entry["low"], entry["high"], bool(entry.get("log")), entry.get("step")
    if step:  # Optuna requires a `high` that is low plus a multiple of step
        high = low + int((high - low) / step + 1e-9) * step
    if entry["type"] == "int":
        return IntDistribution(low, high, log, step or 1)
    return FloatDistribution(float(low), float(high), log, step)


def draw(trial: Trial, key: str, entry: Mapping) -> Any:
    """The trial's value of an option: the value it has, else a new one from the sampler."""
    if entry["type"] == "choice":
        return trial.suggest_categorical(key, list(map(text_of, entry["values"])))
    wanted: Any = distribution(entry)
    suggest: Any = trial.suggest_int if entry["type"] == "int" else trial.suggest_float
    return suggest(key, wanted.low, wanted.high, step=wanted.step, log=wanted.log)


def entry_of(override: Override) -> dict[str, Any]:
    """A sweep of the command line as an entry."""
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep

    value = override.value()
    if isinstance(value, IntervalSweep):
        kind = "int" if is_int(value.start) and is_int(value.end) else "float"
        log = {"log": True} if "log" in value.tags else {}
        return {"type": kind, "low": value.start, "high": value.end, **log}
    if isinstance(value, RangeSweep):
        kind = "int" if all(map(is_int, (value.start, value.stop, value.step))) else "float"
        values = list(value.range()) or [value.start]
        return {"type": kind, "low": values[0], "high": values[-1], "step": value.step}
    return {"type": "choice", "values": [Word(text) for text in override.sweep_string_iterator()]}


def text_of(value: Any) -> str:
    """A value as Hydra's grammar reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, str) and not re.fullmatch(r"[\w./:\[\],-]+", value, re.ASCII):
        return "'" + value.replace("'", r"\'") + "'"
    return str(value)


def describe(entry: Mapping) -> str:
    """An entry without problems in words."""
    if entry["type"] == "choice":
        return f"one of {', '.join(map(text_of, entry['values']))}"
    ways = [f" in steps of {step}" if (step := entry.get("step")) else ""]
    ways += [" on a logarithmic scale"] if entry.get("log") else []
    return f"{entry['type']} from {entry['low']} to {entry['high']}{''.join(ways)}"


def words(params: Mapping[str, Any]) -> list[str]:
    """The overrides that give a run these values."""
    return [f"{key}={text_of(value)}" for key, value in params.items()]


def corners(key: str, entry: Mapping) -> list[str]:
    """Overrides that stand for all of an entry: each choice, or both ends."""
    values = entry["values"] if entry["type"] == "choice" else [entry["low"], entry["high"]]
    return [f"{key}={text_of(value)}" for value in values]


def size(entries: Mapping[str, Mapping]) -> int | None:
    """The number of combinations in a space of choices and whole numbers; None for any other."""
    if any(entry["type"] == "float" for entry in entries.values()):
        return None
    return math.prod(len(values_of(entry)) for entry in entries.values())


def values_of(entry: Mapping) -> Sequence[Any]:
    """All values of a choice or of whole numbers, as Optuna has them."""
    if entry["type"] == "choice":
        return list(map(text_of, entry["values"]))
    return range(entry["low"], entry["high"] + 1, entry.get("step") or 1)


def combination(entries: Mapping[str, Mapping], number: int) -> dict[str, Any]:
    """The combination of this number, from 0 to `size` - 1."""
    found = {}
    for key, entry in entries.items():
        number, place = divmod(number, len(values_of(entry)))
        found[key] = values_of(entry)[place]
    return found
