"""The cells of a sweep, composed quickly.

Hydra composes a configuration in some 100 ms, a sweep of 500 cells in a minute. Here each choice of
an axis is composed once, beside the first choice of all the others; a cell is the first cell's
configuration with its choices' differences laid over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from flexunet_exp.sweeping import presets

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

    def __init__(self, cfg: DictConfig, loader: Any, first: Sequence[str]):
        self.loader, self.first = loader, list(first)
        self.always, self.name = list(cfg.hydra.overrides.hydra), cfg.hydra.job.config_name
        self.groups: set[str] = set()  # of which a choice names a file
        self.base = self.compose(first)
        self.raw = OmegaConf.to_container(self.base)
        self.known: dict[tuple[int, str], dict[Place, Any]] = {}

    def compose(self, words: Sequence[str]) -> DictConfig:
        """As Hydra does it."""
        cfg = self.loader.load_configuration(self.name, [*self.always, *words], RunMode.RUN)
        self.groups |= set(cfg.hydra.runtime.choices)
        with open_dict(cfg):
            del cfg["hydra"]
        return cfg

    def cell(self, words: Sequence[str]) -> DictConfig:
        changes = [
            self.changes(number, word)
            for number, (word, first) in enumerate(zip(words, self.first, strict=True))
            if word != first
        ]
        if meet(changes):  # two choices decide the same setting: Hydra knows which one wins
            return self.compose(words)
        cfg = self.base.copy()
        with open_dict(cfg):
            for place, value in (entry for change in changes for entry in change.items()):
                put(cfg, place, value)
        return cfg

    def changes(self, number: int, word: str) -> dict[Place, Any]:
        """What this word in the place of the first cell's makes of its configuration."""
        if value := self.plain_value(word):
            return value
        if (number, word) not in self.known:
            words = [*self.first[:number], word, *self.first[number + 1 :]]
            raw = OmegaConf.to_container(self.compose(words))
            self.known[number, word] = dict(differences(self.raw, raw))
        return self.known[number, word]


    def plain_value(self, word: str) -> dict[Place, Any]:
        """What a word changes that sets one number or text of the configuration; else nothing."""
        (override,) = OverridesParser.create().parse_overrides([word])
        key, value = override.key_or_group, override.value()
        place = tuple(key.split("."))
        node: Any = self.raw
        for name in place:
            node = node.get(name, GONE) if isinstance(node, dict) else GONE
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


def put(cfg: DictConfig, place: Place, value: Any) -> None:
    node = cfg
    for key in place[:-1]:
        node = node[key]
    if value is GONE:
        del node[place[-1]]
    else:
        node[place[-1]] = value
