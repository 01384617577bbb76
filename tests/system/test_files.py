"""Files written over spare ones: as new files to every reader, in the space of the one before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flexunet_exp.system import files


@pytest.fixture
def places(tmp_path) -> tuple[Path, Path]:
    """The file, and the spare one in another folder."""
    (tmp_path / "apart").mkdir()
    return tmp_path / "state.npy", tmp_path / "apart" / "spare.npy"


def write(places: tuple[Path, Path], content: bytes) -> None:
    with files.rewritten(*places) as file:
        file.write(content)


def test_every_second_file_is_written_over_the_one_before(places, tmp_path):
    path, spare = places
    (tmp_path / "probe").touch()
    if not files.is_unseen(tmp_path / "probe"):
        pytest.skip("this file system cannot tell who has a file open")
    numbers = []
    for content in (b"first, and long", b"second", b"third", b"4"):
        write(places, content)
        assert path.read_bytes() == content  # the rest of a longer one is cut off
        numbers.append(path.stat().st_ino)
    assert numbers[0] == numbers[2] and numbers[1] == numbers[3] and numbers[0] != numbers[1]
    assert spare.read_bytes() == b"third"
    assert sorted(tmp_path.iterdir()) == sorted([path, spare.parent, tmp_path / "probe"])


def test_a_second_name_keeps_its_content(places, tmp_path):
    write(places, b"first")
    os.link(places[0], tmp_path / "kept")
    for content in (b"second", b"third", b"fourth"):
        write(places, content)
    assert (tmp_path / "kept").read_bytes() == b"first" and places[0].read_bytes() == b"fourth"


def test_a_reader_that_is_slow_sees_one_content(places):
    write(places, b"first")
    with places[0].open("rb", buffering=0) as reader:
        assert reader.read(2) == b"fi"
        for content in (b"second", b"third", b"fourth"):
            write(places, content)
        assert reader.read() == b"rst"


def test_a_spare_file_that_is_a_link_is_not_written_through(places, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"precious")
    places[1].symlink_to(tmp_path / "elsewhere")
    write(places, b"first")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert places[0].read_bytes() == b"first" and not places[0].is_symlink()


def test_an_error_leaves_the_file_before(places, tmp_path):
    write(places, b"first")
    write(places, b"second")
    with pytest.raises(ZeroDivisionError), files.rewritten(*places) as file:
        file.write(b"th")
        file.write(bytes(1 // 0))
    assert places[0].read_bytes() == b"second"
    assert not [path for path in tmp_path.rglob("*") if files.is_part(path.name)]
    write(places, b"third")
    assert places[0].read_bytes() == b"third"


def test_without_a_folder_for_the_spare_the_file_is_written_all_the_same(tmp_path):
    places = tmp_path / "state.npy", tmp_path / "missing" / "spare.npy"
    for content in (b"first", b"second"):
        write(places, content)
        assert places[0].read_bytes() == content
