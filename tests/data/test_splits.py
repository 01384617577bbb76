"""Splits: whole sources, every class, the same on every machine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.data import splits
from flexunet_exp.data.dataset import rows, sample_name
from flexunet_exp.errors import InputError
from tests.support.properties import examples

quick = examples(40)


def table_of(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    """A sample table of (source, variant, label, split) rows."""
    table = pd.DataFrame(rows, columns=["source", "variant", "label", "split"])
    return table.assign(image=table["variant"] + "_" + table["source"])


def originals(**counts: int) -> pd.DataFrame:
    return table_of(
        [(f"{label}_{i}", "original", label, "") for label, n in counts.items() for i in range(n)]
    )


def counts_of(table: pd.DataFrame, label: str) -> tuple[int, ...]:
    found = table.loc[table["label"] == label, "split"]
    return tuple(int((found == split).sum()) for split in splits.SPLITS)


@st.composite
def tables(draw, min_sources: int = 1) -> pd.DataFrame:
    """Sources of one to three classes, each with one or more rows, in any order of rows."""
    rows = []
    for label in draw(st.lists(st.sampled_from(["bent", "cut", "good"]), min_size=1, unique=True)):
        for i in range(draw(st.integers(min_sources, 12))):
            variants = draw(st.lists(st.sampled_from(["original", "hflip", "vflip"]), min_size=1))
            rows += [(f"{label}_{i}", variant, label, "") for variant in variants]
    return table_of(draw(st.permutations(rows)))


shares = st.sampled_from([(0.6, 0.2, 0.2), (1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.1, 0.3, 0.6)])


@quick
@given(table=tables(), ratios=shares, seed=st.integers(0, 5))
def test_ratios_deal_every_source_to_one_split(table, ratios, seed):
    split = splits.ratios(table, ratios, seed)
    assert split["split"].isin(splits.SPLITS).all()
    assert (split.groupby("source")["split"].nunique() == 1).all()
    assert split.drop(columns="split").equals(table.drop(columns="split"))


@quick
@given(table=tables(), ratios=shares)
def test_ratios_are_kept_within_one_source_and_fill_every_wanted_split(table, ratios):
    split = splits.ratios(table, ratios).drop_duplicates("source")
    for _, stratum in split.groupby("label"):
        for name, share in zip(splits.SPLITS, ratios, strict=True):
            found = (stratum["split"] == name).sum()
            assert abs(found - share * len(stratum)) <= 2
            assert (found == 0) if share == 0 else (found > 0 or len(stratum) < 3)


@quick
@given(table=tables(), data=st.data())
def test_order_of_rows_does_not_matter(table, data):
    shuffled = table.loc[data.draw(st.permutations(table.index.tolist()))]
    for fill in (splits.ratios, lambda t: splits.folds(t) if enough(t) else t):
        assert fill(shuffled)["split"].sort_index().equals(fill(table)["split"])


def enough(table: pd.DataFrame) -> bool:
    sources = table[table["label"] != "good"].groupby("label")["source"].nunique()
    return bool((sources >= 5).all())


def test_ratios_of_a_class_do_not_depend_on_other_classes():
    alone, together = originals(bent=9), originals(cut=4, bent=9, good=30)
    split = splits.ratios(together)
    assert (
        split[split["label"] == "bent"]["split"].tolist() == splits.ratios(alone)["split"].tolist()
    )


@pytest.mark.parametrize(
    "sources, ratios, expected",
    [
        (10, (0.6, 0.2, 0.2), (6, 2, 2)),
        (9, (0.6, 0.2, 0.2), (5, 2, 2)),
        (8, (0.6, 0.2, 0.2), (5, 2, 1)),
        (3, (0.9, 0.05, 0.05), (1, 1, 1)),
        (3, (0.8, 0.2, 0.0), (2, 1, 0)),
        (1, (0.6, 0.2, 0.2), (1, 0, 0)),
        (100, (0.29, 0.01, 0.7), (29, 1, 70)),
    ],
)
def test_counts_by_hand(sources, ratios, expected):
    assert counts_of(splits.ratios(originals(bent=sources), ratios), "bent") == expected


def test_split_is_the_same_on_every_machine():
    split = splits.ratios(originals(bent=6), seed=1)["split"]
    assert split.tolist() == ["train", "train", "valid", "test", "train", "train"]


def test_another_seed_is_another_split():
    table = originals(bent=30)
    drawn = {tuple(splits.ratios(table, seed=seed)["split"]) for seed in range(5)}
    assert len(drawn) == 5


def test_folder_splits_are_replaced():
    table = originals(bent=10).assign(split="test")
    assert counts_of(splits.ratios(table), "bent") == (6, 2, 2)


@pytest.mark.parametrize(
    "ratios",
    [
        (0.6, 0.4),
        (0.6, 0.2, 0.3),
        (1.2, -0.1, -0.1),
        (0.0, 0.5, 0.5),
        "abc",
        None,
        (float("nan"),) * 3,
    ],
)
def test_wrong_ratios_are_refused(ratios):
    with pytest.raises(InputError, match=r"split\.ratios"):
        splits.ratios(originals(bent=5), ratios)


def test_label_of_the_original_decides_the_class_of_a_source():
    table = table_of(
        [("x", "hflip", "bent", ""), ("x", "vflip", "bent", ""), ("x", "original", "cut", "")]
        + [(f"y{i}", "original", "cut", "") for i in range(9)]
    )
    assert sorted(splits.folds(table, n=10)["split"]).count("test") in (1, 3)
    with pytest.raises(InputError, match=r"cut \(10\)"):
        splits.folds(table, n=11)


def test_without_original_the_most_frequent_label_decides():
    table = table_of(
        [("x", v, label, "") for v, label in [("a", "cut"), ("b", "bent"), ("c", "cut")]]
    )
    with pytest.raises(InputError, match=r"cut \(1\)"):
        splits.folds(table, n=3)


@quick
@given(table=tables(min_sources=6), n=st.integers(3, 6), seed=st.integers(0, 5))
def test_test_folds_are_every_source_once_and_valid_is_the_next(table, n, seed):
    runs = [splits.folds(table, n, fold, seed) for fold in range(n)]
    tests = [set(run.loc[run["split"] == "test", "source"]) for run in runs]
    valids = [set(run.loc[run["split"] == "valid", "source"]) for run in runs]
    dealt = [source for test in tests for source in test]
    assert sorted(dealt) == sorted(table["source"].unique())
    assert valids == tests[1:] + tests[:1]
    for run in runs:
        assert (run.groupby("source")["split"].nunique() == 1).all()


@quick
@given(table=tables(min_sources=5))
def test_folds_are_balanced_overall_and_in_each_class(table):
    runs = [splits.folds(table, 5, fold) for fold in range(5)]
    tests = [run[run["split"] == "test"].drop_duplicates("source") for run in runs]
    sizes = [len(test) for test in tests]
    assert max(sizes) - min(sizes) <= 1
    for label in table["label"].unique():
        of_class = [(test["label"] == label).sum() for test in tests]
        assert max(of_class) - min(of_class) <= 1


@quick
@given(table=tables(min_sources=6), n=st.integers(3, 6), share=st.floats(0.01, 0.99))
def test_a_share_of_the_other_folds_validates_and_the_test_folds_stay(table, n, share):
    by_class = table.drop_duplicates("source").groupby("label")["source"]
    for fold in range(n):
        whole, part = (splits.folds(table, n, fold, valid=valid) for valid in (None, share))
        assert ((whole["split"] == "test") == (part["split"] == "test")).all()
        split = part.drop_duplicates("source").set_index("source")["split"]
        for _, sources in by_class:
            others = split[[*sources]][lambda s: s != "test"]
            wanted = min(max(1, round(share * len(others))), max(0, len(others) - 1))
            assert (others == "valid").sum() == wanted


@pytest.mark.parametrize("valid", [0, 1, -0.5, "much", float("nan")])
def test_a_share_that_validates_nothing_or_all_is_refused(valid):
    with pytest.raises(InputError, match=r"split.valid=.*above 0 and below 1, such as 0.125"):
        splits.folds(originals(bent=6, good=6), valid=valid)


def test_classes_too_small_for_the_folds_are_all_named():
    with pytest.raises(InputError, match=r"bent \(3\), cut \(4\).*split\.n=3"):
        splits.folds(originals(bent=3, cut=4, dent=9, good=1))


def test_few_good_pictures_are_no_obstacle():
    assert counts_of(splits.folds(originals(bent=5, good=1), fold=0), "bent") == (3, 1, 1)


def test_all_mistakes_about_folds_are_told_at_once():
    with pytest.raises(InputError) as caught:
        splits.folds(originals(bent=1), n=2, fold=2)
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "split.n=2" in told and "split.fold=2" in told and "bent (1)" in told


def leaking() -> pd.DataFrame:
    return table_of(
        [
            ("a", "original", "bent", "train"),
            ("a", "hflip", "bent", "test"),
            ("a", "vflip", "bent", "test"),
            ("b", "original", "bent", "test"),
            ("c", "original", "bent", "valid"),
        ]
    )


def test_folders_are_kept_and_a_leak_is_a_warning():
    table = leaking().assign(sha256=list("abcde"))
    assert splits.folders(table).equals(table)
    (warning,) = splits.leak_warnings(table)
    assert "1 of 3 source pictures" in warning and "2 of 3 test pictures" in warning


def test_a_leak_can_be_an_error():
    with pytest.raises(InputError, match="1 of 3 source pictures"):
        splits.folders(leaking(), strict=True)


def test_clean_folders_have_no_warnings():
    clean = leaking().iloc[[0, 3, 4]].assign(sha256=list("abc"))
    assert splits.folders(clean, strict=True).equals(clean)
    assert splits.leak_warnings(clean) == []
    assert splits.leak_warnings(clean.iloc[:0]) == []


def test_folders_without_split_point_to_ratios():
    with pytest.raises(InputError, match=r"5 of 5.*split=ratios"):
        splits.folders(originals(bent=5))


def test_classes_absent_from_a_split_are_warnings():
    table = table_of(
        [("a", "original", "bent", "train"), ("b", "original", "cut", "train")]
        + [("c", "original", "cut", "valid")]
    )
    pixels = np.array([[9, 1, 0], [9, 1, 3], [9, 0, 3]])
    warnings = splits.check(table, pixels, ["background", "bent", "cut"])
    assert warnings == [
        "The split valid holds no picture of bent.",
        "The split test holds no picture.",
    ]


def test_complete_splits_have_no_warnings():
    split = splits.ratios(originals(bent=5, cut=5, good=2))
    pixels = np.ones((len(split), 3), int)
    assert splits.check(split, pixels, ["background", "bent", "cut"]) == []


def test_a_class_counts_where_its_pixels_are_not_where_its_label_is():
    rows = [("a", "original", "bent", split) for split in ("train", "valid", "test")]
    pixels = np.array([[9, 5, 1]] * 3)
    assert splits.check(table_of(rows), pixels, ["background", "bent", "cut"]) == []


def test_nothing_to_validate_with_is_an_error():
    table = splits.ratios(originals(bent=5), ratios=(0.8, 0, 0.2))
    with pytest.raises(InputError, match="left to valid"):
        splits.check(table, np.ones((5, 2), int), ["background", "bent"])


def test_copies_under_other_names_become_one_source():
    table = originals(bent=6).assign(sha256=["x", "x", "y", "y", "z", "x"])
    warnings: list[str] = []
    merged = splits.with_merged_copies(table, warnings.append)
    assert merged.groupby("sha256")["source"].nunique().tolist() == [1, 1, 1]
    assert merged["source"].nunique() == 3 and "3 sources hold copies" in warnings[0]
    assert splits.ratios(merged).groupby("sha256")["split"].nunique().tolist() == [1, 1, 1]


def test_copies_have_names_of_their_own():
    """Two pictures of one name could not be scored; 0.1.0 ended a training with a stack trace."""
    table = originals(bent=3, cut=3).assign(sha256=list("xyzxyx"))
    merged = splits.with_merged_copies(table, warn=lambda text: None)
    assert merged["source"].nunique() == 3
    assert len({sample_name(row) for row in rows(merged)}) == len(merged)
    assert list(merged["variant"]) == [*["original"] * 3, "copy2", "copy2", "copy3"]


def test_a_copy_in_another_folder_is_a_leak():
    rows = [("a", "original", "bent", "train"), ("b", "original", "bent", "test")]
    copies = table_of(rows).assign(sha256="same")
    table = splits.with_merged_copies(copies, warn=lambda text: None)
    with pytest.raises(InputError, match="1 of 1 test"):
        splits.folders(table, strict=True)


def test_shown_pictures_cover_the_classes_and_ignore_split_and_order():
    rows = [(label, f"{label}{n}") for label in ("good", "cut", "bent") for n in range(5)]
    table = pd.DataFrame(rows, columns=["label", "sha256"]).assign(split="")
    chosen = splits.pick_samples(table, 6)
    assert list(chosen["label"]) == ["bent", "cut", "good"] * 2
    shuffled = table.sample(frac=1, random_state=0).assign(split="train")
    assert list(splits.pick_samples(shuffled, 6)["sha256"]) == list(chosen["sha256"])
    assert len(splits.pick_samples(table, 1000)) == len(table)


def test_memorised_pictures_are_in_every_split():
    rows = [("bent", f"{n}") for n in range(9)]
    table = pd.DataFrame(rows, columns=["label", "sha256"]).assign(split="")
    same = splits.memorise(table, num_images=3)
    assert {tuple(part["sha256"]) for _, part in same.groupby("split")} == {
        tuple(same["sha256"][:3])
    }
    (warning,) = splits.leak_warnings(same)
    assert len(same) == 9 and warning.startswith("The same 3 pictures train, validate and test")
    shown = splits.memorise(table, num_images=3, repeats=4)["split"].value_counts()
    assert shown.to_dict() == {"train": 12, "valid": 3, "test": 3}


CALIBRATED = originals(bent=10, cut=5, good=20)


@pytest.mark.parametrize("split", [splits.ratios, splits.folds])
def test_a_calibration_part_is_taken_from_train_alone(split):
    without, found = split(CALIBRATED), split(CALIBRATED, calibration=0.2)
    is_calibration = found["split"] == splits.CALIBRATION
    assert found.loc[is_calibration, "label"].value_counts().to_dict() == {
        **{"bent": 2, "cut": 1, "good": 4}
    }
    assert (without.loc[is_calibration, "split"] == "train").all()
    assert found.loc[~is_calibration].equals(without.loc[~is_calibration])


def test_a_calibration_part_holds_all_pictures_of_its_sources():
    rows = [
        (f"bent_{i}", variant, "bent", "") for i in range(9) for variant in ("original", "hflip")
    ]
    found = splits.ratios(table_of(rows), calibration=0.2)
    assert (found["split"] == splits.CALIBRATION).sum() == 4
    assert (found.groupby("source")["split"].nunique() == 1).all()


def test_a_calibration_part_that_leaves_nothing_to_train_is_refused():
    with pytest.raises(InputError, match=r"split.calibration=0.6 .* bent \(6 of 6\), cut \(3"):
        splits.ratios(CALIBRATED, calibration=0.6)


def test_folders_can_give_a_calibration_part():
    rows = [(f"bent_{i}", "original", "bent", "train" if i < 6 else "test") for i in range(10)]
    found = splits.folders(table_of(rows), calibration=0.2)
    assert found["split"].value_counts().to_dict() == {"train": 4, "test": 4, "calibration": 2}
