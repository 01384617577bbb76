"""The loaded data set: digests, names, the pictures that are shown."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError


@pytest.fixture
def dataset(tiny_dataset, tmp_path):
    return datasets.load(tiny_dataset(f"data_root={tmp_path}"))


def sample(source, variant="original"):
    return next(pd.DataFrame([{"source": source, "variant": variant}]).itertuples())


def test_every_row_has_a_split_and_no_source_is_in_two(dataset):
    assert set(dataset.table["split"]) == {"train", "valid", "test"}
    assert (dataset.table.groupby("source")["split"].nunique() == 1).all()


def test_the_digest_sees_pictures_masks_and_split_but_not_paths_or_order(dataset):
    table = dataset.table
    assert datasets.digest(table.sample(frac=1, random_state=1)) == dataset.digest
    moved = table.assign(split=["test", *table["split"][1:]])
    assert table["split"].iloc[0] != "test"
    assert datasets.digest(moved) != dataset.digest
    mask = table.loc[table["mask"] != "", "mask"].iloc[0]
    before = datasets.digest(table)
    with open(mask, "ab") as file:
        file.write(b"changed")
    assert datasets.digest(table) != before


def test_the_table_survives_its_file(dataset, tmp_path):
    datasets.write_table(dataset.table, tmp_path / "samples.csv")
    again = datasets.read_table(tmp_path / "samples.csv")
    assert datasets.digest(again) == dataset.digest
    columns = list(dataset.table.columns)
    assert again[columns].astype(str).equals(dataset.table.reset_index(drop=True).astype(str))


def test_missing_and_changed_pictures_are_all_named(dataset):
    first, second = dataset.table["image"].iloc[:2]
    datasets.check_unchanged(dataset)
    with open(first, "ab") as file:
        file.write(b"x")
    import os

    os.remove(second)
    with pytest.raises(InputError) as caught:
        datasets.check_unchanged(dataset)
    assert len(caught.value.problems) == 2
    assert first in str(caught.value) and second in str(caught.value)


def test_names_for_files():
    assert datasets.sample_name(sample("bent/003")) == "bent-003"
    assert datasets.sample_name(sample("rough_9", "rotated_90")) == "rotated_90_rough_9"


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_are_safe_and_tell_samples_apart(one, other):
    names = [datasets.sample_name(sample(text)) for text in (one, other)]
    assert all(
        re.fullmatch(r"[A-Za-z0-9_.-]+", name) and not name.startswith(".") for name in names
    )
    assert (names[0] != names[1]) == (one != other)


def test_the_summary_counts_each_class(dataset):
    lines = datasets.summary(dataset).splitlines()
    assert lines[0].split() == ["train", "valid", "test"]
    assert lines[-1].split()[0] == "all"
    assert sum(map(int, lines[-1].split()[1:])) == len(dataset.table)
    assert np.array_equal([int(n) for n in lines[1].split()[1:]], [2, 1, 1])
