"""Which code a signature is made of: what can change the weights, and nothing that cannot."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flexunet_exp.config import compose, identity, weights_code
from tests.support import running

TARGETS = (
    "flexunet_exp.models.flexunet.flexunet",
    "flexunet_exp.losses.CrossEntropyDice",
    "flexunet_exp.optimizers.FusedAdam",
    "flexunet_exp.schedules.cosine",
    "flexunet_exp.callbacks.BestCheckpoint",
    "flexunet_exp.callbacks.NanGuard",
    "flexunet_exp.data.layouts.MVTec",
    "flexunet_exp.data.splits.ratios",
    "flexunet_exp.data.augmentation.Brightness",
)


@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the package's source, to be edited."""
    copy = tmp_path / "flexunet_exp"
    shutil.copytree(compose.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "conf"))
    return copy


@pytest.fixture(scope="module")
def before() -> str:
    """The digest of the code that is edited."""
    return code(compose.PACKAGE)


def edit(package: Path, file: str, old: str, new: str) -> None:
    path = package / file
    text = path.read_text()
    assert old in text, f"{file} has no {old!r} any more: name another edit"
    path.write_text(text.replace(old, new, 1))
    weights_code.module.cache_clear()


def code(package: Path, *targets: str) -> str:
    return weights_code.digest(package, targets or TARGETS)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("models/flexunet.py", '"""', '"""Reworded. '),
        ("training/fit.py", '    """', '    """Reworded. '),
        ("training/fit.py", "import keras\n", "import keras  # a comment\n"),
        ("training/fit.py", 'log.info("', 'log.info("Now: '),
        ("callbacks/configured.py", "a smaller optimizer", "a far smaller optimizer"),
        (
            "data/masks/mask_values.py",
            'raise InputError(\n            f"',
            'raise InputError(\n            f"Oh: ',
        ),
        ("training/fit.py", "-> keras.Model:", "-> object:"),
        ("reporting/plots.py", "def curves(", "MORE = 1\n\n\ndef curves("),
        ("reporting/panels.py", "def panel(", "MORE = 1\n\n\ndef panel("),
        ("commands/train.py", "def main(", "MORE = 1\n\n\ndef main("),
        ("commands/infer/command.py", "def main(", "MORE = 1\n\n\ndef main("),
        ("tracking/store.py", "class Store", "MORE = 1\n\n\nclass Store"),
        ("scores/confusions.py", "def ", "MORE = 1\n\n\ndef "),
        ("prediction/predictor.py", "def ", "MORE = 1\n\n\ndef "),
        ("losses/lovasz.py", "def ", "MORE = 1\n\n\ndef "),  # a loss of other runs
        (
            "losses/overlap.py",
            "class OverlapLoss",
            "def unused():\n    pass\n\n\nclass OverlapLoss",
        ),
    ],
)
def test_what_cannot_change_the_weights_leaves_the_code_as_it_was(package, before, file, old, new):
    edit(package, file, old, new)
    assert code(package) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("models/flexunet.py", "num_layers: int = ", "num_layers: int = 1 + "),
        ("models/blocks.py", "NORM_MOMENTUM = ", "NORM_MOMENTUM = 0.5 * "),
        ("losses/base.py", "return ", "return 2 * "),
        ("optimizers.py", "FusedAdam(keras.optimizers.Adam)", "FusedAdam(keras.optimizers.AdamW)"),
        ("schedules.py", "steps - 1 - warmup_steps", "steps - warmup_steps"),
        ("callbacks/configured.py", "if score > self.best", "if score >= self.best"),
        ("callbacks/always.py", "for weight, average in zip(", "for average, weight in zip("),
        ("data/masks/__init__.py", "INTER_NEAREST", "INTER_LINEAR"),
        ("data/feed/batches.py", "PATCH_STREAM = ", "PATCH_STREAM = 1 + "),
        ("data/feed/sampling.py", "default_rng(", "default_rng(1 + "),
        ("data/splits.py", "{seed}:{source}", "{source}:{seed}"),
        ("data/augmentation/photometric.py", "np.rint(wanted", "np.rint(1 + wanted"),
        ("training/class_weights.py", "counts.sum()", "counts.max()"),
        ("training/fit.py", "shuffle=False", "shuffle=True"),
        ("training/state.py", "def write(", "more = 1\n\n    def write("),
        ("metrics.py", "def update_state(", "more = 1\n\n    def update_state("),
    ],
)
def test_what_can_change_them_changes_the_code(package, before, file, old, new):
    edit(package, file, old, new)
    assert code(package) != before


def test_a_new_module_counts_from_the_first_use_on(package):
    before = code(package)
    (package / "training" / "warm_start.py").write_text("def shift(x):\n    return x\n")
    assert code(package) == before
    edit(package, "training/fit.py", "import keras\n", NEW_IMPORT)
    edit(package, "training/fit.py", "shuffle=False", "shuffle=shift(False)")
    using = code(package)
    edit(package, "training/warm_start.py", "return x", "return not x")
    assert len({before, using, code(package)}) == 3


NEW_IMPORT = "import keras\nfrom flexunet_exp.training.warm_start import shift\n"


def test_the_excluded_modules_are_there():
    """A name that was moved would let its module count again, without a word."""
    for name in weights_code.EXCLUDED:
        if name != "api":
            assert weights_code.is_module(compose.PACKAGE, name), name


@pytest.mark.heavy
def test_a_training_uses_nothing_that_an_excluded_module_returns(shipped_targets):
    """Their functions may be called for what they do, and not for what they give back."""
    taken = set()
    for found in sorted(weights_code.reached(compose.PACKAGE, shipped_targets)):
        module = weights_code.module(compose.PACKAGE, found.module)
        module.dumped(found.name)  # without type hints
        nodes = module.nodes[found.name]
        discarded = {id(n) for node in nodes for n in ast.walk(node) if is_discarded(n, nodes)}
        for reference in module.found(found.name):
            if weights_code.is_excluded(reference.module) and id(reference.node) not in discarded:
                taken.add((found.module, f"{reference.module}.{reference.name}"))
    taken = {pair for pair in taken if not pair[1].startswith("errors.")}
    assert sorted(taken - set(REVIEWED)) == []
    assert set(REVIEWED) <= taken, "some are not used any more: remove them"


def is_discarded(node: ast.AST, nodes: list[ast.stmt]) -> bool:
    """Whether a name is the function of a call whose value nobody takes."""
    return any(
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and statement.value.func is node
        for top in nodes
        for statement in ast.walk(top)
    )


# (module that counts, what it takes of an excluded one): why that cannot change the weights.
CHECKS = "checks an argument: it is accepted as it is, or refused"
REVIEWED = {
    ("data.augmentation.transform", "config.rules.is_number"): CHECKS,
    ("losses.arguments", "config.rules.is_number"): CHECKS,
    ("losses.arguments", "losses.rules.RULES"): CHECKS,
    ("losses.arguments", "losses.rules.costs_nothing"): CHECKS,
    ("models.attention_unet", "models.attention_unet_rules.RULES"): CHECKS,
    ("models.flexunet", "models.flexunet_rules.RULES"): CHECKS,
    ("models.unet", "models.unet_rules.RULES"): CHECKS,
    ("models.deeplabv3plus", "models.deeplabv3plus_rules.RULES"): CHECKS,
    ("models.multiresunet", "models.multiresunet_rules.RULES"): CHECKS,
    ("models.segformer", "models.segformer_rules.RULES"): CHECKS,
    ("models.sharpunet", "models.sharpunet_rules.RULES"): CHECKS,
    ("models.swin_unet", "models.swin_unet_rules.RULES"): CHECKS,
    ("models.transunet", "models.transunet_rules.RULES"): CHECKS,
    ("models.u2net", "models.u2net_rules.RULES"): CHECKS,
    ("models.unet3plus", "models.unet3plus_rules.RULES"): CHECKS,
    ("data.cache.disk_cache", "config.identity.own_code_digests"): "names a cache entry",
    ("data.cache.disk_cache", "config.identity.code_digests"): "names a cache entry",
    ("system.tensorflow", "system.collection.importing"): "collects garbage",
    ("system.tensorflow", "system.imports.leaving_out"): "imports Keras",
    (
        "data.folders.pairing",
        "system.progress.displayed",
    ): "gives back what it is given, with a bar",
    ("data.feed.kept_features", "system.progress.displayed"): "shows how far it is",
    ("callbacks.configured", "runs.claims.FOLDER"): "names the folder of a spare file",
    ("callbacks.configured", "tracking.store.STOPPED"): "names a tag",
    ("data.dataset", "config.identity.own_code_digests"): "names a file of facts",
    ("data.dataset", "config.kept_digests.source_digest"): "names a file of facts",
    ("data.scan_record", "data.fingerprints.SHAPE"): "is for the search for leakage",
    ("data.scan_record", "data.defects.Defect"): "is for the data card",
    ("data.scan_record", "data.defects."): "is for the data card",
    ("data.scan_record", "data.defects.find"): "is for the data card",
    ("data.scan_record", "data.fingerprints.fingerprint"): "is for the search for leakage",
    ("training.fit", "prediction.networks.predictor"): "predicts the pictures that are drawn",
    ("training.fit", "prediction.kept_logits.SameImages"): "predicts the pictures that are drawn",
    ("training.settings", "prediction.settings.PredictSettings"): "is for those pictures",
    ("training.state", "runs.claims.STATE"): "names the state's folder",
    ("training.state", "runs.claims.read_json"): "reads what the state's own writer wrote",
}


@pytest.fixture(scope="module")
def shipped_targets() -> list[str]:
    """Every `_target_` that a shipped configuration can train with."""
    found: set[str] = set()
    for path in compose.conf_dir().rglob("*.yaml"):
        found |= set(identity.targets_in(OmegaConf.to_container(OmegaConf.load(path))))
    without = ("EpochImages", "Curves", "StopFile", "SweepCallback", "FolderCallback")
    return sorted(name for name in found if not name.endswith(without))


# Code of counted modules that runs beside a training, and why it does not count.
BESIDE = {
    ("flexunet_exp", "__getattr__"): "finds the names of the Python API",
    ("callbacks.configured", "Curves"): "draws",
    ("callbacks.configured", "EpochImages"): "draws",
    ("callbacks.configured", "TiledEpochImages"): "draws",
    ("callbacks.configured", "StopFile"): "tags a run that it ends early as stopped",
    ("config.compose", "conf_dir"): "found once composed",
    ("config.compose", "section_or_default"): "reads how pictures are predicted",
    ("config.compose", "size_text"): "prints",
    ("data.augmentation.transform", "one_of"): "runs when its module is imported",
    ("data.channels", "grey"): "is for the search for leakage",
    ("data.channels", "shown"): "draws",
    ("data.dataset", "read_table"): "reads what a run left",
    ("data.dataset", "keep_decisions"): "writes decisions into the configuration, which counts",
    ("data.dataset", "sample_name"): "names a picture",
    ("data.dataset", "summary"): "prints",
    ("data.dataset", "write_table"): "writes what a run leaves",
    ("data.splits", "parts_of"): "says which parts are shown",
    ("data.splits", "pick_samples"): "chooses the pictures that are drawn",
    ("data.tiles", "window"): "blends predictions",
    ("models.graph", "calls_of"): "describes a network; counts where it cuts an encoder",
    ("models.graph", "is_tensor"): "describes a network; counts where it cuts an encoder",
    ("models.graph", "graph_of"): "describes a network; counts where it cuts an encoder",
    ("models.graph", "nodes"): "describes a network; counts where it cuts an encoder",
    ("models.graph", "output_specs"): "describes a network; counts where it cuts an encoder",
    ("models.weights_digest", "arrays_in"): "says which network temperatures are of",
    ("models.weights_digest", "weights_digest"): "says which network temperatures are of",
    ("system.parallel", "Background"): "tells the store of a training",
    ("system.parallel", "Places"): "lets passes of a prediction run beside each other",
    ("training.fit", "describe"): "prints",
    ("training.fit", "origin_of"): "records",
    ("training.fit", "input_example"): "is stored with the network",
    ("training.fit", "example_size"): "is stored with the network",
    ("training.continuing", "find"): "finds a run to go on from, which is kept in a tag",
    ("training.continuing", "last_epoch"): "finds when a run ended that is not gone on from",
    ("training.continuing", "mark"): "marks a run folder, to be found",
    ("training.continuing", "near"): "finds a run to go on from",
    ("training.continuing", "stored"): "finds a run to go on from",
    ("training.starting", "find"): "finds the weights whose digest is in the signature",
    ("training.attempt", "Attempt"): "calls fit; the rest records and scores",
    ("training.attempt", "tags_of"): "records",
    ("training.finished", "require"): "refuses weights that are not good enough",
    ("training.finished", "skip"): "finds finished work",
    ("training.resuming", "await_end"): "waits",
    ("training.resuming", "begin"): "says where the run lies",
    ("training.resuming", "begun"): "asks the store",
    ("training.resuming", "claim"): "says where the run lies",
    ("training.resuming", "ended_if_hopeless"): "says how the run ended",
    ("training.settings", "Request"): "says what is asked beside the training",
}


@pytest.mark.parametrize(
    "words",
    [
        (),
        (
            "dataset.patch.size=32",
            "dataset.sampling=balanced",
            "schedule=cosine",
            "schedule.warmup_epochs=0",
            "loss=dice",
        ),
    ],
    ids=["whole pictures", "patches"],
)
def test_all_code_that_a_training_runs_counts_or_is_named(tmp_path, tiny, words):
    file = tmp_path / "ran.txt"
    program = str(running.SUPPORT / "instrumented.py")
    command = running.Command(tmp_path, program, str(file), "train", *tiny, *words, "tracking=none")
    done = running.ended(command)
    assert done.returncode == 0, done.stdout
    (config,) = tmp_path.glob("outputs/*/*/config.yaml")
    settings = identity.with_effect(OmegaConf.load(config))
    counted = weights_code.reached(compose.PACKAGE, identity.targets_in(settings))
    ran = {weights_code.Definition(*line.split()) for line in file.read_text().splitlines()}
    assert len(ran) > 200
    beside = {(m, n) for m, n in ran - counted if not weights_code.is_excluded(m)}
    assert beside - set(BESIDE) == set()


def test_this_code_trains_what_the_named_releases_trained(shipped_targets):
    """Where this fails, code that can change the weights was changed.

    Does it still train the same weights, bit for bit? Then write the new digest here. Otherwise
    empty identity.SAME_WEIGHTS as well, and say in CHANGELOG.md that finished runs are trained
    again.
    """
    assert weights_code.digest(compose.PACKAGE, shipped_targets) == GOLDEN


GOLDEN = "3edc96faea12949cf3e9ed1e9805c8e8b53cf3dd3467872f121707b346fbec1f"
