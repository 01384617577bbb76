"""Bits of 16-bit pictures: decided over the set, and kept with the run."""

from __future__ import annotations

import numpy as np
import pytest
from omegaconf import OmegaConf

from flexunet_exp.config import identity
from flexunet_exp.data import bit_depth, masks
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from tests.support.cameras import raw_set, save


@pytest.fixture
def camera(tmp_path, compose):
    """Makes a raw set of a camera of some bits, and gives its configuration."""

    def make(bits: int, *words: str, number: int = 6):
        raw_set(tmp_path, bits, number)
        return compose("train", "dataset=grid", f"dataset.path={tmp_path}", *words)

    return make


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_auto_is_the_smallest_depth_that_holds_the_set(camera, bits):
    cfg = camera(bits)
    dataset = datasets.load(cfg)
    assert dataset.bit_depth == bits
    brightest = max(dataset.read(row)[0].max() for row in datasets.rows(dataset.table))
    levels = {len(np.unique(dataset.read(row)[0])) for row in datasets.rows(dataset.table)}
    assert brightest == np.iinfo(dataset.dtype).max and max(levels) == min(2**bits, 64 * 64)
    assert dataset.dtype == ("uint8" if bits == 8 else "uint16")


def test_what_auto_became_is_kept_and_decides_later_readings(camera):
    cfg = camera(12)
    dataset = datasets.load(cfg)
    datasets.keep_decisions(cfg, dataset)
    kept = datasets.from_table(
        OmegaConf.create(OmegaConf.to_yaml(cfg, resolve=True)), dataset.table
    )
    assert cfg.dataset.bit_depth == kept.bit_depth == 12
    for row in datasets.rows(dataset.table):
        np.testing.assert_array_equal(kept.read(row)[0], dataset.read(row)[0])


def test_a_typed_depth_holds(camera):
    assert datasets.load(camera(10, "dataset.bit_depth=14")).bit_depth == 14


def test_values_above_a_typed_depth_are_refused_with_the_depth_that_holds_them(camera):
    with pytest.raises(InputError) as caught:
        datasets.load(camera(12, "dataset.bit_depth=10"))
    (said,) = caught.value.problems
    assert "15 pictures have values above 1023" in said and "dataset.bit_depth=12" in said
    assert said.mends == {"dataset.bit_depth": "12"}


def test_a_set_of_eight_and_sixteen_bits_is_warned_of(camera, tmp_path, caplog):
    cfg = camera(12)
    save(tmp_path / "test/bent/000.png", np.zeros((64, 64), np.uint8))
    assert datasets.load(cfg).bit_depth == 12
    assert "29 of 30 pictures have 16 bits, the others 8" in caplog.text


def test_eight_bits_decide_nothing_and_change_no_signature(camera, tmp_path):
    cfg = camera(12)
    for path in tmp_path.glob("test/*/*.png"):
        save(path, np.full((64, 64), 9, np.uint8))
    before = identity.with_effect(cfg)
    datasets.keep_decisions(cfg, datasets.scanned(cfg))
    assert cfg.dataset.bit_depth == "auto" and identity.with_effect(cfg) == before
    assert "bit_depth" not in before["dataset"]


@pytest.mark.parametrize("peak", [4095, 32767])
def test_a_picture_of_fewer_bits_is_refused_where_nothing_says_which_value_is_white(tmp_path, peak):
    path = save(tmp_path / "a.png", np.full((4, 4), peak, np.uint16))
    with pytest.raises(InputError, match=f"values up to {peak}, and nothing says"):
        masks.read_image(path, "auto")


def test_a_picture_that_uses_all_bits_is_read_by_them(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 257 * 9, 65535]], np.uint16))
    assert masks.read_image(path, "auto")[0, :, 0].tolist() == [0, 257 * 9, 65535]


def test_runs_of_earlier_releases_use_all_bits(camera):
    cfg = camera(16)
    del cfg.dataset.bit_depth
    assert datasets.from_table(cfg, datasets.scanned(camera(16)).table).bit_depth == 16


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_all_kinds_of_sixteen_bits_are_scaled_alike(tmp_path, suffix, channels):
    import cv2

    values = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
    pixels = values if channels == 1 else np.dstack([values] * 3 + [values[::-1]] * (channels - 3))
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), pixels)
    image = masks.read_image(tmp_path / f"a.{suffix}", 12)
    expected = bit_depth.table(12)[values]
    np.testing.assert_array_equal(image, np.dstack([expected] * 3))
