"""Presets of sweeps: what they list, what they find on this disk, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from flexunet_exp.config import compose, resolvers
from flexunet_exp.errors import Abort, InputError
from flexunet_exp.jobs import explain
from flexunet_exp.sweeps import compose_cells, presets
from tests.support import running

PRESETS = sorted(path.stem for path in (compose.conf_dir() / "sweep").glob("*.yaml"))


@pytest.fixture
def multirun():
    """A multirun's configuration and what composed it: multirun("sweep=folds")."""
    resolvers.register_resolvers()
    with initialize_config_dir(str(compose.conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

        def composed(*words: str):
            return loader.load_configuration("train", list(words), RunMode.MULTIRUN), loader

        yield composed


def listed(multirun, *words: str) -> list[list[str]]:
    cfg, loader = multirun(*words)
    presets.check(cfg, loader)
    return compose_cells.varying(compose_cells.overrides_of(cfg, loader, words))


@pytest.fixture
def data_root(tmp_path) -> Path:
    for name in ("mvtec_anomaly_detection/grid", "mvtec_anomaly_detection/screw", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "imagemask" / "MVTEC-ZIPPER").mkdir(parents=True)
    return tmp_path


def test_there_are_the_presets_that_are_promised():
    assert {"model_x_loss", "categories", "folds", "seeds", "tpe"} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_nothing_that_would_keep_a_plain_run_from_running(name):
    assert "mode:" not in (compose.conf_dir() / "sweep" / f"{name}.yaml").read_text()


def test_every_model_meets_every_loss(multirun):
    found = listed(multirun, "sweep=model_x_loss")
    models, losses = (
        {path.stem for path in (compose.conf_dir() / group).glob("*.yaml")}
        for group in ("model", "loss")
    )
    models = {name for name in models if not name.startswith("unet_")}  # short names of unet
    assert {"unet", "flexunet", "attention_unet"} <= models
    assert len(found) == len(models) * len(losses) == len(set(map(tuple, found)))


def test_as_many_folds_as_there_are(multirun):
    assert listed(multirun, "sweep=folds", "split.n=4") == [[f"split.fold={k}"] for k in range(4)]
    cfg, loader = multirun("sweep=folds")
    for words in compose_cells.overrides_of(cfg, loader, ["sweep=folds"]):
        assert "split=folds" in words


def test_what_is_typed_comes_before_the_preset(multirun):
    assert listed(multirun, "sweep=seeds", "trainer.seed=7,8") == [
        ["trainer.seed=7"],
        ["trainer.seed=8"],
    ]


def test_the_categories_are_those_of_the_data_root(multirun, data_root):
    words = ("sweep=categories", f"data_root={data_root}")
    assert listed(multirun, *words) == [["dataset=grid"], ["dataset=screw"]]
    cfg, _ = multirun(*words, "dataset/layout=image_mask")
    assert presets.params(cfg) == {"dataset": "zipper"}


def test_no_category_is_a_sentence(multirun, tmp_path):
    cfg, _ = multirun("sweep=categories", f"data_root={tmp_path}")
    with pytest.raises(Abort, match=r"mvtec_anomaly_detection for bottle.* data_root=FOLDER"):
        presets.params(cfg)


def test_one_folder_for_all_categories_is_refused(multirun, tmp_path):
    cfg, _ = multirun("sweep=categories", f"dataset.path={tmp_path}")
    with pytest.raises(Abort, match="Leave out dataset.path"):
        presets.params(cfg)


def test_presets_of_different_axes_multiply(multirun):
    assert len(listed(multirun, "sweep=[folds,seeds]")) == 15


def test_presets_that_set_the_same_axis_are_refused(multirun, tmp_path):
    (tmp_path / "sweep").mkdir()
    mine = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      trainer.seed: 1,2\n"
    (tmp_path / "sweep" / "mine.yaml").write_text(mine)
    cfg, loader = multirun("sweep=[seeds,mine]", f"hydra.searchpath=[{tmp_path}]")
    with pytest.raises(InputError, match="sweep/seeds and sweep/mine both sweep over trainer.seed"):
        presets.check(cfg, loader)


def test_a_list_and_a_search_are_refused(multirun):
    cfg, loader = multirun("sweep=[tpe,folds]")
    with pytest.raises(InputError, match="sweep/tpe searches a space and sweep/folds lists"):
        presets.check(cfg, loader)


def test_what_is_wrong_with_axes_is_said_all_at_once(multirun):
    cfg, loader = multirun(
        *("augmentation=glob(zzz*)", "trainer.seed=range(0)", "model=attention_unet,flexunet"),
        *("loss=dicee,dice", "losss=dice,ce_dice", "model.bas_filters=4,8", "schedule=null,cosine"),
    )
    with pytest.raises(InputError) as error:
        presets.check(cfg, loader)
    found = "\n".join(error.value.problems)
    assert len(error.value.problems) == 5
    for said in (
        "augmentation=glob(zzz*) has no value",
        "trainer.seed=range(0) has no value",
        "there is no loss=dicee. Did you mean 'dice'?",
        "losss is not an option. Did you mean 'loss'?",
        "model.bas_filters is not an option. Did you mean 'model.base_filters'?",
    ):
        assert said in found


def test_an_axis_may_be_an_option_of_a_choice_that_is_made_or_is_added(multirun):
    words = ("optimizer=sgd", "optimizer.momentum=0.1,0.9", "+model.new=1,2")
    presets.check(*multirun(*words))


def test_an_option_that_not_every_choice_has_is_said(monkeypatch):
    words = ["flexunet train", "-m", "model=flexunet,attention_unet", "model.dilation=2"]
    monkeypatch.setattr("sys.argv", words)
    assert "model=attention_unet has no dilation" in explain.unknown_option(
        "model.dilation", "train"
    )
    assert "Its options are tracking.uri" in explain.unknown_option("tracking", "sync")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sweep=seeds"], "flexunet train -m sweep=seeds"),
        (["-m", "sweep=categories", "data_root=nowhere"], "found no category"),
        (["-m", "sweep=seeds", "model=unett,flexunet"], "Did you mean 'unet'?"),
        (["-m", "sweep=seeds", "optimizer.learing_rate=1,2"], "Did you mean"),
        (["-m", "sweep=seeds", "init_from=latest"], "init_from=latest means another run after"),
        (["-m", "init_from=x,latest"], "init_from=latest means another run after"),
        (["-m", "init_from=choice(best,x)"], "init_from=best means another run after"),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_nothing(tmp_path, words, sentence):
    done = running.train(tmp_path, *words)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert sentence in done.stdout
    assert not list(tmp_path.glob("outputs/*/*/*/*/"))


def test_a_moving_start_in_an_experiments_yaml_is_refused(tmp_path):
    mine = tmp_path / "conf" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\ninit_from: latest\n")
    done = running.train(tmp_path, "-m", "sweep=seeds", "experiment=mine")
    assert done.returncode == 1 and "init_from=latest means another run after" in done.stdout
