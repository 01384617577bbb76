"""The value of a key: a Python literal, which is read and never run."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any, NamedTuple

WORDS = {"true": True, "false": False, "none": None}
BARE = re.compile(r"[A-Za-z_.~][\w./\\:*~-]*")
EXPECTED = "expected a Python literal such as 8, 'text', (3, 3), [1, 2] or {(0, 0, 0): 0}"


class Value(NamedTuple):
    """A value, and why the original program read its default instead; nothing if it did not."""

    value: Any
    fault: str = ""


def read(text: str) -> Value:
    """The value of a text. Raises ValueError with a sentence if it is none."""
    if "%(" in text:
        raise ValueError(f"{text[:60]!r} names another key by %(…)s. Write the value itself")
    if (found := literal(text)) is not None:
        percent = re.search("%(?!%)", text.replace("%%", ""))
        return found._replace(fault="a single % made it unreadable") if percent else found
    bare = without_comment(text)
    if bare != text and (found := literal(bare)) is not None:
        return Value(found.value, "the comment behind it made it unreadable")
    if bare.lower() in WORDS:
        return Value(WORDS[bare.lower()], "a word without quotes was no value")
    if BARE.fullmatch(bare):
        return Value(bare, "a text without quotes was no value")
    raise ValueError(reason(bare))


def literal(text: str) -> Value | None:
    """The value of a literal; None if the text is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "C:\data" has an escape that Python does not know
            return Value(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def without_comment(text: str) -> str:
    """The text before a `;` or ` #` that is not within quotes."""
    match = re.match(r"(?:'[^']*'|\"[^\"]*\"|(?!;|\s#)[^'\"])*", text, re.DOTALL)
    return (match[0] if match else text).strip()


def reason(text: str) -> str:
    shown = f"{text[:60]!r}"
    if not text:
        return f"it has no value, {EXPECTED}"
    if re.search(r"[A-Za-z_)\]]\s*\(", text) or "lambda" in text:
        return f"{shown} is code, which is never run; {EXPECTED}"
    return f"{shown} cannot be read, {EXPECTED}"


def keys_twice(text: str) -> list[Any]:
    """The keys that a dictionary has twice: Python keeps the last without a word."""
    try:
        node = ast.parse(without_comment(text).strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    keys = [ast.unparse(key) for key in node.keys if key] if isinstance(node, ast.Dict) else []
    return sorted({key for key in keys if keys.count(key) > 1})
