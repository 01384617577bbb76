"""An SQLite store on a disk that may only be read is read; what else is asked of it is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.jobs.explain import explain
from flexunet_exp.tracking.reachable import is_away
from flexunet_exp.tracking.store import Store
from tests.support import disks


@pytest.fixture
def disk(tmp_path):
    with disks.mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def copied(tmp_path, disk) -> str:
    """The address of a store with one run, as another user's or a backup is."""
    Store(f"sqlite:///{tmp_path}/mlflow.db", "flexunet").create_run("a", {"signature": "abc"})
    shutil.copy(tmp_path / "mlflow.db", disk)
    disks.make_read_only(disk)
    return f"sqlite:///{disk}/mlflow.db"


def test_its_runs_are_found(copied):
    assert len(Store(copied, "flexunet", create=False).signed("abc")) == 1


def test_a_message_says_that_it_cannot_be_written(copied):
    store = Store(copied, "flexunet")
    for write in (lambda: store.create_run("b", {}), lambda: Store(copied, "another")):
        with pytest.raises(Exception, match="readonly") as caught:
            write()
        assert is_away(caught.value)
        said = explain(caught.value, "promote")
        assert "may only be read" in said and "tracking.uri=sqlite:///PATH" in said


def refused(disk: Path) -> str:
    disks.make_read_only(disk)
    with pytest.raises(InputError) as caught:
        Store(f"sqlite:///{disk}/mlflow.db", "flexunet")
    assert is_away(caught.value)
    return str(caught.value)


def test_none_can_be_made_there(disk):
    said = refused(disk)
    assert f"{disk}/mlflow.db" in said and "tracking.uri=sqlite:///PATH" in said


def test_what_is_no_store_is_refused_by_its_name(disk):
    (disk / "mlflow.db").write_text("rubbish")
    said = refused(disk)
    assert f"{disk}/mlflow.db" in said and "cannot be read as a store" in said
