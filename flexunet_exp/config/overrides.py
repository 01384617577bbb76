"""The words of a command line: parsed, quoted for Hydra and for a shell, abbreviated."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flexunet_exp.config.options import QUOTED, ROWS
from flexunet_exp.config.options.row import NOTHING, TRAIN, Option

if TYPE_CHECKING:
    from omegaconf import ListConfig

TEXT = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""  # in quotes
# One word of a command line; blanks in quotes belong to the word.
WORD = re.compile(rf"""(?:{TEXT}|[^\s'"])+""", re.DOTALL)
# One of the values of an axis; commas in quotes or a list belong to the value.
PART = re.compile(rf"(?:{TEXT}|\[[^\]]*\]|[^,])+", re.DOTALL)
FUNCTION = re.compile(r"(choice|glob|shuffle|sort)\(.*\)", re.DOTALL)  # of Hydra, for an axis

# Keys, with those below them, that say how a sweep is run; a run alone has no use for them.
OF_SWEEPS = ("launcher", "sweep", "hydra.launcher", "hydra.sweep", "hydra.sweeper")
BY_SWEEPS = ("tracking.vary", "tracking.parent_run_id")  # that a sweep adds to its runs


@dataclass(frozen=True)
class Word:
    """One override: `+a.b=1` has the sign `+` (or `++`, `~`, none), the key `a.b`, the value `1`.

    `value` is None where there is no `=`, as in `~callbacks.curves`. `str` gives the word again.
    """

    key: str
    value: str | None
    sign: str = ""

    @classmethod
    def parse(cls, text: str) -> Word:
        key, equals, value = text.partition("=")
        bare = key.lstrip("+~")
        return cls(bare, value if equals else None, key[: len(key) - len(bare)])

    def __str__(self) -> str:
        return f"{self.sign}{self.key}" + ("" if self.value is None else f"={self.value}")

    @property
    def is_of_sweep(self) -> bool:
        """Whether it is the word of a sweep, or one that a sweep adds to its runs."""
        return any(f"{self.key}.".startswith(f"{key}.") for key in (*OF_SWEEPS, *BY_SWEEPS))

    def quoted(self, command: str = TRAIN, is_sweep: bool = False) -> Word:
        """The word with its value in quotes if it is a path or other text for this command.

        Hydra's grammar then accepts any path. Values already quoted are unchanged, and lists
        `[a,b]` that are not the path of a file. In a sweep, each value of an axis has its own
        quotes; a name for the store or a folder to write into is no axis.
        """
        row = ROWS.get((command.replace("-", "_"), self.key)) or ROWS.get((TRAIN, self.key))
        value = self.value
        if row is None or not (row.literal or row.pattern):
            return self
        if self.sign == "~" or not value:
            return self
        is_axis = is_sweep and row.changes is not NOTHING and not exists(value)
        if is_axis and FUNCTION.fullmatch(value):
            return self
        parts = parts_of(value) if is_axis else [value]
        return Word(self.key, ",".join(in_quotes(part, row) for part in parts), self.sign)

    def as_typed(self) -> Word:
        """The word without the quotes that `quoted` gave it."""
        if self.key not in QUOTED or not self.value:
            return self
        parts = parts_of(self.value)
        if not all(part == "null" or is_quoted(part) for part in parts):
            return self
        if len(parts) == 1:
            return Word(self.key, bare(self.value), self.sign)
        typed = (part if "," in part else bare(part) for part in parts)
        return Word(self.key, ",".join(typed), self.sign)


def parts_of(value: str) -> list[str]:
    """The values of an axis; a value alone where there is no comma between two."""
    parts = PART.findall(value)
    return [part.strip() for part in parts] if ",".join(parts) == value else [value]


def in_quotes(value: str, row: Option) -> str:
    """A value in quotes for Hydra; unchanged if it needs none."""
    listed = value[:1] == "[" and value[-1:] == "]" and not exists(value)
    if value == "null" or is_quoted(value) or listed:
        return value
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    if escaped.endswith("\\"):
        escaped += "\\" * (len(escaped) - len(escaped.rstrip("\\")))
    if row.literal:
        escaped = escaped.replace("${", r"\${")
    return f"'{escaped}'"


def bare(value: str) -> str:
    """A value without the quotes that `in_quotes` gave it."""
    if not is_quoted(value):
        return value
    return re.sub(r"(\\+)('|$)", halved, value[1:-1]).replace(r"\${", "${")


def exists(path: str) -> bool:
    return os.path.exists(os.path.expanduser(path))  # False, too, for a text that is no path


def is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""


def halved(backslashes: re.Match[str]) -> str:
    """Backslashes before a quote or the end as they were before `quoted` doubled them."""
    return backslashes[1][: len(backslashes[1]) // 2] + backslashes[2]


def quote_path(argument: str, command: str = TRAIN, is_sweep: bool = False) -> str:
    """A word of a command's line, with a path quoted for Hydra."""
    return str(Word.parse(argument).quoted(command, is_sweep))


def sweeps(words: Iterable[str]) -> bool:
    """Whether the words of a command's line ask for a sweep."""
    return any(word in ("-m", "--multirun", "hydra.mode=MULTIRUN") for word in words)


def words_in(line: str) -> list[Word]:
    """The words of a line that a run was started with, as they were typed."""
    is_whole = not WORD.sub("", line).strip()
    found = WORD.findall(line) if is_whole else line.split()  # cut off within quotes
    return [Word.parse(text).as_typed() for text in found]


def shell(words: Iterable[str | Word]) -> str:
    """A command as it is typed into a shell."""
    return shlex.join(map(str, words))


def unresolved(words: ListConfig) -> list[str]:
    """Overrides as Hydra got them: a `${…}` in them may have no value yet."""
    from omegaconf import OmegaConf

    return cast(list[str], OmegaConf.to_container(words, resolve=False))


def task_overrides() -> list[Word]:
    """The words of the job that runs, quoted for Hydra; none outside of a Hydra app."""
    from hydra.core.hydra_config import HydraConfig

    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return [Word.parse(text) for text in given]


def choices() -> dict[str, str | None]:
    """Which file of each config group the job that runs was composed from."""
    from hydra.core.hydra_config import HydraConfig

    return dict(HydraConfig.get().runtime.choices)


def short(key: str, value: str) -> str:
    """A choice as its value, any other setting by its initials: base_filters=8 → bf=8."""
    value = bare(value)
    if "." not in key:
        return value
    initials = "".join(word[0] for word in key.rsplit(".", 1)[-1].split("_") if word)
    is_number = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", value)
    if is_number and len(value) >= 8:  # a number that a search drew
        value = f"{float(value):.3g}"
    return f"{initials}={value}"
