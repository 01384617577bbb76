"""Archives from anywhere: what is wanted comes out, whatever else is in them is refused or left."""

from __future__ import annotations

import io
import lzma
import random
import tarfile
from pathlib import Path

import pytest

from flexunet_exp.commands.prepare import archive
from flexunet_exp.errors import InputError

FILES = ("zipper/test/rough/000.png", "zipper/ground_truth/rough/000_mask.png")


def member(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data


def written(path: Path, *members, kind: str = "w") -> Path:
    with tarfile.open(path, kind) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def problem(tmp_path: Path, path: Path) -> str:
    """What is said of an archive, of which nothing may stay."""
    with pytest.raises(InputError) as caught:
        archive.folder_of(path, "zipper", tmp_path / "unpacked/1")
    assert not (tmp_path / "unpacked/1/zipper").exists()
    return str(caught.value)


WANTED = [member(name) for name in FILES]


@pytest.mark.parametrize(
    ("hostile", "told"),
    [
        (member("/etc/passwd"), "leads out"),
        (member("zipper/test/../../../evil.png"), "leads out"),
        (member("../evil.png"), "leads out"),
        (member("zipper/test/rough/001.png", b"", tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
        (member("zipper/test/link", b"", tarfile.SYMTYPE, ".."), "is a link"),
        (member("zipper/test/rough/001.png", b"", tarfile.LNKTYPE, FILES[0]), "is a link"),
        (member("zipper/test/rough/001.png", b"", tarfile.CHRTYPE), "device or a pipe"),
        (member("zipper/test/rough/001.png", b"", tarfile.FIFOTYPE), "device or a pipe"),
        (member("another/part", b"", tarfile.SYMTYPE, "/"), "is a link"),
    ],
)
def test_members_that_must_not_be_there(tmp_path, hostile, told):
    said = problem(tmp_path, written(tmp_path / "a.tar", *WANTED, hostile))
    assert told in said and hostile[0].name in said and "Nothing was unpacked" in said
    assert not (tmp_path / "evil.png").exists()
    assert [*tmp_path.rglob("*.png")] == []


def test_only_the_category_comes_out(tmp_path):
    others = [member("grid/test/bent/000.png"), member("zipper/notes.txt"), member("zipper")]
    path = written(tmp_path / "a.tar", *others, *WANTED, member("license.txt"))
    folder = archive.folder_of(path, "zipper", tmp_path / "unpacked/1")
    found = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    assert found == {name.removeprefix("zipper/") for name in FILES}


def test_it_is_unpacked_once(tmp_path):
    path = written(tmp_path / "a.tar", *WANTED)
    folder = archive.folder_of(path, "zipper", tmp_path / "unpacked/1")
    (folder / "seen").touch()
    assert (archive.folder_of(path, "zipper", tmp_path / "unpacked/1") / "seen").exists()


def test_an_archive_of_another_category(tmp_path):
    said = problem(tmp_path, written(tmp_path / "a.tar", member("grid/test/bent/000.png")))
    assert "no folder zipper/test" in said and "dataset=NAME" in said


def test_two_members_of_one_name(tmp_path):
    said = problem(tmp_path, written(tmp_path / "a.tar", *WANTED, WANTED[0]))
    assert "twice" in said


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:xz"])
def test_an_archive_that_was_cut_off_anywhere(tmp_path, kind):
    noise = random.Random(0).randbytes
    members = [member(f"{name}{i}", noise(2048)) for name in FILES for i in range(3)]
    whole = written(tmp_path / "whole", *members, kind=kind).read_bytes()
    archive.folder_of(tmp_path / "whole", "zipper", tmp_path / "unpacked/whole")
    end = whole.rstrip(b"\0") if kind == "w" else whole
    for length in (0, 5, 100, 512, 2560, 3072, len(end) // 2, len(end) - 9, len(end) - 1):
        (tmp_path / "cut").write_bytes(end[:length])
        assert "or incomplete" in problem(tmp_path, tmp_path / "cut")


def test_no_archive_at_all(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" + bytes(4000))
    assert "not a readable tar or zip archive" in problem(tmp_path, tmp_path / "photo.png")


def test_what_would_not_fit(tmp_path, monkeypatch):
    path = written(tmp_path / "a.tar", *WANTED)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    assert "more than 1 files" in problem(tmp_path, path)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 100)
    monkeypatch.setattr(archive, "MAX_BYTES", 1)
    assert "when unpacked" in problem(tmp_path, path)


def test_a_header_that_claims_gigabytes(tmp_path):
    """A long name of 8 GiB in a file of a few kilobytes: it is not read into memory."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 8 * 2**30 - 1
    (tmp_path / "bomb.tar.xz").write_bytes(lzma.compress(info.tobuf(tarfile.GNU_FORMAT)))
    assert "claims 8,589,9" in problem(tmp_path, tmp_path / "bomb.tar.xz")
