"""decision.yaml: the decisions of a run, by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flexunet_exp.decisions.prices import Price
from flexunet_exp.decisions.rules import LEVEL_NAMES, ClassRule, Rule, Shape
from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.scores.regions import THRESHOLDS
from flexunet_exp.system.files import replace_file

DECISIONS = "decision.yaml"
PROMOTED = "promoted"  # its key, in a registered model, for the decision applied by default
GUARANTEE, ESTIMATE = "guarantee", "estimate"
CALIBRATED = "calibrated"  # its key among the settings of predictions


@dataclass(frozen=True)
class Decision:
    """An operating point: what it was chosen for, on and by, and what to expect of it."""

    name: str
    kind: str  # guarantee or estimate
    level: str
    by: str
    wanted: dict[str, float]  # the goals or costs as they are typed, and the confidence
    rules: dict[str, dict[str, float]]  # class → threshold, min_area, min_probability
    networks: list[str]  # the digest of the weights of each network, sorted
    predict: dict[str, Any]  # tile, overlap, tta, precision; calibrated: a digest, if it was
    data: dict[str, Any]  # part, digest, pictures, sources
    overlap: float  # share of a defect that must be covered for it to be found
    expected: dict[str, dict[str, list[float]]]  # group → figure → value, low, high, sources
    test: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # likewise, or empty
    cost: list[float] = field(default_factory=list)  # of a part: expected, and its upper bound
    prices: list[Price] = field(default_factory=list)  # of other goals, as `prices` has them

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.rules)

    @property
    def digest(self) -> str:
        """Hash (16 hex digits) of all that is kept of the decision."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def calibration(self) -> str:
        """The digest of the temperatures of the networks that it was chosen with; else empty."""
        return self.predict.get(CALIBRATED, "")

    @property
    def rule(self) -> Rule:
        return Rule({name: rule_of(values) for name, values in self.rules.items()})

    def describe(self) -> str:
        """The decision in a line, for logs and reports."""
        wanted = " ".join(f"{name}={value:g}" for name, value in self.wanted.items())
        calibrated = ", calibrated probabilities" if self.calibration else ""
        return f"{self.name} ({self.kind}, level={self.level} {wanted}{calibrated})"


def rule_of(values: Mapping[str, float]) -> ClassRule:
    places = [i for i, one in enumerate(THRESHOLDS) if abs(one - values["threshold"]) < 1e-6]
    if not places:
        raise ValueError(f"threshold {values['threshold']}")
    return ClassRule(places[0], Shape(int(values["min_area"]), float(values["min_probability"])))


def values_of(rule: Rule) -> dict[str, dict[str, float]]:
    """A rule as the file has it."""
    return {
        name: {
            "threshold": round(one.threshold, 2),
            "min_area": one.shape.min_area,
            "min_probability": one.shape.min_probability,
        }
        for name, one in rule.of_class.items()
    }


def keep(decision: Decision, folder: Path) -> Path:
    """Adds a decision to those of a run folder, in place of one of the same name."""
    path = folder / DECISIONS
    kept = read_all(path) if has_any(folder) else {}
    return write(kept | {decision.name: decision}, folder)


def write(decisions: Mapping[str, Decision], folder: Path, promoted: str | None = None) -> Path:
    """Writes decisions by name; `promoted` is the one that is applied if none is named."""
    content: dict[str, Any] = {} if promoted is None else {PROMOTED: promoted}
    content["decisions"] = {name: without_name(one) for name, one in decisions.items()}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    replace_file(folder / DECISIONS, f"# Written by flexunet decide.\n{text}".encode())
    return folder / DECISIONS


def promoted(folder: Path) -> str | None:
    """The name of the decision that was promoted with a registered model, if there is one."""
    if not has_any(folder):
        return None
    read_all(folder / DECISIONS)  # refuses a damaged file
    name = yaml.safe_load((folder / DECISIONS).read_text(encoding="utf-8")).get(PROMOTED)
    return None if name is None else str(name)


def check_free(name: str, folders: Sequence[Path], overwrite: bool) -> None:
    """Raises InputError where a run folder has a decision of this name that is not to be replaced.

    Names each folder and decision.
    """
    kept = {folder: read_all(folder / DECISIONS) for folder in folders if has_any(folder)}
    taken = {folder: found[name] for folder, found in kept.items() if name in found}
    if taken and not overwrite:
        raise InputError(
            [
                f"{folder / DECISIONS} has a decision {decision.describe()} already. Nothing was "
                "changed; add overwrite=true to replace it, or choose another name=NAME"
                for folder, decision in taken.items()
            ]
        )


def has_any(folder: Path) -> bool:
    return (folder / DECISIONS).is_file()


def without_name(decision: Decision) -> dict[str, Any]:
    return {key: value for key, value in asdict(decision).items() if key != "name"}


def read_all(path: Path) -> dict[str, Decision]:
    """All decisions of a file, which may come from anyone; InputError where it is damaged."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["decisions"]
        found = {str(name): Decision(name=str(name), **values) for name, values in entries.items()}
        for one in found.values():
            check(one)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise InputError(
            f"{path}: not a file of decisions ({str(error)[:200]}). Choose again: "
            "flexunet decide run=RUN max_false_alarms=0.05"
        ) from error
    return found


def check(decision: Decision) -> None:
    """Raises ValueError, KeyError or TypeError for a decision that cannot be applied."""
    _ = decision.rule
    if decision.level not in LEVEL_NAMES or not decision.rules:
        raise ValueError(f"level {decision.level}")
    if not isinstance(decision.networks, list) or not isinstance(decision.predict, dict):
        raise TypeError("networks and predict")
    if not isinstance(decision.calibration, str):
        raise TypeError(f"predict.{CALIBRATED}")
    decision.describe()


def named(name: str, folder: Path) -> Decision:
    """A decision of a run folder by name; InputError with the names that there are."""
    path = folder / DECISIONS
    if not has_any(folder):
        raise InputError(
            f"decision={name}: {folder} has no decision yet. Choose one first: "
            "flexunet decide run=RUN max_false_alarms=0.05"
        )
    kept = read_all(path)
    if name not in kept:
        raise InputError(
            f"decision={name}: {folder} has no such decision.{did_you_mean(name, kept)} "
            f"There are: {', '.join(kept)}"
        )
    return kept[name]


def fitting(
    decision: Decision, classes: Sequence[str], networks: Sequence[str], predict: Mapping[str, Any]
) -> None:
    """Raises InputError unless a decision was chosen for these classes, networks and settings.

    `classes` has the defects alone; `networks` are digests of weights in any order.
    """
    problems = []
    own, here = one_form(decision.predict), one_form(predict)
    if tuple(classes) != decision.classes:
        problems.append(
            f"decision={decision.name} is of the classes {', '.join(decision.classes)}; the "
            f"network tells apart {', '.join(classes)}. Choose again with flexunet decide."
        )
    if sorted(networks) != decision.networks:
        problems.append(
            f"decision={decision.name} was chosen for {len(decision.networks)} networks with other "
            f"weights than these {len(networks)}. Name the same run or multirun with run=, or "
            "choose again with flexunet decide."
        )
    problems += [
        f"decision={decision.name} was chosen with predict.{key}={value}; here it is "
        f"{predict[key]}. Leave predict.{key} out, or use decision=none."
        for key, value in decision.predict.items()
        if key in predict and here[key] != own[key]
    ]
    if problems:
        raise InputError(problems)


def one_form(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of predictions with the tile as [height, width]: one number is a square of it."""
    tile = settings.get("tile")
    return {**settings, "tile": [tile, tile]} if isinstance(tile, int) else {**settings}
