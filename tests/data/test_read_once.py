"""Loading decodes each picture and each mask once, whatever is known of them afterwards."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import image_files


@pytest.fixture(params=["mvtec", "image_mask"])
def cfg(request, compose, tmp_path):
    """The configuration of six pictures of 8 x 6 with four pixels of bent each."""
    mask = np.zeros((6, 8, 3), np.uint8)
    for split in ("train", "valid", "test"):
        raw = request.param == "mvtec"
        mask[2:4, 2:4] = (255, 255, 255) if raw else (255, 0, 0)  # OpenCV's BGR
        for number in range(2):
            image = np.full((6, 8, 3), 10 * len(split) + number, np.uint8)
            name = f"{split}{number}" if raw else f"bent_{len(split)}{number}"
            pair = (
                (f"test/bent/{name}.png", f"ground_truth/bent/{name}_mask.png")
                if raw
                else (f"{split}/images/{name}.png", f"{split}/masks/{name}.png")
            )
            for path, pixels in zip(pair, (image, mask), strict=True):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / path), pixels)
    layout = f"dataset/layout={request.param}"
    return compose("train", "dataset=grid", layout, f"dataset.path={tmp_path}")


def test_each_file_is_decoded_once(cfg, monkeypatch):
    reads: Counter[str] = Counter()
    read_bytes = image_files.read_bytes

    def counting(path):
        reads[str(path)] += 1
        return read_bytes(path)

    monkeypatch.setattr(image_files, "read_bytes", counting)
    dataset = datasets.load(cfg)
    dataset.split_pixels("train")
    assert len(reads) == 12 and set(reads.values()) == {1}


def test_the_pixels_are_those_of_the_masks(cfg):
    dataset = datasets.load(cfg)
    assert dataset.pixels.tolist() == [[44, 4, 0, 0, 0, 0]] * 6
    again = datasets.from_table(cfg, dataset.table)  # as from a finished run's samples.csv
    assert again.pixels.tolist() == dataset.pixels.tolist()
