"""The champion: only a run that is better on the same test pictures takes its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.commands.promote import judging
from flexunet_exp.commands.promote.command import task
from flexunet_exp.config import resolvers, validation
from flexunet_exp.config.compose import conf_dir, plain
from flexunet_exp.data import dataset
from flexunet_exp.errors import InputError
from flexunet_exp.scores import confusions
from flexunet_exp.tracking import registry
from flexunet_exp.tracking.store import LEARNED, RUN_FOLDER
from tests.support import running
from tests.support.running import flexunet

CLASSES = ("background", "bent")
PIXELS, DEFECT = 1000, 100  # of a picture, and of its defect


def config_of(fold: int) -> DictConfig:
    """What a run of this fold was trained by."""
    resolvers.register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", ["dataset=grid", "split=folds", f"split.fold={fold}"])
    return OmegaConf.create(plain(cfg))


def write_run(folder: Path, hits: list[int], pictures: str = "a", fold: int = 0) -> Path:
    """A run folder as it was scored: of each test picture's defect so many pixels were found.

    Only its network is no network: nothing here predicts.
    """
    names = [f"bent/{number:03}" for number in range(len(hits))]
    rows = [
        {"image": "", "mask": "", "label": "bent", "source": name, "variant": "original"}
        | {"split": "test", "width": 40, "height": 25, "sha256": f"{pictures}-{name}"}
        for name in names
    ]
    counts = np.array([[[PIXELS - DEFECT, 0], [DEFECT - hit, hit]] for hit in hits])
    (folder / "evaluation" / "test").mkdir(parents=True)
    (folder / "best.keras").write_bytes(b"weights")
    OmegaConf.save(config_of(fold), folder / "config.yaml")
    dataset.write_table(pd.DataFrame(rows), folder / "samples.csv")
    confusions.save_counts(
        folder / "evaluation" / "test" / "confusions.npz",
        [name.replace("/", "-") for name in names],
        counts,
        np.zeros(len(hits)),
        CLASSES,
    )
    return folder


def stored(workspace: Path, folder: Path, status: str = "FINISHED") -> str:
    """Records the run in the workspace's store, and returns its id."""
    store = running.store(workspace)
    run_id = store.create_run(folder.name, {RUN_FOLDER: str(folder), "test_digest": "abc"})
    store.log_metrics(run_id, [("val/dice", 0.5, 0, 0), ("test/dice", 0.25, 0, 0)])
    if status != "RUNNING":
        store.client.set_terminated(run_id, status)
    return run_id


@pytest.fixture
def promote(compose, tmp_path):
    """What the command does in a workspace: promote(run, "force=true", …)."""

    def promoted(run: Path | str, *words: str) -> None:
        uri = f"tracking.uri=sqlite:///{tmp_path}/mlruns/mlflow.db"
        task(compose("promote", f"run={run}", "name=grid", uri, *words))

    return promoted


def versions(workspace: Path) -> dict[int, dict[str, str]]:
    """The tags of all versions of `grid`, by number."""
    found = running.store(workspace).client.search_model_versions("name = 'grid'")
    return {int(version.version): version.tags for version in found}


def champion(workspace: Path) -> int:
    return int(registry.champion(running.store(workspace), "grid").version)


def test_a_better_run_takes_the_champions_place_and_a_worse_one_does_not(tmp_path, promote):
    fair = write_run(tmp_path / "fair", [50] * 12)
    good = write_run(tmp_path / "good", [90] * 12)
    run_ids = [stored(tmp_path, run) for run in (fair, good)]
    difference = 18 / 19 - 2 / 3  # Dice 2·90/190 and 2·50/150

    promote(run_ids[0])
    assert champion(tmp_path) == 1
    promote(good)
    assert champion(tmp_path) == 2
    tags = versions(tmp_path)[2]
    assert tags["run_id"] == run_ids[1] and tags["test_digest"] == "abc"
    assert tags["val/dice"] == "0.5000" and tags["test/dice"] == "0.2500"
    assert tags["promoted_from"] == "version 1" and "12 sources" in tags["promoted_because"]
    assert f"{difference:+.4f}" in tags["promoted_because"]

    with pytest.raises(InputError, match="force=true") as refused:
        promote(run_ids[0])
    assert f"{-difference:+.4f}" in str(refused.value) and champion(tmp_path) == 2
    promote(run_ids[1])  # the champion itself
    assert set(versions(tmp_path)) == {1, 2} and champion(tmp_path) == 2
    promote(run_ids[0], "force=true")
    assert champion(tmp_path) == 1
    assert "force=true" in versions(tmp_path)[1]["promoted_because"]
    assert running.store(tmp_path).client.get_run(run_ids[0]).info.status == "FINISHED"


def test_a_run_that_is_not_promoted_is_exit_status_1_and_one_sentence(tmp_path):
    for hits in (50, 40):
        stored(tmp_path, write_run(tmp_path / str(hits), [hits] * 12))
    first = flexunet(tmp_path, "promote", f"run={tmp_path / '50'}", "name=grid")
    assert first.returncode == 0 and "Version 1 of grid is the champion now" in first.stdout
    second = flexunet(tmp_path, "promote", f"run={tmp_path / '40'}", "name=grid")
    assert second.returncode == 1 and "version 1 stays the champion" in second.stdout
    assert "Traceback" not in second.stdout


def test_runs_that_cannot_be_promoted_are_named_with_the_reason(tmp_path, promote):
    run = write_run(tmp_path / "run", [50] * 12)
    running.store(tmp_path)
    with pytest.raises(InputError, match="is not a run of sqlite"):
        promote(run)
    stored(tmp_path, run, "RUNNING")
    with pytest.raises(InputError, match="is RUNNING"):
        promote(run)
    shutil.copy(run / "best.keras", run / "epoch_10.keras")
    with pytest.raises(InputError, match=f"is not the network that its run.* run={run}$"):
        promote(run / "epoch_10.keras")
    assert versions(tmp_path) == {}
    with pytest.raises(InputError) as wrong:
        words = ("name=a/b", "tracking=none", "tracking.uri=null", "force=maybe")
        promote("'models:/grid@champion'", *words)
    assert [problem.split("=")[0] for problem in wrong.value.problems] == [
        *("name", "run", "force", "tracking")
    ]


def test_a_small_difference_is_none(tmp_path):
    uneven = [20, 80] * 6
    present = write_run(tmp_path / "present", uneven)
    challenger = write_run(tmp_path / "challenger", [*uneven[1:], 25])  # others, little better
    verdict = judging.judge(challenger, present)
    assert not verdict.is_better and "must lie above 0" in verdict.because


def test_few_sources_are_too_few_however_large_the_difference(tmp_path):
    present = write_run(tmp_path / "present", [0] * 9)
    verdict = judging.judge(write_run(tmp_path / "challenger", [100] * 9), present)
    assert not verdict.is_better and "too few" in verdict.because and "+1.0000" in verdict.because


def test_other_test_pictures_are_not_compared(tmp_path):
    present = write_run(tmp_path / "present", [0] * 12, fold=3)
    for name, run in {
        "other": write_run(tmp_path / "other", [100] * 12, pictures="b"),
        "fewer": write_run(tmp_path / "fewer", [100] * 11),
    }.items():
        verdict = judging.judge(run, present)
        assert not verdict.is_better and "different pictures" in verdict.because, name
        assert "split=folds split.n=5 split.fold=3 split.seed=0" in verdict.because, name


def test_other_masks_and_other_classes_are_not_compared(tmp_path):
    present = write_run(tmp_path / "present", [0] * 12)
    challenger = write_run(tmp_path / "challenger", [100] * 12)
    assert judging.judge(challenger, present).is_better
    path = challenger / "evaluation" / "test" / "confusions.npz"
    kept = confusions.load_counts(path)
    relabelled = kept.counts + np.array([[1, 0], [0, -1]])
    confusions.save_counts(path, kept.names, relabelled, kept.dice_coef_multiclass, CLASSES)
    assert "masks" in judging.judge(challenger, present).because
    confusions.save_counts(
        path, kept.names, kept.counts, kept.dice_coef_multiclass, ("background", "cut")
    )
    assert "different classes" in judging.judge(challenger, present).because
    path.unlink()
    assert not judging.judge(challenger, present).is_better


def test_the_order_of_the_pictures_does_not_matter(tmp_path):
    hits = [10, 90] * 6
    present = write_run(tmp_path / "present", hits)
    same = shutil.copytree(present, tmp_path / "same")
    path = same / "evaluation" / "test" / "confusions.npz"
    kept = confusions.load_counts(path)
    turned = (kept.names[::-1], kept.counts[::-1], kept.dice_coef_multiclass[::-1])
    confusions.save_counts(path, *turned, CLASSES)
    result = judging.difference(same, present)
    assert (result.difference, result.low, result.high) == (0, 0, 0)


def test_registering_needs_a_store_and_a_name_that_an_address_can_hold(compose):
    validation.check_settings(compose("train", "tracking.register=grid_1.2"))
    for words in (["tracking=none", "tracking.register=grid"], ["tracking.register='a/b'"]):
        with pytest.raises(InputError, match=r"tracking\.register="):
            validation.check_settings(compose("train", *words))


def test_a_run_that_learned_nothing_is_registered_and_not_promoted(tmp_path, promote):
    run_id = stored(tmp_path, write_run(tmp_path / "nothing", [0] * 12))
    running.store(tmp_path).log_tags(run_id, {LEARNED: "false"})
    with pytest.raises(InputError, match=r"there is no champion: .*learned=false.* force=true"):
        promote(run_id)
    assert set(versions(tmp_path)) == {1}
    promote(run_id, "force=true")
    assert champion(tmp_path) == 1
