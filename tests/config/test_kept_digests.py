"""Digests of the code are kept beside its compiled files, and are of the present source only."""

from __future__ import annotations

import json
import sys

import pytest

from flexunet_exp.config import kept_digests
from flexunet_exp.config.kept_digests import kept


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """A folder of compiled files of its own."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert kept_digests.path().is_relative_to(tmp_path)
    return tmp_path


def never():
    raise AssertionError("it is kept")


def test_a_digest_is_made_once(compiled):
    assert kept("one", lambda: "1234") == "1234"
    assert kept("two", lambda: {"module": "5678"}) == {"module": "5678"}
    assert kept("one", never) == "1234"
    assert kept("two", never) == {"module": "5678"}


def test_other_source_makes_it_anew(compiled, monkeypatch):
    assert kept("one", lambda: "1234") == "1234"
    before = kept_digests.source()
    monkeypatch.setattr(kept_digests, "source", lambda: before[::-1])
    assert kept("one", lambda: "5678") == "5678"
    assert json.loads(kept_digests.path().read_bytes())["digests"] == {"one": "5678"}


def test_the_source_is_every_file_by_name_and_content(tmp_path, monkeypatch):
    def source_of(files):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        monkeypatch.setattr(kept_digests, "PACKAGE", root)
        kept_digests.source.cache_clear()
        return kept_digests.source()

    first = source_of({"a.py": "x = 1\n", "b/c.py": ""})
    try:
        assert source_of({"a.py": "x = 1\n", "b/c.py": ""}) == first
        assert source_of({"a.py": "x = 2\n", "b/c.py": ""}) != first
        assert source_of({"a.py": "x = 1\n", "b/d.py": ""}) != first
    finally:
        kept_digests.source.cache_clear()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"source": 3}'])
def test_a_damaged_file_only_costs_the_time(compiled, content):
    kept_digests.path().parent.mkdir(parents=True)
    kept_digests.path().write_bytes(content)
    assert kept("one", lambda: "1234") == "1234"
    assert kept("one", never) == "1234"


def test_a_folder_that_cannot_be_written_only_costs_the_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "file"))
    assert kept("one", lambda: "1234") == "1234"
