"""flexunet plan: facts of real files, the file it writes, and a training with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from flexunet_exp.commands.plan import command, facts, file, planning
from flexunet_exp.commands.plan.budget import Candidate
from flexunet_exp.commands.plan.lines import Line
from flexunet_exp.config import validation
from flexunet_exp.config.compose import composed
from flexunet_exp.config.overrides import Word
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from tests.support import hostile, running
from tests.support.beside_scans import beside_scans

WORDS = (
    *("dataset=grid", "dataset/layout=synthetic", "dataset.layout.images_per_class=4"),
    *("dataset.layout.good_images=4", "dataset.layout.size=64", "model.encoder_weights=null"),
)
HEAVY = ("dataset", "split", "augmentation", "model", "loss", "optimizer", "schedule", "callbacks")
SHIPPED = {"dataset": "grid", "split": "ratios"}


def square(side: int, at: int) -> np.ndarray:
    """A colour mask of 512 px with a square defect."""
    mask = np.zeros((512, 512, 3), np.uint8)
    mask[at : at + side, at : at + side] = (0, 0, 255)  # bent, of grid
    return mask


@pytest.fixture
def squares(tmp_path) -> Path:
    """Image/mask data: ten pictures of 512 px, each with a square defect of 16 px and a larger."""
    draw = np.random.default_rng(0)
    for number in range(10):
        split = "train" if number < 6 else "valid" if number < 8 else "test"
        image = draw.integers(0, 256, (512, 512, 3), dtype=np.uint8)
        mask = np.maximum(square(16, 100), square(40, 300))
        hostile.save(tmp_path / split / "images" / f"bent_{number}.png", image)
        hostile.save(tmp_path / split / "masks" / f"bent_{number}.png", mask)
    return tmp_path


@pytest.fixture
def cfg_of(compose):
    """cfg_of(folder): the command's configuration for image/mask data in a folder."""

    def made(folder: Path, *words: str):
        data = ("dataset=grid", "dataset/layout=image_mask", f"dataset.path={folder}")
        return compose("plan", *data, f"cache_dir={folder}/cache", *words)

    return made


def test_facts_of_pictures_on_disk(squares, cfg_of):
    dataset = datasets.load(cfg_of(squares))
    found = facts.of_data(dataset)
    assert found.pictures == {"train": 6, "valid": 2, "test": 2}
    assert (found.classes, found.good, found.shape) == ({"bent": 10}, 0, (512, 512))
    assert found.small == 256
    assert facts.sources_of(dataset) == {"bent": 10}


def test_the_smallest_defect_decides_the_size(squares, cfg_of):
    """16 x 16 px of 512 are 9 cells of 16 px, 144, at 384: 256 * (384 / 512) ** 2."""
    cfg = cfg_of(squares)
    data = facts.of_data(datasets.load(cfg))
    first = planning.candidates(cfg, SHIPPED, set(), data)[0]
    assert (first.size, first.augmentation) == ((384, 384), "turns")
    typed = cfg_of(squares, "dataset.image_size=160")
    sizes = planning.candidates(typed, SHIPPED, {"dataset.image_size"}, data)
    assert {one.size for one in sizes} == {(160, 160)}
    pasted = cfg_of(squares, "augmentation=paste", "augmentation.views=16")
    files = SHIPPED | {"augmentation": "paste"}
    views = planning.candidates(pasted, files, {"augmentation"}, data)
    assert {one[1:] for one in views} == {("paste", 16)}


def test_a_split_by_folders_is_kept(squares, cfg_of):
    cfg = cfg_of(squares)
    scanned = datasets.scanned(cfg)
    split = planning.split_of(cfg, {"split": "folders"}, set(), scanned)
    assert (split.name, split.folds) == ("folders", None)
    split = planning.split_of(cfg, SHIPPED, set(), scanned)
    assert (split.name, split.folds, cfg.split.n) == ("folds", 5, 5)


def test_a_typed_option_of_the_split_is_kept_and_stays_in_the_command(squares, cfg_of):
    words = [Word.parse("split.ratios=[0.6,0.2,0.2]"), Word.parse("split.calibration=0.2")]
    cfg, typed = cfg_of(squares, "split=ratios", *map(str, words)), {word.key for word in words}
    split = planning.split_of(cfg, SHIPPED, typed, datasets.scanned(cfg))
    assert (split.name, split.folds, split.reason) == ("ratios", None, "as typed")
    assert cfg.split.calibration == 0.2
    line = command.next_command(words, SHIPPED, {"split"}, "grid_plan")
    assert line[3:] == [*map(str, words), "experiment=grid_plan"]


def test_a_typed_batch_is_kept_where_an_epoch_has_fewer_pictures(compose):
    cfg = compose("plan", "trainer.batch_size=64")
    data = facts.Facts({"train": 40, "valid": 9, "test": 9}, {"bent": 40}, 0, (64, 64), 9.0)
    whole = Candidate((64, 64), "none", 1)
    assert planning.recipe_of(cfg, {"trainer.batch_size"}, data, whole).batch_size == 64
    assert planning.recipe_of(cfg, set(), data, whole).batch_size == 32


def test_copies_of_one_picture_are_one_source_of_the_split(squares, cfg_of):
    for kind in ("images", "masks"):
        first, *copies = sorted(squares.glob(f"*/{kind}/*.png"))[:7]
        for copy in copies:
            copy.write_bytes(first.read_bytes())
    cfg = cfg_of(squares)
    split = planning.split_of(cfg, SHIPPED, set(), datasets.scanned(cfg))
    assert (split.name, split.folds, cfg.split.n) == ("folds", 4, 4)


def test_a_trained_encoder_is_measured_for_many_pictures(compose):
    cfg = compose("plan", "model.encoder_trainable=last_stages")
    few = facts.Facts({"train": 299, "valid": 9, "test": 9}, {"bent": 99}, 0, (64, 64), 9.0)
    many = facts.Facts({"train": 300, "valid": 9, "test": 9}, {"bent": 99}, 0, (64, 64), 9.0)
    assert planning.encoders(cfg, few, set()) == ["frozen"]
    assert planning.encoders(cfg, many, set()) == ["frozen", "last_stages"]
    assert planning.encoders(cfg, few, {"model.encoder_trainable"}) == ["last_stages"]


def test_data_without_defects_are_refused(squares, cfg_of):
    for path in squares.glob("*/masks/*.png"):
        hostile.save(path, np.zeros((512, 512, 3), np.uint8))
    for path in squares.glob("*/*/bent_*.png"):
        path.rename(path.with_name(path.name.replace("bent", "good")))
    with pytest.raises(InputError, match=r"No mask of grid shows a defect.* flexunet check"):
        planning.plan(cfg_of(squares), {"dataset": "grid", "split": "folders"}, set())


def test_data_that_are_not_there_are_refused(tmp_path, cfg_of):
    with pytest.raises(InputError, match="nowhere"):
        planning.plan(cfg_of(tmp_path / "nowhere"), SHIPPED, set())


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("minutes=0", "minutes=0 is not a number above 0"),
        ("minutes=-3", "minutes=-3 is not a number above 0"),
        ("minutes=many", "minutes=many is not a number above 0"),
        ("folds=2", "folds=2 is not a whole number of at least 3"),
        ("trainer.epochs=7", "A plan decides trainer.epochs by the minutes"),
        ("dataset.cache=memory", "dataset.cache=memory: a plan trains from kept features"),
        ("trainer.batch_size=0", "trainer.batch_size=0 is not"),
        ("trainer.batch_size=auto", "such as trainer.batch_size=8, or leave it out"),
        ("model=flexunet", "The network flexunet has no encoder.* Type model=unet"),
        ("model=segformer", "The network segformer has no encoder.* Type model=unet"),
        ("schedule=constant", "The schedule constant: a plan decides .* schedule=cosine"),
    ],
)
def test_words_that_cannot_be_planned_with_are_refused(compose, word, said):
    with pytest.raises(InputError, match=said):
        command.check(compose("plan", "dataset=grid", word), {word.partition("=")[0]})


def test_the_text_is_yaml_with_a_reason_behind_each_value():
    lines = [
        Line("/model", "unet", "why a"),
        Line("dataset.image_size", [256, 512], "why b"),
        Line("dataset.patch.features", 256, "why c"),
        Line("callbacks.epoch_images", None, "why d"),
        Line("model.encoder_weights", "my: file #1.pth", "why e"),
    ]
    written = file.text(["A plan.", "flexunet train"], lines)
    assert yaml.safe_load(written) == {
        "defaults": [{"override /model": "unet"}],
        "dataset": {"image_size": [256, 512], "patch": {"features": 256}},
        "callbacks": {"epoch_images": None},
        "model": {"encoder_weights": "my: file #1.pth"},
    }
    assert written.startswith("# @package _global_\n# A plan.\n# flexunet train\ndefaults:\n")
    assert [written.count(f"  # why {letter}\n") for letter in "abcde"] == [1] * 5


@pytest.fixture(scope="module")
def planned(tmp_path_factory, tiny_data) -> Path:
    """A folder in which a plan was made for generated grids, with what was printed."""
    folder = tmp_path_factory.mktemp("planned")
    done = running.flexunet(folder, "plan", *WORDS, f"data_root={tiny_data}", "minutes=120")
    assert done.returncode == 0, done.stdout
    (folder / "printed.txt").write_text(done.stdout)
    return folder


def test_the_plan_composes_with_train_and_is_valid(planned, tiny_data, monkeypatch):
    monkeypatch.chdir(planned)
    words = [word for word in WORDS if "encoder_weights" not in word]
    cfg = composed("train", [*words, f"data_root={tiny_data}", "experiment=grid_plan"])
    validation.check_settings(cfg)
    validation.check_targets(cfg, HEAVY)
    assert cfg.model._target_.endswith(".unet")
    assert (cfg.model.encoder_weights, cfg.model.encoder_trainable) == (None, "frozen")
    assert (cfg.dataset.image_size, cfg.dataset.cache, cfg.dataset.patch.features) == (
        *(64, "features", None),
    )
    assert (cfg.split._target_.rsplit(".", 1)[-1], cfg.split.n) == ("folds", 4)
    assert (cfg.optimizer.learning_rate, cfg.optimizer.weight_decay) == (3e-3, 1e-2)
    assert (cfg.trainer.batch_size, cfg.trainer.epochs, cfg.predict.tta) == (8, 100, "flips")
    assert cfg.callbacks.epoch_images is None
    assert cfg.callbacks.early_stopping.patience == cfg.trainer.epochs


def test_every_line_has_a_reason_and_what_was_typed_says_so(planned):
    text = (planned / "conf" / "experiment" / "grid_plan.yaml").read_text()
    body = text[text.index("defaults:") :].splitlines()
    values = [line for line in body if line.strip() and not line.rstrip().endswith(":")]
    assert values and all("  # " in line for line in values)
    assert "encoder_weights: null" in text and text.count("# as typed") == 1


def test_nothing_of_the_measurement_is_left(planned):
    assert sorted(path.name for path in planned.iterdir()) == ["cache", "conf", "printed.txt"]
    assert beside_scans(planned / "cache") == []


@pytest.mark.heavy
def test_the_printed_command_trains_the_plan(planned):
    printed = (planned / "printed.txt").read_text()
    (line,) = [line for line in printed.splitlines() if line.startswith("Train it")]
    words = line.split("flexunet train ")[1].split()
    assert words[-1] == "experiment=grid_plan"
    assert not [word for word in words if word.startswith(("minutes", "model"))]
    done = running.train(planned, *words, "trainer.epochs=1", "tracking=none")
    assert done.returncode == 0, done.stdout
    assert list(planned.glob("outputs/*/*_grid_unet/best.keras"))


def test_a_plan_is_not_written_over(planned, tiny_data):
    path = planned / "conf" / "experiment" / "grid_plan.yaml"
    before = path.read_text()
    done = running.flexunet(planned, "plan", *WORDS, f"data_root={tiny_data}")
    assert done.returncode == 1
    assert f"{path} exists already" in done.stdout and "overwrite=true" in done.stdout
    assert path.read_text() == before


def test_an_interrupted_measurement_leaves_nothing(tmp_path, tiny_data):
    where = "flexunet_exp.evaluation.scoring:predict_split"
    done = running.signalled(
        *(tmp_path, "SIGINT", where, 1, "plan", *WORDS, f"data_root={tiny_data}")
    )
    assert done.returncode == 130, done.stdout
    assert not (tmp_path / "conf").exists()
    assert beside_scans(tmp_path / "cache") == []


@pytest.mark.heavy
def test_minutes_in_which_no_epoch_fits(tmp_path, tiny_data):
    done = running.flexunet(tmp_path, "plan", *WORDS, f"data_root={tiny_data}", "minutes=0.01")
    assert done.returncode == 1
    assert "minutes=0.01 are too few for a single epoch" in done.stdout
    assert not (tmp_path / "conf").exists()
