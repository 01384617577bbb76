"""Texts and JSON of anyone, checked as they are read: every surprise is an InputError."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from flexunet_exp.errors import InputError

MAX_TEXT = 2**31  # bytes of a file of annotations
Kind = TypeVar("Kind")
KINDS = {
    dict: "an object {…}",
    list: "a list […]",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


@lru_cache(4)
def read_json(path: Path) -> Any:
    """A JSON file; InputError where it is too large, no JSON, or nested too deeply."""
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply to be annotations.") from error
    except ValueError as error:
        raise InputError(f"{path}: no JSON ({error}). Export it again.") from error


def read_text(path: Path) -> str:
    """A text file of UTF-8, with or without a mark; InputError where it is none."""
    try:
        if path.stat().st_size > MAX_TEXT:
            raise InputError(f"{path}: larger than {MAX_TEXT >> 30} GiB, expected annotations.")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text of UTF-8. Export it again.") from error


def want(value: Any, kind: type[Kind], where: str) -> Kind:
    """The value, which must be of a kind; a whole number is a number too. InputError otherwise."""
    allowed = (int, float) if kind is float else (kind,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
        raise InputError(f"{where}: found {shown}, expected {KINDS.get(kind, kind.__name__)}.")
    return value  # type: ignore[return-value]


def member(node: dict, key: str, kind: type[Kind], where: str, default: Any = ...) -> Kind:
    """A member of a JSON object; InputError where it is missing or of another kind."""
    value = node.get(key, default)
    if value is ...:
        raise InputError(f"{where}: has no {key!r}.")
    if value is default and default is not ...:
        return value
    return want(value, kind, f"{where} {key}")


def number(value: Any, where: str) -> float:
    """A finite number, also one written as text; InputError otherwise."""
    try:
        found = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError(f"{where}: found {str(value)[:40]!r}, expected a number.")
    return found
