"""The table of options: every option of conf/ has a row, every row an option, and what follows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from flexunet_exp.config.compose import conf_dir
from flexunet_exp.config.options import OPTIONS, REPEATED, describes_recipe, option, param_name
from flexunet_exp.config.options.row import NOTHING, WEIGHTS
from flexunet_exp.config.resolvers import register_resolvers

CONF = conf_dir()
COMMANDS = sorted(path.stem for path in CONF.glob("*.yaml"))


def leaves(node: Any, key: str = "") -> Iterator[str]:
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from leaves(child, f"{key}.{name}".lstrip("."))
    else:
        yield key


@cache
def keys_of(command: str) -> set[str]:
    """Every option that a command has with its defaults."""
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = OmegaConf.to_container(compose(command), resolve=False)
    return set(leaves(found)) | {"hydra.run.dir", "hydra.sweep.dir"}  # compose leaves hydra out


@cache
def keys_of_choices() -> set[str]:
    """Every option of train that any file of a group has."""
    register_resolvers()
    found: set[str] = set()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for path in CONF.rglob("*.yaml"):
            group = path.parent.relative_to(CONF).as_posix()
            if group not in (".", "annotations"):  # the last is of `import` alone
                needed = ["model=unet"] if group == "model/encoder" else []
                choice = f"[{path.stem}]" if group == "callbacks" else path.stem
                chosen = compose("train", [*needed, f"{group}={choice}"])
                found |= set(leaves(OmegaConf.to_container(chosen, resolve=False)))
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_has_a_row(command):
    assert [key for key in keys_of(command) if option(key, command) is None] == []


@pytest.mark.heavy
def test_every_option_of_a_choice_has_a_row():
    assert [key for key in keys_of_choices() if option(key) is None] == []


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.key)
def test_every_row_is_of_an_option_that_there_is(row):
    for command in row.commands or ("train",):
        keys = keys_of(command) | (keys_of_choices() if command == "train" else set())
        start = row.key.removesuffix("*")
        assert any(key.startswith(start) if row.is_group else key == start for key in keys)


def test_no_command_has_two_rows_of_one_key():
    seen = [(command, row.key) for row in OPTIONS for command in row.commands or ("",)]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("row", [row for row in OPTIONS if row.rule], ids=lambda row: row.key)
def test_every_example_follows_its_rule(row):
    example = OmegaConf.create([]) if row.rule.example == "[]" else row.rule.example
    value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={example}"]))["value"]
    assert row.rule.holds(value)


def test_runs_of_a_cell_differ_in_seed_fold_and_split_seed():
    assert REPEATED == ("trainer.seed", "split.fold", "split.seed")  # as Trial.repeat has them


@pytest.mark.parametrize(
    ("key", "param"),
    [
        ("trainer.seed", "seed"),
        ("split.seed", "split.seed"),
        ("split.fold", "fold"),
        ("split.n", "n"),
        ("model.seed", "model.seed"),
        ("model.base_filters", "base_filters"),
        ("optimizer.learning_rate", "learning_rate"),
        ("dataset.image_size", "image_size"),
        ("dataset.patch.size", "patch_size"),
        ("model", ""),
        ("model/encoder", ""),
        ("dataset.cache", ""),
        ("schedule.warmup_epochs", ""),
        ("tracking.run_name", ""),
    ],
)
def test_a_typed_hyperparameter_has_a_short_name(key, param):
    assert param_name(key) == param


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("trainer.epochs", True),
        ("trainer.threads", False),
        ("predict.tta", True),
        ("dataset.path", True),
        ("dataset.cache", False),
        ("callbacks", True),
        ("callbacks.curves", False),
        ("callbacks.early_stopping.patience", True),
        ("tracking", False),
        ("hydra/launcher", False),
        ("dataset/layout", True),
        ("experiment", True),
    ],
)
def test_what_tells_recipes_apart(key, says):
    assert describes_recipe(key) is says


def test_an_argument_without_a_row_has_that_of_its_group():
    row = option("callbacks.early_stopping.patience")
    assert row and row.key == "callbacks.*" and row.changes is WEIGHTS
    row = option("callbacks.epoch_images.every")
    assert row and row.key == "callbacks.epoch_images.*" and row.changes is NOTHING
    assert option("trainer.epoch") is None and option("strict") is None


def test_the_table_is_read_without_anything_heavy():
    code = (
        "import sys, flexunet_exp.config.options, flexunet_exp.config.overrides; "
        "print({'tensorflow', 'keras', 'pandas', 'numpy', 'hydra', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_the_page_of_options_is_what_the_script_writes(monkeypatch):
    docs = Path(__file__).parents[2] / "docs"
    monkeypatch.syspath_prepend(docs)
    import make_options

    committed = (docs / "reference" / "options.md").read_text()
    assert committed == make_options.page(), "run python docs/make_options.py"
