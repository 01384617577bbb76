"""The network of a file: its class in the original, its model here, the keys that it reads there.

Which models there are, and their arguments, is the configuration's: `conf/model`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.commands.import_config.keys import (
    MEANT,
    NO_EFFECT,
    TAKEN,
    UNSUPPORTED,
    Key,
    Outcome,
    Project,
    Table,
    argument,
    no_effect,
    of_model,
    said,
    unsupported,
)
from flexunet_exp.config import compose, own_conf
from flexunet_exp.config.rules import Rule, at_least, count, flag, is_int, is_number, is_text, share
from flexunet_exp.errors import InputError, did_you_mean

MODELS = {  # the class in the original, without TensorFlow, in small letters → conf/model
    "flexunet": "flexunet",
    "attentionunet": "attention_unet",
    "deeplabv3plus": "deeplabv3plus",
    "swinunet": "swin_unet",
    "efficientnetb7unet": "efficient_unet",
    "efficientunet": "efficient_unet",
    "multiresunet": "multiresunet",
    "sharpunet": "sharpunet",
    "u2net": "u2net",
    "unet3plus": "unet3plus",
    "transunet": "transunet",
}


def model_of(name: Any, instead: str | None) -> tuple[str, dict[str, Any]]:
    """The model of a class's name, or the one that the person names instead, and its arguments.

    Raises InputError for a class that the family does not have, and a model that is not there.
    """
    files = choices()
    bare = re.sub(r"^tensorflow", "", str(name).lower().replace("_", ""))
    if not instead and bare not in MODELS:
        raise InputError(
            f"[model] model = {name!r} is no network of the original.{did_you_mean(bare, MODELS)} "
            f"There are: {', '.join(MODELS)}. To train another network, add network=NAME"
        )
    model = instead or MODELS[bare]
    if model not in files:
        raise InputError(
            f"[model] model = {name!r} would be model={model}, which conf/model does not have."
            f"{did_you_mean(model, files)} To train another network, add network=NAME, one of: "
            f"{', '.join(sorted(files))}"
        )
    return model, arguments(files, model)


def choices() -> dict[str, Path]:
    """The yaml files of conf/model by name, a person's own before the shipped ones."""
    own = own_conf.own_folder()
    folders = [compose.conf_dir(), *([own] if own else [])]
    return {file.stem: file for folder in folders for file in (folder / "model").glob("*.yaml")}


def arguments(files: dict[str, Path], model: str) -> dict[str, Any]:
    """The arguments of a model with their values, those of the files that it begins with too."""
    try:
        given = OmegaConf.to_container(OmegaConf.load(files[model]), resolve=False)
    except (OSError, OmegaConfBaseException) as error:
        raise InputError(f"{files[model]} cannot be read: {error}") from error
    assert isinstance(given, dict)
    begun: dict[str, Any] = {}
    for one in given.pop("defaults", []):
        if isinstance(one, str) and one in files and one != model:
            begun |= arguments(files, one)
    return begun | {str(name): value for name, value in given.items()}


def is_pair(value: Any) -> bool:
    pair = [value, value] if is_int(value) else value
    return isinstance(pair, (tuple, list)) and len(pair) == 2 and all(is_int(v) for v in pair)


PAIR = Rule(is_pair, "a pair of whole numbers such as (3, 3)", "(3, 3)")
COUNTS = Rule(
    lambda v: isinstance(v, (list, tuple)) and bool(v) and all(is_int(one) for one in v),
    "a list of whole numbers",
    "[32, 64]",
)
NUMBER = Rule(is_number, "a number", "4")
TEXT = Rule(is_text, "a text in quotes", "'relu'")
SWIN_LEVELS = 4
RESIDUAL = "the convolutions are those of the paper's residual network here"
IGNORED = "the original's networks but FlexUNet ignore it"


def side_of_pair(name: str, smallest: int, default: Any) -> Key:
    """One side of a pair: kernels and dilations are square here."""

    def becomes(value: Any, project: Project) -> Outcome:
        first, second = (value, value) if is_int(value) else value
        if first != second:
            return Outcome(UNSUPPORTED, "with two different sides the original did not run either")
        if first < smallest:
            says = f"{first} is below {smallest}, where the original's schedule begins"
            return of_model(name, smallest, project, says)
        return of_model(name, first, project)

    return Key(becomes, PAIR, default)


def scaling(value: bool, project: Project) -> Outcome:
    """input_normalize: True divides by 255. Only FlexUNet reads it; the others get 0 to 255."""
    if project.model in ("flexunet", "flexunet_small"):
        return of_model("input_scaling", "unit" if value else "none", project)
    if project.faithful and project.model != "multiresunet":
        says = "this network of the original got 0 to 255 whatever the key said"
        return of_model("input_scaling", "none", project, says)
    return Outcome(NO_EFFECT, f"{IGNORED}; model={project.model} keeps its own scaling")


def final_activation(value: str, project: Project) -> Outcome:
    if project.get("model", "num_classes") == 1:
        says = "one sigmoid becomes a softmax over background and the one defect class"
        return Outcome(MEANT, says)
    return Outcome(NO_EFFECT, "with several classes the original always took softmax")


FLEXUNET: Table = {
    ("model", "input_normalize"): Key(scaling, flag(), True),
    ("model", "normalization"): argument("batch_norm", flag(), False),
    ("model", "activation"): argument("activation", TEXT, "relu"),
    ("model", "base_filters"): argument("base_filters", count(16)),
    ("model", "base_kernels"): side_of_pair("base_kernel", 3, (3, 3)),
    ("model", "num_layers"): argument("num_layers", at_least(2, 8), 6),
    ("model", "dropout_rate"): argument("dropout_rate", share(0.04), 0.0),
    ("model", "dilation"): side_of_pair("dilation", 1, (1, 1)),
    ("model", "final_activation"): Key(final_activation, TEXT),
    ("model", "dropout_seed_fixing"): said("trainer.seed seeds every dropout"),
}
LEVELS: Table = {
    ("model", "base_filters"): argument("base_filters", count(16), 16),
    ("model", "num_layers"): argument("num_layers", at_least(2, 6), 6),
}


def fixed(name: str, side: int) -> Key:
    """A pair that is not an argument of the model here: its convolutions have this side."""

    def becomes(value: Any, project: Project) -> Outcome:
        if value in (side, (side, side), [side, side]):
            return Outcome(NO_EFFECT, f"model={project.model} has this {name}")
        return Outcome(UNSUPPORTED, f"model={project.model} has {name} {side}")

    return Key(becomes, PAIR)


def depth(value: int, project: Project) -> Outcome:
    """SwinUNet: the number of levels. With `stack_num_down` it gives the blocks of each."""
    if value != SWIN_LEVELS:
        return Outcome(UNSUPPORTED, f"Swin-Unet has {SWIN_LEVELS} levels here, as in the paper")
    blocks = project.get("model", "stack_num_down") or 2
    return of_model("depths", [blocks] * value, project)


def blocks_up(value: int, project: Project) -> Outcome:
    if value == (project.get("model", "stack_num_down") or 2):
        return Outcome(NO_EFFECT, "a level has as many blocks up as down here")
    return Outcome(UNSUPPORTED, "a level has as many blocks up as down here: stack_num_down counts")


SWIN: Table = {
    ("model", "filter_num_begin"): argument("embed_dim", count(128), 128),
    ("model", "depth"): Key(depth, count(4), 4),
    ("model", "stack_num_down"): Key(
        lambda value, project: Outcome(TAKEN, "with depth, in model.depths"), count(2)
    ),
    ("model", "stack_num_up"): Key(blocks_up, count(2)),
    ("model", "patch_size"): fixed("patch size", 4),
    ("model", "num_heads"): argument("num_heads", COUNTS, [4, 8, 8, 8]),
    ("model", "window_size"): argument("window_sizes", COUNTS),
    ("model", "num_mlp"): unsupported("a block's perceptron is four times as wide as its features"),
    ("model", "shift_window"): no_effect("every second block shifts its windows, as in the paper"),
}


def filters(value: Any, project: Project) -> Outcome:
    """SharpUNet: a list of filters, each level twice that of the one above."""
    doubled = [value[0] * 2**level for level in range(len(value))]
    if list(value) != doubled:
        return Outcome(UNSUPPORTED, "filters of a level are twice those of the one above here")
    return of_model("base_filters", value[0], project)


def max_filter(value: int, project: Project) -> Outcome:
    """SharpUNet: the filters of the bridge, which is a level of its own."""
    above = project.get("model", "filters")
    if value != 2 * above[-1]:
        return Outcome(UNSUPPORTED, "the bridge has twice the filters of the level above it here")
    return of_model("num_layers", len(above) + 1, project)


def backbone(value: str, project: Project) -> Outcome:
    """EfficientUNet: B0 to B7, where conf/model/encoder has it."""
    name = f"efficientnet_{value.lower()}"
    if (compose.conf_dir() / "model/encoder" / f"{name}.yaml").is_file():
        return Outcome(TAKEN, "", {"/model/encoder": name})
    return Outcome(UNSUPPORTED, f"conf/model/encoder has no {name}; the model's own is taken")


def pool(value: bool, project: Project) -> Outcome:
    return Outcome(NO_EFFECT, "the original read it for upsampling too; here neither is an option")


OTHERS: dict[str, Table] = {
    "attention_unet": {
        **LEVELS,
        ("model", "dropout_rate"): argument("dropout_rate", share(0.1), 0.1),
    },
    "multiresunet": {**LEVELS, ("model", "dropout_rate"): argument("dropout_rate", share(0.1))},
    "u2net": {
        ("model", "base_filters"): argument("base_filters", count(16), 16),
        ("model", "num_layers"): unsupported("U²-Net has the levels of its paper"),
        **{name: no_effect("U2Net read it and ignored it") for name in SWIN},
    },
    "unet3plus": {
        ("model", "dropout_rate"): argument("dropout_rate", share(0.1)),
        ("model", "base_filters"): argument("base_filters", count(64)),
        ("model", "num_layers"): no_effect("UNet 3+ has five levels"),
    },
    "sharpunet": {
        ("model", "filters"): Key(filters, COUNTS, [32, 64, 128, 256]),
        ("model", "max_filter"): Key(max_filter, count(512), 512),
        ("model", "base_ksize"): fixed("kernel size", 3),
        ("model", "dilation"): fixed("dilation", 1),
    },
    "swin_unet": SWIN,
    "transunet": {
        ("model", "filter_num"): unsupported(RESIDUAL),
        ("model", "stack_num_down"): unsupported(RESIDUAL),
        ("model", "stack_num_up"): unsupported(RESIDUAL),
        ("model", "embed_dim"): argument("embed_dim", count(768)),
        ("model", "num_mlp"): argument("mlp_dim", count(3072)),
        ("model", "num_heads"): argument("num_heads", count(12)),
        ("model", "num_transformer"): argument("num_transformer", count(12)),
        ("model", "activation"): unsupported("the paper's: ReLU in convolutions"),
        ("model", "mlp_activation"): unsupported("the paper's: GELU in perceptrons"),
        ("model", "batch_norm"): unsupported("the paper's network has its normalisations"),
        ("model", "pool"): Key(pool, flag()),
        ("model", "unpool"): no_effect("the original read `pool` for it"),
        ("model", "backbone"): unsupported(RESIDUAL),
        ("model", "weights"): unsupported("the network begins with random weights here"),
        ("model", "freeze_backbone"): unsupported("all of the network is trained here"),
        ("model", "freeze_batch_norm"): unsupported("all of the network is trained here"),
    },
    "efficient_unet": {("model", "efficientnet"): Key(backbone, TEXT)},
    "deeplabv3plus": {},
}


def table(model: str) -> Table:
    """The keys of a model: its own, and those of FlexUNet, which the other networks ignore."""
    if model in OTHERS:
        ignored = {name: no_effect(IGNORED) for name in FLEXUNET}
        scaled = {("model", "input_normalize"): FLEXUNET["model", "input_normalize"]}
        return {**ignored, **scaled, **OTHERS[model]}
    return FLEXUNET


def foreign() -> Table:
    """Keys that only other networks read, so that they are known wherever they stand."""
    names = {name for rows in OTHERS.values() for name in rows} - set(FLEXUNET)
    return {name: no_effect("another network of the original reads it") for name in names}
