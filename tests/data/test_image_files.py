"""What comes through the door, under which form, and the sentence for everything that does not."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from flexunet_exp.data import image_files, masks
from flexunet_exp.data.layouts import ImageMask, MVTec
from flexunet_exp.errors import InputError
from tests.support import hostile


def scanned(tmp_path_factory, layout, make):
    folder = tmp_path_factory.mktemp("hostile")
    expected = make(folder)
    return layout(hostile.CLASSES).scan(folder), expected


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return scanned(tmp_path_factory, MVTec, hostile.make_raw)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return scanned(tmp_path_factory, ImageMask, hostile.make_ready)


RAW = [
    *(f"{name[:-4]}_{name[-3:]}{name[-4:]}" for name in hostile.PICTURES),
    *hostile.PLACES,
    *(f"{stem}_mask." for stem in hostile.BINARY_MASKS),
    *hostile.NAMES,
]


@pytest.mark.parametrize("name", RAW)
def test_a_hostile_file_gets_its_sentence(raw, name):
    record, expected = raw
    said = [problem for problem in record.problems if name in problem]
    assert any(expected[name] in problem for problem in said), said


@pytest.mark.parametrize("name", [f"{n.replace('.', '_')}{n[-4:]}" for n in hostile.CLASS_MASKS])
def test_a_hostile_mask_gets_its_sentence(ready, name):
    record, expected = ready
    said = [problem for problem in record.problems if f"/{name}" in problem]
    assert len(said) == 1 and expected[name] in said[0], record.problems


def test_the_others_are_read_and_nothing_else_is_said(raw, ready):
    record, expected = raw
    readable = record.table[record.readable]
    assert {Path(path).name for path in readable["image"]} >= set(hostile.GOOD_NAMES)
    assert len(readable) == 12 + len(hostile.GOOD_NAMES) + 1  # one of the two called twice
    assert len(record.problems) == len(expected) - 2  # lone, Case and é are one sentence
    record, expected = ready
    assert record.readable.sum() == 3 and len(record.problems) == len(expected) - 1  # two of a kind


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_files_and_folders_without_the_right_to_read(tmp_path):
    hostile.save(tmp_path / "a.png", hostile.picture())
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(InputError, match="a.png: cannot be read"):
        masks.read_image(tmp_path / "a.png")


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def deep(path: Path) -> None:
    grey = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(grey).save(path)


def deep_colour(path: Path) -> None:
    import cv2

    cv2.imwrite(str(path), np.full((32, 32, 3), 4097, np.uint16))


def alpha(path: Path) -> None:
    hostile.save(path, hostile.picture(shape=(32, 32, 4)))


def turned(path: Path) -> None:
    hostile.save(path, hostile.picture(shape=(20, 32, 3)), exif=exif(6))


def pages(path: Path) -> None:
    one, *rest = (Image.fromarray(hostile.picture(seed)) for seed in range(3))
    one.save(path, save_all=True, append_images=rest)


def plain(path: Path) -> None:
    hostile.save(path, hostile.picture())


def palette(path: Path) -> None:
    hostile.save(path, hostile.picture(), mode="P")


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (plain, "a.png", ""),
        (plain, "a.jpg", ""),
        (plain, "a.tif", ""),
        (plain, "a.bmp", ""),
        (palette, "a.png", ""),
        (palette, "a.bmp", ""),
        (deep, "a.png", "of 16 bits"),
        (deep, "a.tif", "of 16 bits"),
        (deep_colour, "a.png", "of 16 bits"),
        (deep_colour, "a.tiff", "of 16 bits"),
        (alpha, "a.png", "with alpha"),
        (alpha, "a.tif", "with alpha"),
        (turned, "a.jpg", "turned upright"),
        (turned, "a.png", "turned upright"),
        (pages, "a.tif", "of several pages"),
        (pages, "a.png", "of several pages"),
    ],
)
def test_what_is_let_in_under_another_form_is_said(tmp_path, make, name, said):
    make(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    image, header = masks.decode_with_header([data], tmp_path / name)
    assert image.dtype == np.uint8 and image.shape[2] == 3
    found = image_files.normalised([header, header])
    assert [what for what in found if what.startswith(said)] == list(found)
    assert list(found.values()) == ([2] if said else [])


def test_a_picture_of_16_bits_is_not_said_to_lose_any():
    found = image_files.normalised([image_files.Header(deep=True), image_files.Header()])
    assert found == {"of 16 bits (read as dataset.bit_depth says)": 1}


def test_of_several_pages_the_first_is_taken(tmp_path):
    for name in ("a.tif", "a.png"):
        pages(tmp_path / name)
        np.testing.assert_array_equal(masks.read_image(tmp_path / name), hostile.picture(0))


def test_a_turned_jpeg_fits_its_turned_mask(tmp_path):
    turned(tmp_path / "a.jpg")
    assert masks.read_image(tmp_path / "a.jpg").shape == (32, 20, 3)


def test_pictures_of_a_pixel_and_of_absurd_length_are_read(tmp_path):
    for shape in ((1, 1, 3), (1, 30_000, 3), (30_000, 1, 3)):
        hostile.save(tmp_path / "a.png", hostile.picture(shape=shape))
        assert masks.read_image(tmp_path / "a.png").shape == shape


def test_an_array_behind_a_lying_header_is_refused():
    stream = io.BytesIO()
    np.savez(stream, mask=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="Python objects"):
        image_files.array_of(stream.getvalue(), "a.npz", "mask")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_dropped_and_darkens_nothing(tmp_path, mode):
    """OpenCV multiplies the colours of a TIFF by its alpha."""
    image = Image.fromarray(hostile.picture()).convert(mode)
    image.putalpha(Image.fromarray(hostile.picture(1, hostile.SHAPE)))
    expected = np.asarray(image.convert(mode[:-1]).convert("RGB"))
    for name in ("a.png", "a.tif"):
        image.save(tmp_path / name)
        np.testing.assert_array_equal(masks.read_image(tmp_path / name), expected)
    clear = Image.fromarray(hostile.truth()).convert(mode)
    clear.putalpha(0)
    clear.save(tmp_path / "mask.tif")
    mask = masks.read_binary_mask(tmp_path / "mask.tif", 2)
    np.testing.assert_array_equal(mask, hostile.truth(2))


def test_image_and_mask_are_turned_by_exif_alone(tmp_path):
    """Pillow, which reads masks, heeds XMP too; OpenCV, which reads images, does not."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<a xmlns:tiff="b" tiff:Orientation="6"/>')
    hostile.save(tmp_path / "a.png", hostile.picture(), pnginfo=text, exif=exif(1))
    hostile.save(tmp_path / "b.png", hostile.picture(), pnginfo=text)
    hostile.save(tmp_path / "mask.png", hostile.truth((0, 0, 255)), pnginfo=text)
    for name in ("a.png", "b.png"):
        image, header = masks.decode_with_header([(tmp_path / name).read_bytes()], name)
        assert image.shape[:2] == hostile.SHAPE and not header.turned
    palette = np.array([entry["color"] for entry in hostile.CLASSES], np.uint8)
    mask, _ = masks.read_colour_mask(tmp_path / "mask.png", palette)
    assert mask.shape == hostile.SHAPE


def test_exif_behind_the_pixels_is_heeded():
    before, after = content_turned().split(b"eXIf")
    length = int.from_bytes(before[-4:], "big") + 4  # and the checksum
    chunk, rest = before[-4:] + b"eXIf" + after[:length], before[:-4] + after[length:]
    image, header = masks.decode_with_header([rest[:-12] + chunk + rest[-12:]], "a.png")
    assert header.turned and image.shape == (48, 40, 3)


def content_turned() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(hostile.picture()).save(stream, "PNG", exif=exif(6))
    return stream.getvalue()


def test_the_header_is_told_without_decoding_the_pixels():
    nonsense = hostile.png(20, b"no zlib stream")
    assert image_files.header(nonsense, "a.png") == image_files.Header("PNG", (20, 20), mode="L")
    with pytest.raises(InputError, match="a.png: no readable image"):
        masks.decode_image(nonsense, "a.png")


def test_the_pages_of_a_tiff_are_not_counted():
    """Pillow follows every directory, in time quadratic in their number: 6 s for 32,000."""
    first, second = hostile.deep_tiff(8, bits=8), hostile.deep_tiff(8, bits=8)[8:118]
    nothing = b"\xff\xff\xff\x7f"  # where the third page would be
    data = first[:118] + len(first).to_bytes(4, "little") + first[122:] + second + nothing
    assert image_files.header(data, "a.tif") == image_files.Header("TIFF", (8, 8), several=True)


def test_an_array_that_claims_a_header_of_gigabytes_is_refused_unread():
    claim = b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b" " * 2**27
    data = hostile.npz(claim)
    tracemalloc.start()
    with pytest.raises(InputError, match="expected an .npz file with a one-hot"):
        image_files.array_of(data, "a.npz", "mask")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_the_array_that_was_looked_at_is_the_one_that_is_taken():
    """NumPy takes a member `mask` before `mask.npy`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        written.writestr("mask.npy", hostile.npy_header("(1, 2, 3)") + bytes(6))
        written.writestr("mask", hostile.npy_header("(7, 7, 7)") + bytes(343))
    assert image_files.array_of(stream.getvalue(), "a.npz", "mask").shape == (1, 2, 3)
