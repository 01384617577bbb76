"""How unsure networks are of a picture, how it looks, and which pictures are chosen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from flexunet_exp.data.fingerprints import alike, fingerprint
from flexunet_exp.labels import appearance, proposing, unsure
from flexunet_exp.labels.proposing import Candidate
from flexunet_exp.labels.unsure import Signals

NONE = np.zeros((0, appearance.SIDE, appearance.SIDE, 2), np.float32)
SURE, HALF = (1.0, 0.0, 0.0), (0.5, 0.5, 0.0)


def predicted(*boxes: tuple, side: int = 40) -> np.ndarray:
    """Probabilities (H, W, 3): sure background, and boxes (values, y, x, height, width)."""
    found = np.zeros((side, side, 3), np.float32) + np.array(SURE, np.float32)
    for values, y, x, height, width in boxes:
        found[y : y + height, x : x + width] = values
    return found


def textured(seed: int, side: int = 128) -> np.ndarray:
    """A grey picture with its own fine structure, as uint8 (H, W, 3)."""
    grain = np.random.default_rng(seed).integers(0, 256, (side, side, 1), dtype=np.uint8)
    return np.repeat(grain, 3, axis=2)


def candidate(name: str, image: np.ndarray, uncertainty=0.0, disagreement=np.nan) -> Candidate:
    signals = Signals(uncertainty, disagreement)
    return Candidate(name, signals, appearance.look(image), fingerprint(image))


def plain(name: str, grey: int, uncertainty: float, seed: int) -> Candidate:
    """A picture of this mean grey level, whose grain is no copy of another seed's."""
    image = (textured(seed).astype(np.float32) / 255 * 10 + grey).astype(np.uint8)
    return candidate(name, image, uncertainty)


def names(candidates, chosen) -> list[str]:
    return [candidates[one.place].name for one in chosen.choices]


def test_entropy_is_in_bits():
    draw = np.random.default_rng(0).dirichlet([0.3] * 5, (6, 7)).astype(np.float32)
    expected = scipy_entropy(draw, base=2, axis=-1)
    np.testing.assert_allclose(unsure.entropy(draw), expected, atol=1e-5)
    assert unsure.entropy(np.array([[[1.0, 0.0]]], np.float32)) == 0


def test_members_that_contradict_each_other_disagree_and_unsure_ones_do_not():
    first = np.array([[[1, 0], [0.5, 0.5], [1, 0]]], np.float32)
    second = np.array([[[0, 1], [0.5, 0.5], [1, 0]]], np.float32)
    maps = unsure.maps_of([first, second])
    np.testing.assert_allclose(maps.entropy[0], [1, 1, 0], atol=1e-3)
    np.testing.assert_allclose(maps.disagreement[0], [1, 0, 0], atol=1e-3)
    assert unsure.maps_of([first]).disagreement is None


def test_the_bands_of_a_picture_are_judged_as_the_whole():
    whole = predicted((HALF, 5, 5, 20, 10), ((0.2, 0.7, 0.1), 15, 12, 8, 8))
    other = predicted((SURE, 0, 0, 1, 1), ((0.1, 0.1, 0.8), 18, 6, 9, 9))
    bands = [unsure.maps_of([whole[rows], other[rows]]) for rows in (slice(0, 17), slice(17, 40))]
    at_once = unsure.maps_of([whole, other])
    assert unsure.places(unsure.joined(bands)) == unsure.places(at_once)


def test_a_picture_is_judged_by_its_places_and_not_by_its_background():
    small = unsure.maps_of([predicted((HALF, 2, 2, 5, 5))])
    large = unsure.maps_of([predicted((HALF, 2, 2, 5, 5), side=200)])
    (place,) = unsure.places(small)
    assert place.box == (2, 2, 5, 5) and place.area == 25
    assert place.entropy == pytest.approx(1, abs=1e-3)
    judged = [unsure.signals(unsure.places(maps), False).uncertainty for maps in (small, large)]
    assert judged[0] == judged[1] == pytest.approx(1 / 3, abs=1e-3)


def test_a_region_and_its_unsure_rim_are_one_place():
    sure = (0.0, 1.0, 0.0)
    (place,) = unsure.places(
        unsure.maps_of([predicted((HALF, 10, 10, 6, 6), (sure, 11, 11, 4, 4))])
    )
    assert place.area == 36 and place.entropy == pytest.approx(20 / 36, abs=1e-3)


def test_of_a_picture_that_is_unsure_everywhere_the_most_unsure_area_is_judged():
    unsure_all, most = (0.8, 0.1, 0.1), (0.4, 0.3, 0.3)
    (place,) = unsure.places(
        unsure.maps_of([predicted((unsure_all, 0, 0, 160, 160), (most, 40, 60, 24, 24), side=160)])
    )
    assert place.box == (60, 40, 24, 24)
    assert place.entropy == pytest.approx(scipy_entropy(most, base=2), abs=1e-3)


def test_the_three_most_uncertain_places_count():
    boxes = [(HALF, 2 + 8 * n, 2, 3, 3) for n in range(4)]
    by_number = [
        unsure.signals(unsure.places(unsure.maps_of([predicted(*boxes[:n])])), False).uncertainty
        for n in range(5)
    ]
    np.testing.assert_allclose(by_number, [0, 1 / 3, 2 / 3, 1, 1], atol=1e-3)


def test_what_one_network_cannot_say_is_not_said_of_a_picture_without_places_either():
    assert np.isnan(unsure.signals([], False).disagreement)
    assert unsure.signals([], True).disagreement == 0


def test_the_look_is_the_mean_and_the_spread_of_each_cell():
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 1), dtype=np.uint8)
    cells = image[..., 0].reshape(16, 4, 16, 6).astype(float)
    found = appearance.look(image)
    np.testing.assert_allclose(found[..., 0], cells.mean((1, 3)), rtol=1e-5)
    np.testing.assert_allclose(found[..., 1], cells.std((1, 3)), rtol=1e-3)
    deep = appearance.look(image.astype(np.uint16) * 257)
    np.testing.assert_array_equal(deep, found)


def test_the_distance_is_that_of_the_nearest_view():
    looks = np.stack([appearance.look(textured(seed)) for seed in range(3)])
    turned = np.rot90(looks[:1], axes=(1, 2))[:, :, ::-1]
    found = appearance.distances(looks, turned)
    assert found[0, 0] == 0 and (found[1:] > 1).all()
    views = [np.rot90(one, turns) for one in (looks[1], looks[1][:, ::-1]) for turns in range(4)]
    expected = min(np.sqrt(((one - turned[0]) ** 2).mean()) for one in views)
    assert found[1, 0] == pytest.approx(expected, abs=1e-3)


def test_without_distances_the_most_uncertain_come_first():
    same = [plain(f"{n}", 100, value, seed=n) for n, value in enumerate([0.1, 0.9, 0.5])]
    known = np.stack([one.look for one in same])  # every picture looks as if it were labelled
    assert names(same, proposing.choose(same, known, 3)) == ["1", "2", "0"]


def test_a_picture_unlike_the_chosen_ones_comes_before_one_like_them():
    greys = [("a", 40, 0.9), ("b", 41, 0.8), ("c", 200, 0.7), ("d", 42, 0.6)]
    some = [plain(name, grey, value, n) for n, (name, grey, value) in enumerate(greys)]
    chosen = proposing.choose(some, NONE, 4)
    assert names(some, chosen)[:2] == ["a", "c"]
    assert np.isnan(chosen.choices[0].distance)
    assert chosen.choices[1].distance == pytest.approx(
        160 / np.sqrt(2), abs=2
    )  # half the numbers are spreads, of 0
    # A labelled picture that looks like c takes its advantage away.
    assert names(some, proposing.choose(some, some[2].look[None], 4))[:2] != ["a", "c"]


def test_no_near_copy_of_a_chosen_picture_is_chosen():
    original = textured(0)
    copies = [original, original[::-1], np.rot90(original), np.clip(original * 0.9, 0, 255)]
    some = [
        candidate(f"{n}", np.ascontiguousarray(image).astype(np.uint8), 0.9 - n / 100)
        for n, image in enumerate([*copies, textured(1), textured(2)])
    ]
    chosen = proposing.choose(some, NONE, 20)
    assert sorted(names(some, chosen)) == ["0", "4", "5"]
    assert chosen.copies == {1: 0, 2: 0, 3: 0}
    prints = [some[one.place].fingerprint for one in chosen.choices]
    assert len(list(alike(prints, prints))) == 3  # each with itself


def test_the_choice_does_not_depend_on_the_order_of_the_candidates():
    draw = np.random.default_rng(3)
    some = [plain(f"{n}", 20 * n, float(draw.integers(3)), n) for n in range(6)]
    wanted = names(some, proposing.choose(some, NONE, 4))
    for order in itertools.islice(itertools.permutations(some), 0, 720, 97):
        assert names(order, proposing.choose(order, NONE, 4)) == wanted


def test_the_score_is_the_mean_of_the_ranks():
    draw = np.random.default_rng(5)
    some = [candidate(f"{n}", textured(n), *draw.random(2)) for n in range(5)]
    known = appearance.look(textured(9))[None]
    first = proposing.choose(some, known, 1).choices[0]
    far = [appearance.distances(one.look[None], known)[0, 0] for one in some]
    ranks = [
        sum(
            sum(other < values[n] for other in values) / 4
            for values in ([s.signals[0] for s in some], [s.signals[1] for s in some], far)
        )
        / 3
        for n in range(5)
    ]
    assert first.place == int(np.argmax(ranks))
    assert first.score == pytest.approx(max(ranks))


def test_nothing_to_choose_from_is_nothing_chosen():
    assert not proposing.choose([], NONE, 5).choices
