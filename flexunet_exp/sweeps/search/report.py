"""What a study found: the table of its trials, the best one's settings and command, a page."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import yaml

from flexunet_exp.config.overrides import Word, shell
from flexunet_exp.runs.outcome import Outcome, read_outcome
from flexunet_exp.sweeps.search import finite, space
from flexunet_exp.sweeps.search.study import LEARNED, PRUNED, SAME_AS, Plan, if_there
from flexunet_exp.system.files import replace_file

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from flexunet_exp.sweeps.parent_run import Multirun

log = logging.getLogger(__name__)

BEST, PAGE, TABLE = "best.yaml", "study.html", "trials.csv"


def conclude(known: optuna.Study, plan: Plan, multirun: Multirun) -> None:
    """Prints the results, and writes them into the multirun's folder and its parent run."""
    trials = known.trials
    print_trials(trials, plan, known)
    print(tally(trials))
    if finite.is_exhausted(trials, plan):
        size = len(finite.tried(trials, plan))
        print(f"All {size} combinations of the space are done, so the study has ended.")
    multirun.keep_counts(counts_of(trials))
    best = best_trial(known)
    if best is None:
        what = "has learned anything" if counts_of(trials)["finished"] else "has finished"
        print(f"No trial {what}, so there is no best trial.")
        return
    found = summary(best, plan)
    multirun.folder.mkdir(parents=True, exist_ok=True)
    replace_file(multirun.folder / BEST, yaml.safe_dump(found, sort_keys=False).encode())
    table_of(trials, plan).to_csv(multirun.folder / TABLE, index=False)
    write_page(multirun.folder / PAGE, known, plan, found)
    if multirun.parent_run_id:
        to_store(multirun, found)
    multirun.keep_winner(outcome_of(best, plan))
    print(f"Best: trial {best.number}, {plan.meaning['objective']} {best.value:.4f}")
    print(f"Train it again    {found['command']}")
    print(f"Study             {multirun.folder / PAGE}")


def best_trial(known: optuna.Study) -> FrozenTrial | None:
    """The finished trial with the best objective, of those that have learned something.

    Of equal ones it is the earliest; None where there is none.
    """
    ended = [trial for trial in known.trials if trial.state.name == "COMPLETE"]
    finished = [trial for trial in ended if trial.user_attrs.get(LEARNED, True)]
    sign = 1 if known.direction.name == "MAXIMIZE" else -1
    return max(finished, key=lambda trial: sign * (trial.value or 0.0), default=None)


def best_value(known: optuna.Study) -> float:
    best = best_trial(known)
    return math.nan if best is None or best.value is None else best.value


def summary(best: FrozenTrial, plan: Plan) -> dict[str, Any]:
    """The content of best.yaml."""
    return {
        "study": plan.name,
        "trial": best.number,
        plan.meaning["objective"]: best.value,
        "params": dict(best.params),
        "run_folder": best.user_attrs.get("folder", ""),
        "command": command(best, plan),
    }


def command(trial: FrozenTrial, plan: Plan) -> str:
    """The command that trains one run with a trial's settings."""
    constants = [word.as_typed() for word in map(Word.parse, plan.constants) if is_of_run(word)]
    return shell(["flexunet", "train", *constants, *space.words(trial.params)])


def is_of_run(word: Word) -> bool:
    """Whether a word also applies to a run outside of the study."""
    return not word.is_of_sweep and not word.key.startswith("hydra.")


def show_dry(plan: Plan) -> None:
    """Prints the state of the study, and how long its remaining trials will take."""
    known = if_there(plan)
    trials = known.trials if known else []
    if known and trials:
        print_trials(trials, plan, known)
        print(tally(trials))
    took = [trial.user_attrs["minutes"] for trial in trials if "minutes" in trial.user_attrs]
    ended = [trial for trial in finite.counted(trials) if trial.state.is_finished()]
    left = finite.num_wanted(plan) - len(ended)
    minutes = f"about {max(left, 0) * mean(took):.0f} minutes" if took else "of unknown length"
    print(f"Nothing is trained: dry=true. Left: {max(left, 0)} trials, {minutes}.")
    for key, entry in plan.space.items():
        print(f"  {key}: {space.describe(entry)}")


def to_store(multirun: Multirun, found: dict[str, Any]) -> None:
    facts = {key: value for key, value in found.items() if not isinstance(value, dict)}
    for key, value in {**facts, **found["params"]}.items():
        multirun.parent.tag({f"best.{key}".replace("/", "."): str(value)[:4000]})
    multirun.parent.artifact(multirun.folder / BEST)
    for name in (PAGE, TABLE):
        multirun.parent.artifact(multirun.folder / name, "figures")


def ended_as(trial: FrozenTrial) -> str:
    """The state of a trial in words."""
    same = f", as trial {trial.user_attrs[SAME_AS]}" if SAME_AS in trial.user_attrs else ""
    finished = "finished" if trial.user_attrs.get(LEARNED, True) else "finished, learned nothing"
    words = {"COMPLETE": finished, "FAIL": "failed", "RUNNING": "cut off", "WAITING": "waiting"}
    if trial.state.name == "PRUNED":
        return f"pruned at epoch {trial.user_attrs.get(PRUNED, '?')}{same}"
    return words[trial.state.name] + same


def counts_of(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    """How many trials ended how, without repeats of an earlier one."""
    own = [trial for trial in trials if SAME_AS not in trial.user_attrs]
    states = [trial.state.name for trial in own]
    return {
        "finished": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "failed": states.count("FAIL"),
        "learned_nothing": sum(not trial.user_attrs.get(LEARNED, True) for trial in own),
    }


def outcome_of(best: FrozenTrial, plan: Plan) -> Outcome:
    """How the best trial's run ended, from its folder; only its objective where that is gone."""
    found = read_outcome(Path(best.user_attrs.get("folder", "")))
    found.figures = found.figures or {plan.meaning["objective"]: best.value or 0.0}
    return found


def tally(trials: Sequence[FrozenTrial]) -> str:
    """The number of trials in each state."""
    states = [ended_as(trial).split(" ")[0].rstrip(",") for trial in trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return f"{len(trials)} trials: {counts}."


def table_of(trials: Sequence[FrozenTrial], plan: Plan) -> Any:
    """One row per trial, as a DataFrame."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "trial": trial.number,
                **{key: trial.params.get(key) for key in plan.space},
                "ended": ended_as(trial),
                plan.meaning["objective"]: trial.value if trial.state.name == "COMPLETE" else None,
                "minutes": trial.user_attrs.get("minutes"),
                "run_folder": trial.user_attrs.get("folder"),
                "error": trial.user_attrs.get("error"),
            }
            for trial in trials
        ]
    )


def columns(plan: Plan) -> list[str]:
    """The headers of the printed table: options by their last word."""
    options = [key.rsplit(".", 1)[-1] for key in plan.space]
    return ["trial", *options, "ended", plan.meaning["objective"], "minutes"]


def rows(trials: Sequence[FrozenTrial], plan: Plan) -> list[list[str]]:
    """One row per trial, under `columns`."""
    return [
        [
            str(trial.number),
            *(short(trial.params.get(key)) for key in plan.space),
            ended_as(trial),
            f"{trial.value:.4f}" if trial.state.name == "COMPLETE" else "–",
            f"{trial.user_attrs.get('minutes', math.nan):.1f}".replace("nan", "–"),
        ]
        for trial in trials
    ]


def short(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def print_trials(trials: Sequence[FrozenTrial], plan: Plan, known: optuna.Study) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Study {plan.name}", title_justify="left")
    for name in columns(plan):
        table.add_column(name, justify="left" if name == "ended" else "right")
    best = best_trial(known)
    for trial, row in zip(trials, rows(trials, plan), strict=True):
        table.add_row(*row, style="bold" if best and trial.number == best.number else "")
    console = Console()
    console.print(table)
    for trial in trials:
        if error := trial.user_attrs.get("error"):
            line = f"trial {trial.number} failed: {error}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_page(path: Path, known: optuna.Study, plan: Plan, found: dict[str, Any]) -> None:
    """Writes study.html, which opens from disk without other files."""
    from flexunet_exp.reporting.html import template

    figures: list[tuple[str, str]] = []
    for title, figure in drawn(known, plan):
        with_library = not figures  # plotly itself, once
        html = figure.to_html(full_html=False, include_plotlyjs=with_library)
        figures.append((title, html))
    content = template("study.html").render(
        found=found,
        tally=tally(known.trials),
        names=columns(plan),
        rows=rows(known.trials, plan),
        best=found["trial"],
        figures=figures,
    )
    replace_file(path, content.encode())


def name_axis(axis: Any, old: str, new: str) -> None:
    if axis.title.text == old:
        axis.title.text = new


def drawn(known: optuna.Study, plan: Plan) -> list[tuple[str, Any]]:
    """Optuna's figures, by their titles; one that needs more trials is left out."""
    from optuna import visualization as draw

    objective = plan.meaning["objective"]
    wanted: dict[str, Callable] = {
        "The objective by trial": draw.plot_optimization_history,
        "Which parameter matters (PED-ANOVA)": draw.plot_param_importances,
        "The objective by parameter": draw.plot_slice,
        "The monitored figure by epoch": draw.plot_intermediate_values,
    }
    figures = []
    for title, plot in wanted.items():
        try:
            with warnings.catch_warnings(action="ignore"):
                figure = plot(known)
        except (ValueError, RuntimeError) as error:
            log.debug("%s: %s", title, error)
            continue
        if figure.data:
            layout = {"title": None, "height": 380, "margin": {"t": 30, "b": 60}}
            figures.append((title, figure.update_layout(**layout)))
    for _, figure in figures:
        figure.for_each_yaxis(lambda axis: name_axis(axis, "Objective Value", objective))
        figure.for_each_yaxis(lambda axis: name_axis(axis, "Intermediate Value", "monitor"))
        figure.for_each_xaxis(lambda axis: name_axis(axis, "Step", "epoch"))
    return figures
