"""Pictures of one to eight channels: in one file, or in one grey file for each light."""

from __future__ import annotations

import io
import json
import lzma
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from flexunet_exp.config import identity, validation
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import masks
from flexunet_exp.data.augmentation import (
    Blur,
    Brightness,
    Contrast,
    Elastic,
    Gamma,
    HorizontalFlip,
    Noise,
    PasteDefect,
    QuarterTurn,
    Rotation,
    Sharpen,
    VerticalFlip,
    augment,
)
from flexunet_exp.data.augmentation.pasting import Donors, bound
from flexunet_exp.data.channels import RGB, Channels, shown
from flexunet_exp.data.feed.reader import SampleReader
from flexunet_exp.errors import InputError
from flexunet_exp.prediction.predictor import padded
from tests.support.lights import SIDE, lights, random_image, ready_set, tiff

NUMBERS = (1, 2, 4, 5, 8)
CLASSES = "dataset.classes=[{name: background, color: [0,0,0]}, {name: flaw, color: [255,0,0]}]"


def names_of(number: int) -> list[str]:
    return ["left", "right", "top", "back", "low", "high", "ring", "dome"][:number]


@pytest.fixture
def configured(compose):
    """The configuration of a training on a set of other channels."""

    def composed(folder, *words: str, command: str = "train"):
        words = ("dataset=grid", "dataset/layout=image_mask", CLASSES, *words)
        return compose(command, *words, f"dataset.path={folder}", f"dataset.image_size={SIDE}")

    return composed


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("form", ["interleaved", "planar", "pages"])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_tiff_has_the_pixels_that_were_written(tmp_path, number, form, dtype):
    image = random_image(number, dtype=dtype)
    for compression in (None, "deflate"):
        path = tiff(tmp_path / "a.tif", image, form, compression=compression)
        np.testing.assert_array_equal(masks.read_image(path, 16, Channels(number)), image)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_byte_order_tiles_and_predictors_do_not_change_pixels(tmp_path, byteorder, bigtiff):
    image = random_image(5, dtype=np.uint16)
    options = {"byteorder": byteorder, "bigtiff": bigtiff, "compression": "deflate"}
    path = tiff(tmp_path / "a.tif", image, tile=(16, 16), predictor=True, **options)
    np.testing.assert_array_equal(masks.read_image(path, 16, Channels(5)), image)


def test_a_12_bit_tiff_is_scaled_to_full_scale(tmp_path):
    image = random_image(2, dtype=np.uint16) >> 4
    path = tiff(tmp_path / "a.tif", image)
    found = masks.read_image(path, 12, Channels(2))
    np.testing.assert_array_equal(found, np.round(image * (65535 / 4095)).astype(np.uint16))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright(tmp_path, orientation):
    image = random_image(2)[:, :20]
    path = tiff(tmp_path / "a.tif", image, extratags=[(274, "H", 1, orientation, True)])
    Image.fromarray(image[..., 1]).save(tmp_path / "b.png", exif=exif(orientation))
    expected = masks.read_image(tmp_path / "b.png", 16, Channels(1))[..., 0]
    np.testing.assert_array_equal(masks.read_image(path, 16, Channels(2))[..., 1], expected)


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[274] = orientation
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_png_is_one_channel(tmp_path, dtype):
    image = random_image(1, dtype=dtype)
    (path,) = lights(tmp_path, "a", image, ["only"])
    np.testing.assert_array_equal(masks.read_image(path, 16, Channels(1)), image)
    np.testing.assert_array_equal(masks.read_image(path, 16, Channels.of(["only"])), image)


@pytest.mark.parametrize("orientation", [1, 6])
def test_rgba_is_four_channels_where_four_are_wanted(tmp_path, orientation):
    image = random_image(4)
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif(orientation))
    expected = image if orientation == 1 else np.rot90(image, -1)
    np.testing.assert_array_equal(masks.read_image(tmp_path / "a.png", 16, Channels(4)), expected)
    np.testing.assert_array_equal(masks.read_image(tmp_path / "a.png"), expected[..., :3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("number", [1, 2, 5, 8])
def test_lights_are_the_channels_in_their_order(tmp_path, number, dtype):
    image, names = random_image(number, dtype=dtype), names_of(number)
    for path in lights(tmp_path, "part_1", image, names):
        np.testing.assert_array_equal(masks.read_image(path, 16, Channels.of(names)), image)


def test_a_network_of_lights_reads_one_file_of_its_channels(tmp_path):
    image, channels = random_image(3), Channels.of(["left", "right", "top"])
    path = tiff(tmp_path / "a.tif", image, photometric="rgb")
    np.testing.assert_array_equal(masks.read_image(path, 16, channels), image)
    Image.fromarray(image[..., 0]).save(tmp_path / "grey.png")
    grey = (tmp_path / "grey.png").read_bytes()
    with pytest.raises(InputError, match="has 1 channel, expected 3"):
        masks.decode_image(grey, "grey.png", 16, channels)


def test_planes_of_16_bits_are_read_as_rgb(tmp_path):
    image = random_image(3, dtype=np.uint16)
    path = tiff(tmp_path / "a.tif", image, "planar", photometric="rgb")
    np.testing.assert_array_equal(masks.read_image(path), image)


@pytest.mark.parametrize("form", ["interleaved", "planar"])
@pytest.mark.parametrize("number", [2, 5, 8])
def test_more_channels_than_rgb_are_said_with_what_to_type(tmp_path, number, form):
    for compression in (None, "deflate"):
        path = tiff(tmp_path / "a.tif", random_image(number), form, compression=compression)
        with pytest.raises(InputError, match=f"has {number} channels.*dataset.channels={number}"):
            masks.read_image(path)


@pytest.mark.parametrize("found, wanted", [(5, 8), (1, 2), (4, 5), (8, 1)])
def test_another_number_of_channels_is_refused(tmp_path, found, wanted):
    path = tiff(tmp_path / "a.tif", random_image(found))
    with pytest.raises(InputError, match=rf"a.tif: has {found} channel.*dataset.channels={found}"):
        masks.read_image(path, 16, Channels(wanted))


def test_rgba_is_refused_where_two_channels_are_wanted(tmp_path):
    Image.fromarray(random_image(4)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="has 4 channels, expected 2"):
        masks.read_image(tmp_path / "a.png", 16, Channels(2))


@pytest.mark.parametrize("form", ["interleaved", "planar", "pages"])
def test_nine_channels_are_refused(tmp_path, form):
    path = tiff(tmp_path / "a.tif", random_image(9), form)
    for channels in (Channels(8), Channels(1), RGB):
        if (form, channels) == ("pages", RGB):
            continue  # the first page is taken, as ever
        with pytest.raises(InputError, match="has more than 8 channels"):
            masks.read_image(path, 16, channels)


@pytest.mark.parametrize("form", ["interleaved", "planar", "pages"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99])
def test_a_tiff_that_is_cut_off_is_refused(tmp_path, form, kept):
    path = tiff(tmp_path / "a.tif", random_image(5), form)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"a\.tif: no readable image|a\.tif: has"):
        masks.read_image(path, 16, Channels(5))


@pytest.mark.parametrize("seed", range(30))
def test_damaged_tiffs_never_raise_another_error(tmp_path, seed):
    form = ("interleaved", "planar", "pages")[seed % 3]
    content = bytearray(tiff(tmp_path / "a.tif", random_image(5), form).read_bytes())
    draw = np.random.default_rng(seed)
    for place in draw.integers(4, len(content), 1 + seed):
        content[place] = draw.integers(256)
    try:
        image = masks.decode_image(bytes(content), "a.tif", 16, Channels(5))
    except InputError:
        return
    assert image.shape[2] == 5


def test_a_giant_tiff_is_refused_by_its_header(tmp_path):
    path = tiff(tmp_path / "a.tif", random_image(2))
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["ImageWidth"].overwrite(60_000)
        file.pages[0].tags["ImageLength"].overwrite(60_000)
    with pytest.raises(InputError, match="60,000 x 60,000 pixels, at most 200,000,000"):
        masks.read_image(path, 16, Channels(2))


@pytest.mark.parametrize("compression", ["deflate", "lzma"])
def test_a_small_tiff_cannot_unpack_to_a_giant_one(tmp_path, compression):
    path = tiff(tmp_path / "a.tif", random_image(5), compression=compression)
    pack = zlib.compress if compression == "deflate" else lzma.compress
    bomb, start = pack(bytes(2**25)), path.stat().st_size
    with path.open("ab") as file:
        file.write(bomb)
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages[0].tags
        tags["StripOffsets"].overwrite([start])
        tags["StripByteCounts"].overwrite([len(bomb)])
    with pytest.raises(InputError, match="unpacks to more than its pixels need"):
        masks.read_image(path, 16, Channels(5))


def test_floats_and_inverted_greys_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 2), np.float32), planarconfig="contig")
    with pytest.raises(InputError, match="32-bit float32, expected whole numbers of 8 or 16 bits"):
        masks.read_image(tmp_path / "a.tif", 16, Channels(2))
    tiff(tmp_path / "b.tif", random_image(2), photometric="miniswhite")
    with pytest.raises(InputError, match="MINISWHITE, expected grey values of which 0 is black"):
        masks.read_image(tmp_path / "b.tif", 16, Channels(2))


def test_pages_of_two_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((8, 8), np.uint8))
        file.write(np.zeros((8, 9), np.uint8))
    with pytest.raises(InputError, match="its 2 pages differ in size or type"):
        masks.read_image(tmp_path / "a.tif", 16, Channels(2))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_set_of_tiffs_is_read_whole(tmp_path, configured, number):
    ready_set(tmp_path, number)
    dataset = datasets.load(configured(tmp_path, f"dataset.channels={number}"))
    assert len(dataset.table) == 16 and dataset.channels == Channels(number)
    sample = next(datasets.rows(dataset.split("train")))
    image, mask = dataset.read(sample)
    assert image.shape == (SIDE, SIDE, number) and (image[mask == 1][:, -1] == 220).all()
    datasets.check_unchanged(dataset)


@pytest.mark.parametrize("number", [1, 2, 5, 8])
def test_a_set_of_lights_is_read_as_that_of_tiffs(tmp_path, configured, number):
    names = names_of(number)
    ready_set(tmp_path / "lit", number, names)
    ready_set(tmp_path / "whole", number)
    lit = datasets.load(configured(tmp_path / "lit", f"dataset.channels=[{','.join(names)}]"))
    whole = datasets.load(configured(tmp_path / "whole", f"dataset.channels={number}"))
    assert lit.table["source"].tolist() == whole.table["source"].tolist()
    for one, other in zip(datasets.rows(lit.table), datasets.rows(whole.table), strict=True):
        for read, expected in zip(lit.read(one), whole.read(other), strict=True):
            np.testing.assert_array_equal(read, expected)
    datasets.check_unchanged(lit)


def test_a_change_of_any_light_is_noticed(tmp_path, configured):
    ready_set(tmp_path, 2, ["left", "right"])
    dataset = datasets.load(configured(tmp_path, "dataset.channels=[left,right]"))
    black = Image.fromarray(np.zeros((SIDE, SIDE), np.uint8))
    black.save(tmp_path / "train/images/train3_right.png")
    with pytest.raises(InputError, match="train3_left.png has changed since the run"):
        datasets.check_unchanged(dataset)


def test_all_that_is_wrong_with_lights_is_said_at_once(tmp_path, configured):
    images = ready_set(tmp_path, 2, ["left", "right"]) / "train/images"
    (images / "train0_right.png").unlink()
    (images / "train1_left.png").unlink()
    Image.fromarray(np.zeros((SIDE, 9), np.uint8)).save(images / "train2_right.png")
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint16)).save(images / "train3_right.png")
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(images / "train4_right.png")
    (images / "train5_left.png").rename(images / "train5.png")
    with pytest.raises(InputError) as error:
        datasets.load(configured(tmp_path, "dataset.channels=[left,right]"))
    said = "\n".join(error.value.problems)
    for part in (
        "3 files of a light are missing; with dataset.channels=[left,right]",
        "train0_right.png",
        "train1_left.png",
        "2 files of a light differ from left in size or bits, in",
        "train4_right.png: has 3 channels; the file of a light has one",
        "train5.png: 1 image whose name ends in no light (_left, _right)",
    ):
        assert part in said


def test_masks_may_lie_beside_the_lights(tmp_path, configured):
    ready_set(tmp_path, 2, ["left", "right"])
    for split in ("train", "valid", "test"):
        for path in (tmp_path / split / "masks").iterdir():
            path.rename(tmp_path / split / "images" / f"{path.stem}_mask.png")
        (tmp_path / split / "masks").rmdir()
    words = ("dataset.channels=[left,right]", "dataset.layout.mask_suffix=_mask")
    assert len(datasets.load(configured(tmp_path, *words)).table) == 16


def test_raw_folders_may_hold_lights(tmp_path, compose):
    for number, label in enumerate(("bent", "broken", "glue", "metal_contamination", "thread")):
        for index in range(6):
            image = random_image(2, 10 * number + index)
            lights(tmp_path / "test" / label, f"{index:03}", image, ["left", "right"])
            truth = np.zeros((SIDE, SIDE), np.uint8)
            truth[:9] = 255
            path = tmp_path / "ground_truth" / label / f"{index:03}_mask.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(truth).save(path)
    words = (f"dataset.path={tmp_path}", "dataset.channels=[left,right]", "dataset.good=none")
    dataset = datasets.load(compose("train", "dataset=grid", *words))
    assert len(dataset.table) == 30 and "bent/000" in set(dataset.table["source"])


@pytest.mark.parametrize("light", ["left", "right"])
def test_annotations_may_name_the_file_of_any_light(tmp_path, compose, light):
    for index in range(4):
        lights(tmp_path, f"part{index}", random_image(2, index), ["left", "right"])
        square = {"label": "flaw", "points": [[2, 2], [9, 2], [9, 9], [2, 9]], "group_id": None}
        said = {
            **{"version": "5.0.0", "flags": {}, "imageData": None},
            **{"imageHeight": SIDE, "imageWidth": SIDE, "imagePath": f"part{index}_{light}.png"},
            "shapes": [{**square, "shape_type": "polygon", "flags": {}}],
        }
        (tmp_path / f"part{index}_{light}.json").write_text(json.dumps(said))
    words = ("dataset=grid", "dataset/layout=labelme", CLASSES, f"dataset.path={tmp_path}")
    dataset = datasets.load(compose("train", *words, "dataset.channels=[left,right]"))
    assert len(dataset.table) == 4
    image, mask = dataset.read(next(datasets.rows(dataset.table)))
    assert image.shape == (SIDE, SIDE, 2) and mask[3:8, 3:8].all()
    other = {"left": "right", "right": "left"}[light]
    said = (tmp_path / f"part0_{light}.json").read_text()
    (tmp_path / f"part0_{other}.json").write_text(said.replace(f"part0_{light}", f"part0_{other}"))
    with pytest.raises(InputError, match="1 pictures are annotated in the files of several lights"):
        datasets.load(compose("train", *words, "dataset.channels=[left,right]"))


def test_copies_are_found_among_pictures_of_many_channels(tmp_path, configured):
    ready_set(tmp_path, 5)
    cfg = configured(tmp_path, "dataset.channels=5", "dataset.image_size=32")
    prints = datasets.scanned(cfg).scan.fingerprints
    assert all(np.isclose(np.linalg.norm(one), 1) for one in prints.values())


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_cache_gives_the_channels_back(tmp_path, configured, number, cache):
    ready_set(tmp_path / "set", number)
    dataset = datasets.load(configured(tmp_path / "set", f"dataset.channels={number}"))
    table = dataset.split("train")
    plain = SampleReader(dataset, table, (16, 24))
    kept = SampleReader(dataset, table, (16, 24), cache, tmp_path / "cache")
    for _ in range(2):
        for index in range(len(table)):
            assert plain(index)[0].shape == (16, 24, number)
            np.testing.assert_array_equal(kept(index)[0], plain(index)[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("number", NUMBERS)
def test_each_channel_is_augmented_as_a_grey_picture_is(number, dtype):
    transforms = [
        *(HorizontalFlip(1), VerticalFlip(1), QuarterTurn(1), Rotation(1), Elastic(1)),
        *(Brightness(1), Gamma(1), Noise(1), Blur(1), Sharpen(1)),
    ]
    image, mask = random_image(number, dtype=dtype), np.zeros((SIDE, SIDE), np.uint8)
    found, _ = augment(transforms, image, mask, (1, 2, 3))
    assert found.shape == image.shape and found.dtype == dtype
    for channel in range(number):
        one = np.repeat(image[..., channel : channel + 1], 3, axis=2)
        alone, _ = augment(transforms, one, mask, (1, 2, 3))
        np.testing.assert_array_equal(found[..., channel], alone[..., 0])


@pytest.mark.parametrize("number", NUMBERS)
def test_contrast_keeps_the_mean_over_all_channels(number):
    image = random_image(number) // 3 + 80
    found, _ = augment([Contrast(1, 0.5)], image, np.zeros((SIDE, SIDE), np.uint8), (0,))
    assert found.shape == image.shape and abs(float(found.mean()) - image.mean()) < 1


@pytest.mark.parametrize("blend", ["feather", "clone"])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_defect_is_pasted_into_all_channels(number, blend):
    image = np.full((64, 64, number), 90, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    image[30:36, 30:36], mask[30:36, 30:36] = 200, 1
    donors = Donors(lambda row: (image, mask), np.array([[True, True]]), balanced=False)
    paste = bound([PasteDefect(1, number=1, degrees=0, factor=1, blend=blend)], donors)
    blank = np.full_like(image, 90), np.zeros_like(mask)
    found, where = augment(paste, *blank, key=(5,))
    assert where.any() and (found[where == 1] == 200).all()


@pytest.mark.parametrize("number", (1, 2, 3, 5, 8))
def test_resizing_and_padding_keep_each_channel(number):
    image = random_image(number)
    for change in (
        lambda one: masks.resize_image(one, (20, 24)),
        lambda one: masks.resize_image(one, (70, 64)),
        lambda one: padded(one, (40, 50)),
    ):
        found = change(image)
        for channel in range(number):
            three = np.repeat(image[..., channel : channel + 1], 3, axis=2)
            np.testing.assert_array_equal(found[..., channel], change(three)[..., 0])


def test_three_channels_are_shown():
    image = random_image(5, dtype=np.uint16)
    np.testing.assert_array_equal(shown(image), shown(image[..., :3]))
    one, two = shown(random_image(1)), shown(random_image(2))
    assert (one == one[..., :1]).all() and not two[..., 2].any() and two.dtype == np.uint8


@pytest.mark.parametrize("value", ["0", "9", "2.5", "[]", "[left,left]", "[a b]", "rgb", "true"])
def test_wrong_channels_are_refused_before_anything_is_read(compose, value):
    cfg = compose("train", f"dataset.channels={value}")
    with pytest.raises(InputError, match="dataset.channels=.* is not a whole number from 1 to 8"):
        validation.check_settings(cfg)


def test_three_channels_do_not_change_the_identity_of_a_run(compose):
    cfg = compose("train")
    before = identity.with_effect(cfg)
    assert "channels" not in before["dataset"]
    del cfg.dataset.channels
    assert identity.with_effect(cfg) == before
    assert identity.with_effect(compose("train", "dataset.channels=[a,b]")) != before


def test_a_compression_without_its_package_says_what_to_install(tmp_path):
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("imagecodecs is installed")
    stream = io.BytesIO()
    grey = Image.fromarray(random_image(1)[..., 0])
    grey.save(stream, "TIFF", compression="tiff_lzw", save_all=True, append_images=[grey])
    with pytest.raises(InputError, match="a.tif: .*pip install imagecodecs"):
        masks.decode_image(stream.getvalue(), "a.tif", 16, Channels(2))
