"""Reading an INI file as its author meant it, with the lines, comments and faults that it has.

Python's configparser refuses a whole file for one duplicated key, and the original program then
trained its defaults. This reader keeps each key, and says what was wrong with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flexunet_exp.errors import InputError

LARGEST = 1_000_000  # bytes; a file of the family has some thousand
SECTION = re.compile(r"\[([^\]]+)\]")
PAIR = re.compile(r"([^=:\s][^=:]*?)\s*[=:]\s*(.*)")
COMMENT = ("#", ";")


@dataclass
class Entry:
    """A key with its value as text, where it stands, and the comment lines directly above it."""

    section: str
    key: str
    text: str
    line: int
    comment: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # for which the original did not read the file

    @property
    def place(self) -> str:
        return f"line {self.line}: [{self.section}] {self.key}"

    @property
    def name(self) -> tuple[str, str]:
        return self.section, self.key


def read(path: Path) -> list[Entry]:
    """The entries in their order, of a key given twice both.

    Raises InputError if it is no INI file, with every line that cannot be read.
    """
    entries, problems = parsed(text_of(path).splitlines())
    if not entries and not problems:
        problems = ["it has no key"]
    if problems:
        raise InputError([f"{path}: {one}" for one in problems])
    mark_twice(entries)
    return entries


def text_of(path: Path) -> str:
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b"\0"
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}. Name the file: flexunet import-config FILE.config"
        ) from error
    if b"\0" in content:
        raise InputError(f"{path} is no text of at most 1 MB, expected an INI file (.config)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # only comments have other letters


def parsed(lines: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """The entries, and the problems of lines that belong to none."""
    entries: list[Entry] = []
    problems: list[str] = []
    comment: list[str] = []
    section, indent, last = "", 0, None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(COMMENT):
            comment.append(text.lstrip("#;").strip())
        elif not text:
            continue
        elif last and continues(last, line, indent):
            last.text += f"\n{text}"
        elif match := SECTION.match(text):
            section, last, comment = match[1].strip(), None, []
        elif section and (match := PAIR.fullmatch(text)):
            last = Entry(section.lower(), match[1].lower(), match[2], number, comment)
            indent, comment = indent_of(line), []
            entries.append(last)
        elif section or not problems:  # of many lines before any section, the first will do
            problems.append(unreadable(number, text, section))
    return entries, problems


def continues(entry: Entry, line: str, indent: int) -> bool:
    """Whether a line goes on with a value: it is indented further, or a bracket is still open."""
    if indent_of(line) > indent:
        return True
    if is_open(entry.text) and not SECTION.fullmatch(line.strip()):
        fault = "its value goes on in a line that is not indented"
        entry.faults += [fault] if fault not in entry.faults else []
        return True
    return False


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def is_open(text: str) -> bool:
    bare = re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "", text)
    return sum(bare.count(one) for one in "([{") > sum(bare.count(one) for one in ")]}")


def unreadable(number: int, text: str, section: str) -> str:
    if not section:
        return f"line {number}: found {text[:60]!r} before any [section]; expected [model]"
    return f"line {number}: found {text[:60]!r}, expected key = value"


def mark_twice(entries: Sequence[Entry]) -> None:
    """The last of several counts."""
    last = {one.name: one.line for one in entries}
    counts = Counter(one.name for one in entries)
    for one in entries:
        if counts[one.name] > 1:
            is_last = last[one.name] == one.line
            again = "this line counts" if is_last else f"line {last[one.name]} counts"
            one.faults.append(f"it is given twice, and {again}")


def faults(entries: Sequence[Entry]) -> Iterator[str]:
    """Why the original could not read the file, and trained its defaults."""
    return (f"{one.place}: {fault}" for one in entries for fault in one.faults)
