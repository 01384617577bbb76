"""A study: its space, checked before anything runs, and its trials in an SQLite file.

The sampler's random numbers are a function of (seed, trial, parameter), so that an interrupted
study goes on with the same values as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose, validation
from flexunet_exp.config.identity import with_effect
from flexunet_exp.config.rules import at_least, broken_rules, count, lookup, one_of
from flexunet_exp.errors import InputError
from flexunet_exp.sweeps import options
from flexunet_exp.sweeps.compose_cells import Composer
from flexunet_exp.sweeps.search import space
from flexunet_exp.system import locks
from flexunet_exp.tracking.address import sqlite_file, sqlite_uri

if TYPE_CHECKING:
    import optuna

MEANING = "meaning"  # the study's attribute that says what it searches for
PRUNED = "pruned"  # a trial's attribute: the epoch after which it was ended
LEARNED = "learned"  # a trial's attribute: whether its run has learned anything
SAME_AS = "same_as"  # a trial's attribute: the number of the earlier trial with its parameters
PREFIX = "hydra.sweeper."
# The options that change what a monitored loss measures; sides count in that of training alone.
OTHER_LOSS = ("loss.", "experiment.")
CHANGES_LOSS = {"val_loss": OTHER_LOSS, "loss": (*OTHER_LOSS, "trainer.deep_supervision.")}
RULES = {
    "direction": one_of("maximize", "minimize"),
    "n_trials": count(20),
    "n_jobs": count(1),
    "sampler": one_of("tpe", "random"),
    "seed": at_least(0, example=0),
    "n_startup_trials": at_least(0, example=10),
    "pruner": one_of("none", "median", "hyperband", example="median"),
    "warmup_epochs": at_least(0, example=10),
}


@dataclass(frozen=True)
class Plan:
    """A study as a command asks for it."""

    name: str
    storage: str  # SQLAlchemy's address
    space: Mapping[str, Mapping[str, Any]]  # option → entry
    constants: tuple[str, ...]  # the overrides that every trial is given
    conf: DictConfig  # hydra.sweeper
    epochs: int  # of a trial that is not pruned
    meaning: Mapping[str, str]  # everything that distinguishes it from other studies

    @property
    def identity(self) -> list[str]:
        """What a study's parent run is found again by, whatever n_trials is."""
        return [f"study={self.name}", f"storage={self.storage}"]


def is_study(cfg: DictConfig) -> bool:
    """Whether the command searches, instead of listing its cells."""
    return "space" in cfg.hydra.sweeper


def plan(cfg: DictConfig, loader: Any, words: Sequence[str]) -> Plan:
    """The study that a command asks for; InputError with every problem of it."""
    require_optuna()
    conf = cfg.hydra.sweeper
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    sweeps = [override for override in parsed if override.is_sweep_override()]
    fixed = [override for override in parsed if not override.is_sweep_override()]
    given = {override.key_or_group for override in fixed}
    entries = {key: entry for key, entry in compose.plain(conf.space).items() if key not in given}
    entries |= {str(override.get_key_element()): space.entry_of(override) for override in sweeps}
    constants = tuple(str(override.input_line) for override in fixed)
    problems = list(broken_rules(compose.plain(conf), RULES, PREFIX))
    name = conf.study_name or default_name(cfg)
    if not re.fullmatch(r"[A-Za-z][\w.-]*", name, re.ASCII):
        problems.append(
            f"{PREFIX}study_name={name} is not a letter followed by letters, digits, _ - and dots. "
            f"Try {PREFIX}study_name=grid"
        )
    problems += space_problems(cfg, loader, entries, constants)
    problems += pruning_problems(cfg, entries)
    if problems:
        raise InputError(problems)
    storage = storage_of(conf, cfg.tracking.uri)
    known = meaning(cfg, entries)
    return Plan(name, storage, entries, constants, conf, cfg.trainer.epochs, known)


def require_optuna() -> None:
    try:
        import optuna
        import plotly  # noqa: F401  (the page at the end)
    except ImportError as error:
        raise InputError(
            f"A search needs the package {error.name}, which is not installed. Try "
            "pip install 'flexunet_exp[sweep]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def default_name(cfg: DictConfig) -> str:
    """The experiment's name, else those of data set and model."""
    model = str(cfg.model.get("_target_", "model")).rsplit(".", 1)[-1]
    return cfg.hydra.runtime.choices.get("experiment") or f"{cfg.dataset.name}_{model}"


def storage_of(conf: DictConfig, tracking_uri: str | None) -> str:
    """Where the study is kept: as configured, else beside the store, else in mlruns."""
    if conf.storage:
        path = sqlite_file(conf.storage)
        return sqlite_uri(path) if path else conf.storage
    path = sqlite_file(tracking_uri or "") or Path("mlruns/mlflow.db").absolute()
    return sqlite_uri(path.with_name("optuna.db"))


def space_problems(
    cfg: DictConfig, loader: Any, entries: Mapping[str, Any], constants: Sequence[str]
) -> list[str]:
    """The problems of a space: of its entries, their options, and the runs at its corners."""
    if not entries:
        return [f"{PREFIX}space is empty: name an option, as in 'loss=dice,ce_dice'"]
    problems = [text for key, entry in entries.items() for text in space.entry_problems(key, entry)]
    problems += [
        f"space {text}"
        for key, entry in entries.items()
        for text in options.problems(cfg, loader, key, choices_of(entry))
    ]
    if problems:
        return problems
    ends = {key: space.corners(key, entry) for key, entry in entries.items()}
    first = [words[0] for words in ends.values()]
    alternatives = [
        [*first[:number], word, *first[number + 1 :]]
        for number, words in enumerate(ends.values())
        for word in words[1:]
    ]
    composer = Composer(cfg, loader, [[*constants, *words] for words in (first, *alternatives)])
    found: dict[str, str] = {}  # each problem once, with the first words that have it
    for words in (first, *alternatives):
        try:
            validation.check_settings(composer.cell([*constants, *words]))
        except InputError as error:
            found = {problem: f"With {' '.join(words)}" for problem in error.problems} | found
    return [f"{where}: {problem}" for problem, where in found.items()]


def pruning_problems(cfg: DictConfig, entries: Mapping[str, Any]) -> Iterator[str]:
    """A problem for each option that changes the loss by which trials are pruned."""
    pruner = cfg.hydra.sweeper.pruner
    if pruner == "none" or cfg.monitor not in CHANGES_LOSS:
        return
    for key in entries:
        if f"{key}.".startswith(CHANGES_LOSS[cfg.monitor]):
            yield (
                f"space {key}: {PREFIX}pruner={pruner} compares trials by monitor={cfg.monitor}, "
                "and losses that differ cannot be compared. Type monitor=val_dice, or "
                f"{PREFIX}pruner=none"
            )


def choices_of(entry: Any) -> Sequence[Any]:
    values = entry.get("values") if isinstance(entry, Mapping) else None
    return values if isinstance(values, Sequence) else ()


def meaning(cfg: DictConfig, entries: Mapping[str, Any]) -> dict[str, str]:
    """The space, the objective and the fixed settings of a search, by name, as text."""
    settings = with_effect(OmegaConf.masked_copy(cfg, options.sections(cfg)))
    searched = [key.replace("/", ".") for key in entries]
    fixed = {
        key: text_at(settings, key)
        for key in options.leaves(settings)
        if not any(f"{key}.".startswith(f"{name}.") for name in searched)
    }
    return {
        **{f"space {key}": space.describe(entry) for key, entry in entries.items()},
        "direction": cfg.hydra.sweeper.direction,
        "objective": cfg.objective,
        **fixed,
    }


def text_at(settings: dict, key: str) -> str:
    return json.dumps(lookup(settings, key))


def opened(plan: Plan) -> optuna.Study:
    """The study of this name, made if it is missing; InputError if it has another meaning."""
    import optuna

    if found := if_there(plan):
        return found
    if path := sqlite_file(plan.storage):
        path.parent.mkdir(parents=True, exist_ok=True)
    made = optuna.create_study(
        study_name=plan.name,
        storage=plan.storage,
        direction=plan.conf.direction,
        pruner=pruner(plan.conf, plan.epochs),
    )
    made.set_user_attr(MEANING, dict(plan.meaning))
    return made


def if_there(plan: Plan) -> optuna.Study | None:
    """The study of this name, None if it is missing; InputError if it has another meaning."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    path = sqlite_file(plan.storage)
    if path and not path.is_file():
        return None
    try:
        study = optuna.load_study(
            study_name=plan.name, storage=plan.storage, pruner=pruner(plan.conf, plan.epochs)
        )
    except KeyError:
        return None
    except SQLAlchemyError as error:
        raise InputError(
            f"{plan.storage} cannot be read as Optuna's studies ({str(error).splitlines()[0]}). "
            "Keep this study in another file: hydra.sweeper.storage=sqlite:///FILE"
        ) from error
    known = study.user_attrs.get(MEANING, {})
    if differing := differences(known, plan.meaning):
        raise InputError(
            [
                f"The study {plan.name!r} in {plan.storage} has other settings. Give this study "
                f"another name: hydra.sweeper.study_name={plan.name}2. The differences follow.",
                *differing,
            ]
        )
    return study


def differences(known: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return [
        f"{key}: {known.get(key, 'not there')} in the study, {wanted.get(key, 'not there')} now"
        for key in dict.fromkeys([*known, *wanted])
        if known.get(key) != wanted.get(key)
    ]


@contextmanager
def alone(plan: Plan) -> Iterator[None]:
    """Locks the study for this process: a second command would go on with the same trials."""
    path = sqlite_file(plan.storage)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = locks.exclusive(path.with_name(f".optuna_{plan.name}.lock"))
    except locks.Locked as error:
        raise InputError(
            f"Another process is searching the study {plan.name!r}. Wait until it ends. For more "
            "trials at once, start one command with hydra.sweeper.n_jobs=N"
        ) from error
    with held:
        yield


def trial_in_run(cfg: DictConfig, conf: DictConfig) -> optuna.Trial:
    """The trial of a run, which `tracking.trial` names; `conf` is the run's hydra.sweeper."""
    import optuna

    trial = cfg.tracking.trial
    known = optuna.load_study(
        study_name=trial.study,
        storage=storage_of(conf, cfg.tracking.uri),
        pruner=pruner(conf, trial.epochs),
    )
    return optuna.Trial(known, known.trials[trial.number]._trial_id)


def pruner(conf: DictConfig, epochs: int) -> optuna.pruners.BasePruner:
    """Optuna's pruner, which ends trials after one of the epochs 1 .. `epochs`."""
    from optuna import pruners

    if conf.pruner == "median":
        return pruners.MedianPruner(conf.n_startup_trials, n_warmup_steps=conf.warmup_epochs + 1)
    if conf.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
    return pruners.NopPruner()


def sampler(conf: DictConfig, *parts: Any) -> optuna.samplers.BaseSampler:
    """A new sampler, whose random numbers depend on the seed and these parts alone."""
    from optuna import samplers

    text = json.dumps([conf.seed, *parts])
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
    if conf.sampler == "random":
        return samplers.RandomSampler(seed)
    return samplers.TPESampler(n_startup_trials=conf.n_startup_trials, seed=seed)


def fill(trial: optuna.Trial, plan: Plan) -> dict[str, Any]:
    """Draws the parameters that a trial lacks, also after an interruption; returns all of them."""
    study = trial.study
    study.sampler = sampler(plan.conf, trial.number)
    trial.relative_params  # noqa: B018  (drawn together, from the sampler just set)
    for key, entry in plan.space.items():
        study.sampler = sampler(plan.conf, trial.number, key)
        space.draw(trial, key, entry)
    return dict(trial.params)
