"""The settings of flexunet decide, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError

GOALS = ("max_false_alarms", "max_missed")
COSTS = ("cost_missed", "cost_false_alarm", "defect_rate")
MOST = {"part": 1, "region": 5, "pixel": 1}  # what a goal of false alarms must be below


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings."""
    validation.check_sections(cfg, ("predict",))
    problems = validation.own_problems(cfg, "decide")
    if str(cfg.run).startswith("models:/"):
        problems.append(
            f"run={cfg.run} is a registered model, which never changes; expected a run. The run's "
            "id is the version's tag run_id in the UI"
        )
    problems += list(combined(cfg)) if not problems else []
    if problems:
        raise InputError(problems)


def combined(cfg: DictConfig) -> Iterator[str]:
    """The problems of options that are well by themselves."""
    goals, costs = given(cfg, GOALS), given(cfg, COSTS)
    if goals and costs:
        yield (
            f"{typed(goals)} and {typed(costs)}: a threshold is chosen by goals or by costs. Leave "
            "one of them out."
        )
    elif not goals and not costs:
        yield (
            "What shall hold? Give a goal, such as max_false_alarms=0.05 or max_missed=0.1, or "
            "cost_missed=100 cost_false_alarm=1 defect_rate=0.01"
        )
    elif costs and len(costs) < len(COSTS):
        lacking = [name for name in COSTS if name not in costs]
        yield f"Costs need all three; there is no {', '.join(lacking)}. Try {typed(COST_EXAMPLE)}"
    if costs and cfg.level != "part":
        yield f"level={cfg.level}: costs are of whole parts. Use level=part"
    if cfg.by == "class" and cfg.level == "part":
        yield (
            "by=class level=part: a part is stopped for any defect, so goals of parts are of all "
            "classes. Use by=all, or level=region"
        )
    if (most := MOST[cfg.level]) <= (cfg.max_false_alarms or 0):
        yield (
            f"max_false_alarms={cfg.max_false_alarms} is not below {most}, the most that counts at "
            f"level={cfg.level}. Try max_false_alarms={most / 10:g}"
        )


COST_EXAMPLE = {"cost_missed": 100, "cost_false_alarm": 1, "defect_rate": 0.01}


def given(cfg: DictConfig, names: tuple[str, ...]) -> dict[str, float]:
    return {name: float(cfg[name]) for name in names if cfg[name] is not None}


def typed(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value:g}" for name, value in values.items())
