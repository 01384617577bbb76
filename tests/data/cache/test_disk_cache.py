"""The disk cache: the arrays that decoding gives, built once for all, never half, flat memory."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flexunet_exp.config import compose as config
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.cache import disk_cache, entry
from flexunet_exp.data.cache.disk_cache import DiskCache
from flexunet_exp.data.dataset import rows
from flexunet_exp.errors import InputError

SIZE = (48, 32)

# Builds or opens the entry of a configuration. Told to `wait`, it stops after five pictures until
# the file `go` is there; told to `refuse`, it may decode none.
PROCESS = """
import logging, sys, time
from itertools import count
from pathlib import Path
from omegaconf import OmegaConf
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.cache.disk_cache import DiskCache

cfg, folder, how, go = sys.argv[1:]
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
read, reads = datasets.Dataset.read, count()

def held_up(self, *arguments):
    assert how != "refuse"
    while how == "wait" and next(reads) > 5 and not Path(go).exists():
        time.sleep(0.01)
    return read(self, *arguments)

datasets.Dataset.read = held_up
DiskCache(datasets.load(OmegaConf.load(cfg)), (48, 32), Path(folder))
print("done")
"""


@pytest.fixture(scope="module")
def dataset(tiny_dataset):
    return datasets.load(tiny_dataset())


@pytest.fixture
def own_data(tiny_dataset, dataset, tmp_path):
    """Loads a copy of the tiny grids that a test may change: own_data("split=folds", …)."""
    shutil.copytree(Path(dataset.table["image"].iloc[0]).parents[2], tmp_path / "data")

    def loaded(*overrides: str):
        return datasets.load(tiny_dataset(f"dataset.path={tmp_path}/data", *overrides))

    return loaded


def check(cache: DiskCache, dataset) -> None:
    """Every row's arrays are those that decoding it gives."""
    for sample in rows(dataset.table):
        for found, expected in zip(cache.read(sample), dataset.read(sample, SIZE), strict=True):
            assert found.dtype == np.uint8 and found.flags.writeable
            np.testing.assert_array_equal(found, expected)


def refuse_to_decode(monkeypatch) -> None:
    def read(self, sample, size=None):
        raise AssertionError("decoded again")

    monkeypatch.setattr(datasets.Dataset, "read", read)


def test_the_samples_are_those_that_decoding_gives(dataset, tmp_path):
    check(DiskCache(dataset, SIZE, tmp_path), dataset)
    images = np.load(next(tmp_path.glob("*/images.npy")))  # plain .npy files, for everybody
    class_masks = np.load(next(tmp_path.glob("*/masks.npy")))
    assert images.shape == (len(dataset.table), *SIZE, 3)
    assert class_masks.shape == (len(dataset.table), *SIZE)
    assert set(np.unique(class_masks)) == set(range(dataset.num_classes))


def test_colour_masks_are_cached_as_classes(compose, tmp_path):
    generator = np.random.default_rng(0)
    for split in ("train", "valid"):
        for part in ("images", "masks"):
            (tmp_path / split / part).mkdir(parents=True)
        for name, colour in (("bent_1", (255, 0, 0)), ("glue_2", (0, 0, 255))):
            mask = np.zeros((60, 40, 3), np.uint8)
            mask[10:30, 5:20] = colour  # in OpenCV's order, BGR
            image = generator.integers(0, 256, (60, 40, 3), np.uint8)
            cv2.imwrite(str(tmp_path / split / f"images/{name}.png"), image)
            cv2.imwrite(str(tmp_path / split / f"masks/{name}.png"), mask)
    path = f"dataset.path={tmp_path}"
    dataset = datasets.load(compose("train", "dataset=grid", "dataset/layout=image_mask", path))
    cache = DiskCache(dataset, SIZE, tmp_path / "cache")
    check(cache, dataset)
    found = [np.unique(cache.read(sample)[1]).tolist() for sample in rows(dataset.table)]
    assert found == [[0, 1], [0, 3]] * 2


def test_a_sample_is_the_callers_own(dataset, tmp_path):
    cache = DiskCache(dataset, SIZE, tmp_path)
    sample = next(rows(dataset.table))
    for array in cache.read(sample):
        array[:] = 99
    check(cache, dataset)


def test_splits_folds_and_places_share_one_entry(dataset, own_data, tmp_path, monkeypatch):
    DiskCache(dataset, SIZE, tmp_path / "cache")
    others = [
        own_data("split.seed=3"),
        own_data("split=folds", "split.n=3", "split.fold=0"),
        own_data("split=folds", "split.n=3", "split.fold=2", "trainer.seed=5"),
        replace(dataset, table=dataset.table.sample(frac=1, random_state=1)),
    ]
    expected = {sample.sha256: dataset.read(sample, SIZE) for sample in rows(dataset.table)}
    refuse_to_decode(monkeypatch)
    for other in others:
        cache = DiskCache(other, SIZE, tmp_path / "cache")
        for sample in rows(other.table):
            image, mask = cache.read(sample)
            np.testing.assert_array_equal(image, expected[sample.sha256][0])
            np.testing.assert_array_equal(mask, expected[sample.sha256][1])
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_picture_that_is_in_the_table_several_times_is_stored_once(tiny_dataset, tmp_path):
    dataset = datasets.load(tiny_dataset("split=memorise", "split.num_images=3"))
    check(DiskCache(dataset, SIZE, tmp_path), dataset)
    assert len(np.load(next(tmp_path.glob("*/images.npy")))) == 3


def other_size(dataset):
    return dataset, (32, 48)


def other_picture(dataset):
    return replace(dataset, table=dataset.table.assign(sha256="f" * 64)), SIZE


def other_mask(dataset):
    path = dataset.table.loc[dataset.table["mask"] != "", "mask"].iloc[0]
    cv2.imwrite(path, 255 - cv2.imread(path, cv2.IMREAD_GRAYSCALE))
    return dataset, SIZE


def other_classes(dataset):
    classes = dataset.recipe["classes"]
    return replace(dataset, recipe={**dataset.recipe, "classes": classes[::-1]}), SIZE


def other_label(dataset):
    labels = dataset.table["label"].replace({"bent": "glue", "glue": "bent"})
    return replace(dataset, table=dataset.table.assign(label=labels)), SIZE


def other_rule(dataset):
    return replace(dataset, recipe={**dataset.recipe, "off_palette": "nearest"}), SIZE


@pytest.mark.parametrize(
    "change", [other_size, other_picture, other_mask, other_classes, other_label, other_rule]
)
def test_whatever_decides_the_pixels_decides_the_entry(own_data, change):
    def key(dataset, size):
        contents = sorted(disk_cache.contents_of(dataset.table).values())
        return disk_cache.entry_key(dataset, size, contents)

    dataset = own_data()
    before = key(dataset, SIZE)
    assert key(own_data(), SIZE) == before
    assert key(*change(dataset)) != before


def test_other_code_that_reads_pictures_makes_another_entry(dataset, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a_layout_of_ones_own.py").write_text("class Layout: ...")
    own = replace(dataset, recipe={"_target_": "a_layout_of_ones_own.Layout"})
    keys = [disk_cache.entry_key(own, SIZE, [])]
    (tmp_path / "a_layout_of_ones_own.py").write_text("class Layout: x = 1")
    keys.append(disk_cache.entry_key(own, SIZE, []))
    monkeypatch.setattr(disk_cache, "VERSION", 0)
    keys.append(disk_cache.entry_key(own, SIZE, []))
    monkeypatch.setattr(disk_cache.cv2, "__version__", "0")
    keys.append(disk_cache.entry_key(own, SIZE, []))
    monkeypatch.setattr(disk_cache, "READERS", disk_cache.READERS[1:])
    keys.append(disk_cache.entry_key(own, SIZE, []))
    assert len(set(keys)) == 5


@pytest.mark.parametrize("part", ["layouts", "masks", "annotations"])
def test_the_code_that_draws_masks_decides_the_entry(part):
    assert f"data/{part}" in disk_cache.READERS


def cut(length):
    return lambda path: os.truncate(path / "images.npy", length)


def zeros_at_the_end(path):
    with open(path / "masks.npy", "ab") as file:
        file.write(b"\0")


def other_shape(path):
    images = np.load(path / "images.npy")
    np.save(path / "images.npy", images.reshape(len(images), SIZE[1], SIZE[0], 3))


def other_type(path):
    np.save(path / "masks.npy", np.load(path / "masks.npy").view(np.int8))


def lost(path):
    (path / "masks.npy").unlink()


def all_zeros(path):
    size = (path / "images.npy").stat().st_size
    (path / "images.npy").write_bytes(bytes(size))


@pytest.mark.parametrize(
    "damage",
    [
        cut(0),
        cut(5),
        cut(128),
        cut(5000),
        zeros_at_the_end,
        other_shape,
        other_type,
        lost,
        all_zeros,
    ],
)
def test_a_damaged_entry_is_noticed_and_built_anew(dataset, tmp_path, caplog, damage):
    path = DiskCache(dataset, SIZE, tmp_path).path
    damage(path)
    with caplog.at_level(logging.WARNING):
        check(DiskCache(dataset, SIZE, tmp_path), dataset)
    assert "damaged" in caplog.text and str(path) in caplog.text
    assert list(tmp_path.iterdir()) == [path]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_part_of_a_file_passes_for_the_whole(tmp_path, data):
    number = data.draw(st.integers(1, 3))
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    dtype = data.draw(st.sampled_from(["uint8", "uint16"]))
    folder = tmp_path / "entry"
    entry.discard(folder)
    for array in entry.create(folder, "any", number, size, dtype):
        for place in range(number):
            array.write(place, np.full(array.kind.shape[1:], place, array.kind.dtype))
        array.finish()
    images, class_masks = entry.opened(folder, number, size, dtype)
    assert [images.read(place).max() for place in range(number)] == list(range(number))
    name = data.draw(st.sampled_from(["images.npy", "masks.npy"]))
    length = (folder / name).stat().st_size
    os.truncate(folder / name, data.draw(st.integers(0, length - 1)))
    assert entry.opened(folder, number, size, dtype) is None


def test_a_run_keeps_reading_an_entry_that_is_removed(dataset, tmp_path):
    cache = DiskCache(dataset, SIZE, tmp_path)
    entry.discard(cache.path)
    assert not list(tmp_path.iterdir())
    check(cache, dataset)


def test_a_file_that_is_cut_off_while_in_use_is_said(dataset, tmp_path):
    cache = DiskCache(dataset, SIZE, tmp_path)
    os.truncate(cache.path / "images.npy", 1000)
    with pytest.raises(InputError, match="truncated while it was in use"):
        check(cache, dataset)


@pytest.mark.parametrize("column", ["image", "mask"])
def test_a_picture_that_changes_while_the_entry_is_built_is_refused(
    own_data, tmp_path, monkeypatch, column
):
    dataset = own_data()
    path = dataset.table.loc[dataset.table["mask"] != "", column].iloc[-1]
    read = datasets.Dataset.read

    def changing(self, sample, size=None):
        with open(path, "ab") as file:
            file.write(b"x")
        return read(self, sample, size)

    monkeypatch.setattr(datasets.Dataset, "read", changing)
    with pytest.raises(InputError, match="changed"):
        DiskCache(dataset, SIZE, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_broken_picture_is_named_and_nothing_is_left(own_data, tmp_path):
    dataset = own_data()
    broken = dataset.table["image"].iloc[4]
    Path(broken).write_bytes(b"no picture")
    with pytest.raises(InputError, match="no readable image") as caught:
        DiskCache(dataset, SIZE, tmp_path / "cache")
    assert broken in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())


@pytest.fixture
def small_files():
    """No file of this process can grow beyond 20 kB: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_is_one_sentence_and_nothing_is_left(dataset, tmp_path, small_files):
    with pytest.raises(InputError) as caught:
        DiskCache(dataset, SIZE, tmp_path)
    (problem,) = caught.value.problems
    assert all(word in problem for word in (str(tmp_path), "dataset.cache=memory", "cache_dir="))
    assert not list(tmp_path.iterdir())


def test_too_little_space_is_said_before_anything_is_decoded(dataset, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(disk_cache.shutil, "disk_usage", lambda path: usage(10, 9, 50_000))
    refuse_to_decode(monkeypatch)
    with pytest.raises(InputError, match="0.1 MB are needed, 0.1 MB are free.*cache_dir="):
        DiskCache(dataset, SIZE, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_made_is_one_sentence(dataset, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(InputError, match="cache_dir=FOLDER"):
            DiskCache(dataset, SIZE, folder)


def test_an_entry_that_cannot_be_written_to_is_used(dataset, tmp_path, monkeypatch):
    DiskCache(dataset, SIZE, tmp_path)
    refuse_to_decode(monkeypatch)

    def read_only(*arguments, **named):
        raise PermissionError(1, "Operation not permitted")

    for name in ("utime", "mkdir", "rename"):
        monkeypatch.setattr(os, name, read_only)
    DiskCache(dataset, SIZE, tmp_path)


def test_files_of_others_are_left_alone(dataset, tmp_path):
    path = DiskCache(dataset, SIZE, tmp_path / "cache").path
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    os.truncate(elsewhere / "images.npy", 100)
    path.symlink_to(elsewhere)
    check(DiskCache(dataset, SIZE, tmp_path / "cache"), dataset)
    assert (elsewhere / "images.npy").stat().st_size == 100 and not path.is_symlink()
    (path / "mine.txt").write_text("keep me")
    os.truncate(path / "images.npy", 100)
    with pytest.raises(InputError, match="not empty"):
        DiskCache(dataset, SIZE, tmp_path / "cache")
    assert (path / "mine.txt").exists()


def test_the_time_of_the_last_use_is_kept(dataset, tmp_path):
    path = DiskCache(dataset, SIZE, tmp_path).path
    os.utime(path / "info.json", (1, 1))
    DiskCache(dataset, SIZE, tmp_path)
    assert time.time() - entry.last_use(path) < 60
    info = entry.read_info(path)
    assert (info["dataset"], info["size"]) == ("grid", list(SIZE))
    assert info["bytes"] == info["number"] * SIZE[0] * SIZE[1] * 4


@pytest.fixture
def start(tiny_dataset, tmp_path):
    """Starts a process that opens the entry in tmp_path/cache: start("wait")."""
    OmegaConf.save(OmegaConf.create(config.plain(tiny_dataset())), tmp_path / "cfg.yaml")
    started = []

    def process(how: str) -> subprocess.Popen:
        words = (tmp_path / "cfg.yaml", tmp_path / "cache", how, tmp_path / "go")
        command = [sys.executable, "-u", "-c", PROCESS, *map(str, words)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield process
    for one in started:
        one.kill()
        one.communicate()


def wait_for(line: str, process: subprocess.Popen) -> None:
    while line not in (read := process.stdout.readline()):
        assert read, f"ended without saying {line!r}"


def test_of_several_processes_one_builds_and_the_others_wait(start, dataset, tmp_path, monkeypatch):
    builder = start("wait")
    wait_for("Disk cache: ", builder)
    others = [start("refuse") for _ in range(2)]
    for other in others:
        wait_for("Waiting for another process", other)
    (tmp_path / "go").touch()
    assert [process.wait(60) for process in (builder, *others)] == [0, 0, 0]
    cache = DiskCache(dataset, SIZE, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [cache.path.name]
    check(cache, dataset)


def test_when_the_builder_is_killed_one_that_waits_builds(start, dataset, tmp_path):
    builder = start("wait")
    wait_for("Disk cache: ", builder)
    other = start("build")
    wait_for("Waiting for another process", other)
    builder.send_signal(signal.SIGKILL)
    wait_for("Disk cache: ", other)
    wait_for("done", other)
    check(DiskCache(dataset, SIZE, tmp_path / "cache"), dataset)


def test_what_a_killed_builder_leaves_is_never_read_and_goes(start, dataset, tmp_path):
    builder = start("wait")
    wait_for("Disk cache: ", builder)
    part = next(path for path in (tmp_path / "cache").iterdir() if path.suffix == ".part")
    while (part / "images.npy").stat().st_size == 0:
        time.sleep(0.01)
    builder.kill()
    builder.wait()
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".part", ".lock"}
    cache = DiskCache(dataset, SIZE, tmp_path / "cache")
    check(cache, dataset)
    assert list((tmp_path / "cache").iterdir()) == [cache.path]


def test_without_a_terminal_a_build_says_one_line(dataset, tmp_path, caplog, capsys):
    with caplog.at_level(logging.INFO):
        DiskCache(dataset, SIZE, tmp_path)
        DiskCache(dataset, SIZE, tmp_path)
    (line,) = caplog.messages
    assert line.startswith(f"Disk cache: {len(dataset.table)} pictures")
    assert capsys.readouterr().out == ""


PEAK = """
import sys
from pathlib import Path
from omegaconf import OmegaConf
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.cache.disk_cache import DiskCache
dataset = datasets.load(OmegaConf.load(sys.argv[1]))
for _ in range(2):  # builds and reads, opens and reads
    cache = DiskCache(dataset, (256, 256), Path(sys.argv[2]))
    for sample in datasets.rows(dataset.table):
        cache.read(sample)
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def write_pictures(folder: Path, number: int) -> None:
    """Small pictures in the layout of MVTec AD, no two of them equal."""
    for part in ("test/bent", "ground_truth/bent"):
        (folder / part).mkdir(parents=True)
    mask = np.zeros((16, 16), np.uint8)
    mask[4:8] = 255
    for index in range(number):
        image = np.full((16, 16, 3), divmod(index, 256) + (0,), np.uint8)
        cv2.imwrite(str(folder / f"test/bent/{index:03d}.png"), image)
        cv2.imwrite(str(folder / f"ground_truth/bent/{index:03d}_mask.png"), mask)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read in /proc")
def test_memory_does_not_grow_with_the_number_of_pictures(compose, tmp_path):
    peaks = []
    for number in (20, 220):
        write_pictures(tmp_path / f"{number}", number)
        cfg = compose("train", "dataset=grid", f"dataset.path={tmp_path}/{number}")
        OmegaConf.save(OmegaConf.create(config.plain(cfg)), tmp_path / "cfg.yaml")
        words = (tmp_path / "cfg.yaml", tmp_path / "cache")
        command = [sys.executable, "-c", PEAK, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 25  # MB; the arrays differ by 52


@pytest.mark.parametrize("augmented", [False, True])
def test_batches_come_from_the_disk_and_are_the_same(dataset, tmp_path, monkeypatch, augmented):
    from flexunet_exp.data import augmentation
    from flexunet_exp.data.feed import batches as pipeline
    from flexunet_exp.data.feed import reader, sampling

    transforms = [augmentation.HorizontalFlip(), augmentation.Brightness()] if augmented else []
    train = dataset.split("train")
    readers = [
        reader.SampleReader(dataset, train, SIZE),
        reader.SampleReader(dataset, train, SIZE, "disk", tmp_path),
    ]
    draws = sampling.sampler(train["label"].tolist(), np.zeros((len(train), 6)), seed=1)
    plain, cached = (pipeline.training(r, draws, transforms, SIZE, 4, 2) for r in readers)
    batches = list(plain)
    refuse_to_decode(monkeypatch)
    for expected, found in zip(batches, cached, strict=True):
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)
