"""Augmentation: image and mask stay each other's twins, whatever is done to them."""

from __future__ import annotations

import dataclasses
import inspect

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy import ndimage

from flexunet_exp.config import building, validation
from flexunet_exp.config.compose import conf_dir, plain
from flexunet_exp.data import augmentation
from flexunet_exp.data.augmentation import PasteDefect, augment, traced
from flexunet_exp.data.augmentation.moving import Move, moved
from flexunet_exp.data.augmentation.pasting import Donors, bound
from flexunet_exp.data.augmentation.photometric import Photometric, remap
from flexunet_exp.data.augmentation.transform import Checked
from flexunet_exp.data.augmentation.warps import Radial
from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError
from tests.support.properties import examples

CLASSES = [
    value
    for value in vars(augmentation).values()
    if inspect.isclass(value) and issubclass(value, Checked) and not inspect.isabstract(value)
]
PRESETS = sorted(path.stem for path in (conf_dir() / "augmentation").glob("*.yaml"))
EXACT = (augmentation.HorizontalFlip, augmentation.VerticalFlip, augmentation.QuarterTurn)
LIGHT = (*EXACT, augmentation.Brightness, augmentation.Contrast)

every_transform = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
sizes = st.integers(1, 40)
seeds = st.integers(0, 10**6)


def always(preset: str) -> list:
    """The transforms of a yaml, each used on every picture."""
    nodes = OmegaConf.load(conf_dir() / "augmentation" / f"{preset}.yaml").transforms
    return [building.build({**plain(node), "probability": 1}) for node in nodes]


def random_pair(seed: int, height: int, width: int, ignore: bool = True):
    """A patchwork of classes 0 to 3 and 255, and a picture unrelated to it."""
    draw = np.random.default_rng(seed)
    values = np.array([0, 1, 2, 3, IGNORE if ignore else 0], np.uint8)
    coarse = values[draw.integers(0, 5, (max(1, height // 4), max(1, width // 4)))]
    mask = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    return draw.integers(0, 256, (height, width, 3), dtype=np.uint8), mask


def donors() -> Donors:
    """A disc of class 1, to be pasted."""
    image, mask = np.full((32, 32, 3), 90, np.uint8), np.zeros((32, 32), np.uint8)
    cv2.circle(mask, (16, 16), 5, 1, -1)
    image[mask == 1] = 200
    return Donors(lambda row: (image, mask), np.array([[True, True]]), balanced=False)


def black_and_white(mask: np.ndarray) -> np.ndarray:
    return np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)


def two_classes(seed: int, height: int, width: int) -> np.ndarray:
    return random_pair(seed, height, width)[1] % 2


def test_there_are_as_many_transforms_and_lists_as_we_think():
    assert len(CLASSES) >= 17
    assert {*PRESETS} >= {
        *("none", "flips", "light", "standard", "strong", "seed_zipper", "seed_screw")
    }


def test_every_transform_is_in_the_strong_list_or_in_the_list_of_pasted_defects():
    listed = {type(transform) for transform in [*always("strong"), *always("paste")]}
    assert listed == {*CLASSES}


@every_transform
@given(seed=seeds, height=sizes, width=sizes)
@examples(25)
def test_shape_type_and_classes_hold_and_the_input_is_left_alone(kind, seed, height, width):
    image, mask = random_pair(seed, height, width)
    before = image.copy(), mask.copy()
    changed, moved = augment([kind(probability=1)], image, mask, key=(seed, 0, 0))
    assert changed.shape == (height, width, 3) and moved.shape == (height, width)
    assert changed.dtype == moved.dtype == np.uint8
    assert {*np.unique(moved)} <= {*np.unique(mask)}
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("preset", PRESETS)
@given(seed=seeds, height=sizes, width=sizes)
@examples(15)
def test_every_list_keeps_shape_type_and_classes(preset, seed, height, width):
    image, mask = random_pair(seed, height, width)
    changed, moved = augment(always(preset), image, mask, key=(seed, 1, 2))
    assert changed.shape == image.shape and moved.shape == mask.shape
    assert changed.dtype == moved.dtype == np.uint8
    assert {*np.unique(moved)} <= {*np.unique(mask)}
    _, empty = augment(always(preset), image, np.zeros_like(mask), key=(seed, 1, 2))
    assert not empty.any()


@pytest.mark.parametrize("kind", [k for k in CLASSES if not issubclass(k, Photometric)])
@given(seed=seeds, height=sizes, width=sizes)
@examples(25)
def test_a_pixel_that_is_purely_of_one_class_is_of_that_class_in_the_mask(
    kind, seed, height, width
):
    """The mask itself is the image: a white pixel was blended from white ones alone."""
    mask = two_classes(seed, height, width)
    image, moved = augment([kind(probability=1)], black_and_white(mask), mask, key=(seed, 0, 0))
    grey = image[..., 0]
    pure = (grey == 0) | (grey == 255)
    np.testing.assert_array_equal(moved[pure], grey[pure] // 255)
    if kind in EXACT:
        assert pure.all()


@pytest.mark.parametrize("kind", [k for k in CLASSES if issubclass(k, Move)])
@pytest.mark.parametrize("height, width", [(128, 128), (96, 160)])
def test_a_blob_and_its_mask_go_the_same_way(kind, height, width):
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 3, height // 4), 20, 0, 360, 1, -1)
    unmoved = 0
    for index in range(10):
        image, moved = augment([kind(1)], black_and_white(mask), mask, key=(7, 0, index))
        seen = image[..., 0] >= 128
        assert (seen & (moved == 1)).sum() > 0.97 * (seen | (moved == 1)).sum()
        unmoved += np.array_equal(moved, mask)
    assert unmoved < 5  # a factor drawn near 1 moves nothing


@every_transform
def test_the_key_alone_decides(kind):
    image, mask = random_pair(3, 256, 300)
    mask[64:192] = 0  # room for a pasted defect
    results = {}
    for index in range(6):
        transforms = bound([kind(1)], donors())
        first, second = (augment(transforms, image, mask, key=(5, 2, index)) for _ in range(2))
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
        results[first[0].tobytes()] = True
    assert len(results) > 1 or kind in EXACT


@pytest.mark.parametrize("kind", [k for k in CLASSES if issubclass(k, Photometric)])
def test_photometric_transforms_change_the_image_only(kind):
    image, mask = random_pair(3, 512, 512)
    changed, same = augment([kind(1)], image, mask, key=(0, 0, 1))
    np.testing.assert_array_equal(same, mask)
    assert (changed != image).any()


def test_what_is_uncovered_is_the_reflection_or_ignored():
    mask = np.tile(np.arange(100, dtype=np.uint8), (100, 1))
    image = np.repeat(mask[..., None], 3, axis=2)
    reflected, _ = augment([augmentation.Shrink(1, factor=0.5)], image, mask, key=(0,))
    assert abs(int(reflected[50, 0, 0]) - 50) <= 2 and reflected[50, 25, 0] <= 1
    _, ignored = augment([augmentation.Shrink(1, "ignore", 0.5)], image, mask, key=(0,))
    assert (ignored[:24] == IGNORE).all() and (ignored[26:74, 26:74] < 100).all()


def test_a_rotation_by_90_degrees_is_the_quarter_turn():
    image, mask = random_pair(1, 33, 33)
    for degrees, turns in ((90, 1), (180, 2), (-90, 3)):
        pair = augment([augmentation.Rotation(1, degrees=degrees)], image, mask, key=(0,))
        np.testing.assert_array_equal(pair[0], np.rot90(image, turns))
        np.testing.assert_array_equal(pair[1], np.rot90(mask, turns))


@pytest.mark.parametrize("height, width", [(20, 33), (33, 20)])
def test_the_middle_of_a_picture_that_is_not_square_stays_where_it_is(height, width):
    image, mask = random_pair(1, height, width)
    turned = augment([augmentation.Rotation(1, degrees=180)], image, mask, key=(0,))
    np.testing.assert_array_equal(turned[0], np.rot90(image, 2))
    np.testing.assert_array_equal(turned[1], np.rot90(mask, 2))


@pytest.mark.parametrize("height, width", [(8, 8), (5, 12)])
def test_a_crop_reaches_from_edge_to_edge_and_not_beyond(height, width):
    """Edges, not centres: pixel i spans i - 1/2 to i + 1/2."""
    crop, size = augmentation.Crop(1, share=0.6), np.array([width, height])
    draws = [crop.positions(height, width, np.random.default_rng(seed)) for seed in range(300)]
    first = np.array([matrix @ (-0.5, -0.5, 1) for matrix in draws])
    last = np.array([matrix @ (width - 0.5, height - 0.5, 1) for matrix in draws])
    np.testing.assert_allclose(last - first, np.tile(0.6 * size, (300, 1)))
    assert (first >= -0.5).all() and (last <= size - 0.5).all()
    assert (first.min(axis=0) < -0.45).all() and (last.max(axis=0) > size - 0.55).all()


def test_a_shear_moves_rows_by_a_share_of_their_height():
    mask = np.zeros((101, 101), np.uint8)
    mask[:, 50] = 1
    shear = augmentation.Shear(1, horizontal=0.2, vertical=0)
    _, moved = augment([shear], black_and_white(mask), mask, key=(0,))
    np.testing.assert_array_equal(moved[[0, 50, 100]].argmax(axis=1), [60, 50, 40])


@given(seeds)
@examples(20)
def test_a_crop_shows_a_rectangle_of_the_picture_and_nothing_else(seed):
    """Along each side of a ramp the crop runs over a share of it, inside it."""
    ramp = np.arange(0, 200, 2, dtype=np.uint8)
    image = np.dstack(
        [np.tile(ramp, (100, 1)), np.tile(ramp[:, None], (1, 100)), np.zeros((100,) * 2)]
    )
    mask = np.zeros((100, 100), np.uint8)
    crop = augmentation.Crop(1, share=0.6)
    seen, _ = augment([crop], image.astype(np.uint8), mask, key=(seed,))
    for line in (seen[50, :, 0], seen[:, 50, 1]):
        inner = line[2:-2].astype(int)
        assert abs((inner[-1] - inner[0]) - 2 * 0.6 * (len(inner) - 1)) <= 2
        assert (np.diff(inner) >= 0).all()


@pytest.mark.parametrize("sigma", [2, 8, 16])
def test_elastic_is_the_field_of_simard(sigma):
    """Against SciPy: uniform noise, Gaussian, times alpha; a coarser grid is as strong."""
    side = 512
    generator = np.random.default_rng(3)
    elastic = augmentation.Elastic(1, alpha=50 * sigma, sigma=sigma)
    field = elastic.positions(side, side, generator) - np.dstack(
        np.meshgrid(np.arange(side), np.arange(side))
    )
    assert field.std() == pytest.approx(0.163 * 50, rel=0.1)
    noise = np.random.default_rng(5).uniform(-1, 1, (side, side))
    reference = ndimage.gaussian_filter(noise, sigma) * 50 * sigma
    for axis in (0, 1):
        slopes = [np.diff(part, axis=axis).std() for part in (field[..., 0], reference)]
        assert slopes[0] == pytest.approx(slopes[1], rel=0.1)


def test_elastic_on_the_finest_grid_is_scipys_to_a_hundredth_of_a_pixel():
    generator = np.random.default_rng(3)
    for _ in range(2):
        generator.uniform()  # alpha and sigma are drawn first, fixed as they are
    noise = 2 * generator.random((512, 512, 2), dtype=np.float32) - 1
    expected = ndimage.gaussian_filter(noise[..., 0], 3, mode="mirror") * 40
    elastic = augmentation.Elastic(1, alpha=40, sigma=3)
    found = elastic.positions(512, 512, np.random.default_rng(3))[..., 0] - np.arange(512)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_elastic_does_the_same_to_a_picture_of_another_size():
    elastic = augmentation.Elastic(1, alpha=160, sigma=8)
    spreads = []
    for side in (512, 128):
        field = elastic.positions(side, side, np.random.default_rng(1))
        spreads.append((field[..., 0] - np.arange(side)).std() / side)
    assert spreads[0] == pytest.approx(spreads[1], rel=0.15)


@pytest.mark.parametrize("height, width", [(128, 128), (60, 200), (8, 8)])
def test_distortion_moves_by_the_fraction_at_most(height, width):
    distortion = augmentation.Distortion(1, fraction=0.05)
    field = distortion.positions(height, width, np.random.default_rng(0))
    field = field - np.dstack(np.meshgrid(np.arange(width), np.arange(height)))
    assert np.abs(field).max() == pytest.approx(0.05 * min(height, width), rel=1e-3)


@pytest.mark.parametrize("kind, sign", [(augmentation.Barrel, 1), (augmentation.Pincushion, -1)])
def test_barrel_and_pincushion_are_the_originals_formula(kind, sign):
    """sin(π/2 · d)^e, written out pixel by pixel as the original program did."""
    height, width = 30, 40
    found = kind(1, amount=0.4, radius=0.4, centre=0.5).positions(
        height, width, np.random.default_rng(0)
    )
    for y in range(height):
        for x in range(width):
            dx, dy = x - 19.5, y - 14.5
            distance = (dx**2 + dy**2) ** 0.5 / 12
            factor = np.sin(np.pi / 2 * distance) ** (sign * 0.4) if distance < 1 else 1.0
            np.testing.assert_allclose(
                found[y, x], (19.5 + factor * dx, 14.5 + factor * dy), atol=1e-3
            )


def test_light_by_hand():
    image = np.array([[[0, 100, 200]]], np.uint8)
    np.testing.assert_array_equal(remap(image, np.arange(256) + 60), [[[60, 160, 255]]])
    np.testing.assert_array_equal(remap(image, np.arange(256) * 0.5), [[[0, 50, 100]]])
    mask = np.zeros((1, 1), np.uint8)
    # The original program's brightening: 1.2 times and 10 levels.
    brighter = augmentation.Brightness(1, offset=10 / 255, factor=1.2)
    np.testing.assert_array_equal(augment([brighter], image, mask, (0,))[0], [[[10, 130, 250]]])
    darker = augmentation.Gamma(1, gamma=2)
    np.testing.assert_array_equal(augment([darker], image, mask, (0,))[0], [[[0, 39, 157]]])
    flatter = augmentation.Contrast(1, factor=0.5)
    np.testing.assert_array_equal(augment([flatter], image, mask, (0,))[0], [[[50, 100, 150]]])


def test_sharpening_is_the_originals_kernel():
    image, mask = random_pair(2, 12, 12)
    image //= 2
    kernel = np.full((3, 3), -0.5)
    kernel[1, 1] = 1 + 8 * 0.5
    expected = ndimage.correlate(image.astype(float), kernel[..., None], mode="mirror")
    found, _ = augment([augmentation.Sharpen(1, strength=0.5)], image, mask, (0,))
    np.testing.assert_array_equal(found, np.clip(np.rint(expected), 0, 255))


def test_noise_is_normal_and_keeps_grey_grey():
    image, mask = np.full((200, 200, 3), 128, np.uint8), np.zeros((200, 200), np.uint8)
    noise = augment([augmentation.Noise(1, sigma=0.04)], image, mask, (0,))[0].astype(float) - 128
    assert (noise == noise[..., :1]).all()
    assert abs(noise.mean()) < 0.3 and noise.std() == pytest.approx(255 * 0.04, rel=0.03)
    assert np.mean(np.abs(noise) < noise.std()) == pytest.approx(0.683, abs=0.04)


def test_blur_is_a_gaussian_of_the_reference_size():
    image, mask = random_pair(2, 256, 256)
    found, _ = augment([augmentation.Blur(1, sigma=4)], image, mask, (0,))
    expected = ndimage.gaussian_filter(image.astype(float), (2, 2, 0), mode="mirror")
    assert np.abs(found - expected).max() <= 2


def test_the_result_depends_on_seed_epoch_and_index_only():
    transforms = [kind(1) for kind in LIGHT]
    pair = random_pair(1, 32, 32)
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    results = {key: augment(transforms, *pair, key=key)[0].tobytes() for key in keys}
    assert len(set(results.values())) == 4


def test_probability_is_the_share_of_pictures_changed():
    transform = augmentation.HorizontalFlip(probability=0.25)
    image, mask = random_pair(2, 8, 8)
    changed = [(augment([transform], image, mask, (0, 0, i))[1] != mask).any() for i in range(2000)]
    assert abs(np.mean(changed) - 0.25) < 0.04  # four standard deviations


def test_two_transforms_of_a_list_do_not_fire_together():
    image, mask = random_pair(2, 8, 8)
    flips = [augmentation.HorizontalFlip(0.5), augmentation.VerticalFlip(0.5)]
    seen = {augment(flips, image, mask, (0, 0, i))[0].tobytes() for i in range(100)}
    assert len(seen) == 4


@pytest.mark.parametrize("height, width", [(512, 700), (700, 512)])
def test_pixels_of_the_settings_are_those_of_the_shorter_side(height, width):
    image, mask = random_pair(2, height, width)
    found, _ = augment([augmentation.Blur(1, sigma=4)], image, mask, (0,))
    np.testing.assert_array_equal(found, cv2.GaussianBlur(image, (0, 0), 4))


def test_turns_reach_all_four_orientations():
    image, mask = random_pair(5, 9, 9)
    seen = {
        augment([augmentation.QuarterTurn(0.75)], image, mask, key=(0, 0, i))[1].tobytes()
        for i in range(100)
    }
    assert seen == {np.ascontiguousarray(np.rot90(mask, turns)).tobytes() for turns in range(4)}


def test_the_light_list_stays_what_runs_were_trained_with():
    light = always("light")
    assert [type(transform) for transform in light] == [*LIGHT]
    assert (*light[3].offset, *light[4].factor) == (-0.15, 0.15, 0.85, 1.15)


@every_transform
def test_every_setting_is_checked_and_all_wrong_ones_are_named(kind):
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    with pytest.raises(InputError) as raised:
        kind(**dict.fromkeys(names, "much"))
    assert len(raised.value.problems) == len(names)
    assert all(name in str(raised.value) for name in names)


@pytest.mark.parametrize("wrong", [(1, 0), (0,), (0, 1, 2), (0, float("nan")), 7, None, True])
def test_a_range_is_a_number_or_two_in_order_within_its_ends(wrong):
    with pytest.raises(InputError, match=r"from 0 to 5, or two as \[low, high\]"):
        augmentation.Contrast(1, factor=wrong)


def test_a_wrong_setting_in_a_list_is_found_before_training(compose):
    cfg = compose("train", "augmentation=strong")
    cfg.augmentation.transforms[3].degrees = [10, 700]
    cfg.augmentation.transforms[0].probability = 3
    OmegaConf.update(cfg, "augmentation.transforms.5.faktor", 1, force_add=True)
    with pytest.raises(InputError) as raised:
        validation.check_targets(cfg, ("augmentation",))
    assert "transforms[3]: Rotation: degrees=[10, 700] is not a number from -360" in str(
        raised.value
    )
    assert len(raised.value.problems) == 3 and "Did you mean 'factor'?" in str(raised.value)


@pytest.mark.parametrize("preset", PRESETS)
def test_telling_what_was_drawn_changes_nothing(preset):
    """The transforms called by hand, each with a stream of NumPy's own."""
    image, mask = random_pair(4, 64, 80)
    nodes = OmegaConf.load(conf_dir() / "augmentation" / f"{preset}.yaml").transforms
    transforms = [building.build(plain(node)) for node in nodes]
    for index in range(20):
        expected, names = (image, mask), []
        for position, transform in enumerate(transforms):
            generator = np.random.default_rng([3, 1, index, position])
            if generator.random() < transform.probability:
                expected = transform(*expected, generator)
                names.append(type(transform).__name__)
        pair, used = traced(transforms, image, mask, key=(3, 1, index))
        np.testing.assert_array_equal(pair[0], expected[0])
        np.testing.assert_array_equal(pair[1], expected[1])
        assert [one.name for one in used] == names


FIELDS = (augmentation.Elastic, augmentation.Distortion, augmentation.Noise)  # of random numbers


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind not in (*FIELDS, PasteDefect)])
def test_what_is_told_makes_the_same_picture_again(kind):
    image, mask = random_pair(5, 96, 96)
    for index in range(8):
        pair, (used,) = traced([kind(probability=1)], image, mask, key=(9, 0, index))
        again = redone(kind, dict(used.values), image, mask)
        np.testing.assert_array_equal(pair[0], again[0])
        np.testing.assert_array_equal(pair[1], again[1])


def redone(kind, values: dict, image: np.ndarray, mask: np.ndarray):
    """The transform by its told values alone."""
    if kind is augmentation.QuarterTurn:
        turns = values["degrees"] // 90
        return np.rot90(image, turns), np.rot90(mask, turns)
    if kind is augmentation.Crop:
        height, width = mask.shape
        side, left, top = values["share"], values["left"] * width, values["top"] * height
        start = (np.array([left, top]) + (side - 1) / 2)[:, None]
        positions = np.hstack([np.eye(2) * side, start])
        reflect = cv2.BORDER_REFLECT_101
        return (
            moved(image, positions, cv2.INTER_LINEAR, reflect),
            moved(mask, positions, cv2.INTER_NEAREST, reflect),
        )
    if issubclass(kind, Radial):
        drawn = [values[name] for name in ("amount", "radius", "centre_x", "centre_y")]
        return kind(probability=1)(image, mask, Scripted(drawn))
    return kind(probability=1, **values)(image, mask, np.random.default_rng(0))


class Scripted:
    """A generator that draws what it is told."""

    def __init__(self, numbers: list[float]):
        self.numbers = iter(numbers)

    def uniform(self, low: float, high: float) -> float:
        return next(self.numbers)
