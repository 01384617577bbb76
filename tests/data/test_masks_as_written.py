"""The mask that is read is the mask that was written, or it is refused; never anything else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flexunet_exp.data.masks import mask_values
from flexunet_exp.data.masks.mask_rules import Reading
from flexunet_exp.errors import InputError
from tests.support.properties import examples

CLEAR = 60  # levels: farther from the line between two colours, a third is no blend of them


class Written(NamedTuple):
    """A mask (H, W), the colours of its classes (C, 3), and where its edges were blended."""

    mask: np.ndarray
    palette: np.ndarray
    random: np.random.Generator


def colours_of(random: np.random.Generator, number: int) -> np.ndarray:
    """A palette of distinct colours: any, of three levels a channel, or of dark greys."""
    kind = random.integers(3)
    if kind == 0:
        packed = random.choice(256**3, number, replace=False)
        return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1).astype(np.uint8)
    if kind == 1:
        digits = random.choice(27, number, replace=False)
        levels = np.array([0, 128, 255], np.uint8)
        return levels[np.stack([digits // 9, digits // 3 % 3, digits % 3], -1)]
    return np.repeat(random.choice(24, number, replace=False)[:, None], 3, 1).astype(np.uint8)


def drawn(seed: int, wide: bool = False) -> Written:
    """A mask of 2 to 16 px a side in blocks; `wide`: of 3 px or more, and fewer classes."""
    random = np.random.default_rng(seed)
    number = int(random.integers(2, 6 if wide else 13))
    block = int(random.integers(3 if wide else 1, 5))
    coarse = random.integers(0, number, random.integers(2, 5, 2))
    mask = np.kron(coarse, np.ones((block, block), int)).astype(np.uint8)
    return Written(mask, colours_of(random, number), random)


def save(array: np.ndarray, path: Path, **options) -> None:
    Image.fromarray(array).save(path, **options)


def with_palette(stored: np.ndarray, shown: np.ndarray, path: Path) -> None:
    picture = Image.fromarray(stored.astype(np.uint8))
    picture.putpalette(shown.astype(np.uint8).tobytes())
    picture.save(path)


def as_index(one: Written, path: Path) -> None:
    save(one.mask, path)


def as_index_in_three(one: Written, path: Path) -> None:
    save(np.dstack([one.mask] * 3), path)


def as_deep_index(one: Written, path: Path) -> None:
    save(one.mask.astype(np.uint16), path)


def as_own_palette(one: Written, path: Path) -> None:
    with_palette(one.mask, one.palette, path)


def as_foreign_palette(one: Written, path: Path) -> None:
    with_palette(one.mask, one.random.integers(30, 120, (256, 3)) * 2 + 1, path)


def as_palette_of_another_order(one: Written, path: Path) -> None:
    order = one.random.permutation(len(one.palette))
    shown = np.zeros_like(one.palette)
    shown[order] = one.palette
    with_palette(order[one.mask], shown, path)


def as_colours(one: Written, path: Path) -> None:
    save(one.palette[one.mask], path)


def as_colours_with_alpha(one: Written, path: Path) -> None:
    alpha = np.full(one.mask.shape, one.random.integers(256), np.uint8)
    save(np.dstack([one.palette[one.mask], alpha]), path)


def as_deep_colours(one: Written, path: Path) -> None:
    cv2.imwrite(str(path), one.palette[one.mask][..., ::-1].astype(np.uint16) * 257)


def as_tiff(one: Written, path: Path) -> None:
    save(one.palette[one.mask], path, format="TIFF")


def as_one_hot(one: Written, path: Path) -> None:
    channels = np.eye(len(one.palette), dtype=np.float32)[one.mask]
    with path.open("wb") as file:
        np.savez(file, mask=channels)


INDICES = (as_index, as_index_in_three, as_deep_index, as_foreign_palette)
COLOURS = (as_colours, as_colours_with_alpha, as_deep_colours, as_tiff)
CERTAIN = (as_own_palette, as_palette_of_another_order, as_one_hot)


def read(one: Written, path: Path) -> np.ndarray | None:
    """The mask that is read with no limit to its edges; None where it is refused."""
    names = tuple(map(str, range(len(one.palette))))
    try:
        return mask_values.read(path, Reading(one.palette, names, limit=1.0)).mask
    except InputError:
        return None


def path_for(factory: pytest.TempPathFactory, encode: Callable) -> Path:
    return factory.getbasetemp() / ("mask.npz" if encode is as_one_hot else "mask.png")


@examples(900)
@given(seed=st.integers(0, 2**32 - 1), encode=st.sampled_from([*INDICES, *COLOURS, *CERTAIN]))
def test_a_flat_mask_is_read_as_written_or_refused(tmp_path_factory, seed, encode):
    one, path = drawn(seed), path_for(tmp_path_factory, encode)
    encode(one, path)
    found = read(one, path)
    greys = (one.palette == one.palette[:, :1]).all(axis=1).sum()
    may_be_refused = encode not in CERTAIN and greys > 0  # a grey may be an index of another class
    if found is not None or not may_be_refused:
        np.testing.assert_array_equal(found, one.mask)


@examples(400)
@given(seed=st.integers(0, 2**32 - 1), encode=st.sampled_from(INDICES))
def test_ignored_pixels_of_an_index_mask_are_read_as_written_or_refused(
    tmp_path_factory, seed, encode
):
    one, path = drawn(seed), path_for(tmp_path_factory, encode)
    one.mask[-1, -1] = 255
    one.mask[0, 0] = 1  # 0 and 255 alone are for the whole set to decide
    encode(one, path)
    found = read(one, path)
    assert found is None or (found == one.mask).all()


@examples(500)
@given(seed=st.integers(0, 2**32 - 1), encode=st.sampled_from(COLOURS[:3]))
def test_edges_take_a_class_of_either_side_or_are_refused(tmp_path_factory, seed, encode):
    one, path = drawn(seed, wide=True), path_for(tmp_path_factory, encode)
    if any_is_a_blend(one.palette):
        return
    shown, allowed = blended(one)
    places = np.arange(one.mask.size).reshape(one.mask.shape)
    encode(Written(places, shown, one.random), path)
    found = read(one, path)
    if found is not None:
        assert np.take_along_axis(allowed, found[..., None].astype(int), -1).all()


def any_is_a_blend(palette: np.ndarray) -> bool:
    """Whether a class colour lies near the line between two others, so that it may be a blend."""
    wide = palette.astype(float)
    for one, other in itertools.combinations(range(len(wide)), 2):
        line = wide[other] - wide[one]
        along = np.clip((wide - wide[one]) @ line / (line @ line), 0, 1)
        off = np.abs(wide - wide[one] - along[:, None] * line).max(axis=1)
        off[[one, other]] = np.inf
        if off.min() < CLEAR or np.abs(line).max() < CLEAR:
            return True
    return False


def blended(one: Written) -> tuple[np.ndarray, np.ndarray]:
    """The colour of each pixel (H W, 3), and the classes that it may be read as (H, W, C) bool.

    A pixel whose right (or else lower) neighbour is of another class is blended with it.
    """
    height, width = one.mask.shape
    shown = one.palette[one.mask].astype(float)
    allowed = np.eye(len(one.palette), dtype=bool)[one.mask]
    for top, left in itertools.product(range(height), range(width)):
        near = [one.mask[top, min(left + 1, width - 1)], one.mask[min(top + 1, height - 1), left]]
        other = next((index for index in near if index != one.mask[top, left]), None)
        if other is not None:
            share = one.random.uniform(0, 1)
            shown[top, left] = share * shown[top, left] + (1 - share) * one.palette[other]
            allowed[top, left, other] = True
    return np.round(shown).astype(np.uint8).reshape(-1, 3), allowed


@examples(300)
@given(
    seed=st.integers(0, 2**32 - 1),
    encode=st.sampled_from([*COLOURS, as_palette_of_another_order]),
    side=st.integers(2, 4),
)
def test_a_flat_area_of_a_colour_that_nobody_named_is_refused(tmp_path_factory, seed, encode, side):
    one, path = drawn(seed), path_for(tmp_path_factory, encode)
    mask = np.pad(one.mask, 4)
    mask[:side, :side] = len(one.palette) - 1  # no class of the reading
    whole = Written(mask, one.palette, one.random)
    encode(whole, path)
    named = one._replace(palette=one.palette[:-1])
    may_be_index = fits_indices(whole) or stores_indices(path, named.palette)
    assert read(named, path) is None or may_be_index


def stores_indices(path: Path, palette: np.ndarray) -> bool:
    """Whether a palette file stores class indices, and shows no class in another's colour."""
    picture = Image.open(path)
    if picture.mode != "P":
        return False
    stored = np.unique(np.array(picture))
    if stored.max() >= len(palette):
        return False
    shown = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)[stored]
    same = (shown[:, None] == palette).all(axis=-1)
    return not same[np.arange(len(palette)) != stored[:, None]].any()


def fits_indices(one: Written) -> bool:
    """Whether all colours are dark greys that are class indices as well."""
    shown = one.palette[one.mask]
    return bool((shown < len(one.palette) - 1).all() and (shown == shown[..., :1]).all())
