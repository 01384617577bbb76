"""Options of the data set, its split and the feed."""

from __future__ import annotations

from typing import Any

from flexunet_exp.config.options.row import DATA, ROUNDING, WEIGHTS, Option
from flexunet_exp.config.rules import (
    Rule,
    channels,
    count,
    flag,
    is_number,
    is_text,
    one_of,
    one_of_numbers,
    or_null,
    part,
    positive,
    size,
    text,
)


def is_good_share(value: Any) -> bool:
    return value == "adaptive" or (is_number(value) and 0 <= value < 1)


ROWS = (
    Option(
        "dataset.name",
        "name of the data set, or category of MVTec AD",
        text("a name", "zipper"),
        WEIGHTS,
        minutes=True,
        example="dataset=zipper",
    ),
    Option(
        "dataset.path",
        "folder of the data set; follows from data_root, the layout and the name",
        text(
            "a folder (a category's yaml begins with `defaults: [{layout: mvtec}, _self_]` to "
            "get it)",
            "FOLDER",
        ),
        DATA,
        literal=True,
        example="dataset=zipper",
    ),
    Option(
        "dataset.classes",
        "list of {name, color}: the background first, then the defects",
        changes=WEIGHTS,
        minutes=True,
    ),
    Option(
        "dataset.layout.*",
        "how the folders of the data set are laid out (conf/dataset/layout)",
        changes=WEIGHTS,
        minutes=True,
        example="dataset/layout=image_mask",
    ),
    Option(
        "dataset.good_names",
        "folders of raw pictures without a defect, beside good, ok, normal and free",
        Rule(
            lambda value: isinstance(value, list) and all(map(is_text, value)),
            "a list of names",
            "[clean]",
        ),
        DATA,
        optional=True,
    ),
    Option(
        "dataset.layout.good_names",
        "as dataset.good_names, which sets it",
        changes=DATA,
        optional=True,
        example="dataset.good_names=[clean]",
    ),
    Option(
        "dataset.layout.mask_suffix",
        "what the name of a mask has behind that of its picture: _mask for 000_mask.png of 000.png",
        Rule(lambda value: isinstance(value, str), "a text", "_label"),
        DATA,
        optional=True,
    ),
    Option(
        "dataset.layout.masks_in_folders",
        "whether a folder called like a picture may hold several masks of it, which are merged",
        flag(example=True),
        DATA,
        optional=True,
    ),
    Option(
        "dataset.layout.missing_mask",
        "what a picture without a mask is: an error, or good",
        one_of("error", "good", example="good"),
        DATA,
        optional=True,
    ),
    Option(
        "dataset.layout.images",
        "folder of the pictures that annotations describe; null: in their folder, or beside it",
        or_null(text("a folder", "photos")),
        DATA,
        literal=True,
        optional=True,
    ),
    Option(
        "dataset.image_size",
        "input of the network, a side or [height, width] in pixels; scores are at the masks' size",
        size(256),
        WEIGHTS,
        minutes=True,
        param="image_size",
    ),
    Option(
        "dataset.good",
        "defect-free pictures: none, those of test, all (train/good too)",
        one_of("none", "test", "all", example="test"),
        WEIGHTS,
        minutes=True,
    ),
    Option(
        "dataset.bit_depth",
        "bits of the values in 16-bit pictures; auto: the fewest that hold those of the whole set",
        one_of_numbers(8, 10, 12, 14, 16, word="auto", example=12),
        WEIGHTS,
        param="bit_depth",
        optional=True,
    ),
    Option(
        "dataset.channels",
        "channels of the pictures: a number, or the names of the lights, each a grey file",
        channels(),
        WEIGHTS,
        param="channels",
        optional=True,
    ),
    Option(
        "dataset.cache",
        "what is kept: nothing, pictures in memory or in cache_dir, features of a frozen encoder",
        one_of("none", "memory", "disk", "features", example="memory"),
    ),
    Option(
        "dataset.feature_type",
        "number type of the features that dataset.cache=features keeps",
        one_of("float16", "bfloat16", "float32"),
        ROUNDING,
        optional=True,
    ),
    Option(
        "dataset.cache_limit",
        "GB that the features of one training may take; a training that needs more is refused",
        positive(20),
        optional=True,
    ),
    Option(
        "dataset.patch.size",
        "trains on patches of this side or [height, width]; null: on whole pictures",
        or_null(size(256)),
        WEIGHTS,
        minutes=True,
        param="patch_size",
        optional=True,
    ),
    Option(
        "dataset.patch.features",
        "trains on patches of kept features, a side or [height, width] in the network's pixels",
        or_null(size(256)),
        WEIGHTS,
        minutes=True,
        param="patch_features",
        optional=True,
    ),
    Option(
        "dataset.patch.foreground",
        "share of the patches that show a defect, evenly over the classes",
        part(0.5),
        WEIGHTS,
        minutes=True,
        param="patch_foreground",
        optional=True,
    ),
    Option(
        "dataset.patch.per_image",
        "patches of each training picture in an epoch",
        count(4),
        WEIGHTS,
        minutes=True,
        param="patch_per_image",
        optional=True,
    ),
    Option(
        "dataset.sampling",
        "uniform: every picture equally often; balanced: every class equally often, good is one",
        one_of("uniform", "balanced", example="balanced"),
        WEIGHTS,
        minutes=True,
        param="sampling",
        optional=True,
    ),
    Option(
        "dataset.good_share",
        "share of defect-free pictures in the batches; null: what dataset.sampling gives; "
        "adaptive: 0.1 to 0.5, by the false alarms of validation",
        or_null(Rule(is_good_share, "from 0 to below 1, or adaptive", "0.25")),
        WEIGHTS,
        minutes=True,
        param="good_share",
        optional=True,
    ),
    Option(
        "dataset.strict", "whether a source picture in two splits is an error", flag(example=False)
    ),
)
