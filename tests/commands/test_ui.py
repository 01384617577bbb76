"""The UI's ports and refusals. What it shows: test_browser.py."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from flexunet_exp.commands import ui
from flexunet_exp.errors import InputError
from flexunet_exp.tracking.store import Store


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which another program listens."""
    with socket.socket() as other:
        other.bind((ui.HOST, 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def composed(compose, tmp_path, monkeypatch):
    """The command's configuration, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: compose("ui", *words)


def test_a_folder_without_a_store_is_not_given_one(composed, tmp_path):
    with pytest.raises(InputError, match="There is no store"):
        ui.task(composed())
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_and_no_port_left_are_a_sentence(composed, taken, tmp_path, monkeypatch):
    Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet")
    monkeypatch.setattr(ui, "PORTS", range(taken, taken + 1))
    for words, said in (([f"port={taken}"], f"Port {taken} is taken"), ([], f"{taken} are taken")):
        with pytest.raises(InputError, match=f"{said}[^\n]*$"):
            ui.task(composed(*words))


@pytest.mark.heavy
def test_a_port_that_another_program_takes_meanwhile_is_given_up(composed, taken, tmp_path, capfd):
    """Whoever answers there is not taken for the server that was started."""
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet")
    assert not ui.serve(store, taken, composed())
    assert "Runs:" not in capfd.readouterr().out


def test_a_port_that_was_just_left_is_free_and_one_in_use_is_not(taken):
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((ui.HOST, 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((ui.HOST, port)) as client:
            server.accept()[0].close()  # the side that closes first waits a minute
            assert client.recv(1) == b""
        assert not ui.is_free(port)
    assert ui.is_free(port) and not ui.is_free(taken)


def test_all_that_is_wrong_is_said_at_once_and_no_store_is_made(composed, tmp_path):
    words = ("tracking=none", "port=80", "columns=[metric.val/dice,params.loss]")
    with pytest.raises(InputError) as refused:
        ui.task(composed(*words))
    said = str(refused.value)
    assert "has no store to show" in said and "port=80" in said
    assert "'metric.val/dice'" in said and "'params.loss'" not in said
    with pytest.raises(InputError, match="columns=params.loss is not a list"):
        ui.task(composed("columns=params.loss"))
    assert not list(tmp_path.iterdir())
