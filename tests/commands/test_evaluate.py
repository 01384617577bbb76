"""Scoring again: folds as one, ensembles, other pictures, tiles and views; nothing replaced."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image
from scipy.special import entr, softmax

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.masks import read_image
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import folds as pooling
from flexunet_exp.models.files import read_network
from flexunet_exp.runs.folder import load, load_below
from flexunet_exp.scores import confusions
from flexunet_exp.scores import record as records
from tests.support.running import all_runs, flexunet, same_weights, store


def parent_of(folder: Path):
    (parent,) = [run for run in all_runs(folder) if "sweep" in run.data.tags]
    return parent


def run_folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("outputs/multirun/*/*/*/best.keras"))


def evaluation_in(done, folder: Path) -> Path:
    """The evaluation folder that a command says it made."""
    assert done.returncode == 0, done.stdout
    return Path(re.search(r"Report: (.*)/report.html", done.stdout)[1])


@pytest.fixture(scope="module")
def pooled(folds) -> Path:
    run = f"run={parent_of(folds).info.run_id}"
    return evaluation_in(flexunet(folds, "evaluate", run), folds)


def test_the_panels_show_the_entropy_if_asked_for_and_no_score_changes(folds, pooled):
    run = run_folders(folds)[0]
    done = flexunet(folds, "evaluate", f"run={run}", "uncertainty=entropy", "tracking=none")
    found = evaluation_in(done, folds)
    assert "These are the figures the run ended with." in done.stdout
    network = read_network(run / "best.keras")
    table = datasets.read_table(run / "samples.csv")
    tested = list(datasets.rows(table[table["split"] == "test"]))
    for sample in tested:
        logits = np.asarray(network(read_image(sample.image)[None]), np.float64)[0]
        expected = entr(softmax(logits, axis=-1)).sum(-1) / np.log(6)
        name = f"{datasets.sample_name(sample)}.png"
        with Image.open(found / "test" / "uncertainty" / name) as kept:
            np.testing.assert_allclose(np.asarray(kept) / 255, expected, atol=0.5 / 255 + 1e-5)
    widths = [
        Image.open(folder / "test" / "figures" / "worst.png").width
        for folder in (found, run / "evaluation")
    ]
    assert widths[0] == 4 * (widths[1] - 8) // 3 + 8  # one more column, beside a gap of 8 px
    assert "uncertainty" in (found / "report.html").read_text()
    assert not list((run / "evaluation").rglob("uncertainty"))
    refused = flexunet(folds, "evaluate", f"run={run}", "uncertainty=folds", "tracking=none")
    assert refused.returncode == 1 and "uncertainty=entropy" in refused.stdout


def test_folds_are_pooled_with_every_picture_once_by_the_run_that_tests_it(folds, pooled):
    table = pd.read_csv(run_folders(folds)[0] / "samples.csv")
    images = pd.read_csv(pooled / "test" / "images.csv")
    assert sorted(images["sha256"]) == sorted(table["sha256"])
    own = [confusions.load_counts(f / "evaluation/test/confusions.npz") for f in run_folders(folds)]
    kept = confusions.load_counts(pooled / "test" / "confusions.npz")
    assert kept.names.tolist() == [name for one in own for name in one.names.tolist()]
    np.testing.assert_array_equal(kept.counts, np.concatenate([one.counts for one in own]))


def test_an_evaluation_is_added_to_the_parent_and_never_over_another(folds, pooled):
    parent = parent_of(folds)
    summary = records.summary(records.load(pooled / "test"), 0.3)
    assert parent.data.metrics["evaluation2/test/dice"] == pytest.approx(summary["dice"])
    assert "evaluation2/test/dice/bent" not in parent.data.metrics
    done = flexunet(folds, "evaluate", f"run={parent.info.run_id}", "predict.tta=flips")
    other = evaluation_in(done, folds)
    assert "Added to run" in done.stdout and "evaluation3" in done.stdout
    again = parent_of(folds)
    assert again.data.metrics["evaluation2/test/dice"] == pytest.approx(summary["dice"])
    flipped = records.summary(records.load(other / "test"), 0.3)
    assert again.data.metrics["evaluation3/test/pixel_auroc"] == pytest.approx(
        flipped["pixel_auroc"]
    )
    assert flipped["pixel_auroc"] != summary["pixel_auroc"]
    top = {file.path for file in store(folds).client.list_artifacts(parent.info.run_id)}
    assert top == {"cells.csv", "evaluation2", "evaluation3"}


def test_the_report_is_one_file_that_needs_nothing_else(pooled):
    text = (pooled / "report.html").read_text()
    assert "the mean probability that a pixel" in text and "The interval is that of Dice" in text
    addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(addresses) > 10
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    for words in ("3 folds pooled out-of-fold", "AU-PRO", "macro Dice", "false alarms", "bent"):
        assert words in text
    assert "<script" not in text


@pytest.fixture(scope="module")
def twin(folds, tiny) -> tuple[Path, str]:
    """A run of the first fold's very weights, scored over mirrored views; and what it printed."""
    words = ["split=folds", "split.n=3", "split.fold=0", "trainer.epochs=1", "predict.tta=flips"]
    done = flexunet(folds, "train", *tiny, *words)
    assert done.returncode == 0, done.stdout
    again = flexunet(folds, "train", *tiny, *words)
    assert "Already done" in again.stdout
    (found,) = folds.glob("outputs/*-*-*/*_grid_flexunet/best.keras")
    return found.parent, done.stdout


def test_runs_of_one_test_set_are_an_ensemble_only_on_request(folds, twin):
    run, runs = run_folders(folds)[0], f"run={run_folders(folds)[0]},{twin[0]}"
    refused = flexunet(folds, "evaluate", runs, "tracking=none")
    assert refused.returncode == 1
    assert "have the same test pictures" in refused.stdout and "ensemble=true" in refused.stdout
    done = flexunet(folds, "evaluate", runs, "ensemble=true", "tracking=none")
    together = confusions.load_counts(evaluation_in(done, folds) / "test" / "confusions.npz")
    alone = confusions.load_counts(run / "evaluation" / "test" / "confusions.npz")
    np.testing.assert_array_equal(together.counts, alone.counts)


def test_other_pictures_of_the_same_classes_are_scored_whole(folds, tiny):
    run = run_folders(folds)[0]
    words = [word for word in tiny if word.startswith(("dataset=", "dataset/", "dataset.layout"))]
    root = next(word for word in tiny if word.startswith("data_root="))
    new = ["dataset.layout.seed=7", "dataset.layout.images_per_class=2"]
    done = flexunet(folds, "evaluate", f"run={run}", *words, root, *new)
    found = pd.read_csv(evaluation_in(done, folds) / "grid" / "images.csv")
    assert len(found) == 2 * 5 + 2 and "trained or chose" not in done.stdout
    (child,) = [run_ for run_ in all_runs(folds) if run_.data.tags.get("run_folder") == str(run)]
    assert "evaluation2/grid/dice" in child.data.metrics
    same = flexunet(folds, "evaluate", f"run={run}", *words, root, "tracking=none")
    assert re.search(r"\d+ of 22 pictures trained or chose the networks", same.stdout)


def test_pictures_of_one_part_and_of_one_name_keep_names_of_their_own(folds, tmp_path):
    run = run_folders(folds)[0]
    listed = ["image,source"]
    for number, (split, name) in enumerate(
        [("train", "bent_000"), ("test", "bent_000"), ("test", "bent_001"), ("test", "glue_000")]
    ):
        draw = np.random.default_rng(number)
        mask = np.zeros((64, 64, 3), np.uint8)
        mask[8:20, 8:20] = load(run).cfg.dataset.classes[1 if "bent" in name else 3].color
        for kind, pixels in (("images", draw.integers(0, 256, mask.shape)), ("masks", mask)):
            file = tmp_path / "new" / split / kind / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(file)
        listed.append(f"{split}/images/{name}.png,part")
    (tmp_path / "new" / "sources.csv").write_text("\n".join(listed) + "\n")
    words = ["dataset=grid", "dataset/layout=image_mask", f"dataset.path={tmp_path / 'new'}"]
    for more in ([], ["dataset.layout.sources=sources.csv"]):
        done = flexunet(folds, "evaluate", f"run={run}", *words, *more, "tracking=none")
        found = evaluation_in(done, folds) / "grid"
        assert pd.read_csv(found / "images.csv")["name"].nunique() == 4
        assert len(list((found / "predictions").glob("*.png"))) == 4


def test_pictures_of_other_classes_are_refused(folds, tiny_data):
    words = ["dataset=screw", "dataset/layout=synthetic", f"data_root={tiny_data}"]
    done = flexunet(folds, "evaluate", f"run={run_folders(folds)[0]}", *words, "tracking=none")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "dataset=screw has the classes" in done.stdout and "metal_contamination" in done.stdout


def test_tiles_and_views_are_settings_of_an_evaluation(folds):
    run = run_folders(folds)[0]
    words = ["predict.tile=[32,48]", "predict.overlap=0.5", "predict.tta=flips_turns"]
    done = flexunet(folds, "evaluate", f"run={run}", *words, "tracking=none")
    report = (evaluation_in(done, folds) / "report.html").read_text()
    assert "tiles of 32 × 48 px that overlap by 50%" in report and "mean of 8 views" in report
    assert "The run ended with other figures" in done.stdout


def test_every_wrong_setting_is_named_at_once(folds):
    words = ["predict.tile=3", "predict.overlap=1", "predict.tta=flip", "score.resamples=0"]
    done = flexunet(folds, "evaluate", f"run={run_folders(folds)[0]}", *words, "tracking=none")
    assert done.returncode == 1 and "4 problems" in done.stdout
    assert "Try predict.tta=flips" in done.stdout


def test_a_network_s_file_alone_needs_the_pictures_it_is_scored_on(folds, tmp_path):
    network = tmp_path / "mine.keras"
    network.write_bytes((run_folders(folds)[0] / "best.keras").read_bytes())
    done = flexunet(tmp_path, "evaluate", f"run={network}", "tracking=none")
    assert done.returncode == 1 and "dataset=NAME dataset.image_size=SIZE" in done.stdout


def test_other_scoring_of_the_same_training_trains_nothing(folds, twin):
    folder, printed = twin
    assert "has trained the same" in printed and "epoch 1/1" not in printed
    donor = run_folders(folds)[0]
    found = {run.data.tags.get("run_folder"): run.data.metrics for run in all_runs(folds)}
    best, auroc = "epoch/val/best_dice", "val/pixel_auroc"
    assert found[str(folder)][best] == found[str(donor)][best]
    assert found[str(folder)][auroc] != found[str(donor)][auroc]
    assert same_weights(folder, donor)


@pytest.mark.heavy
def test_a_sweep_that_skips_cells_is_evaluated_with_them(folds, pooled, tiny):
    """One more cell than before: the three folds are skipped, and belong to the new parent too."""
    words = ["split=folds", "split.n=3", "split.fold=2,1,0", "trainer.epochs=1"]
    done = flexunet(folds, "train", "-m", *tiny, *words)
    assert done.stdout.count("Already done") == 3
    newest = [run for run in all_runs(folds) if "sweep" in run.data.tags][-1]
    (multirun,) = {path.parent for path in folds.glob("outputs/multirun/*/*/0")} - {
        run_folders(folds)[0].parent
    }
    for run in (newest.info.run_id, multirun):
        again = flexunet(folds, "evaluate", f"run={run}", "tracking.log_model=true")
        images = pd.read_csv(evaluation_in(again, folds) / "test" / "images.csv")
        first = pd.read_csv(pooled / "test" / "images.csv")
        assert sorted(images["sha256"]) == sorted(first["sha256"])


def test_the_runs_of_a_copied_multirun_are_those_of_the_copy(folds, tmp_path):
    multirun = run_folders(folds)[0].parent
    copied = shutil.copytree(multirun, tmp_path / "a copy")
    assert {run.folder.parent for run in load_below(copied)} == {copied}


def test_a_lacking_fold_is_said(folds):
    two = ",".join(map(str, run_folders(folds)[:2]))
    done = flexunet(folds, "evaluate", f"run={two}", "tracking=none")
    report = (evaluation_in(done, folds) / "report.html").read_text()
    for text in (done.stdout, report):
        assert "without fold 2 of 3: some pictures are not scored" in text


def copy_of(run: Path, to: Path) -> Path:
    shutil.copytree(run, to)
    return to


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("config.yaml", lambda text: text.replace("tta: none", "tta: bogus"), "predict.tta=bogus"),
        ("config.yaml", lambda text: text.replace("tile: auto", "tile: 0"), "predict.tile=0 is"),
        ("config.yaml", lambda text: "a: 1\n", "dataset.image_size is missing"),
        ("config.yaml", lambda text: "- 1\n", "is not the configuration of a run"),
        ("config.yaml", lambda text: "{", "is not the configuration of a run"),
        ("config.yaml", lambda text: text.replace("name: bent", "name: bend"), "label bent, which"),
        ("samples.csv", lambda text: "", "is not a sample table"),
        ("samples.csv", lambda text: "a,b\n1,2\n", "it lacks height, image"),
        ("result.json", lambda text: text.replace("finished", "killed"), "was cut off"),
    ],
)
def test_a_damaged_run_is_one_sentence(folds, tmp_path, file, change, sentence):
    run = copy_of(run_folders(folds)[0], tmp_path / "run")
    text = (run / file).read_text()
    (run / file).write_text(change(text))
    assert change(text) != text
    with pytest.raises(InputError, match=re.escape(sentence)):
        (found,) = load_below(run)
        dataset = datasets.from_table(found.cfg, pooling.table_of(found))
        datasets.check_unchanged(dataset)


def test_a_stranger_s_run_cannot_build_what_it_likes_to_change_precision(folds, tmp_path):
    run = copy_of(run_folders(folds)[0], tmp_path / "run")
    cfg = OmegaConf.load(run / "config.yaml")
    cfg.predict.precision = "mixed_bfloat16"
    target = {"uri": f"sqlite:///{tmp_path}/here/was.db", "experiment_name": "stranger"}
    cfg.model = {"_target_": "flexunet_exp.tracking.store.Store", **target}
    OmegaConf.save(cfg, run / "config.yaml")
    done = flexunet(tmp_path, "evaluate", f"run={run}", "tracking=none")
    assert done.returncode == 1 and "cannot be used as model" in done.stdout
    assert not (tmp_path / "here").exists()


def test_a_network_is_scored_as_the_classes_it_has_only(folds, tmp_path, tiny_data):
    network = tmp_path / "mine.keras"
    network.write_bytes((run_folders(folds)[0] / "best.keras").read_bytes())
    words = ["dataset=zipper", "dataset/layout=synthetic", f"data_root={tiny_data}",
             "dataset.layout.images_per_class=1", "dataset.layout.size=64"]  # fmt: skip
    command = ["evaluate", f"run={network}", *words, "tracking=none"]
    done = flexunet(tmp_path, *command, "dataset.image_size=64")
    assert done.returncode == 1 and "tells apart 6 classes, but zipper has 8" in done.stdout
    odd = flexunet(tmp_path, *command, "dataset.image_size=63")
    assert odd.returncode == 1 and "takes no pictures of 63 × 63 px" in odd.stdout


def test_a_network_s_file_is_scored_on_pictures_named_beside_it(folds, tmp_path, tiny):
    network = tmp_path / "mine.keras"
    network.write_bytes((run_folders(folds)[0] / "best.keras").read_bytes())
    words = [word for word in tiny if word.startswith(("dataset", "data_root"))]
    done = flexunet(tmp_path, "evaluate", f"run={network}", *words, "tracking=none")
    found = confusions.load_counts(evaluation_in(done, tmp_path) / "grid" / "confusions.npz")
    assert len(found.names) == 22


def test_pictures_of_one_name_in_two_data_sets_are_not_pooled(folds, tmp_path):
    first = run_folders(folds)[0]
    other = copy_of(first, tmp_path / "other")
    table = pd.read_csv(other / "samples.csv")
    table["sha256"] = [f"{index:064x}" for index in range(len(table))]
    table.to_csv(other / "samples.csv", index=False)
    with pytest.raises(InputError, match="names belong to several different test pictures"):
        pooling.groups([load(first), load(other)], ensemble=False)


def test_an_ensemble_is_validated_only_on_pictures_none_of_it_was_trained_on(folds, tmp_path):
    first = run_folders(folds)[0]
    other = copy_of(first, tmp_path / "other")
    table = pd.read_csv(other / "samples.csv")
    table["split"] = table["split"].replace({"train": "valid", "valid": "train"})
    table.to_csv(other / "samples.csv", index=False)
    pair = [load(first), load(other)]
    assert not pooling.has_valid(pooling.groups(pair, ensemble=True))
    assert pooling.has_valid([[pair[0], pair[0]]])
