"""The splits of the literature: by file name, whatever the order of the table."""

from __future__ import annotations

import pandas as pd
import pytest

from flexunet_exp.data import protocol_splits
from flexunet_exp.data.splits import CALIBRATION, GOOD
from flexunet_exp.errors import InputError


def table(**numbers: int) -> pd.DataFrame:
    rows = [
        {"source": f"{label}/{number:03}", "label": label, "split": ""}
        for label, count in numbers.items()
        for number in range(count)
    ]
    rows += [
        {"source": f"{prefix}/{number:03}", "label": GOOD, "split": ""}
        for prefix in ("good", "train_good")
        for number in range(3)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def numbers_of(found: pd.DataFrame, label: str, split: str) -> list[int]:
    rows = found[(found["label"] == label) & (found["split"] == split)]
    return sorted(int(source[-3:]) for source in rows["source"])


def test_a_third_trains_and_two_thirds_test():
    found = protocol_splits.third(table(bent=12, glue=25))
    assert numbers_of(found, "bent", "train") == [0, 1, 2]
    assert numbers_of(found, "bent", "valid") == [3]
    assert numbers_of(found, "bent", "test") == list(range(4, 12))
    assert numbers_of(found, "glue", "train") == list(range(6))
    assert numbers_of(found, "glue", "valid") == [6, 7]
    assert numbers_of(found, "glue", "test") == list(range(8, 25))


def test_five_of_each_class_train():
    found = protocol_splits.five_shot(table(bent=12, glue=25))
    for label in ("bent", "glue"):
        assert numbers_of(found, label, "train") == [0, 1, 2, 3]
        assert numbers_of(found, label, "valid") == [4]
    assert len(numbers_of(found, "glue", "test")) == 20


def test_good_pictures_stay_where_the_data_set_has_them():
    found = protocol_splits.third(table(bent=12)).set_index("source")["split"]
    assert found["good/000"] == "test" and found["train_good/000"] == "train"


@pytest.mark.parametrize("split", [protocol_splits.third, protocol_splits.five_shot])
def test_classes_of_few_pictures_are_named_together(split):
    with pytest.raises(InputError, match=r"fewer of bent \(3\), glue \(5\)"):
        split(table(bent=3, glue=5, thread=8))


@pytest.mark.parametrize("split", [protocol_splits.third, protocol_splits.five_shot])
def test_a_calibration_part_needs_no_good_pictures_that_train(split):
    data = table(bent=12, glue=12)
    data = data[~data["source"].str.startswith("train_good")].assign(variant="original")
    found = split(data, calibration=0.1)
    assert found.loc[found["split"] == CALIBRATION, "label"].value_counts().to_dict() == {
        "bent": 1,
        "glue": 1,
    }
    assert set(found.loc[found["label"] == GOOD, "split"]) == {"test"}
