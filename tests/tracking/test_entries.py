"""Entries of the outbox: their lines on disk, which earlier versions wrote and anyone may send."""

from __future__ import annotations

import math

import pytest

from flexunet_exp.tracking.entries import (
    KINDS,
    ArtifactEntry,
    DatasetEntry,
    ImageEntry,
    Metric,
    MetricsEntry,
    ModelEntry,
    ParamsEntry,
    RegisterEntry,
    ReopenEntry,
    RunEntry,
    StatusEntry,
    TagsEntry,
    from_line,
    to_line,
)

# As the release before the entries had types wrote them (tag before-house).
WRITTEN = {
    '{"what": "run", "time": 17, "name": "grid flexunet", "tags": {"signature": "0a"}}': (
        RunEntry("grid flexunet", {"signature": "0a"}, time=17)
    ),
    '{"what": "reopen", "time": 1795845159617}': ReopenEntry(time=1795845159617),
    '{"what": "tags", "time": 1795845159617, "tags": {"minutes": "1.50"}}': (
        TagsEntry({"minutes": "1.50"}, time=1795845159617)
    ),
    '{"what": "params", "time": 1795845159617, "params": {"seed": "0", "loss": "ce_dice"}}': (
        ParamsEntry({"seed": "0", "loss": "ce_dice"}, time=1795845159617)
    ),
    '{"what": "metrics", "time": 17, "metrics": [["dice", 0.5, 16, 3], ["iou", 1e-09, 16, 3]]}': (
        MetricsEntry((Metric("dice", 0.5, 16, 3), Metric("iou", 1e-9, 16, 3)), time=17)
    ),
    '{"what": "metrics", "time": 17, "metrics": [["x", Infinity, 16, 3]]}': (
        MetricsEntry((Metric("x", math.inf, 16, 3),), time=17)
    ),
    '{"what": "image", "time": 17, "key": "epochs/bent-001", "path": "a.png", "step": 2}': (
        ImageEntry("epochs/bent-001", "a.png", 2, time=17)
    ),
    '{"what": "artifact", "time": 17, "path": "scores.csv", "folder": "evaluation"}': (
        ArtifactEntry("scores.csv", "evaluation", time=17)
    ),
    '{"what": "dataset", "time": 17, "path": "samples.csv", "name": "grid", "digest": "abc", '
    '"source": "/data/gr\\u00f6\\u00dfe"}': (
        DatasetEntry("samples.csv", "grid", "abc", "/data/größe", time=17)
    ),
    '{"what": "model", "time": 17, "path": "best.keras", "example": "journal_example.npy"}': (
        ModelEntry("best.keras", "journal_example.npy", time=17)
    ),
    '{"what": "register", "time": 17, "name": "grid", "objective": "val/dice"}': (
        RegisterEntry("grid", "val/dice", time=17)
    ),
    '{"what": "status", "time": 17, "status": "FINISHED"}': StatusEntry("FINISHED", time=17),
}


@pytest.mark.parametrize(("line", "entry"), WRITTEN.items())
def test_lines_of_the_release_before_are_read_and_written_the_same(line, entry):
    assert from_line(line.encode()) == entry
    assert to_line(entry) == line + "\n"


def test_every_kind_has_such_a_line():
    assert set(map(type, WRITTEN.values())) == set(KINDS.values())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("garbage", "Expecting value"),
        ("[]", "expected an object, found"),
        ("{}", "no kind of entry: None"),
        ('{"what": []}', "no kind of entry"),
        ('{"what": "remove", "time": 1}', "no kind of entry: 'remove'"),
        ('{"what": "tags", "tags": {}}', "tags: expected time, tags, found tags"),
        ('{"what": "reopen", "time": 1, "n": 1}', "reopen: expected time, found time, n"),
        ('{"what": "reopen", "time": "1"}', "expected a whole number, found '1'"),
        ('{"what": "reopen", "time": true}', "expected a whole number, found True"),
        ('{"what": "tags", "time": 1, "tags": {"a": 2}}', "expected texts by name"),
        ('{"what": "tags", "time": 1, "tags": ["a"]}', "expected texts by name"),
        ('{"what": "artifact", "time": 1, "path": 3, "folder": ""}', "expected a text, found 3"),
        ('{"what": "metrics", "time": 1, "metrics": {}}', "a list of figures"),
        ('{"what": "metrics", "time": 1, "metrics": [["a", 0.5, 1]]}', "key, value, time and step"),
        ('{"what": "metrics", "time": 1, "metrics": [["a", "b", 1, 1]]}', "key, value"),
        ("[" * 200_000, "nested too deep"),
        ('{"what": "reopen", "time": ' + "9" * 5000 + "}", "int"),
    ],
)
def test_a_line_that_is_no_entry_says_what_was_found(line, expected):
    with pytest.raises(ValueError, match=expected) as error:
        from_line(line.encode())
    assert len(str(error.value)) < 300
