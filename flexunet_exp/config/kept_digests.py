"""Hashes of source, and digests of this package's code, kept beside its compiled files.

A digest is made from the syntax trees of all modules, which takes 0.3 s. The file of this module
names the source that its digests are of, by a hash of every file's content: other source makes
them anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, TypeVar

from flexunet_exp.config.compose import PACKAGE
from flexunet_exp.system.files import replace_file

T = TypeVar("T", str, dict[str, str])


def kept(name: str, make: Callable[[], T]) -> T:
    """The digest of this name; `make` makes it where none of the present source is kept.

    A folder that cannot be written, or Python's PYTHONDONTWRITEBYTECODE, only costs the time.
    """
    file = path()
    found = read(file)
    if name in found:
        return found[name]
    made = make()
    if not sys.dont_write_bytecode:
        write(file, {**found, name: made})
    return made


def path() -> Path:
    """The file in the package's __pycache__, or below PYTHONPYCACHEPREFIX; one a Python version."""
    compiled = Path(cache_from_source(str(PACKAGE / "digests.py")))
    return compiled.with_suffix(".json")


def read(file: Path) -> dict[str, Any]:
    """The digests of the present source by name; empty for other source and a damaged file."""
    try:
        stored = json.loads(file.read_bytes())
        return dict(stored["digests"]) if stored["source"] == source() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write(file: Path, digests: dict[str, Any]) -> None:
    text = json.dumps({"source": source(), "digests": digests})
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text.encode())


@cache  # the loaded code does not change
def source() -> str:
    """The Python version, and a hash of this package's files that it reads."""
    return f"{sys.version} {source_digest(PACKAGE)}"


def source_digest(root: Path) -> str:
    """Hash of a package's (or one file's) Python source: other code may train other weights."""
    digest = hashlib.sha256()
    for path in python_files(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def python_files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py")) if root.is_dir() else [root]
