"""flexunet prepare: what it writes reads back, never depends on how, and leaks nothing."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import random
import shutil
import signal
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from flexunet_exp.commands.check import survey_data
from flexunet_exp.commands.prepare import command as prepare
from flexunet_exp.commands.prepare import variants as making
from flexunet_exp.config.compose import plain
from flexunet_exp.data import synthetic
from flexunet_exp.data.layouts import ImageMask
from flexunet_exp.data.scan_record import accepted
from flexunet_exp.errors import InputError
from flexunet_exp.reporting import plots
from flexunet_exp.system import locks
from tests.support import running

WORDS = (
    "dataset=zipper",
    "dataset/layout=synthetic",
    "dataset.layout.images_per_class=3",
    "dataset.layout.good_images=6",
    "dataset.layout.size=64",
    "dataset.image_size=64",
    "dataset.good=all",
)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def prepared(compose, data_root, tmp_path):
    """Prepares generated zippers into a folder of tmp_path; returns it."""

    def run(name: str, *overrides: str) -> Path:
        words = [*WORDS, f"data_root={data_root}", f"output='{tmp_path / name}'", *overrides]
        prepare.task(compose("prepare", *words))
        return tmp_path / name

    return run


@pytest.fixture(scope="module")
def raw(data_root) -> Path:
    """The folder that WORDS make the layout draw."""
    folder = data_root / "synthetic/zipper_3x64_good6_seed0"
    return synthetic.generate(folder, "zipper", images_per_class=3, good=6, size=64, seed=0)


@pytest.fixture
def own(raw, tmp_path) -> Path:
    """A copy of the raw folder to be changed."""
    return shutil.copytree(raw, tmp_path / "raw")


def manifest(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, str]:
    """File → hash of everything in a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".preparing")]


def problem(action, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        action(*arguments)
    return str(caught.value)


def scan(compose, folder: Path) -> pd.DataFrame:
    classes = plain(compose("train", "dataset=zipper").dataset.classes)
    return accepted(ImageMask(classes).scan(folder)).table


def test_the_image_mask_layout_reads_it_as_the_manifest_says(compose, prepared):
    out = prepared("out", "variants=5", "augmentation=strong")
    read = scan(compose, out)
    read["image"] = [Path(path).relative_to(out).as_posix() for path in read["image"]]
    read["mask"] = [Path(path).relative_to(out).as_posix() for path in read["mask"]]
    columns = ["image", "mask", "label", "source", "variant", "split", "sha256"]
    said = pd.DataFrame(manifest(out))[columns].sort_values("image", ignore_index=True)
    assert read[columns].sort_values("image", ignore_index=True).equals(said)
    files = {path for path in contents(out) if "/" in path}
    assert files == {*said["image"], *said["mask"]}


def test_pixels_are_the_raw_ones_and_those_the_parameters_tell(compose, prepared, raw):
    out = prepared("out", "variants=4", "augmentation=flips")
    names = [entry["name"] for entry in compose("train", "dataset=zipper").dataset.classes]
    axes = {"HorizontalFlip": 1, "VerticalFlip": 0}
    rows, turned = manifest(out), 0
    for row in rows:
        image = np.array(Image.open(raw / row["original"]).convert("RGB"))
        label = Path(row["original"]).parent.name
        truth = np.zeros(image.shape[:2], np.uint8)
        if label != "good":
            stem = Path(row["original"]).stem
            marked = np.array(Image.open(raw / f"ground_truth/{label}/{stem}_mask.png"))
            truth[marked == 255] = names.index(label)
        for name, _ in json.loads(row["parameters"]):
            image, truth = np.flip(image, axes[name]), np.flip(truth, axes[name])
            turned += 1
        mask = Image.open(out / row["mask"])
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.array(mask), truth)
        np.testing.assert_array_equal(np.array(Image.open(out / row["image"])), image)
        assert int(row["defect_pixels"]) == np.count_nonzero(truth)
    # Four pictures are all that flips can make: as it is, two with one flip, one with both.
    assert turned == sum(row["split"] == "train" for row in rows) > 40


def test_colours_are_exactly_those_of_the_classes(compose, prepared):
    out = prepared("out", "variants=4", "augmentation=strong", "dataset.image_size=[40,56]")
    classes = compose("train", "dataset=zipper").dataset.classes
    palette = {tuple(entry["color"]) for entry in classes}
    shown = set()
    for row in manifest(out):
        mask = Image.open(out / row["mask"])
        assert mask.size == (56, 40)
        shown |= {colour for _, colour in mask.convert("RGB").getcolors()}
    assert shown == palette


def test_the_chart_counts_what_the_manifest_lists(compose, prepared, monkeypatch):
    drawn = {}
    monkeypatch.setattr(plots, "stacked_counts", lambda parts, *_, **__: drawn.update(parts))
    rows = manifest(prepared("out", "variants=3"))
    for split, counts in drawn.items():
        for label, (originals, variants) in counts.iterrows():
            found = [row for row in rows if (row["split"], row["label"]) == (split, label)]
            assert originals == sum(row["variant"] == "original" for row in found)
            assert originals + variants == len(found)
    assert sum(counts.to_numpy().sum() for counts in drawn.values()) == len(rows)


def test_each_picture_may_keep_its_own_size(prepared):
    out = prepared("out", "dataset.image_size=null")
    assert {(row["width"], row["height"]) for row in manifest(out)} == {("64", "64")}


def test_sources_are_dealt_before_the_variants_are_made(prepared):
    rows = pd.DataFrame(manifest(prepared("out", "variants=6", "augmentation=standard")))
    assert (rows.groupby("source")["split"].nunique() == 1).all()
    train = rows[rows["split"] == "train"]
    assert (train["source"].value_counts() == 6).all()
    assert set(rows.loc[rows["split"] != "train", "variant"]) == {"original"}
    assert train["sha256"].is_unique


def test_defect_free_pictures_of_train_and_test_are_no_siblings(prepared, raw):
    rows = manifest(prepared("out"))
    sources = {row["original"]: row["source"] for row in rows}
    assert sources["test/good/000.png"] == "good_000"
    assert sources["train/good/000.png"] == "train_good_000"
    assert len({row["source"] for row in rows}) == len([*raw.glob("t*/*/*.png")])


def test_bytes_depend_neither_on_workers_nor_on_the_place(prepared, tmp_path, monkeypatch):
    first = prepared("first", "variants=4", "augmentation=strong", "workers=1")
    (tmp_path / "else where").mkdir()
    monkeypatch.chdir(tmp_path / "else where")
    second = prepared("else where/2nd", "variants=4", "augmentation=strong", "workers=3")
    assert contents(first) == contents(second)
    assert len(contents(first)) > 100


PASTE = ("variants=4", "augmentation=paste", "dataset.layout.images_per_class=5")


def test_pasted_defects_come_from_training_sources_and_go_to_training_pictures(prepared):
    rows = pd.DataFrame(manifest(prepared("out", *PASTE, "augment_splits=[train,valid]")))
    pasted = rows[rows["pasted_from"] != "[]"]
    lenders = {name for text in pasted["pasted_from"] for name in json.loads(text)}
    training = set(rows.loc[rows["split"] == "train", "source"])
    assert set(pasted["split"]) == {"train"} and "original" not in set(pasted["variant"])
    assert lenders <= training and len(lenders) > 5
    assert (rows.loc[rows["split"] == "valid", "variant"] != "original").any()
    originals = rows[rows["variant"] == "original"].set_index("source")["original"]
    for row in pasted.itertuples():
        told = pasted_entries(row.parameters)
        assert {entry["original"] for entry in told} == {
            originals[name] for name in json.loads(row.pasted_from)
        }
        assert all(entry["original"].split("/")[1] == entry["label"] for entry in told)


def pasted_entries(parameters: str) -> list[dict]:
    return [one for _, values in json.loads(parameters) for one in values.get("pasted", ())]


def test_the_pasted_pixels_are_those_of_the_picture_the_manifest_names(prepared):
    """Neither turned nor scaled, the mask gets the donor's area where the manifest says."""
    transform = "flexunet_exp.data.augmentation.PasteDefect"
    settings = "probability:1,number:1,degrees:0,factor:1,feather:1"
    words = f"augmentation.transforms=[{{_target_:{transform},{settings}}}]"
    out = prepared("out", "dataset.layout.images_per_class=5", "variants=3", words)
    rows = pd.DataFrame(manifest(out))
    originals = rows[rows["variant"] == "original"].set_index("original")["mask"]
    own_masks = rows[rows["variant"] == "original"].set_index("source")["mask"]
    names, good = set(), 0
    for row in rows[rows["pasted_from"] != "[]"].itertuples():
        (entry,) = pasted_entries(row.parameters)
        before, after, donor = (
            np.array(Image.open(out / path))
            for path in (own_masks[row.source], row.mask, originals[entry["original"]])
        )
        new = before != after
        assert not before[new].any() and len(set(after[new])) == 1
        areas, _ = ndimage.label(donor == after[new][0], np.ones((3, 3)))
        assert np.count_nonzero(new) in np.bincount(areas.ravel())[1:]
        names.add(entry["label"])
        good += row.source.startswith("train_good")
    assert len(names) > 4 and good > 3


def test_pasting_depends_neither_on_workers_nor_on_interruptions(prepared, monkeypatch):
    first = contents(prepared("first", *PASTE, "workers=1"))
    assert contents(prepared("second", *PASTE, "workers=3")) == first
    written, write = [], making.replace_file

    def full(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) > 60:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(making, "replace_file", full)
    problem(prepared, "third", *PASTE, "workers=2")
    monkeypatch.setattr(making, "replace_file", write)
    assert contents(prepared("third", *PASTE, "workers=2")) == first


def test_another_seed_draws_other_variants_of_the_same_sources(prepared):
    one, other = (prepared(f"s{seed}", "variants=3", f"seed={seed}") for seed in (0, 1))
    originals = {path for path in contents(one) if "/" in path and "/0" not in path}
    assert all(contents(one)[path] == contents(other)[path] for path in originals)
    assert set(contents(one)) & set(contents(other)) == {
        *originals,
        *("manifest.csv", "prepared.json", "statistics.png"),
    }


def start(folder: Path, data_root: Path, *words: str) -> running.Command:
    options = [f"data_root={data_root}", "output=out", "variants=40", "augmentation=strong"]
    return running.start_flexunet(folder, "prepare", *WORDS, *options, *words)


def journal_lines(folder: Path) -> int:
    path = folder / ".out.preparing/journal.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


@pytest.mark.heavy
def test_killed_and_continued_it_is_the_same_and_leaves_nothing(tmp_path, data_root):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert start(whole, data_root).wait() == 0
    draw, done = random.Random(3), 0
    for ended_by, status in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        process, stop_at = start(cut, data_root, "workers=2"), done + draw.randint(2, 4)
        while journal_lines(cut) < stop_at and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(ended_by)
        assert process.wait() == status
        assert journal_lines(cut) > done and not (cut / "out").exists()
        done = journal_lines(cut)
    with open(cut / ".out.preparing/journal.jsonl", "a") as journal:
        journal.write('["bent_0')  # torn
    victim = next((cut / ".out.preparing/set/train/masks").glob("*.png"))
    victim.write_bytes(victim.read_bytes()[:40])
    last = start(cut, data_root)
    printed, _ = last.communicate()
    assert last.returncode == 0, printed
    assert "of them are there already" in printed
    assert contents(cut / "out") == contents(whole / "out")
    assert leftovers(cut) == []


def test_pictures_that_no_journal_tells_of_do_not_come_along(prepared, tmp_path):
    """Killed before the first source was noted; then the settings were changed."""
    stray = tmp_path / ".out.preparing/set/train/images/01_hflip_rough_000.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"")
    assert contents(prepared("out")) == contents(prepared("other"))


def test_a_full_disk_is_a_sentence_and_no_end(prepared, tmp_path, monkeypatch):
    written, write = [], making.replace_file

    def full(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(making, "replace_file", full)
    said = problem(prepared, "out", "workers=1")
    assert "No space left on device" in said and "same command again" in said
    monkeypatch.setattr(making, "replace_file", write)
    assert contents(prepared("out")) == contents(prepared("other"))
    assert leftovers(tmp_path) == []


def test_too_little_space_is_said_before(prepared, monkeypatch, caplog):
    free = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    prepared("out")
    (said,) = [line for line in caplog.messages if "will be written" in line]
    assert "0.0 GB are free" in said


def test_the_same_command_again_changes_nothing_and_says_so(prepared, caplog):
    before = contents(prepared("out", "variants=2"))
    caplog.set_level("INFO")
    out = prepared("out", "variants=2")
    assert contents(out) == before
    assert "made already" in caplog.text


def test_a_finished_set_that_was_damaged_is_told(prepared):
    out = prepared("out")
    victim = sorted((out / "train/images").iterdir())[0]
    victim.write_bytes(b"")
    said = problem(prepared, "out")
    assert "1 file(s)" in said and victim.name in said and "rm -r" in said


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("variants=3", "variants 2; this command has variants 3"),
        ("seed=7", "seed 0; this command has seed 7"),
        ("split.seed=1", "split"),
        ("augmentation=strong", "augmentation"),
        ("dataset.sampling=balanced", 'sampling "uniform"; this command has sampling "balanced"'),
        ("dataset.bit_depth=12", 'bit_depth "auto"; this command has bit_depth 12'),
        ("dataset.layout.seed=5", "pictures, masks or split"),
    ],
)
def test_other_settings_or_data_never_replace_what_is_there(prepared, word, told):
    out = prepared("out", "variants=2")
    before = contents(out)
    said = problem(prepared, "out", "variants=2", word)
    assert told in said and "output=FOLDER" in said
    assert contents(out) == before


def test_a_calibration_part_is_left_to_training(prepared, tmp_path):
    said = problem(prepared, "out", "split.calibration=0.2")
    assert "split.calibration=0.2" in said and "split=folders" in said
    assert leftovers(tmp_path) == [] and not (tmp_path / "out").exists()


def test_a_folder_of_others_is_refused_and_untouched(prepared, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("years of work")
    assert "thesis.txt" in problem(prepared, "out")
    (tmp_path / ".new.preparing").mkdir()
    (tmp_path / ".new.preparing/thesis.txt").write_text("years of work")
    assert "thesis.txt" in problem(prepared, "new")
    (tmp_path / "file").write_text("x")
    assert "is a file" in problem(prepared, "file")
    assert len(contents(tmp_path)) == 3


def test_an_empty_folder_is_taken(prepared, tmp_path):
    (tmp_path / "out").mkdir()
    assert (prepared("out") / "manifest.csv").is_file()


def test_two_at_once_are_refused(prepared, tmp_path):
    (tmp_path / ".out.preparing").mkdir()
    with locks.temporary(tmp_path / ".out.preparing/journal.lock"):
        assert "another flexunet prepare" in problem(prepared, "out")
    prepared("out")


def test_input_and_output_in_each_other_are_refused(prepared, raw):
    for output in (raw, raw / "new", raw.parent):
        said = problem(prepared, "out", f"dataset.path={raw}", f"output={output}")
        assert "the same or one inside the other" in said


def test_too_many_variants_for_a_list_are_told_and_leave_nothing(prepared, tmp_path):
    said = problem(prepared, "out", "augmentation=flips", "variants=9")
    assert "only 4 different pictures" in said and "augmentation=standard" in said
    assert list(tmp_path.iterdir()) == []


def test_all_wrong_settings_are_told_at_once(compose):
    words = ("variants=0", "workers=none", "augment_splits=[tests]", "dataset.image_size=3")
    said = problem(prepare.task, compose("prepare", *words))
    for word in ("output is missing", *words[:2], "augment_splits=", *words[3:]):
        assert word in said
    for word in ("dataset/layout=image_mask", "split=folders", "split=memorise"):
        assert "Choose" in problem(prepare.task, compose("prepare", word, "output=x"))
    nothing = compose("prepare", "augmentation=none", "variants=4", "output=x")
    assert "without any transform" in problem(prepare.task, nothing)


def test_files_that_are_not_called_by_numbers(compose, own, tmp_path):
    for name, new in (("000", "scratch one"), ("001", "3")):
        (own / f"test/rough/{name}.png").rename(own / f"test/rough/{new}.png")
        (own / f"ground_truth/rough/{name}_mask.png").rename(
            own / f"ground_truth/rough/{new}_mask.png"
        )
    out = tmp_path / "out"
    words = ("dataset=zipper", f"input={own}", f"output={out}", "dataset.image_size=64")
    prepare.task(compose("prepare", *words, "variants=2"))
    named = {row["original"]: row["source"] for row in manifest(out)}
    assert named["test/rough/3.png"] == "rough_3"
    assert named["test/rough/scratch one.png"] == "rough_004"
    read = scan(compose, out)
    assert {*read["source"]} == {*named.values()}


def test_copies_of_a_picture_are_one_source_and_written_once(compose, own, tmp_path):
    for folder, file, copy in (
        ("test/rough", "000.png", "007.png"),
        ("ground_truth/rough", "000_mask.png", "007_mask.png"),
        ("test/good", "000.png", "008.png"),
    ):
        shutil.copy(own / folder / file, own / folder / copy)
    # The same picture with another truth stays: training would see both.
    shutil.copy(own / "test/rough/001.png", own / "test/combined/009.png")
    shutil.copy(own / "ground_truth/rough/001_mask.png", own / "ground_truth/combined/009_mask.png")
    out = tmp_path / "out"
    words = ("dataset=zipper", f"input={own}", f"output={out}", "dataset.image_size=64")
    prepare.task(compose("prepare", *words))
    rows = manifest(out)
    assert not {"test/rough/007.png", "test/good/008.png"} & {row["original"] for row in rows}
    both = [
        row for row in rows if row["original"] in ("test/rough/001.png", "test/combined/009.png")
    ]
    assert len(both) == 2 and len({(row["source"], row["split"]) for row in both}) == 1
    assert {row["label"] for row in both} == {"rough", "combined"}
    assert {*scan(compose, out)["source"]} == {row["source"] for row in rows}


def test_one_picture_in_two_files_never_lies_in_two_splits(compose, own, tmp_path):
    for number in range(10, 30):  # enough of them to be dealt into all splits
        with Image.open(own / "test/rough/000.png") as image:
            image.save(own / f"test/rough/{number:03}.png", compress_level=number % 3 + 7)
        truths = own / "ground_truth/rough"
        shutil.copy(truths / "000_mask.png", truths / f"{number:03}_mask.png")
        with open(own / f"test/rough/{number:03}.png", "ab") as file:
            file.write(bytes([number]))  # no two files are equal
    words = ("dataset=zipper", f"input={own}", f"output={tmp_path}/out", "dataset.image_size=64")
    said = problem(prepare.task, compose("prepare", *words))
    assert "are the same picture in two files. Remove one of them" in said
    assert "(train)" in said and ("(test)" in said or "(valid)" in said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_a_raw_picture_that_loses_its_defect_is_told(compose, own, tmp_path, caplog):
    mask = np.zeros((64, 64), np.uint8)
    mask[0, 0] = 255  # row 0 of 64 is not among 32 rows
    for path in (own / "ground_truth/rough").iterdir():
        Image.fromarray(mask).save(path)
    words = ("dataset=zipper", f"input={own}", f"output={tmp_path}/out", "dataset.image_size=32")
    with caplog.at_level("INFO"):
        prepare.task(compose("prepare", *words))
    assert "3 pictures lost their defect when they were resized" in caplog.text
    assert "such as test/rough/000.png" in caplog.text and "variants show no" not in caplog.text


@pytest.mark.parametrize("kind", ["w:xz", "w:gz", "w"])
@pytest.mark.parametrize("prefix", ["zipper", "./mvtec_anomaly_detection/zipper"])
def test_an_archive_gives_what_its_folder_gives(compose, raw, tmp_path, kind, prefix):
    archive = tmp_path / "a tar"
    with tarfile.open(archive, kind) as tar:
        tar.add(raw, arcname=prefix)
        tar.add(raw / "test", arcname=prefix.replace("zipper", "grid") + "/test")
    outs = []
    for name, source in (("folder", raw), ("archive", archive)):
        words = (f"input='{source}'", f"output={tmp_path / name}", "dataset.image_size=64")
        prepare.task(compose("prepare", "dataset=zipper", *words))
        outs.append(contents(tmp_path / name))
    assert outs[0].pop("prepared.json") != outs[1].pop("prepared.json")
    assert outs[0] == outs[1]
    assert leftovers(tmp_path) == []


def test_the_folder_of_all_categories_will_do(compose, raw, tmp_path):
    shutil.copytree(raw, tmp_path / "all/zipper")
    words = (f"input={tmp_path / 'all'}", f"output={tmp_path / 'out'}", "dataset.image_size=64")
    prepare.task(compose("prepare", "dataset=zipper", *words))
    assert (tmp_path / "out/manifest.csv").is_file()


def examined(compose, folder: Path) -> dict:
    words = ("dataset=zipper", "dataset/layout=image_mask", f"dataset.path={folder}")
    return survey_data.examine(compose("check", *words, "dataset.image_size=256")).card


def shuffled(source: Path, target: Path, hide_names: bool = False) -> tuple[int, int]:
    """The pictures dealt 70:20:10 whatever their source; test pictures with a sibling, and all."""
    rows = manifest(source)
    random.Random(0).shuffle(rows)
    ends = int(0.7 * len(rows)), int(0.9 * len(rows))
    dealt = {"train": rows[: ends[0]], "valid": rows[ends[0] : ends[1]], "test": rows[ends[1] :]}
    for split, dealt_rows in dealt.items():
        for number, row in enumerate(dealt_rows):
            name = f"{split}{number}.png" if hide_names else Path(row["image"]).name
            for kind in ("image", "mask"):
                place = target / split / f"{kind}s" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / row[kind], place)
    elsewhere = {row["source"] for split in ("train", "valid") for row in dealt[split]}
    return sum(row["source"] in elsewhere for row in dealt["test"]), len(dealt["test"])


def test_check_finds_no_leak_and_names_siblings_once_they_are_shuffled(compose, prepared, tmp_path):
    words = ("dataset.layout.size=256", "dataset.image_size=256", "augmentation=light")
    out = prepared("out", *words, "variants=4")
    card = examined(compose, out)
    assert card["errors"] == [] and card["leakage"]["pairs"] == []
    assert card["off_palette"]["pixels"] == 0
    concerned, number = shuffled(out, tmp_path / "shuffled")
    found = examined(compose, tmp_path / "shuffled")["leakage"]
    assert (found["test_images_concerned"], found["test_images"]) == (concerned, number)
    assert concerned > number / 2
    # Mirrored, turned and brightened copies are known by their content too.
    shuffled(out, tmp_path / "hidden", hide_names=True)
    found = examined(compose, tmp_path / "hidden")["leakage"]
    assert found["test_images_concerned"] == concerned


def test_neither_tensorflow_nor_mlflow_is_loaded(tmp_path, data_root):
    words = [*WORDS, f"data_root={data_root}", "output=out"]
    code = (
        "import sys; from flexunet_exp import cli; status = cli.main(sys.argv[1:]);"
        "print(status, [name for name in ('tensorflow', 'keras', 'mlflow') if name in sys.modules])"
    )
    done = running.python(tmp_path, code, "prepare", *words)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    command = json.loads((tmp_path / "out/prepared.json").read_text())["command"]
    assert command == " ".join(["flexunet prepare", *WORDS])
    assert sys.executable not in command
