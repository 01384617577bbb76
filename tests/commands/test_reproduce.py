"""A finished run trained again: what differs is said before, and whether it is equal after."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from flexunet_exp.commands.reproduce import again, code_check, data_check, package_check, verdict
from flexunet_exp.commands.reproduce.checks import DIFFERENT, SAME, UNKNOWN
from flexunet_exp.commands.reproduce.recorded import Recorded
from flexunet_exp.config import compose
from flexunet_exp.errors import InputError
from flexunet_exp.runs.folder import load
from flexunet_exp.scores import confusions
from flexunet_exp.tracking import provenance
from tests.support.running import all_runs, flexunet, same_weights, store

DATA = Path("mvtec_anomaly_detection/grid")


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_dataset) -> Path:
    """A folder with a repeatable tiny run of pictures that are files, not generated ones."""
    from flexunet_exp.data import dataset as datasets

    folder = tmp_path_factory.mktemp("reproduce")
    drawn = datasets.folder_of(tiny_dataset())
    datasets.scanned(tiny_dataset())
    shutil.copytree(drawn, folder / "data" / DATA)
    words = [
        *("dataset=grid", "dataset.image_size=64", "model.base_filters=2", "model.base_kernel=3"),
        *("model.num_layers=3", "trainer.epochs=2", "trainer.deterministic=true"),
        *("tracking.log_model=false", f"data_root={folder}/data"),
    ]
    done = flexunet(folder, "train", *words)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def run(home) -> Path:
    (folder,) = home.glob("outputs/*/*_grid_flexunet")
    return folder


@pytest.fixture(scope="module")
def repeated(home, run):
    """The run trained again, and what was printed."""
    return flexunet(home, "reproduce", f"run={run}")


@pytest.fixture
def copy(run, tmp_path) -> Path:
    """A copy of the run folder, to be edited."""
    return shutil.copytree(run, tmp_path / "copy")


def edit(folder: Path, **changes) -> None:
    path = folder / provenance.FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def recorded_of(folder: Path) -> Recorded:
    return Recorded(load(folder), provenance.read(folder), {}, {}, None)


def own_config(**changes):
    settings = {"data": "strict", "data_root": None, "cache_dir": "cache"}
    tracking = {"uri": None, "experiment_name": "flexunet", "log_model": False}
    return OmegaConf.create({**settings, "tracking": tracking, **changes})


def test_a_deterministic_run_is_equal_bit_for_bit(home, run, repeated):
    assert repeated.returncode == 0, repeated.stdout
    assert "equal bit for bit" in repeated.stdout
    (new,) = home.glob("outputs/*/*_reproduce/run")
    assert same_weights(run, new)
    report = json.loads((new / "reproduction.json").read_text())
    assert report["verdict"] == "equal bit for bit"
    assert {check["topic"]: check["state"] for check in report["checks"]} == dict.fromkeys(
        ("code", "packages", "first weights", "data", "signature"), SAME
    )
    first = json.loads((run / "evaluation/test/scores.json").read_text())["dice"]
    assert report["figures"]["test/dice"] == {"run": first, "again": first, "difference": 0.0}


def test_the_store_knows_the_new_run_as_a_reproduction_in_the_same_cell(home, repeated):
    first, new = all_runs(home)[:2]
    assert new.data.tags["reproduces"] == first.info.run_id
    assert new.data.tags["reproduction"] == "equal bit for bit"
    assert new.data.tags["signature"] == first.data.tags["signature"]
    assert new.data.tags["overrides"] == first.data.tags["overrides"] != ""
    assert new.data.params == first.data.params and first.data.params["model"] == "flexunet"
    assert new.data.metrics["reproduction/equal_weights"] == 1
    files = {file.path for file in store(home).client.list_artifacts(new.info.run_id)}
    assert {"reproduction.json", "provenance.json"} <= files


def test_a_lost_a_changed_and_an_added_picture_are_named_before_any_training(home, run, tmp_path):
    shutil.copytree(home / "data", tmp_path / "data")
    folder = tmp_path / "data" / DATA
    (folder / "test/bent/000.png").unlink()
    done = flexunet(home, "reproduce", f"run={run}", f"data_root={tmp_path}/data")
    assert done.returncode == 1
    assert f"1 picture is missing in {folder}: test/bent/000.png." in done.stdout
    assert "Traceback" not in done.stdout and "epoch 1/2" not in done.stdout
    shutil.copy(folder / "test/bent/001.png", folder / "test/bent/000.png")
    shutil.copy(
        folder / "ground_truth/glue/001_mask.png", folder / "ground_truth/glue/000_mask.png"
    )
    shutil.copy(folder / "test/good/000.png", folder / "test/good/new.png")
    kept = recorded_of(run)
    wanted = again.configuration(kept, own_config(data_root=f"{tmp_path}/data"))
    with pytest.raises(InputError) as refused:
        data_check.check(kept, wanted, own_config())
    assert ["test/bent/000.png" in refused.value.problems[0], "000_mask" in str(refused.value)] == [
        True,
        True,
    ]
    found, _ = data_check.check(kept, wanted, own_config(data="warn"))
    assert found.state == DIFFERENT and not found.refusal
    assert any("test/good/new.png" in sentence for sentence in found.sentences)


@pytest.mark.heavy
def test_other_data_are_trained_on_only_when_asked_for_and_the_result_is_called_different(
    home, run, tmp_path
):
    shutil.copytree(home / "data", tmp_path / "data")
    table = pd.read_csv(run / "samples.csv")
    tested = table[(table["split"] == "test") & (table["label"] == "bent")].iloc[0]
    for path in (tested["image"], tested["mask"]):
        (tmp_path / Path(path).relative_to(home)).unlink()
    words = [f"data_root={tmp_path}/data", "data=warn", "tracking=none"]
    done = flexunet(home, "reproduce", f"run={run}", *words)
    assert done.returncode == 1
    assert "epoch 2/2" in done.stdout and "Reproduction   different" in done.stdout
    assert "scored on different pictures" in done.stdout


def test_data_that_are_not_on_this_machine_are_asked_for(home, run, copy):
    edit(copy, data={"digest": "0" * 16, "folder": "/nowhere/grid", "masks": {}})
    done = flexunet(home, "reproduce", f"run={copy}")
    assert done.returncode == 1
    assert "/nowhere/grid is not a folder on this machine" in done.stdout
    assert "data_root=FOLDER" in done.stdout


def test_strict_refuses_other_code_and_names_its_modules_with_all_other_differences(home, copy):
    kept = provenance.read(copy)
    code = {**kept["code"], "weights": kept["code"]["weights"] | {"training.fit": "0" * 16}}
    edit(copy, code=code, commit="0123456789", packages=kept["packages"] | {"keras": "3.14.0"})
    done = flexunet(home, "reproduce", f"run={copy}", "code=strict")
    assert done.returncode == 1 and "epoch 1/2" not in done.stdout
    assert "differs in 1 of" in done.stdout and "modules: training.fit." in done.stdout
    assert "The history here has no such commit" in done.stdout
    assert "keras 3.14.0, here 3." in done.stdout
    assert "Check out 0123456789" in done.stdout


def test_files_changed_since_a_commit_are_grouped_by_folder(tmp_path):
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    (tmp_path / "flexunet_exp" / "models").mkdir(parents=True)
    for name in ("models/unet.py", "models/blocks.py", "cli.py"):
        (tmp_path / "flexunet_exp" / name).write_text("1")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert code_check.changed_files(tmp_path, commit) == []
    for name in ("models/unet.py", "models/blocks.py"):
        (tmp_path / "flexunet_exp" / name).write_text("2")
    (tmp_path / "README.md").write_text("not of the program")
    git("add", "-A")
    git("commit", "-qm", "second")
    files = code_check.changed_files(tmp_path, commit)
    assert code_check.by_folder(files) == ["flexunet_exp/models: blocks.py, unet.py"]
    many = [f"flexunet_exp/data/{n}/{m}.py" for n in "ab" for m in range(30)]
    assert code_check.by_folder([*many, "conf/train.yaml"]) == ["conf 1", "flexunet_exp/data 60"]
    assert code_check.changed_files(tmp_path, "f" * 40) is None


def test_a_run_of_an_earlier_release_says_which_checks_cannot_be_made(home, run, copy):
    (copy / provenance.FILE).unlink()
    kept = recorded_of(copy)
    wanted = again.configuration(kept, own_config())
    assert code_check.check(kept, wanted, "warn").state == UNKNOWN
    assert code_check.check(kept, wanted, "strict").refusal
    assert package_check.check(kept).state == UNKNOWN
    found, _ = data_check.check(kept, wanted, own_config())
    assert found.state == SAME  # the card has the digest
    tags = next(one.data.tags for one in all_runs(home) if "reproduces" not in one.data.tags)
    stored = Recorded(load(copy), {}, tags, {}, None)
    assert code_check.check(stored, wanted, "strict").state == SAME  # the signature shows it
    stored = Recorded(load(copy), {}, tags | {"signature": "0" * 16}, {}, None)
    assert code_check.check(stored, wanted, "warn").state == UNKNOWN


def test_other_first_weights_are_refused(run, copy, tmp_path):
    kept = provenance.read(copy)
    other = {"init_from": str(run / "best.keras"), "init_from_digest": "0" * 16}
    edit(copy, first_weights=other)
    cfg = OmegaConf.load(copy / "config.yaml")
    cfg.init_from = "latest"
    OmegaConf.save(cfg, copy / "config.yaml")
    recorded = recorded_of(copy)
    wanted = again.configuration(recorded, own_config())
    assert wanted.init_from == str(run / "best.keras")  # not what is latest by now
    found, start = package_check.first_weights(recorded, wanted, "strict", tmp_path)
    assert found.state == DIFFERENT and start.digest in found.refusal
    edit(copy, first_weights=other | {"init_from_digest": start.digest})
    found, _ = package_check.first_weights(recorded_of(copy), wanted, "strict", tmp_path)
    assert found.state == SAME and kept["first_weights"] == {}


# Options that came later than some runs, as a run of 2026-11-28 lacks them.
LATER = (
    *("augmentation.views", "dataset.bit_depth", "dataset.cache_limit", "dataset.channels"),
    *("dataset.feature_type", "dataset.patch.features", "init_from", "loss.pool_batches"),
    *("predict.calibrated", "split.calibration", "tracking.reproduces", "trainer.keep_state"),
    *("trainer.deep_supervision", "trainer.valid_batch_size", "dataset.layout.inverted"),
)


@pytest.mark.heavy
def test_a_run_that_is_older_than_some_options_is_trained_again(home, copy):
    cfg = OmegaConf.load(copy / "config.yaml")
    for key in LATER:
        section, _, name = key.rpartition(".")
        (OmegaConf.select(cfg, section) if section else cfg).pop(name)
    OmegaConf.save(cfg, copy / "config.yaml")
    (copy / provenance.FILE).unlink()
    done = flexunet(home, "reproduce", f"run={copy}")
    assert done.returncode == 0, done.stdout
    assert "equal bit for bit" in done.stdout


def test_the_script_has_the_versions_and_the_very_words_of_the_run(home, run, repeated, tmp_path):
    path = tmp_path / "again.sh"
    done = flexunet(home, "reproduce", f"run={run}", f"script={path}")
    assert done.returncode == 0, done.stdout
    text = path.read_text()
    subprocess.run(["bash", "-n", path], check=True)
    usage = subprocess.run(["bash", path], capture_output=True, text=True)
    assert usage.returncode == 2 and usage.stderr.startswith("usage: bash again.sh")
    kept = provenance.read(run)
    assert f"git checkout {kept['commit']}\n" in text
    assert f"tensorflow=={kept['packages']['tensorflow']}" in text
    assert kept["data"]["digest"] in text
    check, train = (
        shlex.split(line.replace("$data", f"{home}/data")) for line in text.splitlines()[-2:]
    )
    assert check[:2] == [".venv/bin/flexunet", "check"]
    checked = flexunet(home, *check[1:])  # the size fits the run's network, not the default one
    assert checked.returncode == 0, checked.stdout
    assert train[:2] == [".venv/bin/flexunet", "train"]
    same = flexunet(home, *train[1:])
    assert "Already done" in same.stdout, same.stdout
    again_ = flexunet(home, "reproduce", f"run={run}", f"script={path}")
    assert again_.returncode == 1 and "exists already" in again_.stdout
    assert path.read_text() == text


def test_a_script_quotes_what_a_shell_would_run(copy, tmp_path):
    from flexunet_exp.commands.reproduce import script

    edit(copy, words=["dataset=grid", "+dataset.x=$(touch evil)"], commit="$(touch evil)")
    edit(
        copy, version="1\ntouch evil", packages={"python": "3.11; touch evil", "a": "`touch evil`"}
    )
    script.write(recorded_of(copy), tmp_path / "run.sh")
    lines = (tmp_path / "run.sh").read_text().splitlines()
    assert not [line for line in lines if line.startswith("touch")]
    assert "git checkout" not in "\n".join(lines)
    for line in lines:
        if "evil" in line and not line.startswith("#"):
            assert any("touch evil" in word for word in shlex.split(line)), line


def test_a_script_of_a_cell_has_no_words_of_its_sweep(copy):
    from flexunet_exp.commands.reproduce import script

    sweep = ["launcher=joblib", "launcher.parallel=2", "sweep=seeds", "tracking=none"]
    edit(copy, words=["dataset=grid", *sweep, "loss=dice"])
    words = [str(word) for word in script.trained(recorded_of(copy))]
    assert [word for word in words if "threads" not in word] == ["dataset=grid", "loss=dice"]


def test_a_parent_lists_its_cells_and_a_network_file_names_what_is_missing(run, home, tmp_path):
    for number in range(2):
        cell = shutil.copytree(run, tmp_path / "parent" / str(number))
        (cell / "result.json").write_text(
            json.dumps({"status": "finished", "folder": str(cell), "number": number})
        )
    done = flexunet(home, "reproduce", f"run={tmp_path}/parent")
    assert done.returncode == 1
    assert "names 2 runs" in done.stdout and f"{tmp_path}/parent/0" in done.stdout
    (tmp_path / "alone").mkdir()
    shutil.copy(run / "config.yaml", tmp_path / "alone")
    done = flexunet(home, "reproduce", f"run={tmp_path}/alone")
    assert done.returncode == 1 and "it lacks samples.csv, best.keras" in done.stdout


def test_damaged_provenance_is_refused_with_its_path(copy):
    for wrong in ({"code": 5}, {"packages": []}, {"words": [1]}, {"threads": "two"}, {"data": ""}):
        edit(copy, **wrong)
        with pytest.raises(InputError, match=f"provenance.json.*{next(iter(wrong))}"):
            provenance.read(copy)
        edit(copy, **{name: provenance_of[name] for name in wrong for provenance_of in [GOOD]})
    (copy / provenance.FILE).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        provenance.read(copy)


GOOD = {"code": {}, "packages": {}, "words": [], "threads": 1, "data": {}}


def test_a_configuration_from_somebody_else_names_no_code_of_hydra(copy):
    cfg = OmegaConf.load(copy / "config.yaml")
    cfg.hydra = {"callbacks": {"evil": {"_target_": "os.system"}}}
    OmegaConf.save(cfg, copy / "config.yaml")
    wanted = again.configuration(recorded_of(copy), own_config())
    again.write_config(wanted, copy)
    assert "evil" not in (copy / "reproduction.yaml").read_text()


def test_an_unfinished_run_of_the_same_work_is_not_ended(tmp_path, monkeypatch):
    from flexunet_exp.runs import claims

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "day" / "time"
    claims.begin(folder, "abc").release()
    with pytest.raises(InputError, match="unfinished run of the same work"):
        again.refuse_unfinished("abc", tmp_path / "new")
    again.refuse_unfinished("other", tmp_path / "new")
    OmegaConf.save({"tracking": {"reproduces": "run"}}, folder / "config.yaml")
    again.refuse_unfinished("abc", tmp_path / "new")


def scored(run: Path, folder: Path, hits: list[int], network: bytes | None = None) -> Path:
    """A folder like a run's, whose network found so many of the 100 pixels of each defect."""
    test = folder / "evaluation" / "test"
    test.mkdir(parents=True)
    shutil.copy(run / "best.keras", folder)
    names = [f"bent-{number:03}" for number in range(len(hits))]
    counts = np.array([[[900, 0], [100 - hit, hit]] for hit in hits])
    confusions.save_counts(
        test / "confusions.npz", names, counts, np.zeros(len(hits)), ("background", "bent")
    )
    rows = {"name": names, "source": names, "label": "bent", "sha256": names}
    pd.DataFrame(rows).to_csv(test / "images.csv", index=False)
    dice = confusions.summary(counts, ("background", "bent"))["dice"]
    (test / "scores.json").write_text(json.dumps({"dice": dice}))
    return folder


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([0] * 20, verdict.EQUAL),
        ([1, -1] * 10, verdict.WITHIN),
        ([20, 21] * 10, verdict.DIFFERENT),
    ],
)
def test_the_verdict_follows_the_pair_test(run, tmp_path, changes, expected):
    hits = [40 + 2 * number for number in range(20)]
    first = scored(run, tmp_path / "first", hits)
    other = [hit + change for hit, change in zip(hits, changes, strict=True)]
    found = verdict.of(first, scored(run, tmp_path / "again", other))
    assert found.verdict == expected
    assert found.has_equal_weights
    if expected != verdict.EQUAL:
        by_hand = dice(other) - dice(hits)
        assert found.paired.difference == pytest.approx(by_hand)
        assert (found.paired.low <= 0 <= found.paired.high) == (expected == verdict.WITHIN)


def dice(hits: list[int]) -> float:
    return 2 * sum(hits) / (sum(hits) + 100 * len(hits))


def test_a_picture_that_is_ignored_whole_is_equal_to_itself(run, tmp_path):
    folders = [scored(run, tmp_path / str(n), [50, 60, 70]) for n in range(2)]
    for folder in folders:
        file = folder / "evaluation" / "test" / "confusions.npz"
        kept = confusions.load_counts(file)
        dice = np.array([np.nan, 0.5, 0.5])
        confusions.save_counts(file, list(kept.names), kept.counts, dice, ("background", "bent"))
    assert verdict.of(*folders).verdict == verdict.EQUAL


def test_too_few_pictures_are_no_proof_of_chance(run, tmp_path):
    first, second = [scored(run, tmp_path / str(n), [50, 60 + n, 70]) for n in range(2)]
    found = verdict.of(first, second)
    assert found.verdict == verdict.DIFFERENT and "fewer than 10" in found.because


def test_code_is_compared_module_by_module(tmp_path):
    from flexunet_exp.config import weights_code

    package = tmp_path / "flexunet_exp"
    shutil.copytree(compose.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "conf"))
    before = weights_code.digests(package, ["flexunet_exp.models.unet.unet"])
    path = package / "losses" / "base.py"
    path.write_text(re.sub(r"\breturn ", "return 2 * ", path.read_text(), count=1))
    path = package / "training" / "fit.py"
    path.write_text(path.read_text().replace("shuffle=False", "shuffle=True", 1))
    weights_code.module.cache_clear()
    after = weights_code.digests(package, ["flexunet_exp.models.unet.unet"])
    assert [name for name in after if after[name] != before[name]] == ["training.fit"]
