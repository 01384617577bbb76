"""Sampling: shares that hold, classes dealt evenly, a pure function of seed and epoch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.config.validation import settings
from flexunet_exp.data.feed import good_share
from flexunet_exp.data.feed.sampling import Adaptive, sampler
from flexunet_exp.errors import InputError

DEFECTS = ("bent", "broken", "glue")
LABELS = st.lists(st.sampled_from([*DEFECTS, "good"]), min_size=1, max_size=40)


def shown(labels):
    """Each picture shows the class of its label alone."""
    return np.array([[True, *(label == name for name in DEFECTS)] for label in labels])


def drawn(labels, epoch=0, **options):
    options.setdefault("seed", 0)
    return sampler(labels, shown(labels), **options).epoch(epoch)


@given(labels=LABELS, epoch=st.integers(0, 5), per_image=st.integers(1, 4))
def test_uniform_shows_every_picture_equally_often(labels, epoch, per_image):
    draws = drawn(labels, epoch, per_image=per_image)
    times = Counter(draw.row for draw in draws)
    assert times == dict.fromkeys(range(len(labels)), per_image)
    assert {draw.focus for draw in draws} == {0}
    assert len(set(draws)) == len(draws)  # each augmented in its own way


@given(labels=LABELS, per_image=st.integers(1, 3))
def test_balanced_shows_every_label_equally_often_and_its_pictures_too(labels, per_image):
    draws = drawn(labels, sampling="balanced", per_image=per_image)
    assert len(draws) == len(labels) * per_image
    by_label = Counter(labels[draw.row] for draw in draws)
    counts = [by_label[label] for label in set(labels)]
    assert max(counts) - min(counts) <= 1
    for label in set(labels):
        members = [row for row, name in enumerate(labels) if name == label]
        of_label = Counter(draw.row for draw in draws)
        times = [of_label[row] for row in members]
        assert max(times) - min(times) <= 1
    assert len(set(draws)) == len(draws)


@given(
    good=st.integers(1, 20),
    defective=st.integers(1, 20),
    share=st.floats(0.01, 0.9),
    sampling=st.sampled_from(["uniform", "balanced"]),
)
def test_every_stretch_has_its_share_of_good_pictures(good, defective, share, sampling):
    labels = ["good"] * good + [DEFECTS[i % 3] for i in range(defective)]
    draws = drawn(labels, good_share=share, sampling=sampling, per_image=3)
    is_good = np.array([labels[draw.row] == "good" for draw in draws])
    due = share * np.arange(1, len(draws) + 1)
    assert np.abs(np.cumsum(is_good) - due).max() <= 2


def test_a_share_of_nothing_leaves_the_good_pictures_out():
    labels = ["good"] * 10 + ["bent"] * 3
    assert {labels[draw.row] for draw in drawn(labels, good_share=0.0)} == {"bent"}


@given(
    labels=LABELS.filter(lambda found: set(found) != {"good"}),
    foreground=st.floats(0.05, 1.0),
    epoch=st.integers(0, 3),
)
def test_focused_draws_are_dealt_evenly_over_the_classes_and_show_them(labels, foreground, epoch):
    draws = drawn(labels, epoch, foreground=foreground, per_image=4)
    focused = [draw for draw in draws if draw.focus]
    assert abs(len(focused) - foreground * len(draws)) <= 2
    assert all(labels[draw.row] == DEFECTS[draw.focus - 1] for draw in focused)
    present = {DEFECTS.index(label) + 1 for label in labels if label != "good"}
    by_class = Counter(draw.focus for draw in focused)
    counts = [by_class[index] for index in present]
    assert set(by_class) <= present and max(counts) - min(counts) <= 1


def test_a_picture_of_two_classes_is_drawn_for_both():
    shows = np.array([[True, True, True]])
    draws = sampler(["bent"], shows, seed=0, foreground=1.0, per_image=4).epoch(0)
    assert Counter(draw.focus for draw in draws) == {1: 2, 2: 2}


def test_good_parts_alone_have_no_defect_to_look_at():
    assert {draw.focus for draw in drawn(["good"] * 4, foreground=0.5)} == {0}


def test_seed_and_epoch_alone_decide():
    labels = ["bent"] * 5 + ["broken"] * 7 + ["good"] * 9
    options = {"foreground": 0.5, "good_share": 0.2, "per_image": 3}
    first, again = drawn(labels, 4, **options), drawn(labels, 4, **options)
    assert first == again
    assert first != drawn(labels, 5, **options)
    assert first != drawn(labels, 4, seed=1, **options)


@pytest.mark.parametrize(
    ("labels", "options", "sentence"),
    [
        (["bent"], {"good_share": 0.2}, "has no defect-free picture. Try dataset.good=all"),
        (["good"], {"good_share": 0.2}, "has no picture of a defect"),
    ],
)
def test_shares_that_cannot_be(labels, options, sentence):
    with pytest.raises(InputError, match=sentence):
        drawn(labels, **options)


def test_the_adaptive_share_rises_with_what_validation_invents_between_its_bounds():
    figures = [0.0, 1e-4, 1e-3, 1e-2, 1.0]
    shares = [good_share.after(one) for one in figures]
    assert shares == sorted(shares) and shares[0] == 0.1 and shares[2] == pytest.approx(0.3)
    assert shares[-1] < good_share.MOST == settings.MOST_GOOD == 0.5


@pytest.mark.parametrize(("steps", "delay"), [(100, 2), (8, 2), (7, 3), (1, 9)])
def test_a_validation_decides_an_epoch_that_is_not_read_before_it(steps, delay):
    invented = [0.001]
    for epoch in range(delay):
        assert good_share.share_of(epoch, invented, steps) == good_share.START
        # The last batch that is read ahead while epoch 0 is trained.
        assert (steps - 1 + good_share.AHEAD) // steps < delay
    assert good_share.share_of(delay, invented, steps) == pytest.approx(0.3)
    with pytest.raises(LookupError):
        good_share.share_of(delay + 1, invented, steps)


def test_an_adaptive_epoch_is_drawn_as_one_of_its_share():
    labels = ["good"] * 10 + ["bent"] * 10
    shares = {0: 0.25, 1: 0.5}

    def of(share: float):
        return sampler(labels, shown(labels), 3, good_share=share)

    adaptive = Adaptive(of, shares.__getitem__)
    for epoch, share in shares.items():
        assert adaptive.epoch(epoch) == of(share).epoch(epoch)
        good = sum(draw.row < 10 for draw in adaptive.epoch(epoch))
        assert good == pytest.approx(20 * share, abs=1)
    assert (len(adaptive), adaptive.seed) == (20, 3)


def test_the_seed_of_an_adaptive_sampler_builds_no_sampler_for_each_sample():
    labels, built = ["good"] * 4 + ["bent"] * 4, []

    def of(share: float):
        built.append(share)
        return sampler(labels, shown(labels), 3, good_share=share)

    adaptive = Adaptive(of, lambda epoch: 0.5)
    assert {adaptive.seed for _ in range(5)} == {3} and len(adaptive) == 8
    assert built == [good_share.START]
