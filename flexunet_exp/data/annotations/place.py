"""The folder of an export: its files, and its pictures by name.

Nothing outside of the folder is read: names in annotations may climb out of it, or be of another
machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from flexunet_exp.data.annotations.checked_json import read_json
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES
from flexunet_exp.errors import InputError

UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")


class Place:
    """An export: `given` is the folder or the file that was typed; `images` where pictures lie.

    `options` are those of its format alone, such as the patterns of its files. Raises InputError
    where there is no such file or folder.
    """

    def __init__(
        self,
        given: Path,
        images: Path | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
    ):
        self.options = options
        self.given = given.expanduser().resolve()
        self.images = images.expanduser().resolve() if images else None
        for path, word in ((self.given, "input"), (self.images, "images")):
            if path and not path.exists():
                raise InputError(f"{word}={path}: there is no such file or folder.")
        if self.images and not self.images.is_dir():
            raise InputError(f"images={self.images}: expected the folder of the pictures.")

    @property
    def root(self) -> Path:
        """The folder of the export; of a file, the folder it lies in."""
        return self.given if self.given.is_dir() else self.given.parent

    @cached_property
    def files(self) -> list[Path]:
        """All files of annotations, or masks, below the folder, sorted; the one that was typed."""
        return [self.given] if self.given.is_file() else [*walk(self.root)]

    def of_suffix(self, *suffixes: str) -> list[Path]:
        return [path for path in self.files if path.suffix.lower() in suffixes]

    @cached_property
    def pictures(self) -> Pictures:
        return Pictures(self.images or self.root, self.root)

    def json(self, path: Path) -> Any:
        return read_json(path)

    def shown(self, path: Path) -> str:
        """A path as messages show it: relative to the folder."""
        return path.relative_to(self.root).as_posix() if self.root in path.parents else str(path)


class Pictures:
    """The picture files below a folder, found by the names that annotations give them."""

    def __init__(self, folder: Path, near: Path):
        self.folder = folder
        found = [path for path in walk(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
        if not found and folder == near and folder.parent != folder:  # annotations/ beside images/
            self.folder = folder.parent
            found = [p for p in walk(self.folder) if p.suffix.lower() in IMAGE_SUFFIXES]
        self.all = found
        self.by_path = {path.relative_to(self.folder).as_posix(): path for path in found}
        self.by_name: dict[str, list[Path]] = {}
        self.by_stem: dict[str, list[Path]] = {}
        for path in found:
            self.by_name.setdefault(path.name.lower(), []).append(path)
            self.by_stem.setdefault(path.stem.lower(), []).append(path)

    def find(self, name: str, beside: Path | None = None) -> Path | None:
        """The file of a name such as `..\\img\\a.jpg`: beside a file, by its path, or by its name.

        Of several files of the name, the one counts whose path ends like more of it. None where
        there is none, or no such one.
        """
        parts = [part for part in PureWindowsPath(unquote(name)).parts if part not in (".", "..")]
        tails = ["/".join(parts[start:]) for start in range(len(parts))]
        if beside is not None and beside.is_relative_to(self.folder):
            folder = beside.relative_to(self.folder).as_posix()
            start = "" if folder == "." else f"{folder}/"
            for tail in tails:
                if path := self.by_path.get(f"{start}{tail}"):
                    return path
        for tail in tails:
            if path := self.by_path.get(tail):
                return path
        for last in (parts[-1].lower(), before_upload(parts[-1].lower())) if parts else ():
            same = self.by_name.get(last, [])
            for tail in tails[:-1]:
                fitting = [path for path in same if path.as_posix().endswith(f"/{tail}")]
                if len(fitting) == 1:
                    return fitting[0]
            if same:
                return same[0] if len(same) == 1 else None
        return None

    def find_stem(self, stem: str) -> Path | None:
        """The one picture with this stem, whatever its suffix."""
        same = self.by_stem.get(Path(stem).name.lower(), [])
        return same[0] if len(same) == 1 else None


def before_upload(name: str) -> str:
    """The name of a file before Label Studio put eight characters in front of it."""
    return UPLOADED.sub("", name)


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted, without hidden ones and without following links."""
    for current, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and not name.startswith("__MACOSX"):
                path = Path(current, name)
                if path.is_file() and not (path.is_symlink() and leads_out(path, folder)):
                    yield path


def leads_out(path: Path, folder: Path) -> bool:
    return not path.resolve().is_relative_to(folder.resolve())
