"""Pictures and masks of every kind a user may hand over, written by Pillow and read back."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flexunet_exp.data import masks
from flexunet_exp.errors import InputError
from tests.support.properties import examples

ZIPPER = np.array(
    [
        (0, 0, 0),
        (0, 0, 255),
        (0, 255, 0),
        (255, 0, 0),
        (128, 128, 128),
        (255, 255, 255),
        (0, 255, 255),
        (255, 255, 0),
    ],
    np.uint8,
)


def save(path: Path, array: np.ndarray, **options) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def colour_mask(tmp_path: Path, pixels: list) -> Path:
    return save(tmp_path / "mask.png", np.array(pixels, np.uint8))


def random_image(height=20, width=30, channels=3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_rgb_comes_back_as_it_was(tmp_path, suffix):
    image = random_image()
    np.testing.assert_array_equal(masks.read_image(save(tmp_path / f"a.{suffix}", image)), image)


def test_alpha_is_dropped(tmp_path):
    image = random_image(channels=4)
    np.testing.assert_array_equal(masks.read_image(save(tmp_path / "a.png", image)), image[..., :3])


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bits_are_scaled_by_the_bits_that_are_used(tmp_path, suffix, bits):
    largest = 2**bits - 1
    grey = np.linspace(0, largest, 1024).astype(np.uint16).reshape(32, 32)
    image = masks.read_image(save(tmp_path / f"a.{suffix}", grey), bits)
    white = 255 if bits == 8 else 65535
    expected = np.round(grey * float(white) / largest)
    np.testing.assert_array_equal(image, np.repeat(expected[..., None], 3, axis=-1))
    assert image.min() == 0 and image.max() == white == np.iinfo(image.dtype).max


def test_palette_picture_shows_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "a.png")
    assert masks.read_image(tmp_path / "a.png").tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_camera_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    image = random_image(10, 20)
    read = masks.read_image(save(tmp_path / "a.png", image, exif=exif))
    np.testing.assert_array_equal(read, np.rot90(image, -1))


@pytest.mark.parametrize("name", ["größe 1.png", "鏈 [a,b]=c.png"])
def test_any_file_name(tmp_path, name):
    image = random_image()
    np.testing.assert_array_equal(masks.read_image(save(tmp_path / name, image)), image)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_truncated_file_is_refused_by_name(tmp_path, suffix, share):
    path = save(tmp_path / f"cut.{suffix}", random_image(64, 64))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="cut"):
        masks.read_image(path)
    with pytest.raises(InputError, match="cut"):
        masks.read_colour_mask(path, ZIPPER)
    with pytest.raises(InputError, match="cut"):
        masks.read_binary_mask(path, 1)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_file_without_picture_is_refused_by_name(tmp_path, content):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    for read in (masks.read_image, lambda p: masks.read_colour_mask(p, ZIPPER)):
        with pytest.raises(InputError, match="odd.png"):
            read(path)


def archive_bytes() -> bytes:
    archive = io.BytesIO()
    np.savez_compressed(archive, mask=np.eye(8, dtype=np.uint8)[np.arange(64).reshape(8, 8) % 8])
    return archive.getvalue()


def picture_bytes(kind: str) -> bytes:
    picture = io.BytesIO()
    Image.fromarray(random_image(8, 8)).save(picture, kind)
    return picture.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@examples(100)
@given(
    suffix=st.sampled_from(["png", "jpeg", "bmp", "tiff", "npz"]),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
)
def test_damaged_file_is_read_or_refused_but_never_anything_else(tmp_path_factory, suffix, edits):
    data = bytearray(archive_bytes() if suffix == "npz" else picture_bytes(suffix))
    for place, value in edits:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        image = masks.read_image(path)
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    with contextlib.suppress(InputError):
        mask, odd = masks.read_colour_mask(path, ZIPPER, limit=1.0)
        assert mask.dtype == np.uint8 and set(mask.flat) <= {*range(8), 255}
        assert 0 <= odd <= mask.size


def test_missing_file_and_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(InputError, match=path.name):
            masks.read_image(path)


def test_exact_colours_are_their_class(tmp_path):
    index = np.random.default_rng(0).integers(0, 8, (40, 30))
    mask, odd = masks.read_colour_mask(colour_mask(tmp_path, ZIPPER[index]), ZIPPER)
    np.testing.assert_array_equal(mask, index)
    assert mask.dtype == np.uint8 and odd == 0


@pytest.mark.parametrize("alpha", [0, 90, 255])
def test_constant_alpha_of_a_colour_mask_is_dropped(tmp_path, alpha):
    pixels = np.dstack([ZIPPER[[[1, 0, 4]]], np.full((1, 3), alpha, np.uint8)])
    assert masks.read_colour_mask(colour_mask(tmp_path, pixels), ZIPPER)[0].tolist() == [[1, 0, 4]]


def test_alpha_of_a_mask_that_is_not_constant_is_refused(tmp_path):
    pixels = np.dstack([ZIPPER[[[1, 0, 4]]], np.array([[255, 90, 255]], np.uint8)])
    with pytest.raises(InputError, match="alpha channel is not constant .1 of 3"):
        masks.read_colour_mask(colour_mask(tmp_path, pixels), ZIPPER)


def test_edge_pixel_takes_the_nearest_colour_present_in_the_file(tmp_path):
    # Dark cyan, between split_teeth (6) and background, is nearest to gray (4), which is not here.
    path = colour_mask(tmp_path, [[(0, 255, 255)] * 60 + [(50, 160, 160)] + [(0, 0, 0)] * 60])
    assert masks.read_colour_mask(path, ZIPPER, "present")[0][0, 60] == 6
    assert masks.read_colour_mask(path, ZIPPER, "nearest")[0][0, 60] == 4
    assert masks.read_colour_mask(path, ZIPPER)[1] == 1


def test_blend_that_touches_one_class_alone_is_no_edge(tmp_path):
    path = colour_mask(tmp_path, [[(0, 0, 255)] * 99 + [(0, 0, 60)]])
    with pytest.raises(InputError, match=r"no edge.*\(0, 0, 60\) \(1 px\)"):
        masks.read_colour_mask(path, ZIPPER)


def test_tie_goes_to_the_lower_class(tmp_path):
    palette = np.array([(0, 0, 0), (200, 0, 0), (0, 0, 200)], np.uint8)
    pixels = [(0, 0, 0), (100, 0, 0), (200, 0, 0), (100, 0, 100), (0, 0, 200)]
    path = colour_mask(tmp_path, [pixels])
    assert masks.read_colour_mask(path, palette, "nearest", 1.0)[0].tolist() == [[0, 0, 1, 0, 2]]
    assert masks.read_colour_mask(path, palette, "present", 1.0)[0].tolist() == [[0, 0, 1, 1, 2]]


@examples(30)
@given(seed=st.integers(0, 2**32 - 1), rule=st.sampled_from(["present", "nearest"]))
def test_both_rules_agree_with_an_exhaustive_search(tmp_path_factory, seed, rule):
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (5, 3), dtype=np.uint8)
    hypothesis.assume(len({tuple(colour) for colour in palette.tolist()}) == 5)
    one, other = random.choice(5, 2, replace=False)
    share = random.uniform(0.1, 0.9)
    blend = np.round(share * palette[one] + (1 - share) * palette[other])
    hypothesis.assume(not (palette == blend).all(axis=-1).any())
    pixels = np.array([[palette[one], blend, palette[other]]], np.uint8)
    allowed = sorted([one, other]) if rule == "present" else range(5)
    nearest = min(allowed, key=lambda c: (((blend - palette[c]) ** 2).sum(), c))
    path = save(tmp_path_factory.mktemp("rules") / "m.png", pixels)
    mask, odd = masks.read_colour_mask(path, palette, rule, 1.0)
    assert mask[0].tolist() == [one, nearest, other] and odd == 1


def test_too_many_odd_pixels_are_refused_with_share_and_colours(tmp_path):
    blends = [(0, 0, 90), (0, 0, 150), (0, 0, 255), (0, 0, 90)]
    path = colour_mask(tmp_path, [[(0, 0, 0)] * 50 + blends + [(0, 0, 0)] * 46])
    with pytest.raises(InputError, match=r"mask.png.*3.00%.*\(0, 0, 90\), \(0, 0, 150\)"):
        masks.read_colour_mask(path, ZIPPER, limit=0.02)
    assert masks.read_colour_mask(path, ZIPPER, limit=0.03)[1] == 3


def test_unknown_rule_is_refused(tmp_path):
    with pytest.raises(InputError, match="present or nearest"):
        masks.read_colour_mask(colour_mask(tmp_path, [[(0, 0, 0)]]), ZIPPER, "closest")


def test_palette_file_is_read_by_its_colours_whatever_its_order(tmp_path):
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette(ZIPPER[[5, 2, 0]].tobytes())
    picture.save(tmp_path / "m.png")
    assert masks.read_colour_mask(tmp_path / "m.png", ZIPPER)[0].tolist() == [[5, 2, 0]]


@pytest.mark.parametrize("mode", ["L", "P"])
def test_stored_indices_are_classes_where_the_colours_are_not(tmp_path, mode):
    index = np.array([[0, 1, 7, 255]], np.uint8)
    picture = Image.fromarray(index)
    if mode == "P":
        picture.putpalette(bytes(range(1, 256)) * 3)
    picture.save(tmp_path / "m.png")
    mask, odd = masks.read_colour_mask(tmp_path / "m.png", ZIPPER)
    np.testing.assert_array_equal(mask, index)
    assert odd == 0


def test_sixteen_bit_index_mask(tmp_path):
    index = np.array([[0, 3, 255]], np.uint16)
    assert masks.read_colour_mask(save(tmp_path / "m.png", index), ZIPPER)[0].tolist() == [
        [0, 3, 255]
    ]
    with pytest.raises(InputError, match="up to 4000"):
        masks.read_colour_mask(save(tmp_path / "m.png", index + np.uint16(3745)), ZIPPER)


def test_grey_file_in_class_colours_is_a_colour_mask(tmp_path):
    path = save(tmp_path / "m.png", np.array([[0, 128, 255]], np.uint8))
    assert masks.read_colour_mask(path, ZIPPER)[0].tolist() == [[0, 4, 5]]


def test_black_and_white_file_names_no_class(tmp_path):
    path = save(tmp_path / "m.png", np.array([[0, 255]], np.uint8))
    with pytest.raises(InputError, match="which class"):
        masks.read_colour_mask(path, ZIPPER[:4])
    assert masks.read_colour_mask(path, ZIPPER)[0].tolist() == [[0, 5]]


def test_black_and_white_palette_file_of_class_indices_is_an_index_mask(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8))
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(tmp_path / "m.png")
    assert masks.read_colour_mask(tmp_path / "m.png", ZIPPER[:4])[0].tolist() == [[0, 1]]


def test_one_hot_archive(tmp_path):
    index = np.array([[0, 3], [7, 1]])
    np.savez(tmp_path / "m.npz", mask=np.eye(8, dtype=np.float32)[index])
    mask, odd = masks.read_colour_mask(tmp_path / "m.npz", ZIPPER)
    assert mask.tolist() == index.tolist() and odd == 0 and mask.dtype == np.uint8


@pytest.mark.parametrize("channels", [[], [3, 5], range(8)])
@pytest.mark.parametrize("value", [1, np.nan])
def test_one_hot_pixel_of_no_one_class_is_background_and_counted(tmp_path, channels, value):
    one_hot = np.eye(8)[np.array([[5] * 99 + [1]])]
    one_hot[0, 0] = 0
    one_hot[0, 0, list(channels)] = value
    np.savez(tmp_path / "m.npz", mask=one_hot)
    mask, odd = masks.read_colour_mask(tmp_path / "m.npz", ZIPPER)
    assert mask.tolist() == [[0] + [5] * 98 + [1]] and odd == 1
    with pytest.raises(InputError, match="no class, or several alike"):
        masks.read_colour_mask(tmp_path / "m.npz", ZIPPER, limit=0.0)


@pytest.mark.parametrize(
    "arrays",
    [
        {"other": np.zeros((2, 2, 8))},
        {"mask": np.zeros((2, 2))},
        {"mask": np.zeros((2, 2, 3))},
        {"mask": np.array([{}], dtype=object)},
    ],
)
def test_archive_of_another_form_is_refused_by_name(tmp_path, arrays):
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(InputError, match="m.npz"):
        masks.read_colour_mask(tmp_path / "m.npz", ZIPPER)


def test_archive_that_is_none_is_refused_by_name(tmp_path):
    lone = io.BytesIO()
    np.save(lone, np.zeros((2, 2, 8)))
    for content in (b"", b"PK\x03\x04 cut", b"text", lone.getvalue()):
        (tmp_path / "m.npz").write_bytes(content)
        with pytest.raises(InputError, match="m.npz"):
            masks.read_colour_mask(tmp_path / "m.npz", ZIPPER)


def test_binary_mask_becomes_its_class(tmp_path):
    path = save(tmp_path / "m.png", np.array([[0, 255]], np.uint8))
    mask = masks.read_binary_mask(path, 3)
    assert mask.tolist() == [[0, 3]] and mask.dtype == np.uint8


def test_binary_mask_with_other_values_is_refused_with_them(tmp_path):
    path = save(tmp_path / "m.png", np.array([[0, 255, 17, 254]], np.uint8))
    with pytest.raises(InputError, match=r"m\.png.*17 .1 px., 254"):
        masks.read_binary_mask(path, 3)


def test_resized_mask_invents_no_class():
    mask = np.array([[0, 7], [7, 0]], np.uint8)
    assert masks.resize_mask(mask, (4, 4)).tolist() == [[0, 0, 7, 7]] * 2 + [[7, 7, 0, 0]] * 2
    assert masks.resize_mask(mask, (3, 5)).shape == (3, 5)
    assert masks.resize_mask(mask, (2, 2)) is mask


def test_shrinking_an_image_averages_areas():
    image = random_image(8, 12)
    means = image.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(masks.resize_image(image, (4, 6)), means, atol=0.5)


def test_enlarging_an_image_interpolates():
    image = np.repeat(np.array([[0, 100]], np.uint8)[..., None], 3, axis=-1)
    assert masks.resize_image(image, (1, 4))[0, :, 0].tolist() == [0, 25, 75, 100]
    assert masks.resize_image(image, (1, 2)) is image


@examples(40)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.integers(1, 12),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_written_mask_is_read_back_with_its_ignored_pixels(
    tmp_path_factory, seed, num_classes, shape
):
    random = np.random.default_rng(seed)
    # Few levels a channel, so that magenta (the usual ignore colour) is often a class colour.
    levels = random.choice(27, num_classes, replace=False)
    digits = np.stack([levels // 9, levels // 3 % 3, levels % 3], -1)
    palette = np.array([0, 128, 255], np.uint8)[digits]
    mask = random.choice([*range(num_classes), 255], shape).astype(np.uint8)
    path = tmp_path_factory.mktemp("trip") / "m.png"
    masks.write_palette_mask(path, mask, palette)
    np.testing.assert_array_equal(masks.read_colour_mask(path, palette)[0], mask)


def test_written_mask_shows_class_colours_and_leaves_no_other_file(tmp_path):
    masks.write_palette_mask(tmp_path / "m.png", np.array([[0, 1, 255]], np.uint8), ZIPPER)
    shown = np.asarray(Image.open(tmp_path / "m.png").convert("RGB"))
    assert shown.tolist() == [[[0, 0, 0], [0, 0, 255], [255, 0, 255]]]
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


def test_real_masks_have_the_published_number_of_odd_pixels_and_classes(shared_data):
    paths = sorted((shared_data / "imagemask" / "MVTEC-ZIPPER").glob("*/masks/*.png"))
    read = [masks.read_colour_mask(path, ZIPPER, "nearest") for path in paths]
    pixels = sum(np.bincount(mask.ravel(), minlength=8) for mask, _ in read)
    assert len(paths) == 36 and sum(odd for _, odd in read) == 16_073
    assert pixels.tolist() == [9183399, 57860, 87455, 5979, 7836, 32985, 39853, 21817]


def test_present_rule_leaves_one_defect_class_in_each_real_mask(shared_data):
    paths = sorted((shared_data / "imagemask" / "MVTEC-ZIPPER").glob("*/masks/*.png"))
    for path in paths:
        classes = set(np.unique(masks.read_colour_mask(path, ZIPPER)[0])) - {0}
        assert len(classes) == 1, path.name
