"""Selects the runs to compare, from the store's database alone: their files are not opened."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from flexunet_exp.config import options
from flexunet_exp.config.overrides import Word, words_in
from flexunet_exp.errors import InputError
from flexunet_exp.tracking.store import (
    CELL,
    ERROR,
    PARENT,
    RUN_FOLDER,
    SCORING,
    SIGNATURE,
    STOPPED,
    SWEEP,
    has_learned,
)

REPEATED = tuple(map(options.param_name, options.REPEATED))  # in which runs of one cell differ
SHORTEST = 4  # the least number of digits that is taken for the beginning of a run's id


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
    metrics: dict[str, float]
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

    @property
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


def select(runs: Sequence[Any], words: Sequence[str], allowed: set[str] | None) -> Selection:
    """The trainings that `words` name among all `runs` of an experiment, which are newest first.

    A word is `all`, `latest` (the newest sweep), the id of a run, a sweep's name, a run folder, or
    the beginning of an id. Without words it is the newest sweep; all runs if there is no sweep, or
    with a filter. `allowed` are the ids that match the filter, None without one. Raises InputError
    with every word that names nothing.
    """
    parents = [run for run in runs if SWEEP in run.data.tags]
    if not words:
        words = ["latest"] if parents and allowed is None else ["all"]
    found: list[Named] = []
    problems = []
    for word in words:
        try:
            found.append(find(word, runs, parents))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    chosen = {run.info.run_id: run for one in found for run in one.runs}
    trained = [run for run in chosen.values() if SWEEP not in run.data.tags]
    trials = [trial(run) for run in trained if allowed is None or run.info.run_id in allowed]
    title = ", ".join(one.title for one in found)
    if trained and not trials:
        raise InputError(
            f"{title}: the filter matches none of its {len(trained)} runs. Look at the "
            "parameters and metrics of a run in the UI (flexunet ui), or leave out filter="
        )
    of_one = {one.parent for one in found} if len(found) == 1 else {None}
    common = of_one - {None} or {trial.parent for trial in trials}
    parent = next(iter(common)) or None if len(common) == 1 else None
    return Selection(trials, title, parent)


class Named(NamedTuple):
    """What a word names: a title, the runs, and the id of the sweep if it is one."""

    title: str
    runs: list[Any]
    parent: str | None = None


def find(word: str, runs: Sequence[Any], parents: Sequence[Any]) -> Named:
    """The runs that a word names; InputError if it matches nothing, or several ids."""
    if word == "all":
        return Named("all runs", list(runs))
    if word == "latest":
        if not parents:
            raise InputError("runs=latest: there is no sweep yet. Try runs=all")
        return of_sweep(parents[0], runs)
    called = [run for run in parents if run.info.run_name == word]
    folder = str(Path(word).expanduser().absolute())
    found = (
        [run for run in runs if run.info.run_id == word]
        or called[:1]
        or [run for run in runs if run.data.tags.get(RUN_FOLDER) == folder]
        or [run for run in runs if len(word) >= SHORTEST and run.info.run_id.startswith(word)]
    )
    if len(found) != 1:
        raise InputError(not_one(word, found, runs))
    one = found[0]
    return of_sweep(one, runs) if one in parents else Named(one.info.run_name, found)


def of_sweep(parent: Any, runs: Sequence[Any]) -> Named:
    """A sweep's cells, including cells skipped because their work was finished before."""
    skipped = {key.removeprefix(CELL) for key in parent.data.tags if key.startswith(CELL)}
    own = parent.info.run_id
    cells = [run for run in runs if run.data.tags.get(PARENT) == own or run.info.run_id in skipped]
    name = parent.info.run_name
    title = own[:8] if name == "sweep" else f"{name} ({own[:8]})"
    return Named(f"sweep {title}", cells, own)


def not_one(word: str, found: Sequence[Any], runs: Sequence[Any]) -> str:
    if found:
        listed = ", ".join(run.info.run_id for run in found[:5])
        return f"runs={word} is the beginning of {len(found)} ids ({listed} …). Give more digits."
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
        settings={key: value for key, value in settings.items() if key not in REPEATED},
        repeat=tuple(settings.get(key, "0") for key in REPEATED),  # type: ignore[arg-type]
        overrides=overrides,
        metrics=run.data.metrics,
        test_digest=tags.get("test_digest", ""),
        error=tags.get(ERROR, ""),
        parent=tags.get(PARENT, ""),
        signature=signature,
        artifact_uri=info.artifact_uri,
        learned=has_learned(run),
    )


def status_of(run: Any) -> str:
    if run.info.status == "FINISHED" and STOPPED in run.data.tags:
        return "stopped"
    scored = any(key.startswith(("test/", "val/")) for key in run.data.metrics)
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
    superseded = [
        one
        for one in kept.values()
        if not one.signature and one.status != "FINISHED" and (one.parent, one.name) in done
    ]
    return sorted(
        (one for one in kept.values() if one not in superseded), key=lambda trial: -trial.started
    )
