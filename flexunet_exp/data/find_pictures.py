"""Finds the pictures of files, folders and globs, and names the outputs of each."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from flexunet_exp.data.channels import Channels
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES
from flexunet_exp.data.volumes.volume import suffix_of
from flexunet_exp.errors import InputError


class Found(NamedTuple):
    """A picture, and its path below the input it was found in."""

    path: Path  # absolute
    relative: str  # with slashes; a single file's is its name
    stem: str = ""  # with slashes, of a picture of several files: what they have in common


class Picture(NamedTuple):
    """A picture to predict."""

    path: Path  # absolute
    file: str  # as the tables show it
    name: str  # of its outputs: masks/NAME.png


class Named(Protocol):
    """A picture predicted before: its path in the tables and the name of its outputs."""

    @property
    def file(self) -> str: ...
    @property
    def name(self) -> str: ...


def find(
    words: Iterable[str], output: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> list[Found]:
    """The pictures of all inputs, each once; none from below `output`.

    A word is a file, a folder, or a glob in which ** stands for any number of folders. `suffixes`
    are those of the files that are taken, in small letters. Raises InputError listing every word
    without a picture.
    """
    found: dict[Path, Found] = {}
    problems = []
    made_here = os.path.realpath(output)
    for word in words:
        try:
            hits = [hit for hit in expand(word, suffixes) if not is_below(hit.path, made_here)]
        except InputError as error:
            problems += error.problems
            continue
        if not hits:
            problems.append(
                f"input={word}: no picture found; expected files ending in "
                f"{', '.join(suffixes)} that are not below output={output}."
            )
        for hit in hits:
            found.setdefault(hit.path, hit)
    if problems:
        raise InputError(problems)
    return list(found.values())


def of_lights(found: Iterable[Found], channels: Channels) -> list[Found]:
    """The pictures of files: those of all lights are one, by the file of its first light.

    A file that ends in no light is a picture of its own.
    """
    pictures: dict[Path, Found] = {}
    for hit in found:
        path = channels.files(hit.path)[0]
        if channels.light_of(hit.path.stem):
            relative = PurePosixPath(hit.relative)
            stem = relative.with_name(channels.stem_of(hit.path)).as_posix()
            hit = Found(path, relative.with_name(path.name).as_posix(), stem)
        pictures.setdefault(path, hit)
    return list(pictures.values())


def expand(word: str, suffixes: Sequence[str]) -> list[Found]:
    """The pictures that one word of `input` names; an existing path is not read as a glob."""
    path = Path(os.path.expanduser(word)).absolute()
    if path.is_dir():
        return below(path, walk(path, suffixes))
    if path.exists():
        if not has_suffix(path, suffixes):
            raise InputError(
                f"input={word}: not a picture by its name; expected a file ending in "
                f"{', '.join(suffixes)}, a folder or a glob."
            )
        return below(path.parent, [path])
    fixed = list(takewhile(lambda part: not re.search(r"[*?[]", part), path.parts))
    pattern = path.parts[len(fixed) :]
    if not pattern:
        raise InputError(f"input={word}: there is no such file or folder.")
    if ".." in pattern:
        raise InputError(f"input={word}: a glob must not have .. after its first wildcard.")
    return below(Path(*fixed), matches(Path(*fixed), pattern, suffixes))


def below(root: Path, paths: Iterable[Path]) -> list[Found]:
    return [Found(path, path.relative_to(root).as_posix()) for path in paths]


def matches(root: Path, pattern: Sequence[str], suffixes: Sequence[str]) -> Iterator[Path]:
    """The pictures below a folder that match a glob, and those in the folders that match it.

    Python's own ** follows links in circles; a glob with ** is matched against `walk` instead.
    """
    if "**" in pattern:
        found = walk(root, suffixes)
        yield from (path for path in found if fits(path.relative_to(root).parts, pattern))
        return
    for hit in sorted(map(Path, glob.glob(os.path.join(*pattern), root_dir=root))):
        path = root / hit
        if path.is_dir():
            yield from walk(path, suffixes)
        elif has_suffix(path, suffixes):
            yield path


def fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(fits(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and fits(parts[1:], pattern[1:])


def walk(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The visible pictures below a folder; each real folder once, so that a loop of links ends.

    Includes the folders that cannot be listed: reading one as a picture raises the error.
    """
    unreadable: list[OSError] = []
    seen = set()
    for parent, folders, names in os.walk(folder, onerror=unreadable.append, followlinks=True):
        real = os.path.realpath(parent)
        visible = [name for name in folders if name[0] != "." and real not in seen]
        # Links last, so that a picture is found under its own name first.
        folders[:] = sorted(visible, key=lambda name: (os.path.islink(f"{parent}/{name}"), name))
        if real not in seen:
            files = (Path(parent, name) for name in sorted(names) if name[0] != ".")
            yield from (path for path in files if has_suffix(path, suffixes))
        seen.add(real)
    yield from (Path(error.filename) for error in unreadable)


def has_suffix(path: Path, suffixes: Sequence[str]) -> bool:
    name = path.name.lower()
    # A file that is called `.png` has no suffix, and is hidden.
    return any(name.endswith(suffix) and name != suffix for suffix in suffixes)


def is_below(path: Path, folder: str) -> bool:
    return os.path.realpath(path).startswith(os.path.join(folder, ""))


def named(found: Sequence[Found], made: Mapping[Path, Named]) -> list[Picture]:
    """The pictures with their names from `made`; a new picture has a name that no other has.

    The name of a new picture is its path without suffix; where two pictures would share that name,
    the path with suffix; where they would share that too, the path and a hash of the absolute path.
    """
    new = [hit for hit in found if hit.path not in made]
    files = distinct(new, (of_relative, of_path), {entry.file for entry in made.values()})
    names = distinct(new, (of_stem, of_relative, of_place), {entry.name for entry in made.values()})
    files |= {path: entry.file for path, entry in made.items()}
    names |= {path: entry.name for path, entry in made.items()}
    return [Picture(hit.path, files[hit.path], names[hit.path]) for hit in found]


def distinct(
    found: Sequence[Found], candidates: Sequence[Callable[[Found], str]], taken: set[str]
) -> dict[Path, str]:
    """For each picture, the first candidate that no other picture has and that is not `taken`."""
    chosen: dict[Path, str] = {}
    for candidate in candidates:
        waiting = [hit for hit in found if hit.path not in chosen]
        offers = Counter(map(candidate, waiting))
        free = {text for text, number in offers.items() if number == 1} - taken
        chosen |= {hit.path: candidate(hit) for hit in waiting if candidate(hit) in free}
        taken = taken | free
    return chosen


def of_stem(hit: Found) -> str:
    suffix = suffix_of(hit.relative) or PurePosixPath(hit.relative).suffix
    return hit.stem or hit.relative[: len(hit.relative) - len(suffix)]


def of_relative(hit: Found) -> str:
    return hit.relative


def of_path(hit: Found) -> str:
    return str(hit.path)


def of_place(hit: Found) -> str:
    return f"{hit.relative}-{hashlib.sha256(os.fsencode(hit.path)).hexdigest()[:16]}"
