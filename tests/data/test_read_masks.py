"""The rows of "masks and pictures misread": each case and its variants, read right or refused.

A set is written as people have it, scanned by its layout, and read back row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.layouts import ImageMask, Layout, MVTec
from flexunet_exp.data.scan_record import ScanRecord, accepted
from flexunet_exp.errors import InputError

NAMES = ("bent", "broken", "glue", "metal", "thread")
COLOURS = [(0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 0), (0, 255, 255)]
CLASSES = [
    {"name": name, "color": list(colour)}
    for name, colour in zip(("background", *NAMES), COLOURS, strict=True)
]
ONE_CLASS = CLASSES[:2]
PALETTE = np.array(COLOURS, np.uint8)
SIDE = 24
Encode = Callable[[np.ndarray, Path], None]


def drawn(index: int, shift: int = 0) -> np.ndarray:
    """An index mask (H, W) with a block of a class."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[6:12, 6 + shift : 12 + shift] = index
    return mask


def save(path: Path, array: np.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def make_ready(
    folder: Path, encode: Encode, classes=CLASSES, shifts=(0, 1)
) -> dict[str, np.ndarray]:
    """A ready set with pictures of each class in each split; picture → the mask that was meant."""
    meant = {}
    for split in ("train", "valid", "test"):
        for index, entry in enumerate(classes[1:], start=1):
            for shift in shifts:
                name = f"{entry['name']}_{split}{shift}"
                image = folder / split / "images" / f"{name}.png"
                save(image, picture(len(meant)))
                mask = folder / split / "masks" / f"{name}.png"
                mask.parent.mkdir(parents=True, exist_ok=True)
                encode(drawn(index, shift), mask)
                meant[str(image)] = drawn(index, shift)
    return meant


def make_raw(folder: Path, encode: Encode) -> dict[str, np.ndarray]:
    """A raw set of MVTec AD with three pictures of each class."""
    meant = {}
    for index, name in enumerate(NAMES, start=1):
        for shift in range(3):
            image = folder / "test" / name / f"{shift:03}.png"
            save(image, picture(len(meant)))
            mask = folder / "ground_truth" / name / f"{shift:03}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            encode(drawn(255, shift), mask)
            meant[str(image)] = drawn(index, shift)
    return meant


def check_read(layout: Layout, folder: Path, meant: dict[str, np.ndarray]) -> ScanRecord:
    """Scans the set, and reads every mask with what was decided; each must be what was meant."""
    record = accepted(layout.scan(folder))
    kept = type(layout)(CLASSES[: len(layout.names)], **record.decisions)
    assert len(record.table) == len(meant)
    for row in record.table.itertuples():
        np.testing.assert_array_equal(kept.read_mask(row), meant[row.image], err_msg=row.image)
    return record


def refused(layout: Layout, folder: Path) -> str:
    """The only sentence with which a set is refused."""
    with pytest.raises(InputError) as caught:
        accepted(layout.scan(folder))
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def as_index(mask, path):
    save(path, mask)


def as_index_in_three(mask, path):
    save(path, np.dstack([mask] * 3))


def as_index_in_four(mask, path):
    save(path, np.dstack([mask] * 3 + [np.full_like(mask, 255)]))


def as_deep_index(mask, path):
    save(path, mask.astype(np.uint16))


def as_deep_index_in_three(mask, path):
    cv2.imwrite(str(path), np.dstack([mask] * 3).astype(np.uint16))


def as_colours(mask, path):
    save(path, PALETTE[mask])


def as_colours_with_alpha(mask, path):
    save(path, np.dstack([PALETTE[mask], np.full_like(mask, 255)]))


def as_deep_colours(mask, path):
    cv2.imwrite(str(path), PALETTE[mask][..., ::-1].astype(np.uint16) * 257)


def as_palette(mask, path):
    one = Image.fromarray(mask)
    one.putpalette(PALETTE.tobytes())
    one.save(path)


def as_foreign_palette(mask, path):
    one = Image.fromarray(mask)
    one.putpalette(bytes(range(40, 58)))
    one.save(path)


def as_palette_of_another_order(mask, path):
    order = np.array([3, 5, 0, 2, 4, 1])
    one = Image.fromarray(order[mask].astype(np.uint8))
    shown = np.zeros((6, 3), np.uint8)
    shown[order] = PALETTE
    one.putpalette(shown.tobytes())
    one.save(path)


def as_tiff(mask, path):
    save(path.with_suffix(".tif"), PALETTE[mask])


def as_tiff_index(mask, path):
    save(path.with_suffix(".tif"), mask, compression="tiff_lzw")


def as_one_hot(mask, path):
    np.savez(path.with_suffix(".npz"), mask=np.eye(6, dtype=np.uint8)[mask])


def half_and_half(one: Encode, other: Encode) -> Encode:
    def encode(mask, path):
        (one if path.stem[-1] == "0" else other)(mask, path)

    return encode


ENCODINGS = (
    as_index,
    as_index_in_three,
    as_index_in_four,
    as_deep_index,
    as_deep_index_in_three,
    as_colours,
    as_colours_with_alpha,
    as_deep_colours,
    as_palette,
    as_foreign_palette,
    as_palette_of_another_order,
    as_tiff,
    as_tiff_index,
    as_one_hot,
)


@pytest.mark.parametrize("encode", ENCODINGS)
def test_a_set_in_any_encoding_is_what_was_written(tmp_path, encode):
    check_read(ImageMask(CLASSES), tmp_path, make_ready(tmp_path, encode))


@pytest.mark.parametrize("encode", [as_colours, as_palette, as_index_in_three, as_deep_index])
def test_half_of_the_files_may_be_in_another_encoding(tmp_path, encode):
    mixed = half_and_half(as_index, encode)
    check_read(ImageMask(CLASSES), tmp_path, make_ready(tmp_path, mixed))


def test_indices_in_three_channels_are_said_once(tmp_path):
    meant = make_ready(tmp_path, as_index_in_three)
    record = check_read(ImageMask(CLASSES), tmp_path, meant)
    assert record.notes == ["30 masks hold class indices in three equal channels."]


def strange(value: int) -> Encode:
    def encode(mask, path):
        mask = mask.copy()
        mask[15:17, 15:17] = value
        as_index(mask, path)

    return encode


@pytest.mark.parametrize("value", [6, 7, 100, 254])
@pytest.mark.parametrize("rule", ["present", "nearest"])
def test_an_index_that_is_no_class_is_refused(tmp_path, value, rule):
    make_ready(tmp_path, strange(value))
    said = refused(ImageMask(CLASSES, off_palette=rule), tmp_path)
    assert "30 masks hold an index that is no class" in said and "5 thread" in said
    assert f"{value} (120 px)" in said and "bent_train0.png" in said and "27 more" in said


def test_one_file_of_an_unknown_index_is_named_alone(tmp_path):
    make_ready(tmp_path, half_and_half(as_index, as_index))
    strange(9)(drawn(1), tmp_path / "train/masks/bent_train0.png")
    said = refused(ImageMask(CLASSES), tmp_path)
    assert "train/masks/bent_train0.png: holds" in said and "9 (4 px)" in said


def grey_levels(mask, path):
    save(path, np.array([0, 38, 75, 113, 14, 89], np.uint8)[mask])


def grey_levels_in_three(mask, path):
    save(path, np.dstack([np.array([0, 38, 75, 113, 14, 89], np.uint8)[mask]] * 3))


def another_tool_s_colours(mask, path):
    shown = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (64, 0, 64)])
    save(path, shown.astype(np.uint8)[mask])


def thin_lines_of_grey(mask, path):
    shown = PALETTE[mask]
    shown[20, 3:20] = 90
    save(path, shown)


@pytest.mark.parametrize("rule", ["present", "nearest"])
@pytest.mark.parametrize(
    ("encode", "colour"),
    [
        (grey_levels, (38, 38, 38)),
        (grey_levels_in_three, (113, 113, 113)),
        (another_tool_s_colours, (128, 0, 0)),
        (thin_lines_of_grey, (90, 90, 90)),
        (half_and_half(as_colours, another_tool_s_colours), (64, 0, 64)),
    ],
)
def test_colours_that_nobody_named_are_refused_with_the_lines_that_name_them(
    tmp_path, encode, colour, rule
):
    make_ready(tmp_path, encode)
    said = refused(ImageMask(CLASSES, off_palette=rule, off_palette_limit=1.0), tmp_path)
    assert "no edge between two class colours" in said and f"{colour} (" in said
    assert f"\n  - {{name: NAME, color: {list(colour)}}}" in said


def shape_in_alpha(mask, path):
    save(path, np.dstack([np.full_like(mask, 255)] * 3 + [mask]))


def half_clear(mask, path):
    save(path, np.dstack([mask] * 3 + [np.where(mask > 0, 255, 128).astype(np.uint8)]))


def grey_with_alpha(mask, path):
    save(path, np.dstack([np.full_like(mask, 255), mask]))


def clear_by_key(mask, path):
    save(path, mask, transparency=0)


def deep_with_alpha(mask, path):
    cv2.imwrite(
        str(path), np.dstack([np.full_like(mask, 255)] * 3 + [mask]).astype(np.uint16) * 257
    )


@pytest.mark.parametrize(
    "encode", [shape_in_alpha, half_clear, grey_with_alpha, clear_by_key, deep_with_alpha]
)
@pytest.mark.parametrize("make", [make_raw, make_ready])
def test_an_alpha_that_is_not_constant_is_refused(tmp_path, make, encode):
    make(tmp_path, encode)
    layout = MVTec(CLASSES) if make is make_raw else ImageMask(CLASSES)
    said = refused(layout, tmp_path)
    assert "alpha channel that is not constant" in said and "and " in said


def binary(kind: str) -> Encode:
    def encode(mask, path):
        if kind == "rgba":
            save(path, np.dstack([mask] * 3 + [np.full_like(mask, 255)]))
        elif kind == "bilevel":
            Image.fromarray(mask).convert("1").save(path)
        elif kind == "tiff":
            save(path.with_suffix(".tif"), mask)
        else:
            save(path, mask.astype(np.uint16) * {"255": 1, "65535": 257}[kind])

    return encode


@pytest.mark.parametrize("kind", ["255", "65535", "rgba", "bilevel", "tiff"])
def test_black_and_white_masks_of_other_bits_are_read_as_in_eight(tmp_path, kind):
    check_read(MVTec(CLASSES), tmp_path, make_raw(tmp_path, binary(kind)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0, 1), "Multiply it by 255"),
        ((0, 40000), "16-bit masks hold values"),
        ((0, 128), "128 (540 px)"),
    ],
)
def test_sixteen_bit_masks_of_other_values_are_refused_with_them(tmp_path, values, words):
    make_raw(tmp_path, lambda m, p: save(p, np.array(values, np.uint16)[(m > 0).astype(int)]))
    assert words in refused(MVTec(CLASSES), tmp_path)


def inverted(mask, path):
    save(path, 255 - mask)


def test_masks_that_cover_most_of_their_pictures_are_warned_of(tmp_path):
    make_raw(tmp_path, inverted)
    record = MVTec(CLASSES).scan(tmp_path)
    assert not record.problems and len(record.warnings) == len(NAMES)
    assert "bent covers most of the picture in 3 of 3 masks" in record.warnings[0]


@pytest.mark.parametrize("inside_out", [(0,), (1, 2), (0, 2)])
def test_masks_that_are_the_complement_of_the_others_are_refused(tmp_path, inside_out):
    def encode(mask, path):
        is_one = path.parent.name == "glue" and int(path.stem[:3]) in inside_out
        save(path, 255 - mask if is_one else mask)

    make_raw(tmp_path, encode)
    said = refused(MVTec(CLASSES), tmp_path)
    assert f"{len(inside_out)} of 3 masks of glue" in said and "inverted=accept" in said
    record = MVTec(CLASSES, inverted="accept").scan(tmp_path)
    assert not record.problems and "complement" in record.warnings[0]


def test_large_defects_that_touch_the_border_are_no_complement(tmp_path):
    def encode(mask, path):
        mask = mask.copy()
        if path.stem == "000_mask":
            mask[:, 4:] = 255
        save(path, mask)

    make_raw(tmp_path, encode)
    record = MVTec(CLASSES).scan(tmp_path)
    assert not record.problems and not record.warnings


def in_bgr(mask, path):
    save(path, PALETTE[mask][..., ::-1])


def test_masks_in_another_order_of_colours_are_counted_and_the_order_is_said(tmp_path):
    meant = make_ready(tmp_path, in_bgr)
    (said,) = ImageMask(CLASSES).scan(tmp_path).warnings
    assert "24 of 30 masks show another class than their names say" in said
    assert "dataset.layout.colour_order=bgr" in said
    layout = ImageMask(CLASSES, colour_order="bgr")
    record = layout.scan(tmp_path)
    assert not record.warnings and not record.problems
    for row in record.table.itertuples():
        np.testing.assert_array_equal(layout.read_mask(row), meant[row.image])


def test_names_that_disagree_otherwise_are_counted(tmp_path):
    make_ready(tmp_path, as_colours)
    as_colours(drawn(2), tmp_path / "train/masks/bent_train0.png")
    (said,) = ImageMask(CLASSES).scan(tmp_path).warnings
    assert "1 of 30 masks show another class than their names say" in said
    assert "bent_train0.png" in said and "bgr" not in said
    assert "colours of dataset.classes" in said
    (said,) = ImageMask(CLASSES, mask_classes=CLASSES).scan(tmp_path).warnings
    assert "colours of dataset.layout.mask_classes" in said


def test_colours_exchanged_into_no_class_say_the_order_too(tmp_path):
    orange = [{"name": "background", "color": [0, 0, 0]}, {"name": "rust", "color": [255, 128, 0]}]
    shown = np.array([(0, 0, 0), (0, 128, 255)], np.uint8)
    make_ready(tmp_path, lambda mask, path: save(path, shown[mask]), orange)
    assert "dataset.layout.colour_order=bgr" in refused(ImageMask(orange), tmp_path)


def white(mask, path):
    save(path, np.where(mask > 0, 255, 0).astype(np.uint8))


def white_in_three(mask, path):
    save(path, np.dstack([np.where(mask > 0, 255, 0).astype(np.uint8)] * 3))


def deep_white(mask, path):
    save(path, np.where(mask > 0, 65535, 0).astype(np.uint16))


@pytest.mark.parametrize("encode", [white, white_in_three, deep_white])
def test_255_alone_is_the_only_defect_class_and_that_is_kept(tmp_path, encode):
    meant = make_ready(tmp_path, encode, ONE_CLASS)
    record = check_read(ImageMask(ONE_CLASS), tmp_path, meant)
    assert record.decisions == {"mask_255": "defect"}
    assert record.notes[-1] == "Index 255 is bent: the masks hold nothing but 0 and 255."


@pytest.mark.parametrize("encode", [white, white_in_three, deep_white])
def test_255_alone_names_none_of_several_classes(tmp_path, encode):
    make_ready(tmp_path, encode)
    said = refused(ImageMask(CLASSES), tmp_path)
    assert "30 black-and-white masks (0 and 255) do not say which class they show" in said


@pytest.mark.parametrize("classes", [CLASSES, ONE_CLASS])
def test_255_beside_an_index_is_ignored_in_files_without_an_index_too(tmp_path, classes):
    def encode(mask, path):
        save(path, np.where(mask > 0, 255, 0).astype(np.uint8) if path.stem[-1] == "0" else mask)

    meant = make_ready(tmp_path, encode, classes)
    meant = {
        image: np.where(mask > 0, 255, 0) if image.endswith("0.png") else mask
        for image, mask in meant.items()
    }
    record = check_read(ImageMask(classes), tmp_path, meant)
    assert record.decisions == {"mask_255": "ignore"}


def test_indices_whose_colours_are_other_classes_follow_the_set(tmp_path):
    """A file with index 5 alone shows blue, which is class 1: the others say that indices count."""
    shown = [0, 0, 0, *[128, 0, 0] * 4, 0, 0, 255]

    def encode(mask, path):
        one = Image.fromarray(mask)
        one.putpalette(shown)
        one.save(path)

    record = check_read(ImageMask(CLASSES), tmp_path, make_ready(tmp_path, encode))
    assert record.decisions == {"mask_values": "indices"}


@pytest.mark.parametrize("black", [(0, 1, 2), (1,)])
def test_black_masks_of_a_class(tmp_path, black):
    def encode(mask, path):
        is_black = path.parent.name == "bent" and int(path.stem[:3]) in black
        save(path, mask * (not is_black))

    make_raw(tmp_path, encode)
    record = MVTec(CLASSES).scan(tmp_path)
    if len(black) == 3:
        assert (
            len(record.problems) == 1 and "All 3 masks of bent are all black" in record.problems[0]
        )
    else:
        assert not record.problems and "1 of 3 masks of bent are all black" in record.warnings[0]


def test_black_masks_of_a_class_by_their_names(tmp_path):
    make_ready(tmp_path, lambda mask, path: as_colours(mask * ("glue" not in path.stem), path))
    said = refused(ImageMask(CLASSES), tmp_path)
    assert "All 6 masks of glue are all black" in said and "and 3 more" in said


def turn(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    with Image.open(path) as opened:
        opened.load()
        opened.save(path, exif=exif)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_turned_pictures_whose_masks_are_not_are_refused_with_both_ways_out(tmp_path, orientation):
    for image in make_ready(tmp_path, as_colours):
        turn(Path(image), orientation)
    said = refused(ImageMask(CLASSES), tmp_path)
    assert "30 pictures are turned upright by their EXIF orientation" in said
    assert "remove the orientation" in said and "save the pictures upright" in said


def test_sizes_that_differ_because_of_the_turn_alone_say_so(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    save(tmp_path / "train/images/bent_1.png", picture()[:16], exif=exif)
    save(tmp_path / "train/masks/bent_1.png", PALETTE[drawn(1)[:16]])
    said = refused(ImageMask(CLASSES), tmp_path)
    assert "the sizes of the two differ only because of this turn" in said


def test_masks_turned_as_their_pictures_are_read(tmp_path):
    meant = make_ready(tmp_path, as_colours)
    for path in [*tmp_path.rglob("images/*.png"), *tmp_path.rglob("masks/*.png")]:
        turn(path, 6)
    turned = {image: np.rot90(mask, -1) for image, mask in meant.items()}
    check_read(ImageMask(CLASSES), tmp_path, turned)
