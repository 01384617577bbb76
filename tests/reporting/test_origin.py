"""How a page names the runs that it is about."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from flexunet_exp.config.overrides import Word
from flexunet_exp.reporting import origin

RUNS = [SimpleNamespace(run_id="0a1b", folder=Path("a")), SimpleNamespace(run_id=None, folder="b")]


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("run=0f3c", "0f3c"),
        ("run=models:/zipper/3", "models:/zipper/3"),
        ("run=models:/zipper@champion", "0a1b,b"),  # another one after the next promotion
        ("run=latest", "0a1b,b"),
        ("run=[0f3c, best]", "0a1b,b"),
        ("overwrite=true", "0a1b,b"),
    ],
)
def test_a_name_that_will_mean_other_runs_is_not_repeated(monkeypatch, typed, named):
    monkeypatch.setattr(origin, "task_overrides", lambda: [Word.parse(typed)])
    assert origin.typed_run(RUNS) == named
