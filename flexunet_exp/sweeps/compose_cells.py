"""The cells of a sweep, composed quickly.

Hydra composes a configuration in some 100 ms, a sweep of 500 cells in a minute. Here each choice of
an axis is composed once, beside the first choice of all the others; a cell is the first cell's
configuration with its choices' differences laid over it. Choices that reach into other sections,
such as an experiment's, are always composed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.core.default_element import ConfigDefault, GroupDefault, InputDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from flexunet_exp.config.overrides import unresolved
from flexunet_exp.sweeps import presets

Place = tuple[str, ...]  # the keys that lead to a setting
GONE = object()  # the value of one that a choice has not got


def overrides_of(cfg: DictConfig, loader: Any, words: Sequence[str]) -> list[list[str]]:
    """What every cell of a sweep is called with, as Hydra's own sweeper would make them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    given = [f"{axis}={values}" for axis, values in presets.params(cfg).items()] + list(words)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(given)
    (cells,) = BasicSweeper.split_arguments(parsed, None)
    return cells


def varying(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """What each cell differs in from others; all of it where there is one cell alone."""
    if len(cells) == 1:
        return [[word for word in cells[0] if word != "dry=true"]]
    differs = [len(set(choices)) > 1 for choices in zip(*cells, strict=True)]
    return [[word for word, d in zip(cell, differs, strict=True) if d] for cell in cells]


class Composer:
    """Gives the configuration of each cell of one sweep, without Hydra's own part."""

    def __init__(self, cfg: DictConfig, loader: Any, all_words: Sequence[Sequence[str]]):
        self.loader = loader
        self.always = unresolved(cfg.hydra.overrides.hydra)
        self.name = cfg.hydra.job.config_name
        self.groups = set(cfg.hydra.runtime.choices)  # what a choice of which names a file
        self.wide = self.wide_axes(all_words)
        self.bases: dict[tuple[str, ...], Base] = {}

    def cell(self, words: Sequence[str]) -> DictConfig:
        """The configuration of a cell, until the next one is asked for: the same object may be it.

        Copying it would take as long as all the rest.
        """
        key = tuple(words[axis] for axis in self.wide)
        if key not in self.bases:
            self.bases[key] = Base(words, self.compose, self.groups)
        return self.bases[key].cell(words)

    def compose(self, words: Sequence[str]) -> DictConfig:
        """As Hydra does it."""
        cfg = self.loader.load_configuration(self.name, [*self.always, *words], RunMode.RUN)
        with open_dict(cfg):
            del cfg["hydra"]
        return cfg

    def wide_axes(self, all_words: Sequence[Sequence[str]]) -> list[int]:
        """The axes whose choices reach beyond a section of their own: nothing is laid over those.

        What they set can be hidden by another axis in one cell and show in the next.
        """
        axes = {
            number: sorted(set(choices))
            for number, choices in enumerate(zip(*all_words, strict=True))
            if len(set(choices)) > 1 and parsed(choices[0]).key_or_group in self.groups
        }
        sections = [parsed(words[0]).key_or_group.split("/")[0] for words in axes.values()]
        return [
            number
            for (number, words), section in zip(axes.items(), sections, strict=True)
            if sections.count(section) > 1 or any(map(self.is_wide, words))
        ]

    def is_wide(self, word: str) -> bool:
        """Whether a choice's file sets anything in another section than its own."""
        override = parsed(word)
        if not isinstance(override.value(), str):
            return True
        path = f"{override.key_or_group}/{override.value()}"
        file = self.loader.repository.load_config(path)
        if file is None or file.header.get("package"):
            return True
        return any(is_foreign(entry) for entry in file.defaults_list)


def parsed(word: str) -> Override:
    return OverridesParser.create().parse_override(word)


def is_foreign(entry: InputDefault) -> bool:
    """Whether an entry of a defaults list chooses something outside of its file's section."""
    if isinstance(entry, ConfigDefault):
        return entry.path is not None and ("${" in entry.path or entry.path.startswith("/"))
    assert isinstance(entry, GroupDefault)
    return bool(entry.is_override() or "${" in str(entry.value) or str(entry.group).startswith("/"))


class Base:
    """A cell composed whole, and what its choices' alternatives change in it."""

    def __init__(
        self,
        first: Sequence[str],
        compose: Callable[[Sequence[str]], DictConfig],
        groups: set[str],
    ):
        self.first, self.compose, self.groups = list(first), compose, groups
        self.cfg = compose(first)
        self.raw = OmegaConf.to_container(self.cfg)
        self.changed: set[Place] = set()  # where cfg is another cell's at the moment
        self.known: dict[tuple[int, str], dict[Place, Any]] = {}

    def cell(self, words: Sequence[str]) -> DictConfig:
        changes = [
            self.changes(number, word)
            for number, (word, first) in enumerate(zip(words, self.first, strict=True))
            if word != first
        ]
        if meet(changes):  # two choices decide the same setting: Hydra knows which one wins
            return self.compose(words)
        wanted = {place: value for change in changes for place, value in change.items()}
        with open_dict(self.cfg):
            for place in self.changed - set(wanted):
                put(self.cfg, place, value_at(self.raw, place))
            for place, value in wanted.items():
                put(self.cfg, place, value)
        self.changed = set(wanted)
        return self.cfg

    def changes(self, number: int, word: str) -> dict[Place, Any]:
        """What this word in the place of the first cell's makes of its configuration."""
        if (number, word) not in self.known:
            self.known[number, word] = self.plain_value(word) or self.composed(number, word)
        return self.known[number, word]

    def composed(self, number: int, word: str) -> dict[Place, Any]:
        words = [*self.first[:number], word, *self.first[number + 1 :]]
        return dict(differences(self.raw, OmegaConf.to_container(self.compose(words))))

    def plain_value(self, word: str) -> dict[Place, Any]:
        """What a word changes that sets one number or text of the configuration; else nothing."""
        override = parsed(word)
        key, value = override.key_or_group, override.value()
        place = tuple(key.split("."))
        node = value_at(self.raw, place)
        is_change = override.type == OverrideType.CHANGE and key not in self.groups
        if not is_change or node is GONE or isinstance(node, dict) or isinstance(value, dict):
            return {}
        return {place: value}


def differences(old: Any, new: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """The settings, interpolations as they are written, that are others in `new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key, GONE), new.get(key, GONE), (*place, key))
    elif old != new:
        yield place, new


def meet(changes: Sequence[dict[Place, Any]]) -> bool:
    """Whether two of the changes are in the same place, or one within another's."""
    places = [place for change in changes for place in change]
    heads = {place[:length] for place in places for length in range(1, len(place))}
    return len(set(places)) < len(places) or not heads.isdisjoint(places)


def value_at(raw: Any, place: Place) -> Any:
    for key in place:
        raw = raw.get(key, GONE) if isinstance(raw, dict) else GONE
    return raw


def put(cfg: DictConfig, place: Place, value: Any) -> None:
    node = cfg
    for key in place[:-1]:
        node = node[key]
    if value is GONE:
        node.pop(place[-1], None)
    else:
        node[place[-1]] = value
