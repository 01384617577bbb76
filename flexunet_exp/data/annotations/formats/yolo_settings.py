"""The classes and splits of a YOLO data set: data.yaml, or classes.txt of Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from flexunet_exp.data.annotations.checked_json import read_text, want
from flexunet_exp.data.annotations.formats.split_names import split_in
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError

LARGEST = 2**20  # bytes of data.yaml
KEYS = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}


class Settings(NamedTuple):
    """The file that says them, the name of each class number, and the split of each picture."""

    path: Path
    names: dict[int, str]
    folders: dict[str, str]  # relative to the export → split
    files: dict[Path, str]

    def split_of(self, shown: str, path: Path) -> str:
        """The split that data.yaml says, else the one that a folder of the picture is called."""
        if path in self.files:
            return self.files[path]
        for folder in map(str, PurePosixPath(shown).parents):
            if folder in self.folders:
                return self.folders[folder]
        return split_in(str(PurePosixPath(shown).parent))


def settings_of(place: Place) -> Settings | None:
    """None where no file has classes of YOLO."""
    for path in place.of_suffix(".yaml", ".yml"):
        content = content_of(path)
        if isinstance(content, dict) and "names" in content and content.keys() & {*KEYS, "nc"}:
            return of_yaml(place, path, content)
    for path in place.files:
        texts = path.parent / "labels"
        if path.name == "classes.txt" and texts.is_dir() and any(texts.rglob("*.txt")):
            lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
            return Settings(path, dict(enumerate(lines)), {}, {})
    return None


def content_of(path: Path) -> Any:
    """A yaml file; None where it is too large to be this one, or no yaml."""
    if path.stat().st_size > LARGEST:
        return None
    try:
        return yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def of_yaml(place: Place, path: Path, content: dict) -> Settings:
    shown = place.shown(path)
    if "kpt_shape" in content:
        raise InputError(f"{shown}: kpt_shape: it is a set of poses, expected one of segments.")
    given = content["names"]
    pairs = enumerate(given) if isinstance(given, list) else want(given, dict, shown).items()
    names = {
        want(key, int, f"{shown} names"): want(name, str, f"{shown} names") for key, name in pairs
    }
    folders: dict[str, str] = {}
    files: dict[Path, str] = {}
    for key, split in KEYS.items():
        for entry in entries(content.get(key)):
            if entry.endswith(".txt"):
                files |= dict.fromkeys(listed(place, path.parent / entry), split)
            elif entry:
                folders[place.shown(path.parent / entry)] = split
    return Settings(path, dict(sorted(names.items())), folders, files)


def entries(value: Any) -> Iterator[str]:
    """A path, or several; without the steps out of the folder that Roboflow writes."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            parts = PurePosixPath(one.replace("\\", "/")).parts
            yield "/".join(part for part in parts if part not in ("..", ".", "/"))


def listed(place: Place, path: Path) -> Iterator[Path]:
    """The pictures that a list names, one a line."""
    if path.is_file() and path.resolve().is_relative_to(place.root):
        for line in read_text(path).splitlines():
            if found := line.strip() and place.pictures.find(line.strip()):
                yield found
