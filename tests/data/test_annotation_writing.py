"""Masks that are written for an annotation tool, and read from its files again, are the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flexunet_exp.commands.import_ import settings
from flexunet_exp.data.annotations import classes
from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing import WRITERS, Sample
from tests.support import exports

NAMES = ("crack", "dent & scratch", "Öl")
CLASSES = [Class(name, (200, 40 * n, 9)) for n, name in enumerate(NAMES, 1)]
KINDS = [kind for kind in WRITERS if kind in settings.formats()]  # those that are read too


def blocks(values: np.ndarray) -> np.ndarray:
    """Each value as a block of pixels, so that masks have regions with holes."""
    return np.kron(values, np.ones((2, 3), np.uint8))


small = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 255]),
)
masks = small | small.map(blocks)


def written(kind: str, folder: Path, pictures: list[np.ndarray]) -> int:
    """Writes pictures, the first of train, the others of test; the pixels that are lost."""
    writer = WRITERS[kind](folder / "labels", CLASSES)
    lost = 0
    for number, mask in enumerate(pictures):
        file = exports.save(folder / f"{number}.png", mask.shape)
        lost += writer.add(Sample(file, f"p{number}", "test" if number else "train"), mask)
    writer.close()
    return lost


def read(kind: str, folder: Path) -> list[np.ndarray]:
    """The masks of the files, their values as in NAMES."""
    export = exports.read(kind, folder / "labels")
    table = np.zeros(256, np.uint8)
    table[255] = 255
    known = classes.of_export(export.classes, {}, ())
    for value, name in enumerate(known.names[1:], 1):
        table[value] = [*map(classes.class_name, NAMES)].index(name) + 1
    found = exports.masks(export)
    by_stem = {Path(name).stem: mask for name, mask in found.items()}
    return [table[mask] for _, mask in sorted(by_stem.items())]


@pytest.mark.parametrize("kind", KINDS)
@given(pictures=st.lists(masks, min_size=1, max_size=3))
def test_any_masks_come_back(kind, pictures):
    pictures[0][0, 0] = 1  # one class is there
    with tempfile.TemporaryDirectory() as folder:
        assert written(kind, Path(folder), pictures) == 0
        found = read(kind, Path(folder))
    assert len(found) == len(pictures)
    for mask, again in zip(pictures, found, strict=True):
        assert (mask == again).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_recognised_and_keep_their_splits(kind, tmp_path):
    ring = np.ones((9, 9), np.uint8)
    ring[3:6, 3:6] = 0
    written(kind, tmp_path, [ring, ring * 2])
    assert exports.recognised(tmp_path / "labels") == kind
    splits = [one.split for one in exports.read(kind, tmp_path / "labels").pictures]
    expected = [""] * 2 if kind in ("labelme", "label_studio") else ["test", "train"]
    assert sorted(splits) == expected
