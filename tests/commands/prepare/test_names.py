"""Names that carry the lineage: each is read back as it was meant, and none is given twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.commands.prepare import names
from flexunet_exp.data.augmentation import Used
from flexunet_exp.data.layouts import parse_name
from flexunet_exp.errors import InputError

CLASSES = ["bent", "glue", "glue_strip", "good", "train_good"]
TRANSFORMS = ("HorizontalFlip", "QuarterTurn", "Rotation", "Elastic", "BentGlue", "x")

stems = st.one_of(
    st.integers(0, 30).map(str),
    st.integers(0, 30).map("{:03}".format),
    st.text(min_size=1, max_size=8).filter(lambda stem: "/" not in stem),
)
sources = st.lists(st.tuples(st.sampled_from(CLASSES), stems).map("/".join), min_size=1)
values = st.dictionaries(st.sampled_from("abc"), st.floats(-1e6, 1e6), max_size=3)
uses = st.lists(st.builds(Used, st.sampled_from(TRANSFORMS), values), max_size=20)


@given(sources)
def test_every_source_has_a_name_of_its_own_that_is_read_back(found):
    named = names.of_sources(found)
    assert {*named} == {*found}
    assert len({*named.values()}) == len({*found})
    for source, name in named.items():
        assert parse_name(name, CLASSES, "") == (name, "original")
        folder, _, stem = source.partition("/")
        assert name.startswith(f"{folder}_")
        if stem.isascii() and stem.isdigit():
            assert name == f"{folder}_{stem}"


@given(st.integers(1, 5000), uses, st.sampled_from(CLASSES))
def test_every_variant_is_read_back_and_short_enough(number, used, folder):
    source = f"{folder}_003"
    variant = names.of_variant(number, used, names.MOST - len(source))
    stem = names.of_picture(variant, source, CLASSES)
    assert parse_name(stem, CLASSES, "") == (source, variant)
    assert len(f"{stem}.png".encode()) <= 155
    assert variant.startswith(f"{number:02}")


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ([], "03"),
        ([Used("HorizontalFlip", {})], "03_hflip"),
        ([Used("Rotation", {"degrees": -12.34}), Used("Blur", {"sigma": 0.5})],
         "03_rotation_-12.3_blur_0.5"),
        ([Used("Shear", {"horizontal": 0.08, "vertical": -1e-5})], "03_shear_0.08_-1e-05"),
        ([Used("Rotation", {"degrees": 1.0})] * 20, "03" + "_rotation_1" * 2 + "_and_18_more"),
    ],
)  # fmt: skip
def test_words_by_hand(used, expected):
    assert names.of_variant(3, used, room=40) == expected


def test_classes_that_would_be_mixed_up_are_refused():
    with pytest.raises(InputError, match="Rename it"):
        names.of_picture("01_hflip", "mark_003", ["mark", "hflip_mark"])
