"""What fits the minutes, from facts and measured seconds that are given as plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from flexunet_exp.commands.plan import budget, lines
from flexunet_exp.commands.plan.budget import Candidate, Measured, Recipe
from flexunet_exp.commands.plan.facts import Facts, Machine
from flexunet_exp.config import building
from flexunet_exp.config.compose import conf_dir, plain
from flexunet_exp.data.feed.views import Views
from flexunet_exp.errors import InputError

FACTS = Facts({"train": 30, "valid": 10, "test": 10}, {"bent": 42}, 8, (1024, 1024), 275.0)
MEASURED = Measured(
    start=10.0,  # and 20 s of the store
    view_mpx=1.0,
    step_mpx=0.5,
    epoch=0.0,
    valid_mpx=0.4,
    predict_mpx=2.0,
    score=0.5,
    report=2.0,
    bytes_mpx=30e6,
    memory=1e9,
    memory_mpx=1e9,
)
ROOMY = Machine(2, 16 * 10**9, 100 * 10**9)
RECIPE = Recipe(batch_size=8, per_image=8)
BEST = Candidate((768, 768), "turns", 8)


def choose(minutes: float, facts=FACTS, machine=ROOMY, measured=MEASURED, **more):
    tried = budget.ladder(facts, budget.wanted_size(facts, 4), **more)
    return budget.choose(facts, machine, {"frozen": measured}, RECIPE, tried, minutes)


@pytest.mark.parametrize(
    ("shape", "small", "size"),
    [
        # 9 cells of 4 x 4 px are 144 px: the side times the root of 144 over the area, then 32s.
        ((1024, 1024), 275.0, (768, 768)),  # 741
        ((1024, 1024), 576.0, (512, 512)),  # 512 exactly
        ((1024, 1024), 575.0, (544, 544)),
        ((1024, 1024), 90_000.0, (256, 256)),  # 41, but outlines would blur
        ((1024, 1024), 20.0, (1024, 1024)),  # 2748: not above the pictures' own size
        ((1000, 1000), 20.0, (992, 992)),
        ((64, 64), 40.0, (64, 64)),
        ((512, 1024), 288.0, (384, 736)),  # 0.5 of the area: 362 x 724
        ((900, 300), 10_000.0, (256, 96)),
    ],
)
def test_the_size_is_the_smallest_at_which_small_defects_cover_nine_cells(shape, small, size):
    assert budget.wanted_size(replace(FACTS, shape=shape, small=small), 4) == size


def test_a_coarser_output_needs_a_larger_picture():
    facts = replace(FACTS, small=2304.0)
    assert [budget.wanted_size(facts, stride) for stride in (4, 8)] == [(256, 256), (512, 512)]


def test_the_cost_of_a_fold_by_hand():
    cost = budget.cost(FACTS, MEASURED, RECIPE, BEST)
    mpx = 0.589824
    assert cost.features == pytest.approx((30 * 8 + 10) * mpx)  # 147 s
    assert cost.steps == 30
    step = 0.5 * 8 * 0.065536  # eight patches of 256 px
    assert cost.epoch == pytest.approx(30 * step + 10 * 0.4 * mpx)  # 10.2 s
    assert cost.scoring == pytest.approx(20 * 2 * mpx + 20 * 0.5 + 2 * 2)
    assert cost.disk == pytest.approx(250 * 30e6 * mpx)
    assert cost.memory == pytest.approx(1e9 + 1e9 * mpx)


def test_validation_pictures_whose_logits_are_not_kept_are_predicted_three_times():
    many = replace(FACTS, pictures={**FACTS.pictures, "valid": 1000})
    few = budget.cost(
        replace(FACTS, pictures={**many.pictures, "valid": 0}), MEASURED, RECIPE, BEST
    )
    kept = 2**29 // (4e6 * 0.589824 * (len(FACTS.classes) + 1))
    more = budget.cost(many, MEASURED, RECIPE, BEST).scoring - few.scoring
    assert more == pytest.approx((1000 + 2 * (1000 - kept)) * 2 * 0.589824 + 1000 * 0.5)


def test_small_pictures_are_trained_on_whole():
    small = Candidate((256, 192), "flips", 4)
    assert (BEST.patch, small.patch) == (256, None)
    cost = budget.cost(FACTS, MEASURED, RECIPE, small)
    assert cost.steps == 4  # 30 pictures in batches of 8
    assert cost.epoch == pytest.approx((4 * 0.5 * 8 + 10 * 0.4) * 0.049152)


def test_epochs_follow_the_minutes():
    """Start, features and scores take 215.1 s, an epoch 10.22 s; a tenth is held in reserve."""
    found = [choose(minutes).epochs for minutes in (10, 15, 20, 30)]
    assert found == [31, 58, 84, budget.MOST_EPOCHS]
    assert choose(15, measured=replace(MEASURED, step_mpx=1.0)).epochs == 32  # 18.09 s
    assert choose(15, measured=replace(MEASURED, epoch=10.0)).epochs == 29  # 20.22 s


def test_fewer_minutes_give_fewer_views_then_smaller_pictures():
    found = [choose(minutes).candidate for minutes in (10, 5, 4, 3)]
    assert found[:2] == [BEST, Candidate((768, 768), "flips", 4)]
    sides = [one.size[0] for one in found]
    assert sides == sorted(sides, reverse=True)
    assert sides[1] > sides[2] > sides[3]


def test_what_is_typed_is_the_only_thing_tried():
    assert {one.size for one in budget.ladder(FACTS, (640, 640), smaller=False)} == {(640, 640)}
    assert {one[1:] for one in budget.ladder(FACTS, (640, 640), only=("paste", 16))} == {
        ("paste", 16)
    }


def test_pictures_that_are_not_square_are_not_turned():
    names = {
        one.augmentation for one in budget.ladder(replace(FACTS, shape=(512, 768)), (512, 768))
    }
    assert names == {"flips", "none"}


@pytest.mark.parametrize("name", budget.VIEWS)
def test_the_views_are_those_that_the_augmentation_has(name):
    cfg = OmegaConf.load(conf_dir() / "augmentation" / f"{name}.yaml")
    transforms = [building.build(node) for node in plain(cfg.transforms)]
    assert len(Views(transforms, (64, 64), None, 0)) == budget.VIEWS[name]


def test_a_small_disk_gives_smaller_pictures():
    """A view takes 30 MB a million pixels: 1 GB holds 130 views of 506 px."""
    chosen = choose(60, machine=replace(ROOMY, disk=10**9))
    assert chosen.candidate == Candidate((480, 480), "flips", 4)
    with pytest.raises(InputError, match=r"at least 0.2 GB, 0.0 GB .* cache_dir=FOLDER"):
        choose(60, machine=replace(ROOMY, disk=10**6))


def test_little_memory_gives_smaller_pictures():
    chosen = choose(60, machine=replace(ROOMY, memory=1_200_000_000))
    assert chosen.candidate.size == (416, 416)  # 0.2 Mpx more than the gigabyte: 447 px
    with pytest.raises(InputError, match="GB of memory"):
        choose(60, machine=replace(ROOMY, memory=10**9))


def test_too_few_minutes_say_how_many_it_takes():
    with pytest.raises(InputError, match=r"minutes=0.5 are too few .* Type minutes=2"):
        choose(0.5)
    slow = replace(MEASURED, start=280.0)
    with pytest.raises(InputError, match=r"Type minutes=7$"):
        choose(5, measured=slow)
    assert choose(7, measured=slow).epochs >= 1


def test_the_minutes_that_the_best_needs_are_enough_for_it():
    minutes = budget.minutes_for(budget.cost(FACTS, MEASURED, RECIPE, BEST))
    assert choose(minutes).candidate == BEST
    assert choose(minutes - 1).candidate != BEST


def test_an_encoder_is_trained_if_its_steps_fit():
    tried = budget.ladder(FACTS, (768, 768))
    for times, which in ((2, "last_stages"), (50, "frozen")):
        both = {"frozen": MEASURED, "last_stages": replace(MEASURED, step_mpx=0.5 * times)}
        chosen = budget.choose(FACTS, ROOMY, both, RECIPE, tried, 15)
        assert (chosen.trainable, chosen.candidate.size) == (which, (768, 768))


def test_few_pictures_are_split_into_folds_and_many_by_ratios():
    split = lines.choose_split({"bent": 9, "glue": 8}, 50, 5)
    assert (split.name, split.folds) == ("folds", 5)
    assert lines.choose_split({"bent": 9, "glue": 4}, 50, 5).folds == 4
    assert lines.choose_split({"bent": 9, "glue": 2}, 50, 5).name == "ratios"
    assert lines.choose_split({"bent": 200, "glue": 150}, 350, 5).name == "ratios"


def test_a_batch_has_no_more_pictures_than_an_epoch():
    assert [lines.choose_batch(8, draws) for draws in (100, 8, 7, 1)] == [8, 8, 4, 1]
