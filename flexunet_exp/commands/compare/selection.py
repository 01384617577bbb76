"""Selects the runs to compare, from the store's database alone: their files are not opened.

The store gives only the runs that are named: MLflow takes milliseconds for each.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from flexunet_exp.config import options
from flexunet_exp.config.overrides import Word, words_in
from flexunet_exp.errors import InputError
from flexunet_exp.tracking.store import (
    CELL,
    ERROR,
    IS_SWEEP,
    PARENT,
    RUN_FOLDER,
    SCORING,
    SIGNATURE,
    STOPPED,
    SWEEP,
    Store,
    has_learned,
    quoted,
)

REPEATED = tuple(map(options.param_name, options.REPEATED))  # in which runs of one cell differ
SCORED = ("val/", "test/")  # the figures of an evaluation
ID_DIGITS = 32  # of a run's id
SHORTEST = 4  # the least number of digits that is taken for the beginning of a run's id
SUGGESTED = 500  # of the newest runs, and of the newest sweeps: suggested for a misspelt one


@dataclass(frozen=True)
class Trial:
    """One training: settings and overrides as typed, figures, and how it ended."""

    run_id: str
    name: str
    status: str  # FINISHED, FAILED, KILLED, RUNNING of MLflow; else "stopped" or "not scored"
    started: int  # milliseconds
    minutes: float  # from its beginning to its end, pauses included; NaN while it runs
    settings: dict[str, str]
    repeat: tuple[str, str, str]  # seed, fold, split.seed
    overrides: tuple[Word, ...]
    metrics: dict[str, float]  # of validation and test
    test_digest: str
    error: str
    parent: str
    signature: tuple[str, str] | None
    artifact_uri: str
    learned: bool = True  # False: no epoch beat predicting nothing and everything

    @property
    def replicate(self) -> tuple[str, str]:
        """Seed and split.seed: the folds of one replicate together predict every source once."""
        return self.repeat[0], self.repeat[2]

    @property
    def is_tested(self) -> bool:
        return any(key.startswith("test/") for key in self.metrics)

    @cached_property
    def test_set(self) -> tuple[str, tuple[str, ...]]:
        """What makes two runs comparable: digest of the test pictures, and the classes in them.

        Of a run without test pictures, both are those of valid.
        """
        start = "test/dice/" if self.is_tested else "val/dice/"
        classes = (key.removeprefix(start) for key in self.metrics if key.startswith(start))
        return self.test_digest, tuple(sorted(classes))


@dataclass(frozen=True)
class Selection:
    """The runs to compare, their title, and the id of their common parent run if there is one."""

    trials: list[Trial]
    title: str
    parent: str | None


def select(store: Store, words: Sequence[str], filter_string: str = "") -> Selection:
    """The trainings of an experiment that `words` name and the filter, in MLflow's language, lets.

    A word is `all`, `latest` (the newest sweep), the id of a run, a sweep's name, a run folder, or
    the beginning of an id. Without words it is the newest sweep; all runs if there is no sweep, or
    with a filter. Raises InputError with every word that names nothing, and for a filter that is
    wrong or that no run matches.
    """
    if not words:
        words = ["all"] if filter_string or not store.newest(IS_SWEEP) else ["latest"]
    found: list[Named] = []
    problems = []
    for word in words:
        try:
            found.append(find(word, store))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    trials = distinct(one for each in found for one in read(store, each, filter_string))
    title = ", ".join(one.title for one in found)
    if filter_string and not trials:
        refuse_filter(store, found, title)
    of_one = {one.parent for one in found} if len(found) == 1 else {None}
    common = of_one - {None} or {trial.parent for trial in trials}
    parent = next(iter(common)) or None if len(common) == 1 else None
    return Selection(trials, title, parent)


class Named(NamedTuple):
    """What a word names: a title, the filters of which a run matches one, and the sweep's id."""

    title: str
    filters: list[str]
    parent: str | None = None


def read(store: Store, named: Named, filter_string: str) -> list[Trial]:
    """The trainings that a word names and the filter lets, newest first."""
    found = [
        trial(run)
        for among in named.filters
        for run in store.search(filter_string, among)
        if SWEEP not in run.data.tags
    ]
    return sorted(found, key=lambda one: (-one.started, one.run_id))


def distinct(trials: Iterable[Trial]) -> list[Trial]:
    return list({one.run_id: one for one in trials}.values())


def refuse_filter(store: Store, found: Sequence[Named], title: str) -> None:
    """Raises InputError where there are runs that a filter could match."""
    if number := len(distinct(one for each in found for one in read(store, each, ""))):
        raise InputError(
            f"{title}: the filter matches none of its {number} runs. Look at the "
            "parameters and metrics of a run in the UI (flexunet ui), or leave out filter="
        )


def find(word: str, store: Store) -> Named:
    """What a word names; InputError if it matches nothing, or several ids."""
    if word == "all":
        return Named("all runs", [""])
    if word == "latest":
        if newest := store.newest(IS_SWEEP):
            return of_sweep(newest)
        raise InputError("runs=latest: there is no sweep yet. Try runs=all")
    found = next(filter(None, matches(word, store)), [])
    if len(found) != 1:
        raise InputError(not_one(word, found, store))
    (run,) = found
    if SWEEP in run.data.tags:
        return of_sweep(run)
    return Named(run.info.run_name, [f"attributes.run_id = '{run.info.run_id}'"])


def matches(word: str, store: Store) -> Iterator[list[Any]]:
    """The runs of this id; the newest sweep of this name; those of this folder; of this prefix."""
    folder = str(Path(word).expanduser().absolute())
    is_id = re.fullmatch(r"[0-9a-f]+", word)
    if is_id and len(word) == ID_DIGITS:
        yield store.runs(f"attributes.run_id = '{word}'")
    if not {"'", '"'} <= set(folder):
        yield store.runs(f"{IS_SWEEP} AND attributes.run_name = {quoted(word)}", limit=1)
        yield store.runs(f"tags.{RUN_FOLDER} = {quoted(folder)}")
    if is_id and len(word) >= SHORTEST:
        yield store.runs(f"attributes.run_id LIKE '{word}%'")


def of_sweep(parent: Any) -> Named:
    """A sweep's cells, including cells skipped because their work was finished before."""
    keys = [key.removeprefix(CELL) for key in parent.data.tags if key.startswith(CELL)]
    skipped = ", ".join(f"'{key}'" for key in keys if re.fullmatch(r"\w+", key))
    own = parent.info.run_id
    filters = [f"tags.`{PARENT}` = '{own}'"]
    filters += [f"attributes.run_id IN ({skipped})"] if skipped else []
    name = parent.info.run_name
    title = own[:8] if name == "sweep" else f"{name} ({own[:8]})"
    return Named(f"sweep {title}", filters, own)


def not_one(word: str, found: Sequence[Any], store: Store) -> str:
    if found:
        listed = ", ".join(run.info.run_id for run in found[:5])
        return f"runs={word} is the beginning of {len(found)} ids ({listed} …). Give more digits."
    runs = store.runs(limit=SUGGESTED) + store.runs(IS_SWEEP, limit=SUGGESTED)
    known = [run.info.run_id for run in runs] + [run.info.run_name for run in runs]
    near = difflib.get_close_matches(word, list(dict.fromkeys(known)), n=3, cutoff=0.3)
    nearest = f" The nearest are {', '.join(near)}." if near else ""
    return (
        f"runs={word} is not a run of this experiment.{nearest} Use ids [a,b] from the UI, a "
        "sweep's id or name, a run folder, latest, or all."
    )


def trial(run: Any) -> Trial:
    tags, info = run.data.tags, run.info
    overrides = tuple(words_in(tags.get("overrides", "")))
    settings = settings_of(run.data.params, overrides)
    ended = info.end_time or float("nan")
    signature = (tags[SIGNATURE], tags.get(SCORING, "")) if SIGNATURE in tags else None
    return Trial(
        run_id=info.run_id,
        name=info.run_name or info.run_id,
        status=status_of(run),
        started=info.start_time,
        minutes=(ended - info.start_time) / 60_000,
        settings=shared({key: value for key, value in settings.items() if key not in REPEATED}),
        repeat=tuple(settings.get(key, "0") for key in REPEATED),  # type: ignore[arg-type]
        overrides=overrides,
        metrics=shared(
            {key: value for key, value in run.data.metrics.items() if key.startswith(SCORED)}
        ),
        test_digest=tags.get("test_digest", ""),
        error=tags.get(ERROR, ""),
        parent=tags.get(PARENT, ""),
        signature=signature,
        artifact_uri=info.artifact_uri,
        learned=has_learned(run),
    )


def shared(by_name: Mapping[str, Any]) -> dict[str, Any]:
    """The same, each name once in memory for all runs: there may be tens of thousands."""
    return {sys.intern(name): value for name, value in by_name.items()}


def status_of(run: Any) -> str:
    if run.info.status == "FINISHED" and STOPPED in run.data.tags:
        return "stopped"
    scored = any(key.startswith(SCORED) for key in run.data.metrics)
    if run.info.status == "FINISHED" and not scored:
        return "not scored"
    return run.info.status


def settings_of(params: dict[str, str], overrides: Iterable[Word]) -> dict[str, str]:
    """The run's parameters and its other overrides, without those that cannot change scores."""
    beyond = {
        word.key: word.value or ""
        for word in overrides
        if word.key not in params and not options.param_name(word.key)
    }
    return {
        key: value
        for key, value in {**params, **beyond}.items()
        if options.describes_recipe(options.key_of_param(key))
    }


def newest(trials: Sequence[Trial]) -> list[Trial]:
    """The runs without those trained again later, or finished after a failure; newest first."""
    kept: dict[Any, Trial] = {}
    for one in sorted(trials, key=lambda trial: (trial.status == "FINISHED", trial.started)):
        kept[one.signature or (one.parent, one.name)] = one
    done = {(one.parent, one.name) for one in kept.values() if one.status == "FINISHED"}
    valid = [
        one
        for one in kept.values()
        if one.signature or one.status == "FINISHED" or (one.parent, one.name) not in done
    ]
    return sorted(valid, key=lambda trial: -trial.started)
