"""A journal after kills, in threads, and in the hands of two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.system import journal

MADE_OF = {"settings": {"size": 3}}


@pytest.fixture
def hold(tmp_path):
    return lambda: journal.held(tmp_path / "work.jsonl", "a test", "another one works here")


def entries(held: journal.Journal) -> list:
    return [entry for _, entry in held.entries()]


def test_entries_come_back_in_their_order_and_by_their_place(hold, tmp_path):
    with hold() as held:
        assert held.header is None and entries(held) == []
        held.begin(MADE_OF, ["first"])
        offset = held.append(["é", 2])
        held.append({"a": None})
        assert held.read(offset) == ["é", 2]
    with hold() as held:
        assert held.header == {"made_by": "a test", **MADE_OF}
        assert entries(held) == ["first", ["é", 2], {"a": None}]
    assert [path.name for path in tmp_path.iterdir()] == ["work.jsonl"]


def test_a_line_that_a_kill_cut_off_is_dropped_and_nothing_is_glued_to_it(hold, tmp_path):
    with hold() as held:
        held.begin(MADE_OF, ["first"])
    with open(tmp_path / "work.jsonl", "a") as file:
        file.write('["tor')
    with hold() as held:
        held.append("second")
        assert entries(held) == ["first", "second"]


def test_a_spoilt_line_between_others_is_none(hold, tmp_path):
    with hold() as held:
        held.begin(MADE_OF)
        with open(tmp_path / "work.jsonl", "ab") as file:
            file.write(b"\xff{no json\n")
        held.append("behind it")
        assert entries(held) == [None, "behind it"]


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"made_by": "b"}', '{"made_by": "a test"}'])
def test_the_journal_of_another_command_is_none_and_stays(hold, tmp_path, line):
    (tmp_path / "work.jsonl").write_text(f"{line}\ntorn")
    with hold() as held:
        assert held.header is None
    assert (tmp_path / "work.jsonl").read_text() == f"{line}\ntorn"


def test_threads_append_whole_lines(hold):
    texts = [str(number) * 10_000 for number in range(40)]
    with hold() as held:
        held.begin(MADE_OF)
        with ThreadPoolExecutor(8) as pool:
            offsets = list(pool.map(held.append, texts))
        assert [held.read(offset) for offset in offsets] == texts


def test_the_second_of_two_is_refused(hold):
    with hold(), pytest.raises(InputError, match="another one works here"), hold():
        pass


def test_nothing_is_appended_through_a_link(hold, tmp_path):
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "work.jsonl").symlink_to(tmp_path / "elsewhere")
    with hold() as held, pytest.raises(OSError):
        held.append("stolen")
    assert (tmp_path / "elsewhere").read_text() == "kept"
