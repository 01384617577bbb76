"""Both validation steps: every problem at once, each with what to type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flexunet_exp.config import building, validation
from flexunet_exp.config.validation import arguments
from flexunet_exp.errors import InputError


def problems(check, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        check(*arguments)
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.epochs=0", "trainer.epochs=0 is not a whole number of at least 1"),
        ("trainer.epochs=ten", "trainer.epochs=ten"),
        ("trainer.epochs=true", "trainer.epochs=True"),
        ("trainer.batch_size=1.5", "trainer.batch_size=1.5"),
        ("trainer.batch_size=large", "is not auto or a whole number of at least 1. Try"),
        ("trainer.memory=8", "trainer.memory=8 is not null, a size above 0 in"),
        ("trainer.memory=much", "MB, GB, MiB or GiB. Try trainer.memory=8GB"),
        ("trainer.memory=0GB", "trainer.memory=0GB is not"),
        ("trainer.memory=8TB", "in MB, GB, MiB or GiB"),
        ("trainer.precision=half", "float32, mixed_bfloat16, mixed_float16 or auto"),
        ("model.num_layers=0", "model.num_layers=0 is not a whole number of at least 1"),
        ("model.base_filters=-1", "model.base_filters=-1"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate=nan is not a number above 0"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate=-1"),
        ("dataset.image_size=500", "Try dataset.image_size=512"),
        ("dataset.image_size=[256,300]", "Try dataset.image_size=[256,384]"),
        ("dataset.image_size=[256]", "dataset.image_size=[256]"),
        ("dataset.good=some", "none, test or all"),
        ("monitor=val/dice", "Did you mean 'val_dice'?"),
        ("objective=val_dice", "Did you mean 'val/dice'?"),
        ("objective=test/dice", "objective=test/dice is not a figure"),
        ("loss.class_weights=[1,2]", "a list of 8 numbers"),
        ("loss.class_weights=balance", "none, balanced"),
        ("callbacks.reduce_lr.factor=2", "a number between 0 and 1"),
        ("rerun=yes", "failed, all or none"),
        ("+trainer.epoch=3", "Did you mean 'trainer.epochs'?"),
        ("model.dropout_rate=1", "model.dropout_rate=1 is not a number from 0 to below 1"),
        ("model.base_kernel=4", "is not an odd number of at least 3. Try model.base_kernel=9"),
        ("model.input_scaling=half", "none, unit or symmetric"),
        ("loss.smooth=-1", "loss.smooth=-1 is not a number of at least 0"),
        ("callbacks.epoch_images.every=0", "callbacks.epoch_images.every=0 is not a whole number"),
        ("callbacks.early_stopping.patience=0", "Try callbacks.early_stopping.patience=20"),
        ("split.seed=-1", "split.seed=-1 is not a whole number of at least 0"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(compose, override, said):
    assert said in problems(validation.check_settings, compose("train", override))


def test_all_wrong_settings_are_reported_at_once(compose):
    cfg = compose("train", "trainer.epochs=0", "dataset.good=some", "rerun=yes")
    assert len(problems(validation.check_settings, cfg).splitlines()) == 3


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([{"name": "background", "color": [0, 0, 0]}], "a defect after it"),
        (
            [{"name": "bent", "color": [1, 0, 0]}, {"name": "cut", "color": [2, 0, 0]}],
            "must begin with {name: background",
        ),
        (
            [{"name": n, "color": c} for n, c in (("background", [0, 0, 0]), ("a/b", [9, 9, 9]))],
            "letters, digits",
        ),
        (
            [{"name": n, "color": c} for n, c in (("background", [0, 0, 0]), ("a", [0, 0, 0]))],
            "color [0, 0, 0] twice",
        ),
        (
            [{"name": n, "color": c} for n, c in (("background", [0, 0, 0]), ("a", [0, 300, 0]))],
            "three numbers, 0 to 255",
        ),
    ],
)
def test_wrong_classes_are_named(compose, classes, said):
    cfg = compose("train")
    cfg.dataset.classes = OmegaConf.create(classes)
    assert said in problems(validation.check_settings, cfg)


@pytest.mark.parametrize(
    ("override", "section", "said"),
    [
        ("+callbacks.reduce_lr.patiance=4", "callbacks", "Did you mean 'patience'?"),
        ("+optimizer.learning_rat=4", "optimizer", "Did you mean 'learning_rate'?"),
        ("+model.base_filter=4", "model", "Did you mean 'base_filters'?"),
        ("+loss.class_weight=none", "loss", "Did you mean 'class_weights'?"),
        ("+dataset.layout.goood=none", "dataset", "Did you mean 'good'?"),
        ("+split.fold=1", "split", "split.fold is not an argument"),
        ("model._target_=flexunet_exp.models.flexunet.flexnet", "model", "cannot be imported"),
        ("model._target_=os.system", "model", "not among the packages"),
        ("model._target_=flexunet_exp_evil.f", "model", "not among the packages"),
    ],
)
def test_a_misspelt_argument_of_any_target_is_found_by_name(compose, override, section, said):
    cfg = compose("train", override)
    assert said in problems(validation.check_targets, cfg, (section,))


def test_arguments_of_keras_base_classes_are_accepted(compose):
    cfg = compose("train", "+optimizer.global_clipnorm=1.0")
    validation.check_targets(cfg, ("optimizer", "callbacks", "model", "loss"))


def test_a_package_of_ones_own_is_trusted_by_name(monkeypatch):
    assert not building.is_trusted("mine.models.net")
    monkeypatch.setenv("FLEXUNET_TRUSTED", "mine, yours")
    assert building.is_trusted("mine.models.net") and building.is_trusted("yours.net")
    assert not building.is_trusted("minelayer.net")


def test_the_light_step_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys\n"
        "from hydra import compose, initialize_config_dir\n"
        "from flexunet_exp.config import compose as conf, resolvers, validation\n"
        "resolvers.register_resolvers()\n"
        "with initialize_config_dir(str(conf.conf_dir()), version_base='1.3'):\n"
        "    validation.check_settings(compose('train'))\n"
        "print({'tensorflow', 'keras', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


OWN_RULES = """
from flexunet_exp.config.rules import Arguments, count

def is_deeper(key, arguments, settings):
    if arguments["depth"] > settings["trainer"]["epochs"]:
        yield f"{key}.depth is more than there are epochs"

RULES = {"wide": Arguments({"depth": count(4)}, is_deeper)}
"""


@pytest.mark.parametrize(
    ("target", "rules"),
    [
        ("mynets.nets.wide.wide", "mynets/nets/wide_rules.py"),
        ("mynets.nets.wide", "mynets/nets/rules.py"),
        ("mynets.wide", "mynets_rules.py"),
    ],
)
def test_rules_of_ones_own_lie_beside_what_they_are_of(
    compose, tmp_path, monkeypatch, target, rules
):
    parts = Path(*target.split(".")[:-1])
    module = tmp_path / (parts / "__init__.py" if "/rules" in rules else f"{parts}.py")
    module.parent.mkdir(parents=True, exist_ok=True)
    for folder in module.relative_to(tmp_path).parents[:-1]:
        (tmp_path / folder / "__init__.py").write_text("raise SystemExit('imported')")
    module.write_text("raise SystemExit('imported')")
    cfg = compose("train", f"model._target_={target}", "+model.depth=0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FLEXUNET_TRUSTED", "mynets")
    arguments.rules_file.cache_clear()
    validation.check_settings(cfg)  # without rules anything goes
    (tmp_path / rules).write_text(OWN_RULES)
    arguments.rules_file.cache_clear()
    assert "model.depth=0 is not a whole number of at least 1. Try model.depth=4" in problems(
        validation.check_settings, cfg
    )
    cfg.model.depth = 100
    assert problems(validation.check_settings, cfg) == "model.depth is more than there are epochs"
    monkeypatch.delenv("FLEXUNET_TRUSTED")
    validation.check_settings(cfg)  # nothing of a package that is not trusted is run
    arguments.rules_file.cache_clear()
