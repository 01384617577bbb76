"""The entries of an outbox: a record for each operation on the store, and its line of JSON.

The format of the lines is a promise: a run folder may hold those of an earlier version. A run
folder may also come from anyone, so a line must have exactly the fields and types of its kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, get_type_hints

from flexunet_exp.tracking.mlflow_client import milliseconds


class Metric(NamedTuple):
    """A figure as the store keeps it."""

    key: str
    value: float
    time: int  # milliseconds
    step: int


@dataclass(frozen=True)
class Timed:
    """The base of all entries: the time at which one was made, in milliseconds."""

    time: int = field(default_factory=milliseconds, kw_only=True)


@dataclass(frozen=True)
class RunEntry(Timed):
    """Creates the run; always the first entry."""

    name: str
    tags: dict[str, str]


@dataclass(frozen=True)
class ReopenEntry(Timed):
    """Marks the run as running again."""


@dataclass(frozen=True)
class TagsEntry(Timed):
    """Sets tags."""

    tags: dict[str, str]


@dataclass(frozen=True)
class ParamsEntry(Timed):
    """Sets parameters that the run does not have yet."""

    params: dict[str, str]


@dataclass(frozen=True)
class MetricsEntry(Timed):
    """Adds figures."""

    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class ImageEntry(Timed):
    """Adds a PNG file of the run folder to the slider `key`."""

    key: str
    path: str
    step: int


@dataclass(frozen=True)
class ArtifactEntry(Timed):
    """Adds a file or folder of the run folder, below the artifact folder `folder`."""

    path: str
    folder: str


@dataclass(frozen=True)
class DatasetEntry(Timed):
    """Sets the sample table as the run's data set."""

    path: str
    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class ModelEntry(Timed):
    """Adds a Keras file as the run's model, with an example of its input."""

    path: str
    example: str


@dataclass(frozen=True)
class RegisterEntry(Timed):
    """Makes the run's best network a version of the registered model `name`."""

    name: str
    objective: str


@dataclass(frozen=True)
class StatusEntry(Timed):
    """Ends the run."""

    status: str


Entry = (
    RunEntry
    | ReopenEntry
    | TagsEntry
    | ParamsEntry
    | MetricsEntry
    | ImageEntry
    | ArtifactEntry
    | DatasetEntry
    | ModelEntry
    | RegisterEntry
    | StatusEntry
)
KINDS: dict[str, type[Entry]] = {  # by the word under `what` in a line
    "run": RunEntry,
    "reopen": ReopenEntry,
    "tags": TagsEntry,
    "params": ParamsEntry,
    "metrics": MetricsEntry,
    "image": ImageEntry,
    "artifact": ArtifactEntry,
    "dataset": DatasetEntry,
    "model": ModelEntry,
    "register": RegisterEntry,
    "status": StatusEntry,
}
WORDS = {kind: word for word, kind in KINDS.items()}


def to_line(entry: Entry) -> str:
    """The line of an entry, as `from_line` reads it."""
    content = {one.name: getattr(entry, one.name) for one in fields(entry)}
    return json.dumps({"what": WORDS[type(entry)], **content}) + "\n"


def from_line(line: bytes) -> Entry:
    """The entry in a line; ValueError with what was found where the line is not an entry."""
    content = read_object(line)
    what = content.pop("what", None)
    kind = KINDS.get(what) if isinstance(what, str) else None
    if kind is None:
        raise ValueError(f"no kind of entry: {what!r:.40}")
    types = get_type_hints(kind)
    if content.keys() != types.keys():
        raise ValueError(f"{what}: expected {', '.join(types)}, found {', '.join(content):.80}")
    return kind(**{name: READERS[types[name]](value) for name, value in content.items()})


def read_object(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, found {content!r:.40}")
    return content


def read_text(value: Any) -> str:
    return require(value, isinstance(value, str), "a text")


def read_number(value: Any) -> int:
    return require(value, type(value) is int, "a whole number")


def read_texts(value: Any) -> dict[str, str]:
    is_dict = isinstance(value, dict)
    is_right = is_dict and all(isinstance(text, str) for text in value.values())
    return require(value, is_right, "texts by name")


def read_metrics(value: Any) -> tuple[Metric, ...]:
    rows = require(value, isinstance(value, list), "a list of figures")
    return tuple(map(read_metric, rows))


def read_metric(row: Any) -> Metric:
    types = list(map(type, row)) if isinstance(row, list) else []
    return Metric(*require(row, types == [str, float, int, int], "key, value, time and step"))


def require(value: Any, is_right: bool, expected: str) -> Any:
    if not is_right:
        raise ValueError(f"expected {expected}, found {value!r:.40}")
    return value


READERS: Mapping[Any, Callable[[Any], Any]] = {  # by the type of a field
    str: read_text,
    int: read_number,
    dict[str, str]: read_texts,
    tuple[Metric, ...]: read_metrics,
}
