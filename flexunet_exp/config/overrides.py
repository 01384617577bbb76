"""The words of a command line: a key, its sign and its value, and how they are shown."""

from __future__ import annotations

import re
from pathlib import Path

PATH_KEYS = {
    *("data_root", "cache_dir", "dataset.path", "run", "tracking.uri", "tracking.run_name"),
    *("tracking.experiment_name", "input", "output", "runs", "filter"),
}
PATTERN_KEYS = {"hydra.run.dir", "hydra.sweep.dir"}  # paths too, with ${now:…} in them

HYPERPARAMETERS = (
    *("model.", "loss.", "optimizer.", "trainer.", "split.", "dataset.image_size"),
    *("dataset.patch.", "dataset.sampling", "dataset.good_share"),
)
OWNERS = {
    "seed": "trainer.seed",
    "fold": "split.fold",
    "learning_rate": "optimizer.learning_rate",
    "image_size": "dataset.image_size",
}


def task_overrides() -> list[str]:
    """The words of the job that runs; none outside of a Hydra app."""
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def choices() -> dict[str, str | None]:
    """Which file of each config group the job that runs was composed from."""
    from hydra.core.hydra_config import HydraConfig

    return dict(HydraConfig.get().runtime.choices)


def split_override(override: str) -> tuple[str, str, str]:
    key, equals, value = override.lstrip("+~").partition("=")
    return key, equals, value


def short(key: str, value: str) -> str:
    """A choice as its value, any other setting by its initials: base_filters=8 → bf=8."""
    if "." not in key:
        return value
    initials = "".join(word[0] for word in key.rsplit(".", 1)[-1].split("_") if word)
    is_number = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", value)
    if is_number and len(value) >= 8:  # one that a search drew
        value = f"{float(value):.3g}"
    return f"{initials}={value}"


def quote_path(argument: str) -> str:
    """Quotes the value of `KEY=PATH` so that Hydra's grammar takes any file name as it is.

    Left alone: values already quoted, and lists `[a,b]` that are not themselves a path.
    """
    match = re.fullmatch(r"(\+{0,2}[\w.]+)=(.*)", argument, flags=re.DOTALL)
    if not match or match[1].lstrip("+") not in PATH_KEYS | PATTERN_KEYS or not match[2]:
        return argument
    key, value = match.groups()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    listed = value[0] == "[" and value[-1] == "]" and not Path(value).exists()
    if quoted or listed or value == "null":
        return argument
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    if escaped.endswith("\\"):
        escaped += "\\" * (len(escaped) - len(escaped.rstrip("\\")))
    if key.lstrip("+") in PATH_KEYS:
        escaped = escaped.replace("${", r"\${")
    return f"{key}='{escaped}'"
