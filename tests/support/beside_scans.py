"""What a cache folder holds beside what scans found, which every training keeps there."""

from __future__ import annotations

from pathlib import Path

from flexunet_exp.data.known_files import PATTERN


def beside_scans(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if not path.match(PATTERN)]
