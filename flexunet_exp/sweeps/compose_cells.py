"""Composes the cells of a sweep quickly.

Hydra composes a configuration in some 100 ms, and so a sweep of 500 cells in a minute. Here Hydra
composes each choice of an axis once, with the first choice of all other axes. A cell is the first
cell's configuration with the differences of its choices applied. Choices that set options of other
sections, such as an experiment's, are always composed by Hydra.
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
GONE = object()  # the value of a setting that a choice does not have


def overrides_of(cfg: DictConfig, loader: Any, words: Sequence[str]) -> list[list[str]]:
    """The overrides of every cell of a sweep, as Hydra's own sweeper makes them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    given = [f"{axis}={values}" for axis, values in presets.params(cfg).items()] + list(words)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(given)
    (cells,) = BasicSweeper.split_arguments(parsed, None)
    return cells


def varying(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """The words in which each cell differs from the others; all words of a single cell."""
    if len(cells) == 1:
        return [[word for word in cells[0] if word != "dry=true"]]
    differs = [len(set(choices)) > 1 for choices in zip(*cells, strict=True)]
    return [[word for word, d in zip(cell, differs, strict=True) if d] for cell in cells]


class Composer:
    """Composes the configuration of each cell of one sweep, without the section `hydra`."""

    def __init__(self, cfg: DictConfig, loader: Any, all_words: Sequence[Sequence[str]]):
        self.loader = loader
        self.always = unresolved(cfg.hydra.overrides.hydra)
        self.name = cfg.hydra.job.config_name
        self.groups = set(cfg.hydra.runtime.choices)  # keys whose value names a file
        self.wide = self.wide_axes(all_words)
        self.bases: dict[tuple[str, ...], Base] = {}

    def cell(self, words: Sequence[str]) -> DictConfig:
        """The configuration of a cell, valid until the next call, which may change the object.

        A copy would take as long as everything else here.
        """
        key = tuple(words[axis] for axis in self.wide)
        if key not in self.bases:
            self.bases[key] = Base(words, self.compose, self.groups)
        return self.bases[key].cell(words)

    def compose(self, words: Sequence[str]) -> DictConfig:
        """The configuration as Hydra composes it."""
        cfg = self.loader.load_configuration(self.name, [*self.always, *words], RunMode.RUN)
        with open_dict(cfg):
            del cfg["hydra"]
        return cfg

    def wide_axes(self, all_words: Sequence[Sequence[str]]) -> list[int]:
        """The axes whose choices set options outside of a section that only they set.

        Hydra composes these always: another axis may override such an option in one cell, and not
        in the next.
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
    """A cell composed by Hydra, and the differences that other choices of its axes make."""

    def __init__(
        self,
        first: Sequence[str],
        compose: Callable[[Sequence[str]], DictConfig],
        groups: set[str],
    ):
        self.first, self.compose, self.groups = list(first), compose, groups
        self.cfg = compose(first)
        self.raw = OmegaConf.to_container(self.cfg)
        self.changed: set[Place] = set()  # where `cfg` currently differs from `raw`
        self.known: dict[tuple[int, str], dict[Place, Any]] = {}

    def cell(self, words: Sequence[str]) -> DictConfig:
        changes = [
            self.changes(number, word)
            for number, (word, first) in enumerate(zip(words, self.first, strict=True))
            if word != first
        ]
        if meet(changes):  # two choices set the same option: only Hydra knows which one wins
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
        """The differences in the first cell's configuration with this word in its place."""
        if (number, word) not in self.known:
            self.known[number, word] = self.plain_value(word) or self.composed(number, word)
        return self.known[number, word]

    def composed(self, number: int, word: str) -> dict[Place, Any]:
        words = [*self.first[:number], word, *self.first[number + 1 :]]
        return dict(differences(self.raw, OmegaConf.to_container(self.compose(words))))

    def plain_value(self, word: str) -> dict[Place, Any]:
        """The difference of a word that sets one number or text; empty for any other word."""
        override = parsed(word)
        key, value = override.key_or_group, override.value()
        place = tuple(key.split("."))
        node = value_at(self.raw, place)
        is_change = override.type == OverrideType.CHANGE and key not in self.groups
        if not is_change or node is GONE or isinstance(node, dict) or isinstance(value, dict):
            return {}
        return {place: value}


def differences(old: Any, new: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """The settings that differ in `new`, with interpolations not resolved."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key, GONE), new.get(key, GONE), (*place, key))
    elif old != new:
        yield place, new


def meet(changes: Sequence[dict[Place, Any]]) -> bool:
    """Whether two of the changes are in the same place, or one is inside another."""
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
