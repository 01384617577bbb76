"""A sweep on Ray that loses processes and nodes: what is lost is trained again, and counts once."""

from __future__ import annotations

import math
import re
import signal
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flexunet_exp.runs import claims, outcome
from flexunet_exp.sweeps import remote_cells
from flexunet_exp.tracking.store import PARENT, SWEEP
from tests.support import running
from tests.support.ray_nodes import Cluster, Node, holder, send

CELLS = ("trainer.epochs=8", "trainer.threads=1", "trainer.seed=0,1", "loss=dice,ce_dice")
QUICK = ("callbacks.epoch_images=null", "trainer.deterministic=true")


@pytest.mark.parametrize(
    ("ended", "objective", "expected"),
    [(None, math.nan, "failed"), ("finished", 0.5, "finished"), ("killed", math.nan, "failed")],
)
def test_a_lost_cell_has_its_own_outcome_or_failed(tmp_path, ended, objective, expected):
    folder = tmp_path / "0"
    folder.mkdir()
    if ended:
        outcome.keep_outcome(folder, outcome.Outcome(ended, "s=1", objective))
    place = {"dir": str(tmp_path), "subdir": "0"}
    own = {"job": {"num": 0}, "overrides": {"task": []}, "runtime": {}, "sweep": place}
    cfg = OmegaConf.create({"hydra": own})
    returned = remote_cells.lost(cfg, "its node is gone")
    assert returned.return_value == pytest.approx(objective, nan_ok=True)
    assert outcome.read_outcome(folder).status == expected


@pytest.fixture
def three_nodes():
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'flexunet_exp[sweep]'")
    with Cluster(nodes=3) as cluster:
        yield cluster


def on_ray(cluster: Cluster) -> tuple[str, ...]:
    address = f"hydra.launcher.address={cluster.address}"
    return ("launcher=ray", "launcher.parallel=3", "launcher.cpus=1", address)


def trained_beside_head(folder: Path, cluster: Cluster) -> tuple[int, Node]:
    """A process that trains a cell with a state, and its node, which is not the head; waits."""
    found: list[tuple[int, Node]] = []

    def look() -> list[tuple[int, Node]]:
        cells = folder.glob("outputs/multirun/*/*/[0-9]")
        pids = [holder(claims.lock_of(cell)) for cell in cells if claims.epochs_done(cell)]
        others = [(node, node.pids()) for node in cluster.nodes if node is not cluster.head]
        found.extend((pid, node) for pid in pids for node, own in others if pid in own)
        return found

    running.wait_until(look)
    return found[0]


@pytest.mark.heavy
def test_a_sweep_loses_a_worker_a_node_and_for_a_while_its_head(tmp_path, tiny, three_nodes):
    words = ["-m", *tiny, *CELLS, *QUICK]
    whole = running.train(tmp_path / "whole", *words)
    assert whole.returncode == 0, whole.stdout
    sweep = running.start_flexunet(tmp_path / "lost", "train", *words, *on_ray(three_nodes))
    for lose in (lose_worker, lose_node):
        lose(*trained_beside_head(tmp_path / "lost", three_nodes))
    three_nodes.head.signal(signal.SIGSTOP)
    time.sleep(2)
    three_nodes.head.signal(signal.SIGCONT)
    done = running.ended(sweep)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Cell \d was lost: its process .* It goes on after epoch", done.stdout)
    assert re.search(r"Cell \d was lost: its node is gone. It goes on after epoch", done.stdout)
    assert results(tmp_path / "lost") == results(tmp_path / "whole")
    assert {run.info.status for run in running.all_runs(tmp_path / "lost")} == {"FINISHED"}


def lose_worker(pid: int, node: Node) -> None:
    send(pid, signal.SIGKILL)
    running.wait_until(lambda: pid not in node.pids())  # else it seems to train for a while


def lose_node(pid: int, node: Node) -> None:
    node.kill()


def results(folder: Path) -> tuple:
    """A sweep's figures: the parent's, and how often the store has each of every cell."""
    parent, *cells = running.all_runs(folder)
    assert {run.data.tags[PARENT] for run in cells} == {parent.info.run_id}
    assert SWEEP in parent.data.tags
    found = {run.info.run_name: running.metrics_of(folder, run) for run in cells}
    assert len(found) == len(cells)
    return parent.data.metrics, found


DEADLY = """
import os, signal
import keras

class Deadly(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.heavy
def test_a_cell_that_kills_its_process_is_given_up(tmp_path, tiny, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'flexunet_exp[sweep]'")
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.setenv("FLEXUNET_TRUSTED", "deadly")
    words = (*tiny, *QUICK, "launcher=ray", "launcher.cpus=1", "hydra.launcher.retries=1")
    done = running.train(tmp_path, "-m", *words, "+callbacks.deadly._target_=deadly.Deadly")
    assert done.returncode == 1
    assert done.stdout.count("Cell 0 was lost: its process ended without a result. It is") == 1
    assert "Cell 0 was lost for the last time" in done.stdout
    statuses = [run.info.status for run in running.all_runs(tmp_path)]
    assert statuses == ["FAILED", "KILLED"]
