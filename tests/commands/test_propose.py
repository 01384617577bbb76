"""flexunet propose: a table, a page and annotations of the pictures to label next."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flexunet_exp.commands.propose import command, judging, known, proposal, settings
from flexunet_exp.data import dataset, find_pictures, fingerprints, synthetic
from flexunet_exp.errors import InputError
from flexunet_exp.labels import appearance
from tests.support import exports, standin
from tests.support.running import flexunet


@pytest.fixture(scope="module")
def photos(tmp_path_factory, folds) -> Path:
    """12 new pictures, one of them twice, two that the runs were made with, and a broken one."""
    folder = tmp_path_factory.mktemp("photos")
    made = tmp_path_factory.mktemp("made") / "grid"
    synthetic.generate(made, "grid", images_per_class=2, good=2, size=64, seed=7)
    (folder / "below").mkdir()
    for number, file in enumerate(sorted(made.glob("t*/*/*.png"))):
        place = folder / "below" if number % 2 else folder
        shutil.copyfile(file, place / f"{number:02d}.png")
    shutil.copyfile(folder / "00.png", folder / "twin.png")
    table = dataset.read_table(next(folds.glob("outputs/multirun/*/*/0/samples.csv")))
    for number, file in enumerate(table["image"][:2]):
        shutil.copyfile(file, folder / f"labelled{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def parent(folds) -> Path:
    return next(folds.glob("outputs/multirun/*/*/*/best.keras")).parents[1]


@pytest.fixture(scope="module")
def proposed(folds, parent, photos) -> tuple[Path, str]:
    """The folder of a proposal of 20, and what was printed."""
    before = content(photos)
    words = (f"run={parent}", f"input={photos}", "n=20", "output=next", "format=coco")
    done = flexunet(folds, "propose", *words)
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    assert content(photos) == before
    return folds / "next", done.stdout


def content(folder: Path) -> dict[Path, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def seen_of(*files: Path) -> known.Known:
    """Labelled pictures that were trained on."""
    all_seen = [known.seen_or_none(str(file), 16, standin.RGB) for file in files]
    looks = np.array([one.look for one in all_seen])
    return known.Known([str(file) for file in files], looks, np.array([s[1] for s in all_seen]))


NOTHING = known.Known(
    [],
    np.zeros((0, appearance.SIDE, appearance.SIDE, 2), np.float32),
    np.zeros((0, 88, 88), np.float32),
)


def judged(folder: Path, among: known.Known = NOTHING) -> judging.Report:
    """The pictures of a folder, judged by the network whose predictions are known."""
    found = find_pictures.find([str(folder)], folder.with_name("nowhere"))
    return judging.judge(standin.trained(), find_pictures.named(found, {}), among)


def noisy(path: Path, seed: int, *boxes) -> Path:
    """A dark picture with its own grain and boxes, by which it is no copy of another one."""
    drawn = standin.draw(path, *boxes, side=96)
    with standin.Image.open(drawn) as picture:
        pixels = np.array(picture).astype(int)
    grain = np.random.default_rng(seed).integers(0, 12, pixels.shape)
    standin.Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(drawn)
    return drawn


def test_all_new_pictures_are_proposed_once(proposed, photos):
    folder, printed = proposed
    table = pd.read_csv(folder / "proposal.csv").set_index("file")
    ranked = table[table["rank"].notna()]
    assert sorted(ranked["rank"]) == list(range(1, 13))
    assert "n=20, but only 12 pictures can be proposed" in printed
    reasons = table.loc[table["rank"].isna(), "reason"]
    assert set(reasons.index) & {"labelled0.png", "labelled1.png", "broken.png"} == {
        *("labelled0.png", "labelled1.png", "broken.png")
    }
    assert "which is labelled" in reasons["labelled0.png"]
    assert len({"00.png", "twin.png"} & set(ranked.index)) == 1
    assert f"{photos}/broken.png: no readable image" in printed
    assert ranked[["uncertainty", "disagreement", "distance"]].notna().all(axis=None)


def test_the_annotations_are_those_that_infer_predicts(proposed, folds, parent, photos):
    folder, _ = proposed
    export = exports.read("coco", folder / "coco")
    found = exports.masks(export)
    table = pd.read_csv(folder / "proposal.csv").dropna(subset="rank")
    assert {Path(one.name).stem for one in export.pictures} == set(table["name"].astype(str))
    done = flexunet(folds, "infer", f"run={parent}", f"input={photos}", "output=inferred")
    assert done.returncode == 1, done.stdout  # the broken picture
    for one in export.pictures:
        original = next(path for path in photos.rglob("*.png") if same(path, one.file))
        name = original.relative_to(photos).as_posix()
        with standin.Image.open(folds / "inferred" / "masks" / name) as mask:
            np.testing.assert_array_equal(np.array(mask), found[one.name])


def same(first: Path, second: Path) -> bool:
    return first.read_bytes() == second.read_bytes()


def test_the_page_shows_every_proposed_picture_with_its_reason(proposed):
    folder, _ = proposed
    page = (folder / "proposal.html").read_text()
    table = pd.read_csv(folder / "proposal.csv").dropna(subset="rank")
    assert page.count("data:image/jpeg") == len(table)
    assert not re.search(r'(src|href)="(?!data:)', page)
    for reason in table["reason"]:
        assert reason in page


def test_a_single_network_has_no_disagreement_and_the_default_output_is_new(folds, parent, photos):
    words = (f"run={parent / '0'}", f"input={photos / 'below'}", "n=2")
    done = flexunet(folds, "propose", *words)
    assert done.returncode == 0, done.stdout
    (folder,) = folds.glob("outputs/*/*_propose")
    table = pd.read_csv(folder / "proposal.csv")
    assert table["rank"].notna().sum() == 2 and table["disagreement"].isna().all()
    assert len(list((folder / "labelme").glob("*.json"))) == 2


def test_wrong_words_are_sentences(folds, parent, photos):
    done = flexunet(folds, "propose", f"run={parent}", f"input={photos}", "n=0", "format=paper")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "n=0" in done.stdout and "format" in done.stdout
    empty = folds / "empty"
    empty.mkdir()
    none = flexunet(folds, "propose", f"run={parent}", f"input={empty}", "output=x")
    assert none.returncode == 1 and "no picture found" in none.stdout


def test_a_reason_compares_a_picture_with_the_others(tmp_path):
    for number in range(4):
        noisy(tmp_path / f"in/{number}.png", number, ("scratch", 8, 8, 10 + number, 20))
    found = proposal.propose(judged(tmp_path / "in"), NOTHING, 4)
    said = " ".join(one.reason for one in found.pictures)
    assert "of the others" in said and "100% of the pictures" not in said


def test_pictures_that_are_all_labelled_leave_nothing(folds, parent, tmp_path):
    table = dataset.read_table(parent / "0" / "samples.csv")
    for number, file in enumerate(table["image"][:3]):
        shutil.copyfile(file, tmp_path / f"{number}.png")
    done = flexunet(folds, "propose", f"run={parent}", f"input={tmp_path}", "output=none")
    assert done.returncode == 1
    assert "3 of 3 pictures are near copies of labelled ones" in done.stdout
    assert not (folds / "none").exists()


def test_an_output_with_files_or_among_the_pictures_is_refused(tmp_path):
    standin.draw(tmp_path / "in/a.png")
    found = find_pictures.find([str(tmp_path / "in")], tmp_path / "out")
    settings.check_outside(found, tmp_path / "out")
    for output in (tmp_path / "in", tmp_path / "in/next/one"):
        with pytest.raises(InputError, match="where the input is"):
            settings.check_outside(found, output)


def test_broken_pictures_are_refused_and_the_others_judged(tmp_path):
    noisy(tmp_path / "in/a.png", 1, ("scratch", 8, 8, 20, 20))
    (tmp_path / "in/b.png").write_bytes(b"")
    report = judged(tmp_path / "in")
    assert [one.picture.file for one in report.judged] == ["a.png"]
    assert "the file is empty" in report.refused[0].reason


def test_a_labelled_picture_in_another_view_is_not_predicted(tmp_path):
    labelled = noisy(tmp_path / "known/a.png", 1, ("dent", 8, 8, 20, 30))
    (tmp_path / "in").mkdir()
    with standin.Image.open(labelled) as picture:
        standin.Image.fromarray(np.rot90(np.array(picture))).save(tmp_path / "in/turned.png")
    noisy(tmp_path / "in/new.png", 2)
    report = judged(tmp_path / "in", seen_of(labelled))
    assert [one.picture.file for one in report.judged] == ["new.png"]
    assert [one.original for one in report.copied] == [str(labelled)]


def test_without_labelled_pictures_the_first_has_no_distance(tmp_path):
    for number in range(4):
        noisy(tmp_path / f"in/{number}.png", number, ("scratch", 8, 8, 10 + number, 20))
    found = proposal.propose(judged(tmp_path / "in"), NOTHING, 3)
    distances = [one.choice.distance for one in found.pictures]
    assert np.isnan(distances[0]) and np.isfinite(distances[1:]).all()


def test_labelled_pictures_that_are_gone_are_named(run_folder, tmp_path, caplog):
    from flexunet_exp.runs import folder

    caplog.set_level("WARNING")
    run = folder.load(run_folder)
    table = dataset.read_table(run.samples)
    all_there = known.of_runs([run], 16, standin.RGB)
    assert len(all_there.files) == len(table) and not caplog.text
    assert len(all_there.looks) == (table["split"] == "train").sum()
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    table["image"] = [str(tmp_path / Path(file).name) for file in table["image"]]
    table.to_csv(copy / "samples.csv", index=False)
    gone = known.of_runs([folder.load(copy)], 16, standin.RGB)
    assert not gone.files and "compared among themselves alone" in caplog.text


def test_every_picture_of_a_part_is_known_and_no_augmented_copy_of_one(run_folder, tmp_path):
    from flexunet_exp.runs import folder

    copy = shutil.copytree(run_folder, tmp_path / "run")
    table = dataset.read_table(copy / "samples.csv")[:6]
    table["source"] = ["part"] * 4 + ["other", "other"]
    table["variant"] = ["original", "copy2", "copy3", "rot90", "rot90", "rot90_copy2"]
    table.to_csv(copy / "samples.csv", index=False)
    found = known.of_runs([folder.load(copy)], 16, standin.RGB)
    # Of `other` there are copies alone.
    assert set(found.files) == set(table["image"].drop(table.index[3]))


def test_the_pictures_lie_beside_their_annotations(tmp_path):
    for number in range(2):
        noisy(tmp_path / f"in/{number}/a.png", number, ("dent", 8, 8, 30, 30))
    found = proposal.propose(judged(tmp_path / "in"), NOTHING, 2)
    command.write(tmp_path / "out", found, standin.trained(), "labelme", {"run": "a1"})
    page = (tmp_path / "out/proposal.html").read_text()
    assert "<dd>a1</dd>" in page and "the network is least sure of" in page
    assert 'class="legend"' in page and "in the order in which they were chosen" in page
    for file in sorted((tmp_path / "out/labelme").glob("*.json")):
        said = json.loads(file.read_text())
        assert (file.parent / said["imagePath"]).is_file()
        assert [shape["label"] for shape in said["shapes"]]


def test_fingerprints_of_an_array_are_compared_as_those_of_a_list(tmp_path):
    prints = [np.random.default_rng(n).normal(size=(8, 8)) for n in range(3)]
    prints = [one / np.linalg.norm(one) for one in prints]
    assert list(fingerprints.alike(prints[:1], np.array(prints))) == list(
        fingerprints.alike(prints[:1], prints)
    )
