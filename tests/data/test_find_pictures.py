"""Which pictures an input means, and that no two of them are ever called alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.data import find_pictures
from flexunet_exp.data.find_pictures import Found
from flexunet_exp.errors import InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def found(*words, output: Path = Path("/nowhere")) -> list[str]:
    return [hit.relative for hit in find_pictures.find(map(str, words), output)]


def test_a_folder_means_all_pictures_below_it(tmp_path):
    touch(tmp_path, "b.JPG", "a.png", "sub/ü ber/c.TiFf", "sub/notes.txt", "._a.png", ".git/x.png")
    assert found(tmp_path) == ["a.png", "b.JPG", "sub/ü ber/c.TiFf"]
    assert found(tmp_path / "sub/ü ber/c.TiFf") == ["c.TiFf"]


def test_globs_and_names_that_look_like_globs(tmp_path):
    touch(tmp_path, "x/good/a.png", "x/bad/b.png", "y/deep/good/c.png", "y/good/c.jpg", "[x]*.png")
    assert found(tmp_path / "*/good/*.png") == ["x/good/a.png"]
    assert found(tmp_path / "**/good/*.png") == ["x/good/a.png", "y/deep/good/c.png"]
    assert found(tmp_path / "y/**/c.*") == ["good/c.jpg", "deep/good/c.png"][::-1]
    assert found(tmp_path / "*/good") == ["x/good/a.png", "y/good/c.jpg"]  # folders that fit
    assert found(tmp_path / "[x]*.png") == ["[x]*.png"]
    assert found(tmp_path / "[xy]/good/*") == ["x/good/a.png", "y/good/c.jpg"]


def test_a_picture_named_twice_is_taken_once(tmp_path):
    touch(tmp_path, "sub/a.png", "b.png")
    assert found(tmp_path, tmp_path / "sub", tmp_path / "b.png") == ["b.png", "sub/a.png"]


@pytest.mark.parametrize("word", ["", "**/*.png"])
def test_links_in_circles_end_and_what_they_lead_to_keeps_its_name(tmp_path, word):
    touch(tmp_path, "real/a.png")
    for link in ("real/again", "real/once more", "a link"):
        (tmp_path / link).symlink_to(tmp_path if link != "a link" else tmp_path / "real")
    assert found(tmp_path / word) == ["real/a.png"]


def test_nothing_below_the_output_is_taken(tmp_path):
    touch(tmp_path, "a.png", "out/masks/a.png", "outside/b.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "out/masks/a.png")
    assert found(tmp_path, output=tmp_path / "out") == ["a.png", "outside/b.png"]
    with pytest.raises(InputError, match="no picture found; .* not below output"):
        found(tmp_path / "out/masks", output=tmp_path / "out")


def test_every_word_without_a_picture_is_named(tmp_path):
    touch(tmp_path, "notes.txt", "a.png")
    words = ["notes.txt", "missing", "*.bmp", "*/../a.png", "a.png"]
    with pytest.raises(InputError) as caught:
        found(*(tmp_path / word for word in words))
    assert [word in text for word, text in zip(words, caught.value.problems, strict=False)] == [
        True
    ] * 4
    assert "there is no such file" in caught.value.problems[1]


def names_of(hits: list[Found], made=None) -> dict[str, str]:
    return {str(one.path): one.name for one in find_pictures.named(hits, made or {})}


def test_pictures_that_would_be_called_alike_get_names_of_their_own():
    hits = [Found(Path(f"/x/{name}"), name) for name in ("s/a.png", "s/a.jpg", "b.png")]
    hits.append(Found(Path("/y/b.png"), "b.png"))
    names = names_of(hits)
    assert [names["/x/s/a.png"], names["/x/s/a.jpg"]] == ["s/a.png", "s/a.jpg"]
    assert names["/x/b.png"] != names["/y/b.png"]
    assert all(names[path].startswith("b.png-") for path in ("/x/b.png", "/y/b.png"))
    assert names_of(hits[::-1]) == names
    files = [one.file for one in find_pictures.named(hits, {})]
    assert files == ["s/a.png", "s/a.jpg", "/x/b.png", "/y/b.png"]


relatives = st.lists(
    st.sampled_from(["a.png", "a.jpg", "a.png.png", "a.png.jpg", "a", "a.b.png", "s/a.png"]),
    unique=True,
)


@given(relatives, relatives, relatives)
def test_names_differ_whatever_there_is_and_stay_when_more_comes(first, second, later):
    hits = [
        Found(Path(root) / name, name)
        for root, found in (("/x", first), ("/y", second))
        for name in found
    ]
    pictures = find_pictures.named(hits, {})
    more = [Found(Path("/z") / name, name) for name in later]
    all_of_them = find_pictures.named([*more, *hits], {one.path: one for one in pictures})
    for key in ("name", "file"):
        texts = [getattr(one, key) for one in all_of_them]
        assert len(set(texts)) == len(texts)
    assert set(pictures) <= set(all_of_them)
    assert [one.path for one in all_of_them] == [hit.path for hit in [*more, *hits]]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_folder_that_cannot_be_listed_is_among_the_pictures(tmp_path):
    touch(tmp_path, "a.png", "secret/b.png")
    (tmp_path / "secret").chmod(0)
    assert found(tmp_path) == ["a.png", "secret"]
