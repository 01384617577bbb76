"""A store beyond one machine: a server on PostgreSQL, and what happens when it goes away."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from flexunet_exp.tracking.store import PARENT, RUN_FOLDER, Store
from flexunet_exp.tracking.stored_models import KERAS_MODEL, models_of
from tests.support import running
from tests.support.running import Command, flexunet
from tests.support.serving_store import Postgres, Server

AT = running.SUPPORT / "signal_at.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    database = Postgres()
    server = Server(tmp_path_factory.mktemp("server"), database.uri)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        database.stop()


@pytest.fixture
def up(server) -> Server:
    """The server, running again whatever the test before did."""
    if server.process is None:
        server.start()
    return server


def words(server: Server, tiny: list[str], name: str) -> list[str]:
    address = f"tracking.uri={server.uri}"
    alike = ("callbacks.epoch_images.num_images=1", "trainer.deterministic=true")
    model = "tracking.log_model=true"
    return [*tiny, "tracking=server", address, f"tracking.experiment_name={name}", *alike, model]


def content(uri: str, experiment: str) -> list[dict]:
    """All that a store has of each run of an experiment, but for times, ids and places."""
    store = Store(uri, experiment)
    return sorted((one_run(store, run) for run in store.search()), key=str)


def one_run(store: Store, run) -> dict:
    run_id, client = run.info.run_id, store.client
    histories = [client.get_metric_history(run_id, key) for key in run.data.metrics]
    own = {RUN_FOLDER, "journal", PARENT, "minutes", "overrides", "mlflow.note.content"}
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "tags": {key: v for key, v in sorted(run.data.tags.items()) if key not in own},
        "nested": PARENT in run.data.tags,
        "metrics": sorted((m.key, m.step, m.value) for h in histories for m in h),
        "files": sorted(Counter(files(client, run_id)).items()),
        "models": [
            (model.name, str(model.status)) for model in models_of(store, run_id, KERAS_MODEL)
        ],
        "data": [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs],
        "times": run.info.start_time <= run.info.end_time if run.info.end_time else None,
    }


def files(client, run_id: str, folder: str = "") -> list[str]:
    found = []
    for file in client.list_artifacts(run_id, folder or None):
        if file.is_dir:
            found += files(client, run_id, file.path)
        else:  # an image's name has its time and a random part
            slider = file.path.startswith("images/")
            found.append("+".join(file.path.split("+")[:3]) if slider else file.path)
    return found


def steps(run: dict) -> Counter:
    """How often each figure of an epoch is there (at the end some are of classes nobody found)."""
    return Counter((key, step) for key, step, _ in run["metrics"] if key.startswith("epoch/"))


def the_folder(folder: Path) -> Path:
    (found,) = folder.glob("outputs/*/*")
    return found


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory, tiny) -> list[dict]:
    """What the server has of a run during which it was always there."""
    done = flexunet(tmp_path_factory.mktemp("calm"), "train", *words(server, tiny, "calm"))
    assert done.returncode == 0, done.stdout
    (found,) = content(server.uri, "calm")
    assert found["models"] and found["status"] == "FINISHED" and found["times"]
    assert set(steps(found).values()) == {1}
    return [found]


def interrupted(folder: Path, *command: str) -> Command:
    """Starts a training that stops by itself before its first epoch's figures are sent."""
    process = Command(folder, str(AT), *command)
    for line in process.stdout:
        if "STOPPED HERE" in line:
            return process
    raise AssertionError("it never came to its first epoch")


@pytest.mark.heavy
def test_four_parallel_trials_lose_nothing(up, tmp_path, tiny, undisturbed):
    command = words(up, tiny, "parallel")
    swept = flexunet(
        tmp_path,
        "train",
        "-m",
        *command,
        "trainer.seed=1,2,3,4",
        "launcher=joblib",
    )
    assert swept.returncode == 0, swept.stdout
    store = Store(up.uri, "parallel")
    (parent,) = [run for run in store.search() if PARENT not in run.data.tags]
    cells = store.cells(parent)
    assert len(cells) == 4 and parent.info.status == "FINISHED"
    for cell in cells:
        found = one_run(store, cell)
        assert cell.info.artifact_uri.startswith("mlflow-artifacts:/")
        for key in ("status", "files", "models", "data"):
            assert found[key] == undisturbed[0][key]
        assert steps(found) == steps(undisturbed[0])
    compared = flexunet(
        tmp_path,
        "compare",
        "tracking=server",
        f"tracking.uri={up.uri}",
        "tracking.experiment_name=parallel",
    )
    assert compared.returncode == 0, compared.stdout


@pytest.mark.heavy
def test_a_server_killed_and_brought_back_in_training(up, tmp_path, tiny, undisturbed):
    process = interrupted(tmp_path, "train", *words(up, tiny, "back"))
    up.kill()
    process.send_signal(signal.SIGCONT)
    for line in process.stdout:
        if "is not reachable" in line:
            break
    process.send_signal(signal.SIGSTOP)  # this training would be over before the server is up
    assert "journal.jsonl" in line
    up.start()
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert output.count("The store is back") == 1 and "is not reachable" not in output
    assert content(up.uri, "back") == undisturbed
    assert not (the_folder(tmp_path) / "journal.jsonl").exists()


@pytest.mark.heavy
def test_a_server_that_comes_back_after_the_end_is_told_by_sync(up, tmp_path, tiny, undisturbed):
    process = interrupted(tmp_path, "train", *words(up, tiny, "after"))
    up.kill()
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate()
    folder = the_folder(tmp_path)
    assert process.returncode == 0 and "Traceback" not in output, output
    assert json.loads((folder / "result.json").read_text())["status"] == "finished"
    assert output.count("is not reachable") == 1
    assert f"flexunet sync run={folder} tracking.uri={up.uri}" in output

    away = flexunet(tmp_path, "sync", f"run={folder}")
    assert away.returncode == 1 and "does not answer" in away.stdout, away.stdout
    up.start()
    moved = folder.rename(tmp_path / "moved")
    done = flexunet(tmp_path, "sync", f"run={moved}")
    assert done.returncode == 0, done.stdout
    assert content(up.uri, "after") == undisturbed
    assert not list(moved.glob("journal*"))


@pytest.mark.heavy
def test_a_training_killed_while_the_server_is_away(up, tmp_path, tiny, undisturbed):
    command = words(up, tiny, "killed")
    process = interrupted(tmp_path, "train", *command)
    up.kill()
    process.kill()
    process.wait()
    up.start()
    done = flexunet(tmp_path, "train", *command)
    assert done.returncode == 0 and "Going on with the unfinished run" in done.stdout, done.stdout
    assert content(up.uri, "killed") == undisturbed
