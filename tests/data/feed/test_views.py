"""The fixed views from which a training with kept features draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flexunet_exp.data.augmentation import (
    Brightness,
    HorizontalFlip,
    PasteDefect,
    QuarterTurn,
    VerticalFlip,
)
from flexunet_exp.data.feed.views import Views
from flexunet_exp.errors import InputError

SIZE = (6, 6)
PICTURE = "0123456789abcdef"


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (*SIZE, 3), np.uint8), draw.integers(0, 4, SIZE, np.uint8)


FLIPS = (HorizontalFlip(), VerticalFlip(), QuarterTurn())


@pytest.mark.parametrize(
    ("transforms", "size", "number"),
    [
        ((), SIZE, 1),
        (FLIPS[:1], SIZE, 2),
        (FLIPS[:2], SIZE, 4),
        (FLIPS[2:], SIZE, 4),
        (FLIPS, SIZE, 8),
        (FLIPS[1:], SIZE, 8),
        (FLIPS[2:], (6, 4), 2),
        (FLIPS, (6, 4), 4),
    ],
)
def test_flips_and_turns_have_all_their_combinations(transforms, size, number):
    views = Views(transforms, size, None, seed=0)
    assert len(views) == number
    assert len({views.name(view) for view in range(number)}) == number


def test_each_view_is_what_some_order_of_the_transforms_makes(pair):
    views = Views(FLIPS, SIZE, None, seed=0)
    made = {views.of(pair, PICTURE, view)[0].tobytes() for view in range(8)}
    image = pair[0]
    flips = (image, image[:, ::-1], image[::-1], image[::-1, ::-1])
    expected = {
        np.ascontiguousarray(np.rot90(flipped, turns)).tobytes()
        for flipped, turns in itertools.product(flips, range(4))
    }
    assert made == expected and len(made) == 8


def test_image_and_mask_move_alike(pair):
    mask = pair[1]
    views = Views(FLIPS, SIZE, None, seed=0)
    for view in range(8):
        image, moved = views.of((np.dstack([mask] * 3), mask), PICTURE, view)
        np.testing.assert_array_equal(image[..., 0], moved)


def test_the_first_view_is_the_picture_itself(pair):
    for views in (Views(FLIPS, SIZE, None, 0), Views((Brightness(),), SIZE, 4, 0)):
        np.testing.assert_array_equal(views.of(pair, PICTURE, 0)[0], pair[0])


def test_sampled_views_are_fixed_by_seed_and_picture(pair):
    transforms = (Brightness(probability=1.0),)

    def seen(seed: int, picture: str) -> list[bytes]:
        views = Views(transforms, SIZE, 5, seed)
        return [views.of(pair, picture, view)[0].tobytes() for view in range(5)]

    assert seen(0, PICTURE) == seen(0, PICTURE)
    assert len(set(seen(0, PICTURE))) == 5
    assert seen(0, PICTURE)[1:] != seen(1, PICTURE)[1:] != seen(1, PICTURE[::-1])[1:]


def test_names_tell_other_samples_apart():
    def name(transforms, seed=0, origin=""):
        return Views(transforms, SIZE, 3, seed, origin).name(1)

    names = [
        name((Brightness(),)),
        name((Brightness(offset=(-0.1, 0.1)),)),
        name((Brightness(),), seed=1),
        name((PasteDefect(),), origin="a"),
        name((PasteDefect(),), origin="b"),
    ]
    assert len(set(names)) == len(names)
    assert name((Brightness(),)) == names[0]


def test_endless_views_are_refused_with_what_to_type():
    with pytest.raises(InputError, match=r"Brightness of the augm.* augmentation.views=16"):
        Views((*FLIPS, Brightness()), SIZE, None, 0)


def test_a_draw_is_decided_by_epoch_picture_and_turn():
    views = Views(FLIPS, SIZE, None, 0)
    drawn = {
        key: views.drawn(*key) for key in itertools.product((0, 1), range(5), range(5), range(2))
    }
    assert drawn == {key: views.drawn(*key) for key in drawn}
    assert set(drawn.values()) == set(range(8))
