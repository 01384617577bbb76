"""A zip is read like a tar, with the same guards."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from flexunet_exp.commands.prepare import archive
from flexunet_exp.errors import InputError

FILES = ("zipper/test/rough/000.png", "zipper/ground_truth/rough/000_mask.png")


def member(name: str, mode: int = 0, flags: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.flag_bits = flags
    return info


def written(path: Path, *names: str | zipfile.ZipInfo, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as packed:
        for name in names:
            packed.writestr(name, b"x" * 4000)
    return path


def unpacked(tmp_path: Path, path: Path) -> set[str]:
    folder = archive.folder_of(path, "zipper", tmp_path / "unpacked/1")
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def problem(tmp_path: Path, path: Path) -> str:
    """What is said of an archive, of which nothing may stay."""
    with pytest.raises(InputError) as caught:
        archive.folder_of(path, "zipper", tmp_path / "unpacked/1")
    assert not (tmp_path / "unpacked/1/zipper").exists()
    assert not list(tmp_path.rglob("*.png"))
    return str(caught.value)


@pytest.mark.parametrize("name", ["zipper.zip", "ZIPPER.ZIP", "download"])
@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_only_the_category_comes_out(tmp_path, name, kind):
    others = ("grid/test/bent/000.png", "zipper/notes.txt", "zipper/", "__MACOSX/._zipper")
    path = written(tmp_path / name, *others, *FILES, kind=kind)
    assert unpacked(tmp_path, path) == {name.removeprefix("zipper/") for name in FILES}


def test_names_with_backslashes_are_folders(tmp_path):
    path = written(tmp_path / "a.zip", *(name.replace("/", "\\") for name in FILES))
    assert unpacked(tmp_path, path) == {name.removeprefix("zipper/") for name in FILES}


@pytest.mark.parametrize(
    ("hostile", "told"),
    [
        (member("/etc/passwd"), "leads out"),
        (member("zipper/test/../../../evil.png"), "leads out"),
        (member("..\\evil.png"), "leads out"),
        (member("C:\\evil.png"), "leads out"),
        (member("zipper/test/link", stat.S_IFLNK | 0o777), "is a link"),
        (member("zipper/test/pipe", stat.S_IFIFO | 0o644), "device or a pipe"),
        (member("zipper/test/device", stat.S_IFCHR | 0o644), "device or a pipe"),
    ],
)
def test_members_that_must_not_be_there(tmp_path, hostile, told):
    said = problem(tmp_path, written(tmp_path / "a.zip", *FILES, hostile))
    assert told in said and "Nothing was unpacked" in said


def test_an_encrypted_zip(tmp_path):
    data = bytearray(written(tmp_path / "a.zip", *FILES).read_bytes())
    at = data.find(b"PK\x01\x02")  # the flags of the first member, in the list at the end
    data[at + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert "is encrypted" in problem(tmp_path, tmp_path / "a.zip")


def test_a_way_of_packing_that_is_not_known(tmp_path):
    data = bytearray(written(tmp_path / "a.zip", *FILES).read_bytes())
    for sign, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.find(sign) + offset] = 9  # Deflate64, which Windows uses for large files
    (tmp_path / "a.zip").write_bytes(data)
    assert "unpack it yourself" in problem(tmp_path, tmp_path / "a.zip")


def test_two_members_of_one_name(tmp_path):
    with pytest.warns(UserWarning):
        path = written(tmp_path / "a.zip", *FILES, FILES[0])
    assert "twice" in problem(tmp_path, path)


def test_what_would_not_fit(tmp_path, monkeypatch):
    path = written(tmp_path / "a.zip", *FILES)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    assert "more than 1 files" in problem(tmp_path, path)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 100)
    monkeypatch.setattr(archive, "MAX_BYTES", 1)
    assert "when unpacked" in problem(tmp_path, path)


def test_a_member_that_unpacks_to_more_than_it_claims(tmp_path):
    data = bytearray(written(tmp_path / "a.zip", *FILES).read_bytes())
    for sign, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.find(sign) + offset
        data[at : at + 4] = (10).to_bytes(4, "little")  # of 4,000 bytes
    (tmp_path / "a.zip").write_bytes(data)
    assert "incomplete" in problem(tmp_path, tmp_path / "a.zip")  # its checksum is of all bytes


def test_a_zip_that_was_cut_off_or_changed_anywhere(tmp_path):
    """Whatever bytes change, the zip is unpacked or refused in a sentence."""
    draw = random.Random(0)
    whole = written(tmp_path / "whole.zip", *FILES).read_bytes()
    (tmp_path / "whole.zip").unlink()
    path = tmp_path / "changed.zip"
    for length in (5, 100, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "or incomplete" in problem(tmp_path, path)
    for number in range(400):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 2, 8))):
            data[draw.randrange(4, len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            archive.folder_of(path, "zipper", tmp_path / f"unpacked/{number}")
        except InputError:
            assert not (tmp_path / f"unpacked/{number}/zipper").exists()


def test_a_tar_that_holds_a_zip_is_a_tar(tmp_path):
    packed = written(tmp_path / "a.zip", *FILES).read_bytes()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in (*((name, b"x") for name in FILES), ("inner.zip", packed)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert len(unpacked(tmp_path, tmp_path / "a.tar")) == 2
