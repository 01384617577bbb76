"""dry=true: what a command would train, what is finished, and how long the rest takes."""

from __future__ import annotations

import copy
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig

from flexunet_exp.config import compose, identity, validation
from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims
from flexunet_exp.sweeps import compose_cells
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking.store import EFFORT, MINUTES, RUN_FOLDER, SCORING, Store, already_done
from flexunet_exp.training import batch_size, precision, starting
from flexunet_exp.training.settings import TrainingSettings

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset

Item = TypeVar("Item")
AFTER_READING = ("cache", "feature_type", "cache_limit", "sampling", "good_share")  # of `dataset`
TIMED = 30  # the newest runs of one effort, of which the minutes are taken


@dataclass
class Cell:
    """A cell of a command: its state, and the minutes it still takes.

    0 minutes: nothing is left to do; NaN: unknown.
    """

    words: list[str]
    state: str
    objective: float = math.nan
    minutes: float = 0.0
    problems: list[str] = field(default_factory=list)


class Past:
    """What exists already: the store's runs, unfinished runs' folders, minutes of finished runs.

    The store is asked for the runs of one work at a time: it may hold many thousands of others.
    """

    def __init__(self, cfg: DictConfig):
        tracking = cfg.tracking
        self.store = (
            Store.if_there(tracking.uri, tracking.experiment_name) if tracking.uri else None
        )
        self.near = claims.all_near()
        self.median: dict[str, float] = {}  # minutes of the runs of one effort

    def runs_of(self, signature: str) -> list[Any]:
        """The store's runs of this work, newest first."""
        return self.store.signed(signature) if self.store else []

    def unfinished_of(self, signature: str, runs: Sequence[Any]) -> Path | None:
        """The folder of the unfinished run that does this work, of which `runs` are stored."""
        names = identity.every(signature)
        stored = [Path(folder) for run in runs if (folder := run.data.tags.get(RUN_FOLDER))]
        marked = (path for path in stored if claims.signature_in(path) in names)
        return next(marked, None) or next(filter(None, map(self.near.get, names)), None)

    def minutes(self, settings: dict) -> float:
        """The median of the newest runs of this effort; NaN where there is none."""
        effort = identity.effort(settings)
        if effort not in self.median:
            took = self.took(effort)
            self.median[effort] = median(took) if took else math.nan
        return self.median[effort]

    def took(self, effort: str) -> list[float]:
        if self.store is None:
            return []
        timed = f"attributes.status = 'FINISHED' AND tags.{MINUTES} LIKE '%'"
        runs = self.store.runs(f"{timed} AND tags.{EFFORT} = '{effort}'", limit=TIMED)
        return [float(run.data.tags[MINUTES]) for run in runs]


class Surveyor:
    """Finds the state of each cell; every data set is read once."""

    def __init__(self, past: Past):
        self.past = past
        self.known: dict[str, Any] = {}
        self.first: dict[tuple[str, str], int] = {}  # the number of the cell that does this work

    def cell(self, number: int, words: list[str], cfg: DictConfig) -> Cell:
        try:
            settings = compose.plain(cfg)
            validation.check_settings(settings)
            signature = self.signature(cfg, settings)
        except InputError as error:
            return Cell(words, "refused", problems=error.problems)
        scoring = identity.scoring_signature(settings)
        first = self.first.setdefault((signature, scoring), number)
        if first != number:
            return Cell(words, f"repeats cell {first}")
        state, objective, minutes = self.standing(settings, signature, scoring)
        return Cell(words, state, objective, minutes)

    def signature(self, cfg: DictConfig, settings: dict) -> str:
        dataset = self.dataset(cfg, settings)
        decided = {"layout": dataset.recipe, "bit_depth": dataset.bit_depth}
        settings["dataset"] = settings["dataset"] | decided
        settings["trainer"]["batch_size"] = number = batch_size.known(cfg, dataset)
        if settings["trainer"]["precision"] == "auto":
            trained = TrainingSettings.from_config(with_batch(cfg, number))
            measured = precision.seconds_in(precision.memory(trained, dataset))
            settings["trainer"]["precision"] = precision.faster(measured) if measured else "auto"
        threads = ProcessSettings.from_config(cfg).num_threads
        return identity.signature(settings, dataset.digest, threads, self.start(cfg))

    def start(self, cfg: DictConfig) -> str:
        """The digest of the weights that the cell begins with; empty without init_from."""

        def digest() -> str:
            with TemporaryDirectory() as scratch:
                found = starting.find(cfg, Path(scratch))
                return found.digest if found else ""

        return self.once(f"init_from={cfg.init_from}", digest)

    def dataset(self, cfg: DictConfig, settings: dict) -> Dataset:
        """The cell's data, split; InputError with every problem of them."""
        from flexunet_exp.data import dataset as datasets

        source = json.dumps(read_of(settings["dataset"]))
        return self.once(
            source + json.dumps(settings["split"]),
            lambda: datasets.split_up(
                cfg, self.once(source, lambda: datasets.scanned(cfg, read_only=True))
            ),
        )

    def once(self, key: str, load: Callable[[], Item]) -> Item:
        """The result of `load`, which is called once per key; its InputError is raised again."""
        if key not in self.known:
            try:
                self.known[key] = load()
            except InputError as error:
                self.known[key] = error
        found = self.known[key]
        if isinstance(found, InputError):
            raise found
        return found

    def standing(self, settings: dict, signature: str, scoring: str) -> tuple[str, float, float]:
        """State, objective and minutes left of work that no other cell does."""
        rerun, needed = settings["rerun"], self.past.minutes(settings)
        runs = self.past.runs_of(signature)
        if folder := self.past.unfinished_of(signature, runs):
            done = claims.epochs_done(folder)
            how = "being trained, epoch" if claims.is_busy(folder) else "cut off at epoch"
            left = 1 - done / settings["trainer"]["epochs"]
            return f"{how} {done}", math.nan, needed * left
        if ended := already_done(runs, scoring, "none"):
            objective = ended.data.metrics.get(settings["objective"], math.nan)
            is_left = already_done(runs, scoring, rerun) is None
            return ended.info.status.lower(), objective, needed if is_left else 0.0
        scorings = {run.data.tags.get(SCORING, "") for run in runs}
        if any(already_done(runs, other, rerun) for other in scorings):
            return "trained, scored otherwise", math.nan, math.nan
        return "missing", math.nan, needed


def with_batch(cfg: DictConfig, number: int | str) -> DictConfig:
    """The configuration with this batch; a copy where it has another, because cells share it."""
    if cfg.trainer.batch_size == number:
        return cfg
    own = copy.deepcopy(cfg)
    own.trainer.batch_size = number
    return own


def read_of(dataset: dict) -> dict:
    """What decides how pictures and masks are read, of the section `dataset`."""
    own = {name: value for name, value in dataset.items() if name not in AFTER_READING}
    return own | {"patch": (dataset.get("patch") or {}).get("size")}


def show(cfg: DictConfig, loader: Any, all_words: Sequence[list[str]]) -> None:
    """Prints the state of each cell; raises InputError with the problems of refused cells."""
    composer = compose_cells.Composer(cfg, loader, all_words)
    surveyor = Surveyor(Past(cfg))
    named = zip(all_words, compose_cells.varying(all_words), strict=True)
    found = [
        surveyor.cell(number, shown, composer.cell(words))
        for number, (words, shown) in enumerate(with_progress(list(named)))
    ]
    print_cells(found, cfg.objective)
    if problems := problems_of(found):
        raise InputError(problems)


def with_progress(items: list[Item]) -> Iterable[Item]:
    """The items, with a progress bar on a terminal."""
    from rich.progress import track

    return track(items, "Checking cells", transient=True, disable=not sys.stdout.isatty())


def problems_of(found: Sequence[Cell]) -> list[str]:
    """Every problem once, with the cells that have it."""
    having: dict[str, list[str]] = {}
    for number, cell in enumerate(found):
        for problem in cell.problems:
            having.setdefault(problem, []).append(str(number))
    if len(found) == 1:
        return list(having)
    return [f"Cell {', '.join(numbers)}: {problem}" for problem, numbers in having.items()]


def print_cells(found: Sequence[Cell], objective: str) -> None:
    """Prints one row per cell, and a summary."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Nothing is trained: dry=true", title_justify="left")
    for name in ("cell", "overrides", "state", objective, "minutes"):
        table.add_column(name, justify="left" if name in ("overrides", "state") else "right")
    for number, cell in enumerate(found):
        score = "–" if math.isnan(cell.objective) else f"{cell.objective:.4f}"
        words = escape(" ".join(cell.words))
        table.add_row(str(number), words, cell.state, score, minutes_text(cell.minutes))
    console = Console()
    console.print(table)
    console.print(summary(found), highlight=False, soft_wrap=True)


def minutes_text(minutes: float) -> str:
    if math.isnan(minutes):
        return "?"
    return f"{minutes:.1f}" if minutes else "–"  # nothing is left to do


def summary(found: Sequence[Cell]) -> str:
    """The number of cells in each state, and the minutes that are left."""
    states = Counter(re.sub(r"( at)?,? (epoch|cell) \d+$", "", cell.state) for cell in found)
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    left = [cell.minutes for cell in found if cell.minutes != 0]
    known = [minutes for minutes in left if not math.isnan(minutes)]
    cells_text = "1 cell" if len(found) == 1 else f"{len(found)} cells"
    text = f"{cells_text}: {counts}. Left: {len(left)}"
    if known:
        text += f", about {minutes_text(sum(known))} minutes"
    if len(known) < len(left):
        text += f" ({len(left) - len(known)} of them of unknown length)"
    return f"{text}."
