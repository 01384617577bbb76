"""Every yaml is a test case: each composes, validates, and says what it is in its first line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from flexunet_exp.config import building, resolvers, validation
from flexunet_exp.config.compose import conf_dir, plain
from flexunet_exp.data.annotations.formats.format import Format

CONF = conf_dir()
FILES = sorted(CONF.rglob("*.yaml"))
HEAVY = (
    *("dataset", "split", "augmentation", "model", "loss", "optimizer", "schedule"),
    "callbacks",
)
COMMANDS = {
    *("check", "export", "promote", "train", "inspect", "evaluate", "infer", "cache", "ui"),
    *("prepare", "compare", "sync", "plan", "import", "export_labels", "import_config"),
}
DEBUGS = ("smoke", "overfit")
MVTEC_AD = set(
    [
        "bottle",
        "cable",
        "capsule",
        "carpet",
        "grid",
        "hazelnut",
        "leather",
        "metal_nut",
        "pill",
        "screw",
        "tile",
        "toothbrush",
        "transistor",
        "wood",
        "zipper",
    ]
)


@pytest.fixture(scope="module")
def compose():
    """As all tests have it, but what was read once is kept."""
    resolvers.register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield lambda command, *overrides: hydra_compose(command, list(overrides))


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def choices() -> list[str]:
    """group=option of train for every file in a group but the single callbacks."""
    nested = [path.relative_to(CONF).with_suffix("") for path in FILES if path.parent != CONF]
    lists = ("default", "last_weights", "none")
    whole = [path for path in nested if path.parts[0] != "callbacks" or path.stem in lists]
    whole = [path for path in whole if path.parts[0] != "annotations"]  # of `import` alone
    return [f"{path.parent.as_posix()}={path.stem}" for path in whole]


def test_there_are_as_many_files_as_we_think():
    assert len(FILES) >= 50
    assert len(choices()) >= 40


def test_all_categories_of_mvtec_ad_are_there():
    assert set(options("dataset")) >= MVTEC_AD


@pytest.mark.parametrize("choice", choices())
def test_every_choice_composes_and_validates(compose, choice):
    needed = ["model=unet"] if choice.startswith("model/encoder=") else []
    cfg = compose("train", *needed, choice)
    validation.check_settings(cfg)
    validation.check_targets(cfg, HEAVY)


@pytest.mark.parametrize("name", options("annotations"))
def test_every_format_of_annotations_is_built(name):
    node = OmegaConf.to_container(OmegaConf.load(CONF / "annotations" / f"{name}.yaml"))
    assert isinstance(building.build(node), Format)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CONF).as_posix())
def test_every_file_says_first_what_it_is(path: Path):
    first = [line for line in path.read_text().splitlines() if "@package" not in line][0]
    assert first.startswith("# ")
    assert len(first) > 15


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_gives_its_command(name):
    assert f"flexunet train experiment={name}" in (CONF / "experiment" / f"{name}.yaml").read_text()


def test_colours_of_the_published_maps(compose):
    expected = {
        "zipper": "broken_teeth=0,0,255 combined=0,255,0 fabric_border=255,0,0 "
        "fabric_interior=128,128,128 rough=255,255,255 split_teeth=0,255,255 "
        "squeezed_teeth=255,255,0",
        "screw": "manipulated_front=0,255,0 scratch_head=255,0,0 scratch_neck=0,0,255 "
        "thread_side=0,255,255 thread_top=255,255,0",
        "grid": "bent=0,0,255 broken=0,255,0 glue=255,0,0 metal_contamination=255,255,0 "
        "thread=0,255,255",
        "leather": "color=0,0,255 cut=255,0,0 fold=0,255,0 glue=255,255,0 poke=0,255,255",
    }
    for name, text in expected.items():
        classes = plain(compose("train", f"dataset={name}").dataset.classes)[1:]
        found = " ".join(f"{c['name']}={','.join(map(str, c['color']))}" for c in classes)
        assert found == re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    ("name", "kernel", "dilation", "dropout", "rate", "clip", "factor"),
    [
        ("zipper", 9, 1, 0.04, 6e-5, 0.4, 0.4),
        ("screw", 9, 1, 0.03, 7e-5, 0.5, 0.5),
        ("transistor", 11, 3, 0.03, 6e-5, 0.4, 0.4),
        ("leather", 9, 3, 0.03, 7e-5, 0.4, 0.4),
        ("grid", 9, 1, 0.04, 6e-5, 0.4, 0.4),
    ],
)
def test_seed_experiments_have_the_published_settings(
    compose, name, kernel, dilation, dropout, rate, clip, factor
):
    cfg = compose("train", f"experiment=seed_{name}")
    model, callbacks = cfg.model, cfg.callbacks
    assert (cfg.dataset.name, cfg.dataset.image_size, cfg.dataset.good) == (name, 512, "none")
    assert (model.base_filters, model.num_layers, model.batch_norm) == (16, 8, False)
    assert (model.base_kernel, model.dilation, model.dropout_rate) == (kernel, dilation, dropout)
    assert (model.input_scaling, cfg.monitor) == ("none", "val_loss")
    assert (cfg.optimizer.learning_rate, cfg.optimizer.clipvalue) == (rate, clip)
    assert (callbacks.reduce_lr.factor, callbacks.reduce_lr.patience) == (factor, 4)
    assert (callbacks.early_stopping.patience, callbacks.early_stopping.mode) == (10, "min")
    assert (cfg.trainer.epochs, cfg.trainer.batch_size) == (100, 2)
    assert cfg.loss._target_.endswith("CrossEntropy")
    assert cfg.dataset.layout._target_.endswith("ImageMask")


@pytest.mark.parametrize(("name", "dropout"), [("capsule", 0.03), ("tile", 0.04), ("wood", 0.04)])
def test_seed_experiments_have_the_settings_of_the_readme(compose, name, dropout):
    cfg = compose("train", f"experiment=seed_{name}")

    assert (cfg.dataset.name, cfg.model.num_layers, cfg.model.base_kernel) == (name, 6, 9)
    assert (cfg.model.dropout_rate, cfg.optimizer.learning_rate) == (dropout, 7e-5)


@pytest.mark.parametrize("name", ["zipper", "transistor", "leather", "capsule", "tile", "wood"])
def test_seed_experiments_as_trained_differ_in_what_did_not_work(compose, name):
    meant = plain(compose("train", f"experiment=seed_{name}"))
    trained = plain(compose("train", f"experiment=seed_{name}_as_trained"))

    assert trained["callbacks"]["reduce_lr"]["patience"] == 10
    assert trained["dataset"]["layout"]["off_palette"] == "nearest"
    meant["callbacks"]["reduce_lr"]["patience"] = 10
    meant["dataset"]["layout"]["off_palette"] = "nearest"
    assert trained == meant


def test_screw_as_trained_has_the_classes_that_the_original_merged(compose):
    meant = compose("train", "experiment=seed_screw")
    trained = compose("train", "experiment=seed_screw_as_trained")

    assert trained.callbacks.reduce_lr.patience == 10
    assert trained.dataset.layout.off_palette == "nearest"
    held = plain(trained.dataset.layout.mask_classes)
    merged = {one["name"]: one.pop("class", one["name"]) for one in held}
    assert held == plain(meant.dataset.classes)
    assert len(set(merged.values())) == 4
    assert merged["thread_side"] == merged["thread_top"] == merged["manipulated_front"]
    assert set(merged.values()) == {one.name for one in trained.dataset.classes}


def test_image_mask_data_keeps_its_folders_unless_told_otherwise(compose):
    layout = "dataset/layout=image_mask"
    assert compose("train", layout).split._target_.endswith("folders")
    assert compose("train", layout, "split=ratios").split._target_.endswith("ratios")


@pytest.mark.parametrize("debug", DEBUGS)
@pytest.mark.parametrize("experiment", sorted(p.stem for p in CONF.glob("experiment/*.yaml")))
def test_every_experiment_can_be_debugged(compose, experiment, debug):
    cfg = compose("train", f"experiment={experiment}", f"debug={debug}")
    validation.check_settings(cfg)
    validation.check_targets(cfg, HEAVY)
    assert cfg.dataset.good_share is None  # the few pictures may have no good one among them
