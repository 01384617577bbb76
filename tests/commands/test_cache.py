"""flexunet cache: lists what is there and removes what it is told to, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from flexunet_exp.commands import cache
from flexunet_exp.data import leakage
from flexunet_exp.data.cache import entry, feature_folders, features
from flexunet_exp.data.known_files import Form, KnownFiles
from flexunet_exp.errors import InputError
from flexunet_exp.system import locks

KEYS = ("0123456789abcdef", "fedcba9876543210")


def make(path: Path, number: int = 3, days: float = 0) -> Path:
    """A complete entry that was used last so many days ago."""
    path.parent.mkdir(exist_ok=True)
    for array in entry.create(path, "grid", number, (8, 6), "uint8"):
        for place in range(number):
            array.write(place, np.zeros(array.kind.shape[1:], np.uint8))
        array.finish()
    used = time.time() - days * 86400
    os.utime(path / "info.json", (used, used))
    return path


def make_features(folder: Path, key: str = "any", views: int = 2, days: float = 0) -> Path:
    """Kept features that were used last so many days ago, and are in use no more."""
    maps = features.Maps(((100, 50, 8),), np.dtype("float16"))
    facts = {"encoder": "efficientnet_lite0", "size": [400, 200]}
    kept = features.FeatureCache(folder, [key], maps, facts)
    kept.open("grid")
    kept.open("screw")
    for view in range(views):
        kept.write(f"{'0' * 32}_turn{view}", [np.ones(shape) for shape in maps.shapes])
    used = time.time() - days * 86400
    os.utime(kept.path / "info.json", (used, used))
    return kept.path


def run(folder: Path, prune=None) -> None:
    cache.task(OmegaConf.create({"cache_dir": str(folder), "prune": prune}))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_list_tells_data_set_size_pictures_and_state(tmp_path, capsys):
    make(tmp_path / KEYS[0], number=1000)
    make(tmp_path / KEYS[1])
    os.truncate(tmp_path / KEYS[1] / "masks.npy", 100)
    make(tmp_path / f"{KEYS[1]}.part")
    run(tmp_path)
    whole, damaged, leftover = capsys.readouterr().out.splitlines()[-4:-1]
    day = time.strftime("%Y-%m-%d")
    assert whole.split() == ["grid", "[8,", "6]", "1000", "0.2", day, "complete", KEYS[0][:8]]
    assert "damaged" in damaged and "leftover" in leftover
    assert len(names(tmp_path)) == 3


@pytest.mark.parametrize("prune", [None, "all", 0])
def test_an_empty_cache_is_said(tmp_path, caplog, prune):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with caplog.at_level("INFO"):
            run(folder, prune)
        assert f"no decoded pictures in {folder}" in caplog.text
    assert not list(tmp_path.iterdir())


def test_prune_takes_what_was_unused_for_so_long(tmp_path):
    make(tmp_path / KEYS[0], days=31)
    make(tmp_path / KEYS[1], days=29)
    run(tmp_path, 30)
    assert names(tmp_path) == {KEYS[1]}


@pytest.mark.parametrize("prune", ["all", 0])
def test_prune_all_empties_the_cache(tmp_path, prune):
    make(tmp_path / KEYS[0], days=3)
    make(tmp_path / KEYS[1])
    run(tmp_path, prune)
    assert not names(tmp_path)


def test_any_prune_removes_what_is_not_whole(tmp_path):
    make(tmp_path / KEYS[0])
    make(tmp_path / KEYS[1])
    os.truncate(tmp_path / KEYS[1] / "images.npy", 7)
    make(tmp_path / f"{KEYS[1]}.part")
    (tmp_path / "aaaaaaaaaaaaaaaa.part").mkdir()
    (tmp_path / "bbbbbbbbbbbbbbbb.lock").touch()
    run(tmp_path, 30)
    assert names(tmp_path) == {KEYS[0]}


@pytest.mark.parametrize("prune", ["all", 0, 30])
def test_what_is_not_of_the_cache_stays(tmp_path, prune):
    folder, elsewhere = tmp_path / "cache", make(tmp_path / KEYS[0])
    make(folder / KEYS[1])
    make(folder / "my_pictures")
    (make(folder / "bbbbbbbbbbbbbbbb") / "notes.txt").touch()
    (folder / KEYS[0]).symlink_to(elsewhere)
    (folder / "cccccccccccccccc").touch()
    for name in ("precision_0123456789abcdef.json", "yarn.lock", "x.part"):
        (folder / name).touch()
    before = names(folder)
    run(folder, prune)
    assert before - names(folder) == ({KEYS[1]} if prune != 30 else set())
    assert names(elsewhere) == names(folder / "my_pictures") == set(entry.FILES)
    assert names(folder / "bbbbbbbbbbbbbbbb") == {*entry.FILES, "notes.txt"}


def test_an_entry_that_is_being_built_stays(tmp_path, capsys, caplog):
    part = make(tmp_path / f"{KEYS[0]}.part")
    with locks.temporary(tmp_path / f"{KEYS[0]}.lock"), caplog.at_level("INFO"):
        run(tmp_path, "all")
        assert names(part) == set(entry.FILES)
    assert "Kept" in caplog.text and "being built" in capsys.readouterr().out
    run(tmp_path, "all")
    assert not names(tmp_path)


def test_features_are_listed_beside_decoded_pictures(tmp_path, capsys):
    make(tmp_path / KEYS[0])
    path = make_features(tmp_path, views=500)
    run(tmp_path)
    printed = capsys.readouterr().out
    (row,) = (line for line in printed.splitlines() if "efficientnet_lite0" in line)
    day, key = time.strftime("%Y-%m-%d"), path.name.removeprefix("features_")[:8]
    expected = ["grid,", "efficientnet_lite0", "[400,200]", "float16", "500", "0.04", day, key]
    assert [word for word in row.split() if word != "screw"] == expected
    assert "screw" in printed and KEYS[0][:8] in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_prune_takes_features_that_were_unused_for_so_long_whole(tmp_path, caplog):
    make_features(tmp_path, "old", days=31)
    young = make_features(tmp_path, "young", days=29)
    make_features(tmp_path, "without a view", views=0)
    (tmp_path / "features_0123456789abcdef.lock").touch()
    (young / f".{'a' * 32}.bin").touch()  # of a writer that was killed
    with caplog.at_level("INFO"):
        run(tmp_path, 30)
    assert names(tmp_path) == {young.name} and caplog.text.count("Removed") == 2
    assert len(list(young.glob("*.bin"))) == 2 and not list(young.glob(".*"))
    run(tmp_path, "all")
    assert not names(tmp_path)


@pytest.mark.parametrize("prune", ["all", 0, 30])
def test_features_that_a_process_uses_stay(tmp_path, capsys, caplog, prune):
    path = make_features(tmp_path, days=40)
    before = names(path)
    with feature_folders.hold(path), feature_folders.hold(path), caplog.at_level("INFO"):
        run(tmp_path, prune)
        assert names(path) == before
    assert "Kept" in caplog.text and "in use" in capsys.readouterr().out
    run(tmp_path, prune)
    assert not names(tmp_path)


@pytest.mark.parametrize("prune", ["all", 0, 30])
def test_what_is_not_of_the_features_stays(tmp_path, prune):
    folder, elsewhere = tmp_path / "cache", make_features(tmp_path, days=40)
    make_features(folder, "mine", days=40).rename(folder / "features_of_mine")
    (make_features(folder, "notes", days=40) / "notes.txt").touch()
    (make_features(folder, "maps", days=40) / "maps.bin").touch()
    (folder / elsewhere.name).symlink_to(elsewhere)
    (folder / "features_cccccccccccccccc").touch()
    before = {path: names(path) for path in (folder, elsewhere, *folder.glob("*/"))}
    run(folder, prune)
    assert {path: names(path) for path in before} == before


def test_a_training_that_begins_while_features_are_removed_makes_them_anew(tmp_path):
    path = make_features(tmp_path)
    with ThreadPoolExecutor(1) as threads:
        with locks.exclusive(path / feature_folders.USE):
            begun = threads.submit(feature_folders.hold, path)
            with pytest.raises(TimeoutError):
                begun.result(0.2)
            feature_folders.discard(path)
        with begun.result(30):
            assert names(path) == {feature_folders.USE} and feature_folders.is_used(path)
    assert not feature_folders.is_used(path)


@pytest.mark.parametrize("info", ["", "[]", "{}", '{"datasets": 3, "size": "x"}', "\0"])
def test_features_with_an_unreadable_info_are_listed_and_told_anew(tmp_path, capsys, info):
    path = make_features(tmp_path)
    (path / "info.json").write_text(info)
    run(tmp_path)
    assert "?" in capsys.readouterr().out
    assert make_features(tmp_path) == path
    run(tmp_path)
    assert "efficientnet_lite0" in capsys.readouterr().out


def facts_of_files(tmp_path: Path) -> KnownFiles:
    """What a scan found in two files."""
    kept = KnownFiles.of(tmp_path / "cache", tmp_path, [])
    shelf = kept.shelf(["number"], Form(lambda number: (number, b""), lambda said, _: said))
    for name in "ab":
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (0, 0))
        shelf.note(str(tmp_path / name), lambda: 1)
    shelf.write()
    return kept


def test_what_scans_found_is_listed_and_pruned(tmp_path, capsys):
    kept = facts_of_files(tmp_path)
    run(tmp_path / "cache")
    printed = capsys.readouterr().out
    assert " 2 " in printed and "20" in printed and kept.file.stem[5:13] in printed
    run(tmp_path / "cache", prune=30)
    assert kept.file.exists()
    old = time.time() - 40 * 86400
    os.utime(kept.file, (old, old))
    run(tmp_path / "cache", prune=30)
    assert not kept.file.exists()


def test_what_is_kept_of_no_file_is_not_counted_among_the_files(tmp_path, capsys):
    kept = facts_of_files(tmp_path)
    run(tmp_path / "cache")
    before = capsys.readouterr().out
    columns = ["image", "split", "source", "sha256"]
    assert leakage.kept_pairs(pd.DataFrame(columns=columns), {}, kept) == []
    run(tmp_path / "cache")
    assert capsys.readouterr().out == before and str(tmp_path)[:9] in before


def test_a_damaged_file_of_facts_is_listed_and_pruned(tmp_path, capsys):
    file = tmp_path / "scan_0123456789abcdef.sqlite"
    file.write_bytes(b"no database" * 999)
    run(tmp_path)
    assert "01234567" in capsys.readouterr().out
    run(tmp_path, prune="all")
    assert not file.exists()


@pytest.mark.parametrize("prune", ["some", -1, True, [30], float("nan")])
def test_another_prune_is_refused(tmp_path, prune):
    make(tmp_path / KEYS[0])
    with pytest.raises(InputError, match="flexunet cache prune=30"):
        run(tmp_path, prune)
    assert names(tmp_path) == {KEYS[0]}


@pytest.mark.parametrize("folder", ["", "  ", None, 7])
def test_a_cache_without_a_folder_is_refused(folder):
    with pytest.raises(InputError, match="cache_dir=cache"):
        cache.task(OmegaConf.create({"cache_dir": folder, "prune": "all"}))


@pytest.mark.parametrize("info", ["", "[]", "{}", '{"number": "x", "size": 3}', "\0"])
def test_an_unreadable_info_is_a_damaged_entry(tmp_path, capsys, info):
    (make(tmp_path / KEYS[0]) / "info.json").write_text(info)
    run(tmp_path)
    assert "damaged" in capsys.readouterr().out
    run(tmp_path, 30)
    assert not names(tmp_path)


def command(tmp_path, *words: str, **environment) -> subprocess.CompletedProcess:
    code = (
        "import sys; from flexunet_exp import cli; status = cli.main(sys.argv[1:]); "
        "heavy = {'tensorflow', 'keras', 'mlflow', 'pandas'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "cache", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )


def test_the_command_needs_no_tensorflow_and_looks_where_it_was_started(tmp_path):
    make(tmp_path / "cache" / KEYS[0])
    make(tmp_path / "other" / KEYS[1])
    done = command(tmp_path)
    assert done.returncode == 0, done.stderr
    assert KEYS[0][:8] in done.stdout
    done = command(tmp_path, "prune=all", FLEXUNET_CACHE=str(tmp_path / "other"))
    assert done.returncode == 0 and f"Removed {tmp_path / 'other' / KEYS[1]}" in done.stdout
    assert names(tmp_path) == {"cache", "other"} and names(tmp_path / "cache") == {KEYS[0]}


def test_a_wrong_word_is_one_sentence(tmp_path):
    done = command(tmp_path, "prune=some")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("flexunet cache: prune=some is neither")
