"""dry=true: says what a command would train, and changes nothing."""

from __future__ import annotations

import math
import random
import re

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from flexunet_exp.config import compose, identity, resolvers
from flexunet_exp.data import dataset as datasets
from flexunet_exp.runs import claims
from flexunet_exp.sweeps import compose_cells, dry_run
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking.store import EFFORT, MINUTES, SCORING, SIGNATURE, STOPPED, Store
from flexunet_exp.training import batch_size, remembered
from tests.support import running

WIDE = (
    "dataset=grid,zipper",
    "dataset/layout=mvtec,image_mask",
    "debug=smoke,overfit",
    "experiment=grid,quickstart",
    "model=glob(*)",
    "trainer.epochs=3,4",
    "+optimizer.beta_1=0.8,0.9",
)
NARROW = (
    "dataset=glob(*)",
    "loss=glob(*)",
    "model=glob([flexunet*,attention_unet,multiresunet,sharpunet,unet3plus])",
    "optimizer=glob(*)",
    "dataset.image_size=64,[64,128]",
    "model.base_filters=4,8",
)


@pytest.fixture
def multirun():
    resolvers.register_resolvers()
    with initialize_config_dir(str(compose.conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

        def composed(*words: str):
            cfg = loader.load_configuration("train", list(words), RunMode.MULTIRUN)
            return cfg, loader, compose_cells.overrides_of(cfg, loader, words)

        yield composed


@pytest.mark.parametrize("words", [WIDE, NARROW], ids=["wide", "narrow"])
def test_cells_laid_together_are_those_that_hydra_composes(multirun, words):
    cfg, loader, found = multirun(*words)
    composer = compose_cells.Composer(cfg, loader, found)
    for cell in random.Random(0).sample(found, 12):
        laid = OmegaConf.to_container(composer.cell(cell))
        assert laid == OmegaConf.to_container(composer.compose(cell)), cell


def surveyed(multirun, *words: str) -> list[dry_run.Cell]:
    cfg, loader, found = multirun(*words)
    composer, surveyor = (
        compose_cells.Composer(cfg, loader, found),
        dry_run.Surveyor(dry_run.Past(cfg)),
    )
    return [
        surveyor.cell(number, shown, composer.cell(cell))
        for number, (cell, shown) in enumerate(
            zip(found, compose_cells.varying(found), strict=True)
        )
    ]


@pytest.fixture
def past(tmp_path, tiny, multirun):
    """Leaves a run in the store: past("FINISHED", ["trainer.seed=1"], minutes="2")."""
    kept = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet")

    def leave(status: str, words: list[str], objective: float = 0.5, **tags: str) -> str:
        multi, loader, found = multirun(*tiny, *words)
        cfg = compose_cells.Composer(multi, loader, found).cell(found[0])
        digest = datasets.load(cfg).digest
        signature = identity.signature(cfg, digest, ProcessSettings.from_config(cfg).num_threads)
        scoring = identity.scoring_signature(cfg)
        own = {SIGNATURE: signature, SCORING: scoring, EFFORT: identity.effort(cfg)}
        run_id = kept.create_run("run", {**own, **tags})
        kept.log_metrics(run_id, [("val/dice", objective, 1, 0)])
        kept.client.set_terminated(run_id, status)
        return signature

    return leave


@pytest.fixture
def words(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [*tiny, f"tracking.uri=sqlite:///{tmp_path}/mlruns/mlflow.db"]


def states(found: list[dry_run.Cell]) -> list[str]:
    return [cell.state for cell in found]


def test_how_each_cell_stands(multirun, past, words, tmp_path):
    past("FINISHED", ["trainer.seed=0"], 0.25, minutes="2.0")
    past("FINISHED", ["trainer.seed=6", "loss=dice"], minutes="6.0")
    past("FAILED", ["trainer.seed=1"])
    past("KILLED", ["trainer.seed=2"], **{STOPPED: "pruned at epoch 3"})
    past("FINISHED", ["trainer.seed=3", "score.resamples=7"])
    claim = claims.begin(tmp_path / "outputs" / "day" / "run", past("KILLED", ["trainer.seed=4"]))
    found = surveyed(multirun, *words, "trainer.seed=0,1,2,3,4,5,0")
    assert states(found)[:4] == ["finished", "failed", "missing", "trained, scored otherwise"]
    assert states(found)[4:] == ["being trained, epoch 0", "missing", "repeats cell 0"]
    assert found[0].objective == 0.25 and found[0].minutes == 0
    assert found[5].minutes == found[1].minutes == 4.0  # the median of runs of this effort
    assert found[6].minutes == 0
    claim.release()
    assert states(surveyed(multirun, *words, "trainer.seed=4,5"))[0] == "cut off at epoch 0"


def test_rerun_decides_what_is_left(multirun, past, words):
    past("FINISHED", ["trainer.seed=0"], minutes="2.0")
    past("FAILED", ["trainer.seed=1"])
    for rerun, left in (("failed", [0, 2]), ("all", [2, 2]), ("none", [0, 0])):
        found = surveyed(multirun, *words, "trainer.seed=0,1", f"rerun={rerun}")
        assert [cell.minutes for cell in found] == left


def test_an_unfinished_run_is_found_where_only_the_store_knows_its_folder(
    multirun, past, words, tmp_path
):
    folder = tmp_path / "elsewhere"
    claim = claims.begin(folder, past("KILLED", ["trainer.seed=1"], run_folder=str(folder)))
    assert states(surveyed(multirun, *words, "trainer.seed=0,1"))[1] == "being trained, epoch 0"
    claim.release()


def test_the_minutes_are_those_of_the_newest_runs(multirun, past, words, monkeypatch):
    for seed, minutes in (("0", "2.0"), ("1", "6.0")):
        past("FINISHED", [f"trainer.seed={seed}"], minutes=minutes)
    past("FAILED", ["trainer.seed=2"], minutes="50.0")
    monkeypatch.setattr(dry_run, "TIMED", 1)
    (cell,) = surveyed(multirun, *words, "trainer.seed=5")
    assert cell.minutes == 6.0


def test_each_cell_has_the_batch_that_was_found_for_it(multirun, past, words, tmp_path):
    cells = [*words, "trainer.batch_size=auto", f"cache_dir={tmp_path}/cache"]
    for filters, number in (("2", 4), ("3", 2)):
        multi, loader, (only,) = multirun(*cells, f"model.base_filters={filters}")
        cfg = compose_cells.Composer(multi, loader, [only]).cell(only)
        found = batch_size.remembered_in(cfg, datasets.load(cfg))
        remembered.keep(found, {"batch_size": number}, "looks for it")
        past("FINISHED", [f"model.base_filters={filters}", f"trainer.batch_size={number}"])
    found = surveyed(multirun, *cells, "model.base_filters=2,3")
    assert states(found) == ["finished", "finished"]


def test_a_cell_whose_batch_and_precision_are_not_found_yet_is_missing(multirun, words, tmp_path):
    kept = ("dataset.cache=features", "dataset.patch.features=32", f"cache_dir={tmp_path}/cache")
    auto = ("trainer.batch_size=auto", "trainer.precision=auto")
    others = [word for word in words if not word.startswith("model.")]
    (cell,) = surveyed(multirun, *others, "model=unet", "model.encoder_weights=null", *kept, *auto)
    assert cell.state == "missing"


def test_nobody_knows_how_long_another_network_takes(multirun, past, words):
    past("FINISHED", ["trainer.seed=0"], minutes="2.0")
    for other in ("model.base_filters=4", "trainer.epochs=3", "dataset.image_size=128"):
        (cell,) = surveyed(multirun, *words, other)
        assert math.isnan(cell.minutes)
    (cell,) = surveyed(multirun, *words, "optimizer.learning_rate=1e-5")
    assert cell.minutes == 2.0


def test_a_data_set_is_read_once(multirun, words, monkeypatch):
    scans = []
    scanned = datasets.scanned
    monkeypatch.setattr(datasets, "scanned", lambda cfg, **_: scans.append(1) or scanned(cfg))
    folds = "split=folds", "split.n=4", "split.fold=0,1,2"
    found = surveyed(multirun, *words, *folds, "dataset.sampling=uniform,balanced")
    assert len(found) == 6 and states(found) == ["missing"] * 6
    assert len(scans) == 1


@pytest.mark.parametrize("first", [0, 1])
def test_a_cell_is_judged_by_the_data_as_it_reads_them(multirun, words, first):
    found = surveyed(multirun, *words, f"dataset.channels={('3,4', '4,3')[first]}")
    assert states(found)[first] == "missing" and states(found)[1 - first] == "refused"
    assert "have 3 channels, expected 4" in found[1 - first].problems[0]


def test_what_would_be_refused_is_named_once(multirun, words, capsys):
    cfg, loader, found = multirun(*words, "trainer.seed=0,1", "optimizer.learning_rate=-1,1e-3")
    with pytest.raises(dry_run.InputError, match="^Cell 0, 2: optimizer.learning_rate=-1 is not"):
        dry_run.show(cfg, loader, found)
    printed = capsys.readouterr().out
    assert "4 cells: 2 refused, 2 missing. Left: 2 (2 of them of unknown length)." in printed


def test_it_makes_nothing(tmp_path, tiny):
    for command in (["-m", "trainer.seed=0,1"], []):
        done = running.train(tmp_path, *command, *tiny, "dry=true")
        assert done.returncode == 0, done.stdout
        assert f"{2 if command else 1} cell" in done.stdout and "missing" in done.stdout
    assert not list(tmp_path.iterdir())


def test_runs_to_begin_with_are_an_axis(tmp_path, tiny):
    done = running.train(tmp_path, "-m", *tiny, "init_from=null,nowhere", "dry=true")
    assert "2 cells: 1 missing, 1 refused" in done.stdout
    assert "Cell 1: " in done.stdout and "Cell 0" not in done.stdout


@pytest.mark.heavy
def test_it_agrees_with_what_training_did(tmp_path, tiny):
    """A sweep killed in its second cell, after the first epoch's state was written."""
    sweep = ["-m", *tiny, "trainer.epochs=2", "loss=dice,ce_dice", "trainer.seed=0,1"]
    at = ("SIGKILL", "flexunet_exp.training.state:Keeper.write", 5)
    killed = running.signalled(tmp_path, *at, "train", *sweep)
    assert killed.returncode == -9, killed.stdout
    before = {path: path.stat().st_mtime for path in tmp_path.glob("outputs/**/*")}
    runs = len(running.all_runs(tmp_path))
    done = running.train(tmp_path, *sweep, "dry=true")
    assert done.returncode == 0, done.stdout
    (score,) = [run.data.metrics["val/dice"] for run in running.all_runs(tmp_path)[1:2]]
    rows = [line for line in done.stdout.splitlines() if line.startswith("│ ")]
    assert "finished" in rows[0] and f"{score:.4f}" in rows[0]
    assert "cut off at epoch 1" in rows[1]
    assert all("missing" in row for row in rows[2:])
    took = float(running.all_runs(tmp_path)[1].data.tags[MINUTES])
    summary = r"4 cells: 2 missing, 1 finished, 1 cut off. Left: 3, about (\S+) minutes"
    (about,) = re.findall(summary, done.stdout)
    assert float(about) == pytest.approx(2.5 * took, abs=0.06)
    assert {path: path.stat().st_mtime for path in tmp_path.glob("outputs/**/*")} == before
    assert len(running.all_runs(tmp_path)) == runs
