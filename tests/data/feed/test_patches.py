"""Patches: inside the picture, on the defect, mask with image; tiles show every pixel once."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from flexunet_exp.commands.export import report as exporting
from flexunet_exp.config import identity
from flexunet_exp.config.compose import cache_dir
from flexunet_exp.data.dataset import load
from flexunet_exp.data.feed import feed, patches, reader
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import networks
from flexunet_exp.runs.folder import load as load_run
from tests.support import running

SIDE = st.integers(8, 60)


def numbered(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose pixels tell where they lie, and a mask that does so too, in part."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.dstack([rows, columns, rows]), (rows + columns) % 7


@given(height=SIDE, width=SIDE, patch=st.tuples(SIDE, SIDE), seed=st.integers(0, 99))
def test_a_patch_is_a_piece_of_both_and_what_is_lacking_is_ignored(height, width, patch, seed):
    image, mask = numbered(height, width)
    piece, truth = patches.draw((image, mask), patch, 0, np.random.default_rng(seed))
    assert piece.shape == (*patch, 3) and truth.shape == patch
    top, left = piece[0, 0, :2]
    inside = truth[: height - top, : width - left]
    np.testing.assert_array_equal(inside, mask[top : top + patch[0], left : left + patch[1]])
    shown = piece[: inside.shape[0], : inside.shape[1], :2]
    np.testing.assert_array_equal(shown, image[top:, left:, :2][: patch[0], : patch[1]])
    assert (truth == IGNORE).sum() == truth.size - inside.size


@given(
    height=SIDE, width=SIDE, patch=st.tuples(SIDE, SIDE), place=st.floats(0, 1, exclude_max=True)
)
def test_a_focused_patch_shows_the_defect(height, width, patch, place):
    mask = np.zeros((height, width), np.uint8)
    row, column = divmod(int(place * mask.size), width)
    mask[row, column] = 3
    image = np.zeros((height, width, 3), np.uint8)
    _, truth = patches.draw((image, mask), patch, 3, np.random.default_rng(0))
    ((at_row, at_column),) = np.argwhere(truth == 3)
    away_from_border = row >= patch[0] and row + patch[0] < height
    if away_from_border:  # then it lies in the inner half
        assert patch[0] // 4 <= at_row <= -(-patch[0] * 3 // 4)
    if column >= patch[1] and column + patch[1] < width:
        assert patch[1] // 4 <= at_column <= -(-patch[1] * 3 // 4)


def test_every_pixel_of_a_defect_is_looked_at_in_the_long_run():
    mask = np.zeros((64, 64), np.uint8)
    mask[10, 10] = mask[50, 50] = 2
    image = np.zeros((64, 64, 3), np.uint8)
    generator = np.random.default_rng(0)
    drawn = [patches.corner_of(mask, (16, 16), 2, generator) for _ in range(200)]
    upper = sum(top < 30 for top, _ in drawn)
    assert 60 < upper < 140
    assert len(set(drawn)) > 60
    assert image.shape[:2] == mask.shape


class Reader:
    """Stands for a SampleReader of pictures at their own sizes."""

    dtype, channels = "uint8", 3

    def __init__(self, pairs):
        self.pairs = pairs
        sizes = [mask.shape for _, mask in pairs]
        self.samples = [type("Row", (), {"height": h, "width": w}) for h, w in sizes]

    def __call__(self, index):
        return self.pairs[index]


@given(sizes=st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=3), patch=st.tuples(SIDE, SIDE))
def test_tiles_show_every_pixel_once(sizes, patch):
    pairs = [numbered(*size) for size in sizes]
    tiles = reader.Tiles(Reader(pairs), patch, patch)
    seen = [np.zeros(size, int) for size in sizes]
    for number in range(len(tiles)):
        index, *_ = tiles.places[number]
        tile, truth = tiles(number)
        assert tile.shape == (*patch, 3)
        valid = truth != IGNORE
        rows, columns = tile[valid][:, 0], tile[valid][:, 1]
        np.testing.assert_array_equal(truth[valid], pairs[index][1][rows, columns])
        np.add.at(seen[index], (rows, columns), 1)
    for times in seen:
        assert (times == 1).all()


def test_an_epoch_of_patches_is_the_same_again_and_holds_the_shares(tiny_dataset):
    words = ("dataset.patch.size=32", "dataset.image_size=32", "dataset.patch.foreground=0.5")
    cfg = tiny_dataset(*words, "dataset.patch.per_image=3")
    dataset = load(cfg)
    fed = feed.feed(FeedSettings.from_config(cfg), dataset)
    assert fed.drawn == 3 * len(dataset.split("train"))
    first = list(fed.training)
    assert len(first) == fed.steps * cfg.trainer.epochs
    for (images, truths), (again, truths_again) in zip(
        first, feed.feed(FeedSettings.from_config(cfg), dataset).training, strict=True
    ):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(truths, truths_again)
    resumed = list(feed.feed(FeedSettings.from_config(cfg), dataset, first_epoch=1).training)
    np.testing.assert_array_equal(resumed[0][0], first[fed.steps][0])
    truths = np.concatenate([truths for _, truths in first])
    assert truths.shape[1:] == (32, 32)
    defective = (truths != 0).any(axis=(1, 2)).mean()
    assert defective > 0.49


def test_validation_counts_the_pixels_of_the_whole_pictures(tiny_dataset):
    cfg = tiny_dataset("dataset.patch.size=40", "dataset.image_size=40", "model.num_layers=1")
    dataset = load(cfg)
    truths = np.concatenate(
        [truths for _, truths in feed.feed(FeedSettings.from_config(cfg), dataset).validation]
    )
    counts = np.bincount(truths.ravel(), minlength=256)[: dataset.num_classes]
    np.testing.assert_array_equal(counts, dataset.split_pixels("valid"))


def test_the_disk_cache_keeps_whole_pictures_of_one_size(tiny_dataset, tmp_path):
    words = ("dataset.patch.size=32", "dataset.image_size=32", "dataset.cache=disk")
    cfg = tiny_dataset(*words, f"cache_dir={tmp_path}")
    dataset = load(cfg)
    cached = list(feed.feed(FeedSettings.from_config(cfg), dataset).training)
    plain = list(feed.feed(FeedSettings.from_config(tiny_dataset(*words[:2])), dataset).training)
    for one, other in zip(cached, plain, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_the_disk_cache_refuses_pictures_of_several_sizes(compose, tmp_path):
    for number, size in enumerate((64, 64, 80)):
        for place in ("test/bent", "test/good", "ground_truth/bent"):
            folder = tmp_path / "data" / place
            folder.mkdir(parents=True, exist_ok=True)
            ending = "_mask" if place.startswith("ground") else ""
            Image.new("L", (size, size), 255 * bool(ending)).save(
                folder / f"00{number}{ending}.png"
            )
    cfg = compose("train", "dataset=grid", f"dataset.path={tmp_path}/data")
    dataset = load(cfg)
    with pytest.raises(InputError, match=r"there are 2\. Use dataset\.cache=memory"):
        reader.SampleReader(dataset, dataset.table, None, "disk", cache_dir(cfg))


@pytest.mark.heavy
def test_a_run_on_patches_is_predicted_by_tiles_and_goes_on(tmp_path, tiny):
    words = ("dataset.patch.size=32", "dataset.image_size=32", "dataset.good_share=0.2")
    done = running.flexunet(tmp_path, "train", *tiny, *words)
    assert done.returncode == 0, done.stdout
    assert "Training on patches of 32 × 32 px" in done.stdout and "full resolution." in done.stdout
    (folder,) = tmp_path.glob("outputs/*/*_grid_flexunet")
    report = (folder / "evaluation" / "report.html").read_text()
    assert "tiles of 32 × 32 px that overlap by 25%" in report
    whole = running.flexunet(tmp_path, "evaluate", "run=latest", "predict.tile=none")
    assert whole.returncode == 0, whole.stdout
    (second,) = tmp_path.glob("outputs/*/*_evaluate*/**/report.html")
    assert "whole pictures, seen at 32 × 32 px" in second.read_text()
    exported = exporting.usage(load_run(folder), "onnx", None, "uint8")
    assert exported["tile"] == {"height": 32, "width": 32} and exported["overlap"] == 0.25
    other = shutil.copytree(folder, tmp_path / "whole")
    text = (other / "config.yaml").read_text()
    changed = text.replace("size: 32\n    features", "size: null\n    features")
    (other / "config.yaml").write_text(changed)
    both = [load_run(folder), load_run(other)]
    with pytest.raises(InputError, match="predicts whole pictures; .* tiles of 32 × 32 px"):
        networks.load(both, OmegaConf.create({}))
    networks.check_tiles(both, OmegaConf.create({"tile": "none"}))


def test_a_picture_is_decoded_once_for_all_its_tiles():
    reads = []

    class Slow(Reader):
        def __call__(self, index):
            reads.append(index)
            time.sleep(0.02)  # long enough for another thread to ask for it too
            return super().__call__(index)

    tiles = reader.Tiles(Slow([numbered(32, 32)] * 3), (16, 16), (16, 16))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(tiles, range(len(tiles))))
    assert reads == [0, 1, 2]


def test_shares_of_more_than_all_patches_are_refused_before_the_data_is_read(tiny_dataset):
    from flexunet_exp.config import validation

    words = ("dataset.good_share=0.6", "dataset.patch.foreground=0.5")
    validation.check_settings(tiny_dataset(*words))  # without patches there is no foreground
    with pytest.raises(InputError, match="their sum is above 1"):
        validation.check_settings(tiny_dataset(*words, "dataset.patch.size=32"))


def test_without_patches_their_settings_change_no_training(tiny_dataset):
    plain, other = (tiny_dataset(f"dataset.patch.foreground={x}") for x in (0.5, 0.9))
    assert identity.signature(plain, "", 2) == identity.signature(other, "", 2)
    patched = [
        tiny_dataset("dataset.patch.size=32", f"dataset.patch.foreground={x}") for x in (0.5, 0.9)
    ]
    assert len({identity.signature(cfg, "", 2) for cfg in (plain, *patched)}) == 3


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("dataset.patch.size=4", "dataset.patch.size=4 is not null, a whole number"),
        ("dataset.patch.foreground=2", "dataset.patch.foreground=2 is not a number from 0 to 1"),
        ("dataset.patch.per_image=0", "dataset.patch.per_image=0 is not"),
        ("+dataset.patch.sise=64", "Unknown option 'dataset.patch.sise'. Did you mean"),
        ("dataset.sampling=even", "dataset.sampling=even is not uniform or balanced"),
        (
            "dataset.good_share=1",
            "dataset.good_share=1 is not null, from 0 to below 1, or adaptive",
        ),
    ],
)
def test_wrong_words(tiny_dataset, word, sentence):
    from flexunet_exp.config import validation

    with pytest.raises(InputError) as caught:
        validation.check_settings(tiny_dataset(word))
    assert sentence in str(caught.value)
