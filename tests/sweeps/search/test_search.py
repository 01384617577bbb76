"""Studies: checked before anything runs, unchanged by interruptions, honest about pruning."""

from __future__ import annotations

import fcntl
import itertools
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flexunet_exp.config import compose, resolvers
from flexunet_exp.errors import InputError, Pruned
from flexunet_exp.runs.outcome import RESULT, Outcome
from flexunet_exp.sweeps.parent_run import Multirun
from flexunet_exp.sweeps.search import loop, pruning, report, space, study
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import STOPPED
from tests.support import running

EPOCHS = 8
TRIALS = 8
SEARCH = ("sweep=tpe", f"trainer.epochs={EPOCHS}", f"hydra.sweeper.n_trials={TRIALS}")
EAGER = ("hydra.sweeper.n_startup_trials=2", "hydra.sweeper.warmup_epochs=1")


class Trained:
    """Stands for Hydra's launcher and the training: a curve that the parameters decide.

    Every epoch goes through the callback that a real run has. Ctrl-C comes after `stop_after` of
    them in all.
    """

    def __init__(self, folder: Path, conf, stop_after: int | None = None):
        self.folder, self.conf, self.left = folder, conf, stop_after
        self.launched: list[dict[str, str]] = []

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        return [self.train(words, initial_job_idx + n) for n, words in enumerate(jobs)]

    def train(self, words: list[str], number: int) -> SimpleNamespace:
        given = dict(word.split("=", 1) for word in words)
        cfg = OmegaConf.create({"tracking": {"uri": None}})
        told = OverridesParser.create().parse_override(f"trial={given['tracking.trial']}").value()
        cfg.tracking.trial = told
        self.launched.append({key: given[key] for key in ("optimizer.learning_rate", "loss")})
        folder = self.folder / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        trial = study.trial_in_run(cfg, self.conf)
        outcome = self.outcome(pruning.Pruning(trial, "val_dice", 1, EPOCHS), given)
        (folder / RESULT).write_text(json.dumps(asdict(outcome)))
        returned = OmegaConf.create({"hydra": {"runtime": {"output_dir": str(folder)}}})
        return SimpleNamespace(hydra_cfg=returned)

    def outcome(self, callback: pruning.Pruning, given: dict[str, str]) -> Outcome:
        rate = float(given["optimizer.learning_rate"])
        top = {"ce_dice": 0.6, "dice": 0.5}.get(given["loss"], 0.3) - 0.1 * math.log10(
            rate / 5e-3
        ) ** 2
        if given["loss"] == "cross_entropy":
            return Outcome("failed", error="the loss became nan")
        for epoch in range(EPOCHS):
            self.tick()
            try:
                callback.on_epoch_end(epoch, {"val_dice": top * (1 - math.exp(-epoch / 4))})
            except Pruned:
                return Outcome("pruned")
        self.tick()
        return Outcome("finished", objective=top)

    def tick(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


@pytest.fixture
def searched(tmp_path):
    """Searches in a folder: searched("a", "hydra.sweeper.seed=1", stop_after=20)."""
    resolvers.register_resolvers()

    def run(name: str, *words: str, stop_after: int | None = None):
        words = (*SEARCH, *EAGER, *words, f"hydra.sweeper.storage=sqlite:///{tmp_path}/{name}.db")
        with initialize_config_dir(str(compose.conf_dir()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            cfg = loader.load_configuration("train", list(words), RunMode.MULTIRUN)
            trained = Trained(tmp_path / name, cfg.hydra.sweeper, stop_after)
            sweeping = Multirun(TrackingSettings.from_config(cfg), tmp_path / "sweep")
            loop.run(cfg, trained.launch, list(cfg.hydra.overrides.task), sweeping)
        known = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/{name}.db")
        return known, trained.launched

    return run


def history(known: optuna.Study) -> list:
    return [(t.params, t.state.name, t.value, t.intermediate_values) for t in known.trials]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["hydra.sweeper.pruner=none"], id="none", marks=pytest.mark.heavy),
        pytest.param(["hydra.sweeper.pruner=median", "hydra.sweeper.seed=3"], id="median"),
        pytest.param(["hydra.sweeper.pruner=hyperband"], id="hyperband", marks=pytest.mark.heavy),
        pytest.param(["hydra.sweeper.sampler=random"], id="random", marks=pytest.mark.heavy),
    ],
)
def test_interrupted_and_resumed_equals_uninterrupted(searched, words):
    whole, _ = searched("whole", *words)
    for stop_after in (3, 0, 13):
        with pytest.raises(KeyboardInterrupt):
            searched("parts", *words, stop_after=stop_after)
    parts, _ = searched("parts", *words)
    assert history(parts) == history(whole)
    assert len(whole.trials) == TRIALS


def test_a_kill_while_a_trial_is_drawn_changes_nothing(searched, monkeypatch):
    whole, _ = searched("whole")
    draw, calls = space.draw, itertools.count()

    def deadly(*arguments):
        if next(calls) == 9:  # the second parameter of trial 4
            raise KeyboardInterrupt
        return draw(*arguments)

    monkeypatch.setattr(space, "draw", deadly)
    with pytest.raises(KeyboardInterrupt):
        searched("parts")
    parts, _ = searched("parts")
    assert history(parts) == history(whole)


def test_what_was_pruned_just_before_a_kill_is_not_trained_again(searched, monkeypatch):
    whole, _ = searched("whole")
    first = next(t.number for t in whole.trials if t.state.name == "PRUNED")
    record = loop.record_outcome

    def deadly(known, trial, outcome):
        if trial.number == first:
            raise KeyboardInterrupt
        record(known, trial, outcome)

    monkeypatch.setattr(loop, "record_outcome", deadly)
    with pytest.raises(KeyboardInterrupt):
        searched("parts")
    monkeypatch.setattr(loop, "record_outcome", record)
    parts, launched = searched("parts")
    assert history(parts) == history(whole)
    assert len(launched) == TRIALS - first - 1


def test_n_trials_counts_all(searched):
    searched("a", "hydra.sweeper.n_trials=3")
    known, launched = searched("a", "hydra.sweeper.n_trials=5")
    assert len(known.trials) == 5 and len(launched) == 2
    assert searched("a", "hydra.sweeper.n_trials=5")[1] == []


def test_the_same_parameters_are_trained_once(searched):
    known, launched = searched(
        "a", "loss=dice,tversky", "optimizer.learning_rate=choice(5e-3,1e-3)"
    )
    assert len(launched) == len({tuple(job.values()) for job in launched}) == 4
    values = {}
    for trial in known.trials:
        assert values.setdefault(tuple(trial.params.values()), trial.value) == trial.value


SMALL = ("loss=dice,tversky", "optimizer.learning_rate=choice(5e-3,2e-3,1e-3)")


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_finite_space_is_done_once_and_the_study_ends(searched, jobs):
    words = (*SMALL, "hydra.sweeper.n_trials=50", f"hydra.sweeper.n_jobs={jobs}")
    known, launched = searched("a", *words)
    assert len(launched) == 6 == len({tuple(job.values()) for job in launched})
    assert all(trial.state.is_finished() for trial in known.trials)
    assert len(known.trials) <= 6 * 2 + jobs
    assert searched("a", *words)[1] == []


def test_repeats_do_not_use_up_n_trials(searched):
    words = (*SMALL, "hydra.sweeper.pruner=none")
    known, launched = searched("a", *words, "hydra.sweeper.n_trials=5")
    assert len(launched) == 5
    again, _ = searched("b", *words, "hydra.sweeper.n_trials=3")
    again, _ = searched("b", *words, "hydra.sweeper.n_trials=5")
    assert history(again) == history(known)


def test_combinations_of_a_space_are_counted_and_numbered():
    entries = {
        "loss": {"type": "choice", "values": ["dice", None]},
        "model.num_layers": {"type": "int", "low": 3, "high": 7, "step": 2},
    }
    assert space.size(entries) == 6
    numbered = [tuple(space.combination(entries, number).values()) for number in range(6)]
    assert set(numbered) == set(itertools.product(["dice", "null"], [3, 5, 7]))
    assert space.size({**entries, "x": {"type": "float", "low": 0.0, "high": 1.0}}) is None


def test_a_trial_that_learned_nothing_is_not_the_best(searched, monkeypatch):
    outcome = Trained.outcome

    def unlearned(self, callback, given):
        found = outcome(self, callback, given)
        found.learned = given["loss"] != "ce_dice"  # the highest objective
        return found

    monkeypatch.setattr(Trained, "outcome", unlearned)
    known, _ = searched("a", "loss=ce_dice,dice", "hydra.sweeper.pruner=none")
    assert known.best_params["loss"] == "ce_dice"
    assert report.best_trial(known).params["loss"] == "dice"
    assert report.counts_of(known.trials)["learned_nothing"] > 0


def test_failures_are_no_results_and_the_search_goes_on(searched):
    known, _ = searched("a", "loss=ce_dice,cross_entropy")
    failed = [trial for trial in known.trials if trial.params["loss"] == "cross_entropy"]
    assert failed and {trial.state.name for trial in failed} == {"FAIL"}
    assert failed[0].user_attrs["error"] == "the loss became nan"
    assert known.best_params["loss"] == "ce_dice"


def test_the_median_pruner_ends_whom_it_should_and_no_other(searched):
    known, _ = searched("a", "hydra.sweeper.pruner=median")
    assert {trial.state.name for trial in known.trials} == {"COMPLETE", "PRUNED"}
    for trial in known.trials:
        earlier = [t for t in known.trials[: trial.number] if t.state.name == "COMPLETE"]
        told = trial.intermediate_values
        for step in range(2, EPOCHS) if len(earlier) >= 2 else ():  # after the warm-up's epoch
            if step in told:
                best = max(value for s, value in told.items() if s <= step)
                is_worse = best < np.median([t.intermediate_values[step] for t in earlier])
                ended_here = trial.state.name == "PRUNED" and step == max(told)
                assert is_worse == ended_here


@pytest.mark.heavy
def test_random_draws_fill_the_range_evenly_on_its_scale(searched):
    words = ("hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=20", "loss=dice")
    known, _ = searched("a", *words, "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))")
    drawn = np.sort([math.log10(t.params["optimizer.learning_rate"]) for t in known.trials])
    uniform = (np.arange(20) + 0.5) / 20 * 2 - 4
    assert len(set(drawn)) == 20
    assert np.abs(drawn - uniform).max() < 2 * 0.35  # Kolmogorov-Smirnov at 1 % for n = 20


def test_another_study_of_the_same_name_is_refused_with_the_difference(searched):
    searched("a", "hydra.sweeper.n_trials=1")
    with pytest.raises(InputError) as refused:
        searched(
            "a", "loss=dice,tversky", "trainer.batch_size=2", "hydra.sweeper.direction=minimize"
        )
    text = str(refused.value)
    assert "hydra.sweeper.study_name=zipper_flexunet2" in text
    assert "space loss: one of ce_dice, dice, focal_tversky in the study, one of dice, tv" in text
    assert "trainer.batch_size: 4 in the study, 2 now" in text
    assert "direction: maximize in the study, minimize now" in text
    searched("a", "hydra.sweeper.n_trials=2", "hydra.sweeper.pruner=none", "tracking.run_name=x")


def test_a_file_that_is_no_study_is_a_sentence(searched, tmp_path):
    (tmp_path / "a.db").write_text("notes")
    with pytest.raises(InputError, match="cannot be read as Optuna's studies"):
        searched("a")
    assert (tmp_path / "a.db").read_text() == "notes"


def test_two_commands_do_not_search_one_study_at_once(searched, tmp_path):
    with open(tmp_path / ".optuna_zipper_flexunet.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="Another process is searching"):
            searched("a")


def test_all_problems_of_a_space_at_once(searched):
    with pytest.raises(InputError) as refused:
        searched(
            "a",
            "hydra.sweeper.pruner=medain",
            "optimizer.learning_rat=interval(1e-3,1e-2)",
            "model.dropout_rate=interval(0.5,0.1)",
            "loss=dice,dcie",
        )
    text = "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 4
    assert "pruner=medain is not none, median or hyperband" in text
    hint = "optimizer.learning_rat is not an option. Did you mean 'optimizer.learning_rate'?"
    assert hint in text
    assert "there is no loss=dcie. Did you mean 'dice'?" in text
    assert "low=0.5 is not below high=0.1" in text


FEW = "hydra.sweeper.n_trials=1"


@pytest.mark.parametrize(
    ("monitor", "searching"),
    [
        ("val_loss", "loss=dice,ce_dice"),
        ("val_loss", "loss.smooth=interval(0.5,2)"),
        ("val_loss", "experiment=quickstart,seed_grid"),
        ("loss", "trainer.deep_supervision=interval(0.5,1)"),
    ],
)
def test_losses_that_differ_do_not_prune_one_another(searched, monitor, searching):
    key = searching.partition("=")[0]
    words = (f"monitor={monitor}", searching, *(() if key == "loss" else ("loss=dice",)))
    said = f"{key}: .*pruner=median.* monitor={monitor}.*monitor=val_dice.*pruner=none"
    with pytest.raises(InputError, match=said):
        searched("a", *words)


@pytest.mark.parametrize(
    "words",
    [
        ("monitor=val_loss", "hydra.sweeper.pruner=none"),
        ("monitor=val_dice",),
        ("monitor=val_loss", "loss=dice"),
    ],
)
def test_losses_that_are_not_compared_may_differ(searched, words):
    known, _ = searched("a", *words, FEW)
    assert len(known.trials) == 1


def test_a_run_that_would_be_refused_is_refused_before_any(searched):
    with pytest.raises(InputError, match="dataset.image_size=100 must be divisible by 128"):
        searched("a", "dataset.image_size=choice(128,100)")


@pytest.mark.parametrize(
    ("word", "entry"),
    [
        ("a=x,y", {"type": "choice", "values": ["x", "y"]}),
        ("a=null,true,1", {"type": "choice", "values": ["null", "True", "1"]}),
        ("a=interval(1,8)", {"type": "float", "low": 1.0, "high": 8.0}),
        ("a=int(interval(1,8))", {"type": "int", "low": 1, "high": 8}),
        ("a=tag(log,interval(1e-4,1))", {"type": "float", "low": 1e-4, "high": 1.0, "log": True}),
        ("a=range(2,9,3)", {"type": "int", "low": 2, "high": 8, "step": 3}),
    ],
)
def test_hydras_own_grammar_makes_a_space(word, entry):
    assert space.entry_of(OverridesParser.create().parse_override(word)) == entry
    assert list(space.entry_problems("a", entry)) == []


NUMBERS = st.one_of(
    st.integers(-9, 9), st.floats(-9, 9), st.none(), st.booleans(), st.text("1e", max_size=2)
)
ENTRIES = st.one_of(
    NUMBERS,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["choice", "int", "float", "flaot", None])},
        optional={
            **{name: NUMBERS for name in ("low", "high", "step", "log", "hihg")},
            "values": st.one_of(NUMBERS, st.lists(NUMBERS, max_size=3)),
        },
    ),
)


@given(ENTRIES)
def test_any_entry_is_a_distribution_or_a_sentence(entry):
    if list(space.entry_problems("a", entry)):
        return
    found = space.distribution(entry)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
    value = space.draw(trial, "a", entry)
    (word,) = space.words({"a": value})
    read = OverridesParser.create().parse_override(word).value()
    if entry["type"] != "choice":
        assert entry["low"] <= value <= entry["high"] and read == value
        assert found.low == entry["low"]


def test_without_optuna_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'flexunet_exp\[sweep\]'"):
        study.require_optuna()


@pytest.fixture(scope="module")
def real(tmp_path_factory, tiny):
    """A real study, killed in its second trial's first epoch, and started again."""
    folder = tmp_path_factory.mktemp("study")
    words = ["-m", *tiny, "trainer.epochs=3", "sweep=tpe", "hydra.sweeper.n_trials=3"]
    words += ["hydra.sweeper.n_startup_trials=1", "hydra.sweeper.warmup_epochs=1"]
    words += ["loss=choice(dice,cross_entropy)", "optimizer.learning_rate=interval(1e-3,1e-2)"]
    at = ("SIGKILL", "flexunet_exp.training.state:Keeper.write", 5)
    killed = running.signalled(folder, *at, "train", *words)
    assert killed.returncode == -9, killed.stdout
    done = running.train(folder, *words)
    assert done.returncode == 0, done.stdout
    return folder, done.stdout, words


def test_a_killed_study_goes_on_with_its_trial_in_the_same_run(real):
    folder, printed, _ = real
    assert "1 of 3 trials" in printed and "Going on with the unfinished run" in printed
    known = optuna.load_study(study_name=None, storage=f"sqlite:///{folder}/mlruns/optuna.db")
    assert len(known.trials) == 3
    parents = [run for run in running.all_runs(folder) if "sweep" in run.data.tags]
    assert len(parents) == 1 and parents[0].info.status == "FINISHED"
    trained = {tuple(t.params.values()) for t in known.trials}
    assert len(running.all_runs(folder)) == 1 + len(trained)


def test_the_best_is_on_the_parent_and_its_command_finds_it_done(real):
    folder, printed, _ = real
    best = yaml.safe_load(next(folder.glob("outputs/multirun/*/*/best.yaml")).read_text())
    parent = next(run for run in running.all_runs(folder) if "sweep" in run.data.tags)
    assert parent.data.tags["best.trial"] == str(best["trial"])
    assert parent.data.tags["best.loss"] == best["params"]["loss"]
    files = running.store(folder).client.list_artifacts(parent.info.run_id, "figures")
    assert {file.path for file in files} == {"figures/study.html", "figures/trials.csv"}
    assert best["command"] in printed
    again = running.flexunet(folder, *best["command"].split()[1:])
    assert again.returncode == 0 and "Already done" in again.stdout


def test_a_pruned_trial_is_no_finished_run(real):
    folder, printed, words = real
    pruned = [run for run in running.all_runs(folder) if STOPPED in run.data.tags]
    assert all(run.info.status == "KILLED" for run in pruned)
    assert bool(pruned) == ("pruned at epoch" in printed)
    for run in pruned:
        refused = running.flexunet(folder, "evaluate", f"run={run.data.tags['run_folder']}")
        assert refused.returncode == 1 and "its study ended early" in refused.stdout


def test_a_finished_study_trains_nothing_and_says_so(real):
    folder, _, words = real
    runs = len(running.all_runs(folder))
    done = running.train(folder, *words, "dry=true")
    assert done.returncode == 0 and "Left: 0 trials" in done.stdout
    done = running.train(folder, *words)
    assert done.returncode == 0 and "3 of 3 trials" in done.stdout
    assert len(running.all_runs(folder)) == runs
