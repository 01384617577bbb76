"""What was found once for a training: kept in the cache folder, so that the next takes the same."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flexunet_exp.system import files

log = logging.getLogger(__name__)


def read(path: Path) -> dict[str, Any]:
    """What the file remembers; empty where it is missing or cannot be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep(path: Path, found: Mapping[str, Any], again: str) -> None:
    """Writes the file; where that fails, warns of what the next run does `again`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace_file(path, json.dumps(found).encode())
    except OSError as error:
        log.warning(
            "%s cannot be written (%s): the next run %s again. Name another folder with "
            "cache_dir=FOLDER.",
            path,
            error.strerror,
            again,
        )
