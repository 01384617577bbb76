"""Kept features: patches of them, their types, what is computed once, and a disk that is full.

The encoder is the mean over squares of 4, 8 and 32 px, which numpy computes at once.
"""

from __future__ import annotations

import resource
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flexunet_exp.config import compose as config
from flexunet_exp.config import identity, validation
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.cache.features import FeatureCache, Maps
from flexunet_exp.data.feed import kept_features, patches
from flexunet_exp.data.feed.kept_features import KeptFeatures, Place
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.errors import InputError
from tests.support import running
from tests.support.beside_scans import beside_scans
from tests.support.means import STRIDES, cache_in, kept_in, means

WORDS = (
    *("dataset.cache=features", "dataset.image_size=128", "augmentation=flips"),
    "dataset.feature_type=float32",
)
UNET = ("model=unet", "model.encoder_weights=null")


@pytest.fixture
def kept(tiny_dataset, tmp_path):
    """kept(words…) → settings, data set, their features in tmp_path/cache."""

    def make(*words: str):
        cfg = tiny_dataset(*WORDS, f"cache_dir={tmp_path}/cache", *words)
        settings, dataset = FeedSettings.from_config(cfg), datasets.load(cfg)
        return settings, dataset, kept_in(settings, dataset)

    return make


def test_a_patch_is_the_same_place_of_all_maps_and_of_the_mask(kept):
    _, _, found = kept()
    corners = set()
    for number, place in enumerate(found.places()):
        *maps, mask = found.read(place)
        *cuts, truth = found.patch(place, (64, 96), focus=0, key=(number,))
        image, _ = found.seen(place)
        (top, left), *others = [
            (t, s)
            for t in range(0, 65, 32)
            for s in range(0, 33, 32)
            if np.array_equal(means(image[None, t : t + 64, s : s + 96])[0][0], cuts[0])
        ]
        assert not others  # the finest map tells the place
        np.testing.assert_array_equal(truth, mask[top : top + 64, left : left + 96])
        for stride, cut, whole in zip(STRIDES, cuts, maps, strict=True):
            t, s, h, w = (value // stride for value in (top, left, 64, 96))
            np.testing.assert_array_equal(cut, whole[t : t + h, s : s + w])
        corners.add((top, left))
    assert len(corners) == 3 * 2


@pytest.mark.parametrize("side", [32, 64])
def test_a_focused_patch_shows_its_class(kept, side):
    _, _, found = kept()
    shown = 0
    for number, place in enumerate(found.places()):
        *_, mask = found.read(place)
        for focus in np.unique(mask[(mask != 0) & (mask != 255)]).tolist():
            *_, truth = found.patch(place, (side, side), focus, key=(number,))
            assert truth.shape == (side, side) and (truth == focus).any()
            shown += 1
    assert shown > 30


@given(
    cells=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    window=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    place=st.floats(0, 1, exclude_max=True),
    focus=st.sampled_from([0, 1]),
    seed=st.integers(0, 99),
)
def test_a_corner_is_inside_on_the_grid_and_shows_the_pixel(cells, window, place, focus, seed):
    size = np.array(cells) * 32
    patch = np.minimum(window, cells) * 32
    mask = np.zeros(size, np.uint8)
    pixel = np.unravel_index(int(place * mask.size), mask.shape)
    mask[pixel] = 1
    generator = np.random.default_rng(seed)
    corner = np.array(patches.corner_of(mask, tuple(patch.tolist()), focus, generator, grid=32))
    assert (corner % 32 == 0).all() and (corner >= 0).all() and (corner + patch <= size).all()
    if focus:
        assert (corner <= pixel).all() and (pixel < corner + patch).all()


def test_patches_are_fed_with_their_masks_and_hold_the_share_of_defects(kept):
    words = ("dataset.patch.features=64", "dataset.patch.per_image=3", "trainer.batch_size=8")
    settings, dataset, found = kept(*words, "dataset.patch.foreground=0.5")
    fed = kept_features.feed_of(settings, dataset, found, 0, 1)
    assert fed.drawn == 3 * len(dataset.split("train"))
    training = list(fed.training.as_numpy_iterator())
    truths = np.concatenate([truth for _, truth in training])
    assert truths.shape[1:] == (64, 64)
    assert [one.shape[1:] for one in training[0][0]] == [(64 // s, 64 // s, 3) for s in STRIDES]
    assert (truths != 0).any(axis=(1, 2)).mean() > 0.49
    resumed = list(kept_features.feed_of(settings, dataset, found, 1, 1).training)
    np.testing.assert_array_equal(resumed[0][1], training[fed.steps][1])
    whole = np.concatenate([truth for _, truth in fed.validation.as_numpy_iterator()])
    assert whole.shape == (len(dataset.split("valid")), 128, 128)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("dataset.cache=features", "dataset.patch.size=64"),
            "dataset.patch.size=64: dataset.cache=features keeps the features of whole pictures",
        ),
        (("dataset.patch.features=64",), "dataset.patch.features=64 needs dataset.cache=features"),
        (
            ("dataset.cache=features", "dataset.patch.features=48"),
            "dataset.patch.features=48 must be divisible by 32, the encoder's largest stride, and "
            "at most 128, dataset.image_size. Try dataset.patch.features=32",
        ),
        (
            ("dataset.cache=features", "dataset.patch.features=160"),
            "dataset.patch.features=160 must be divisible by 32, the encoder's largest stride, and "
            "at most 128, dataset.image_size. Try dataset.patch.features=128",
        ),
        (
            ("dataset.cache=features", "dataset.patch.features=[64,160]"),
            "at most 128, dataset.image_size. Try dataset.patch.features=[64,128]",
        ),
        (("dataset.patch.features=4",), "dataset.patch.features=4 is not null, a whole number"),
        (
            ("dataset.cache=features", "dataset.patch.features=64", "dataset.good_share=0.8"),
            "their sum is above 1",
        ),
        (("dataset.cache_limit=0",), "dataset.cache_limit=0 is not a number above 0"),
        (
            ("dataset.feature_type=float8",),
            "dataset.feature_type=float8 is not float16, bfloat16 or float32",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_the_data_is_read(compose, words, sentence):
    cfg = compose("train", "dataset=grid", *UNET, "dataset.image_size=128", *words)
    with pytest.raises(InputError) as caught:
        validation.check_settings(cfg)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("size", ["32", "128", "[64,128]"])
def test_patches_of_features_that_fit_are_accepted(compose, size):
    words = ("dataset.cache=features", f"dataset.patch.features={size}")
    cfg = compose("train", "dataset=grid", *UNET, "dataset.image_size=128", *words)
    validation.check_settings(cfg)


def test_patches_of_features_change_a_training_from_kept_features_alone(compose):
    def signature(*words: str) -> str:
        return identity.signature(compose("train", "dataset=grid", *UNET, *words), "", 2)

    features, size = "dataset.cache=features", "dataset.patch.features=64"
    foreground, number = "dataset.patch.foreground=0.9", "dataset.patch.per_image=7"
    assert len({signature(), signature(size), signature(size, foreground, number)}) == 1
    plain = {signature(features), signature(features, foreground), signature(features, number)}
    assert len(plain) == 1
    of_patches = [signature(features, size, *more) for more in ((), (foreground,), (number,))] + [
        signature(features, "dataset.patch.features=96")
    ]
    assert len({signature(), *plain, *of_patches}) == 2 + 4
    limits = {signature(features, f"dataset.cache_limit={limit}") for limit in (10, 20)}
    assert limits == plain


@pytest.mark.parametrize(("dtype", "precision"), [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_features_are_kept_to_the_precision_of_their_type(kept, dtype, precision):
    _, _, found = kept(f"dataset.feature_type={dtype}")
    for place in found.places():
        exact = means(found.seen(place)[0][None])
        for ours, (theirs,) in zip(found.read(place)[:-1], exact, strict=True):
            assert str(ours.dtype) == dtype
            np.testing.assert_allclose(ours.astype(np.float32), theirs, rtol=precision)


def test_bfloat16_reaches_the_network(kept):
    settings, dataset, found = kept("dataset.feature_type=bfloat16")
    maps, _ = next(iter(kept_features.feed_of(settings, dataset, found, 0, 1).training))
    assert {one.dtype.name for one in maps} == {"bfloat16"}


def test_features_too_large_for_float16_are_said(tmp_path):
    maps = Maps(((2, 2, 1),), np.dtype("float16"))
    cache = FeatureCache(tmp_path, ["any"], maps, {})
    cache.open("grid")
    with pytest.raises(InputError, match=r"too large for float16. Type .*feature_type=bfloat16"):
        cache.write("0_as_it_is", [np.full((2, 2, 1), 70_000, np.float32)])
    assert not list(cache.path.glob("*.bin"))


@pytest.mark.parametrize("words", [(), ("augmentation.views=3",), ("split=memorise",)])
def test_what_is_needed_is_what_is_written(kept, words):
    _, _, found = kept(*words)
    written = sum(file.stat().st_size for file in found.cache.path.glob("*.bin")) / 1e9
    assert found.gigabytes(len(found.views), found.cache.maps) == pytest.approx(written)


def test_another_draw_of_pasted_defects_is_another_view(kept):
    words = ("augmentation=paste", "augmentation.views=3")
    uniform, balanced = (
        kept(*words, f"dataset.sampling={way}")[2] for way in ("uniform", "balanced")
    )
    assert uniform.cache.path == balanced.cache.path
    pasted = {uniform.name(place) for place in uniform.places() if place.view}
    assert pasted and not pasted & {balanced.name(place) for place in balanced.places()}


@pytest.fixture
def small_files():
    """No file of this process can grow beyond 8 kB: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_no_part(kept, tmp_path, small_files):
    with pytest.raises(InputError) as caught:
        kept()
    (problem,) = caught.value.problems
    assert all(word in problem for word in ("File too large", "prune=30", "cache_dir=FOLDER"))
    (folder,) = beside_scans(tmp_path / "cache")  # and no lock beside it
    assert {file.name for file in folder.iterdir()} == {"info.json", "in_use.lock"}


def test_a_cache_that_cannot_be_made_is_one_sentence(kept, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written .* cache_dir=FOLDER"):
        kept(f"cache_dir={tmp_path}/file/cache")


@pytest.fixture
def start(tiny_dataset, tmp_path):
    """Starts a process that computes features in tmp_path/cache: start("wait")."""
    cfg = tiny_dataset(*WORDS, f"cache_dir={tmp_path}/cache")
    OmegaConf.save(OmegaConf.create(config.plain(cfg)), tmp_path / "cfg.yaml")
    program = str(running.SUPPORT / "compute_features.py")
    files = str(tmp_path / "cfg.yaml"), str(tmp_path / "go")
    return lambda how: running.Command(tmp_path, program, *files, how)


def wait_for(line: str, process: running.Command) -> str:
    while line not in (read := process.stdout.readline()):
        assert read, f"ended without saying {line!r}"
    return read


def check(found: KeptFeatures) -> None:
    """The maps of every view are those that the encoder makes of it."""
    for place in found.places():
        exact = means(found.seen(place)[0][None])
        for ours, (theirs,) in zip(found.read(place)[:-1], exact, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_of_several_processes_one_computes_and_the_others_wait(start, kept, tmp_path):
    first = start("wait")
    wait_for("Features: ", first)
    other = start("refuse")
    wait_for("Waiting for another process that computes features", other)
    (tmp_path / "go").touch()
    assert " 0 are computed" in wait_for("Features: ", other)
    assert [process.wait(60) for process in (first, other)] == [0, 0]
    check(kept()[2])
    (folder,) = beside_scans(tmp_path / "cache")  # no lock is left beside it
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_what_is_computed_when_a_process_ends_is_not_computed_again(start, kept, tmp_path, name):
    first = start("wait")
    wait_for("Features: ", first)
    (folder,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    while len(list(folder.glob("*.bin"))) < 4:
        assert first.poll() is None
    first.send_signal(signal.Signals[name])
    first.wait(60)
    left = {file: file.stat().st_mtime_ns for file in folder.glob("*.bin")}
    *_, found = kept()
    assert {file: file.stat().st_mtime_ns for file in left} == left
    assert len(left) < len(found.names())
    check(found)


def test_a_training_whose_features_are_there_computes_none(kept, monkeypatch):
    settings, dataset, first = kept()
    again = KeptFeatures(settings, dataset, cache_in(settings), dataset.dtype)
    again.fill(lambda images: pytest.fail("computed again"))
    place = Place("train", 0, 1)
    for ours, theirs in zip(again.read(place), first.read(place), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_folder_that_cannot_be_written_to_is_used(kept, monkeypatch):
    settings, dataset, first = kept()
    real = open

    def read_only(path, mode="r", *arguments, **named):
        if "w" in mode or "a" in mode:
            raise PermissionError(13, "Permission denied")
        return real(path, mode, *arguments, **named)

    monkeypatch.setattr("builtins.open", read_only)
    for name in ("utime", "replace"):
        monkeypatch.setattr(f"os.{name}", lambda *arguments, **named: read_only("", "w"))
    again = KeptFeatures(settings, dataset, cache_in(settings), dataset.dtype)
    again.fill(lambda images: pytest.fail("computed again"))
