"""Which runs a comparison is over, which of them are one cell, and how cells are ranked."""

from __future__ import annotations

import dataclasses

import pytest

from flexunet_exp.commands.compare import selection
from flexunet_exp.commands.compare.cells import cells_of, groups_of, label
from flexunet_exp.commands.compare.comparison import Judged, can_rank, check_metric, notes_on
from flexunet_exp.commands.compare.selection import Trial
from flexunet_exp.config.overrides import words_in
from flexunet_exp.errors import InputError
from flexunet_exp.tracking.store import CELL, PARENT, RUN_FOLDER, SWEEP, Store
from tests.support import many_runs

DIGESTS = {"0": "aaa", "1": "bbb", "2": "ccc"}  # of each fold


OLD, NEW = "a" * 32, "b" * 32
PICK = {"pick": "yes"}
RUNS = [  # newest first: id, name, tags
    ("c" * 32, "alone", {RUN_FOLDER: "/runs/alone", **PICK}),
    (NEW, "rates", {SWEEP: "2", f"{CELL}{'d' * 32}": "skipped"}),
    ("e" * 32, "new0", {PARENT: NEW}),
    (OLD, "losses", {SWEEP: "1"}),
    ("d" * 32, "old0", {PARENT: OLD, **PICK}),
    ("df" * 16, "old1", {PARENT: OLD}),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """A store of two sweeps and a run beside them."""
    kept = Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db", "flexunet")
    for age, (run_id, name, tags) in enumerate(RUNS):
        many_runs.add_run(kept, run_id, name, 100 - age, tags)
    return kept


@pytest.fixture
def chosen(store):
    """The names of the trainings that words and a filter select."""

    def names(*words: str, filter_string: str = "") -> list[str]:
        return [one.name for one in selection.select(store, words, filter_string).trials]

    return names


def test_the_newest_sweep_is_compared_unless_something_else_is_asked_for(chosen):
    assert chosen() == chosen("latest") == chosen("rates") == chosen(NEW) == ["new0", "old0"]
    assert chosen("losses") == chosen("aaaa") == ["old0", "old1"]
    assert chosen("all") == ["alone", "new0", "old0", "old1"]
    assert chosen("eeee", "c" * 32) == ["new0", "alone"]
    assert chosen("/runs/alone", "c" * 32) == ["alone"]


def test_a_filter_is_over_the_whole_experiment_or_what_was_named(chosen):
    assert chosen(filter_string="tags.pick = 'yes'") == ["alone", "old0"]
    assert chosen("losses", filter_string=" tags.pick = 'yes' ") == ["old0"]
    assert chosen("latest", filter_string="tags.pick = 'yes'") == ["old0"]


def test_a_sweeps_parent_is_known_by_whatever_it_was_named(store):
    for words in ((), ("latest",), ("rates",), (NEW,), ("bbbb",)):
        assert selection.select(store, words).parent == NEW
    assert selection.select(store, ("d" * 32, "df" * 16)).parent == OLD
    assert selection.select(store, ("all",)).parent is None


def test_every_word_that_names_no_run_is_said_with_the_nearest(chosen):
    with pytest.raises(InputError) as error:
        chosen("loses", "dddd" * 7 + "e", "d", "both ' and \"")
    first, second, third, fourth = error.value.problems
    assert "nearest are losses" in first
    assert "d" * 32 in second
    assert "runs=d is not a run" in third
    assert "is not a run" in fourth


def test_the_beginning_of_several_ids_is_none_of_them(tmp_path):
    kept = Store(f"sqlite:///{tmp_path}/mlflow.db", "flexunet")
    for run_id in ("d" * 32, "d" * 31 + "0"):
        many_runs.add_run(kept, run_id, "run", 0, {})
    with pytest.raises(InputError, match="beginning of 2 ids"):
        selection.select(kept, ("d" * 30,))
    assert len(selection.select(kept, ("d" * 32,)).trials) == 1


def test_what_a_run_was_started_with_tells_cells_apart_and_what_changes_no_score_does_not():
    params = {"loss": "dice", "seed": "1", "resume": "never"}
    words = words_in(
        "loss=dice trainer.seed=1 trainer.resume=never callbacks.early_stopping.patience=3 "
        "callbacks.epoch_images.every=2 data_root='/my data' rerun=all predict.tta=flips"
    )
    assert selection.settings_of(params, words) == {
        "loss": "dice",
        "seed": "1",
        "callbacks.early_stopping.patience": "3",
        "data_root": "/my data",
        "predict.tta": "flips",
    }


def test_the_encoder_of_a_run_tells_cells_apart():
    words = words_in("model/encoder=efficientnet_lite1 loss=dice")
    assert selection.settings_of({"loss": "dice"}, words) == {
        "loss": "dice",
        "model/encoder": "efficientnet_lite1",
    }


def trial(loss: str = "dice", seed: str = "0", fold: str = "0", **changes) -> Trial:
    base = Trial(
        run_id=f"{loss}{seed}{fold}",
        name=f"{loss} {seed} {fold}",
        status="FINISHED",
        started=0,
        minutes=1.0,
        settings={"dataset": "grid", "loss": loss},
        repeat=(seed, fold, "0"),
        overrides=tuple(words_in(f"loss={loss} trainer.seed={seed} split.fold={fold}")),
        metrics={"val/dice": 0.5, "test/dice": 0.4, "test/dice/bent": 0.4},
        test_digest=DIGESTS[fold],
        error="",
        parent="p",
        signature=(f"{loss}{seed}{fold}", ""),
        artifact_uri="",
    )
    return dataclasses.replace(base, **changes)


def figures(value: float) -> dict[str, float]:
    return {"val/dice": value, "test/dice": value, "test/dice/bent": value}


GRID = [trial(loss, seed, fold) for loss in ("dice", "focal") for seed in "01" for fold in "012"]


def test_runs_that_differ_in_seed_and_fold_alone_are_a_cell():
    cells, outdated = cells_of(GRID)
    assert [len(cell.trials) for cell in cells] == [6, 6] and not outdated
    assert list(cells[0].replicates) == [("0", "0"), ("1", "0")]
    assert [len(runs) for runs in cells[0].replicates.values()] == [3, 3]


def test_the_command_of_a_cell_trains_its_runs_and_no_others():
    cells, _ = cells_of(GRID)
    expected = "flexunet train -m loss=dice trainer.seed=0,1 split.fold=0,1,2"
    assert cells[0].command() == expected
    (alone,), _ = cells_of(
        [trial(seed="3", overrides=tuple(words_in("dataset.path='/a b' trainer.seed=3")))]
    )
    assert alone.command() == "flexunet train 'dataset.path=/a b' trainer.seed=3"


def test_what_failed_and_then_went_well_is_no_failure_and_the_newest_of_equals_counts():
    again = trial(run_id="again", started=9)
    early = trial(run_id="early", status="FAILED", signature=None, name="focal 0 0")
    other = trial(run_id="other", status="FAILED", signature=None, name="tversky 0 0")
    killed = trial("focal", status="KILLED", started=5)
    kept = selection.newest([again, *GRID, early, other, killed])
    assert sorted(one.run_id for one in kept) == sorted(
        ["again", "other", *(one.run_id for one in GRID if one.run_id != "dice00")]
    )


def test_other_test_pictures_or_classes_are_another_group():
    elsewhere = trial("dice", settings={"dataset": "grid", "loss": "new"}, test_digest="zzz")
    classes = trial(metrics={"val/dice": 0.5, "test/dice": 0.4, "test/dice/cut": 0.4})
    classes = dataclasses.replace(classes, settings={"dataset": "grid", "loss": "cut"})
    groups = groups_of(cells_of([*GRID, elsewhere, classes])[0], "val/dice")
    assert [len(group.cells) for group in groups] == [2, 1, 1]
    assert len({group.name for group in groups}) == 3


def test_a_cell_without_some_folds_stands_below_whatever_its_score():
    third = [trial("lucky", fold=fold, metrics=figures(0.9)) for fold in "01"]
    (group,) = groups_of(cells_of([*third, *GRID])[0], "val/dice")
    assert [group.label(cell) for cell in group.cells][-1] == "lucky"
    assert [group.is_partial(cell) for cell in group.cells] == [False, False, True]


def test_groups_are_joined_through_cells_that_share_pictures_with_both():
    one, two = trial("a", fold="0"), trial("b", fold="1")
    both = [trial("c", fold="0"), trial("c", fold="1")]
    groups = groups_of(cells_of([one, two, *both])[0], "val/dice")
    assert [len(group.cells) for group in groups] == [3]


def test_a_cell_does_not_mix_runs_of_changed_data():
    before = trial(seed="1", test_digest="older", run_id="before")
    cells, outdated = cells_of([trial(seed="0", started=2), before])
    assert [one.run_id for one, _ in outdated] == ["before"]
    assert [len(cell.trials) for cell in cells] == [1]


def test_of_two_runs_of_one_seed_and_fold_the_newer_counts():
    """Their signatures differ where the program, its packages or its threads were others."""
    older = trial(run_id="older", signature=("of older code", ""), metrics=figures(0.1))
    cells, outdated = cells_of([*GRID, older])
    assert [len(cell.trials) for cell in cells] == [6, 6]
    assert [one.run_id for one, _ in outdated] == ["older"]


def test_a_cell_whose_seeds_have_not_the_same_folds_stands_below():
    third = [trial("lucky", "0", fold, metrics=figures(0.9)) for fold in "012"]
    third.append(trial("lucky", "1", "0", metrics=figures(0.9)))
    (group,) = groups_of(cells_of([*third, *GRID])[0], "val/dice")
    assert [group.label(cell) for cell in group.cells][-1] == "lucky"
    assert [group.is_partial(cell) for cell in group.cells] == [False, False, True]


def test_splits_of_their_own_are_no_missing_folds():
    """One run a split.seed has each its own test pictures, and lacks none."""
    ratios = [trial(repeat=("0", "0", split), test_digest=f"of {split}") for split in "01"]
    (group,) = groups_of(cells_of(ratios)[0], "val/dice")
    assert not group.is_partial(group.cells[0])


def test_cells_are_ranked_by_their_mean_and_those_without_the_figure_come_last():
    values = {"a": figures(0.2), "b": figures(0.3), "c": {"test/dice/bent": 0.9}}
    cells, _ = cells_of([trial(loss, metrics=metrics) for loss, metrics in values.items()])
    (group,) = groups_of(cells, "val/dice")
    assert [group.label(cell) for cell in group.cells] == ["b", "a", "c"]


def test_a_cell_that_learned_nothing_stands_below_and_counts_in_the_mean_of_its_recipe():
    half = [trial("half", str(seed), metrics=figures(0.3), learned=bool(seed)) for seed in range(2)]
    nothing = trial("nothing", metrics=figures(0.9), learned=False)
    (group,) = groups_of(cells_of([*half, nothing])[0], "val/dice")
    assert [group.label(cell) for cell in group.cells] == ["half", "nothing"]
    assert len(group.cells[0].trials) == 2
    (note,) = notes_on([Judged(group, {}, [])], "val/dice")
    assert "2 of 3 runs have learned nothing" in note and "ranked last" in note
    (alone,) = groups_of(cells_of([nothing])[0], "val/dice")
    (note,) = notes_on([Judged(alone, {}, [])], "val/dice")
    assert "there is no winner" in note


def test_figures_that_are_no_better_when_higher_do_not_rank():
    assert all(map(can_rank, ("val/dice", "val/dice/bent", "val/object_recall", "val/au_pro")))
    for name in ("num_images", "false_alarms_per_image", "smallest_found", "baseline_dice"):
        assert not can_rank(f"val/{name}")
    assert not can_rank("test/dice")


def test_a_cell_that_stands_below_because_a_run_has_not_the_figure_is_said():
    lacking = [trial("lucky", seed, fold, metrics=figures(0.9)) for seed in "01" for fold in "012"]
    lacking[0].metrics.pop("val/dice")
    (group,) = groups_of(cells_of([*lacking, *GRID])[0], "val/dice")
    assert group.label(group.cells[-1]) == "lucky"
    (note,) = notes_on([Judged(group, {}, [])], "val/dice")
    assert "1 cells have runs without val/dice" in note


def test_a_cell_is_called_by_what_varies():
    settings = {"loss": "dice", "optimizer.learning_rate": "0.1", "model": "flexunet"}
    assert label(settings, ["loss", "optimizer.learning_rate"]) == "dice learning_rate=0.1"
    assert label(settings, ["loss", "schedule", "trainer.epochs"]) == "dice"
    assert label(settings, ["schedule", "trainer.epochs"]) == "default"
    assert label(settings, []) == "flexunet dice"


def test_the_command_of_a_cell_has_a_launcher_only_if_it_is_a_sweep():
    words = words_in("dataset=grid launcher=joblib hydra.launcher.n_jobs=2 sweep=seeds")
    runs = [trial("dice", seed, overrides=words) for seed in "01"]
    ((cell,), _), ((alone,), _) = cells_of(runs), cells_of(runs[:1])
    assert "-m" in cell.command() and "launcher=joblib" in cell.command()
    assert alone.command() == "flexunet train dataset=grid"


def test_a_number_that_a_search_drew_is_rounded_in_what_a_cell_is_called():
    drawn = [
        trial(settings={"dataset": "grid", "learning_rate": rate})
        for rate in ("0.005567081275218207", "0.001", "2026-11-27")
    ]
    (group,) = groups_of(cells_of(drawn)[0], "val/dice")
    called = {group.label(cell) for cell in group.cells}
    assert called == {f"learning_rate={shown}" for shown in ("0.005567", "0.001", "2026-11-27")}


def test_where_nothing_is_finished_it_is_said_how_the_runs_stand():
    standing = [trial(status="FAILED"), trial(seed="1", status="RUNNING")]
    for runs, said in ((standing, "1 failed, 1 running"), ([], "there is no run in it")):
        with pytest.raises(InputError, match=said):
            check_metric("val/dice", [], selection.Selection(runs, "sweep x", None))


def test_a_filter_that_lets_nothing_through_is_said(chosen):
    with pytest.raises(InputError, match="filter matches none of its 4 runs"):
        chosen(filter_string="tags.pick = 'no'")
    with pytest.raises(InputError, match="losses.*filter matches none of its 2 runs"):
        chosen("losses", filter_string="tags.pick = 'no'")
