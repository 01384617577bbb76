"""Sweeps whose cells are jobs of SLURM, of which a stand-in runs on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexunet_exp.sweeps import submitit_launcher
from tests.support import running
from tests.support.slurm import Slurm

EPOCHS = 120  # some seconds
# For a limit of at most ten minutes, submitit takes every warning for one of time.
WORDS = (
    "launcher=slurm",
    "launcher.cpus=1",
    "launcher.parallel=2",
    "hydra.launcher.timeout_min=10",
)
QUICK = ("callbacks=none", "augmentation=none", "trainer.seed=0,1")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """slurm(…) starts a stand-in, whose commands are then found by those that a test starts."""
    started = []

    def start(**settings: float) -> Slurm:
        started.append(Slurm(tmp_path / "slurm", **settings).__enter__())
        for name, value in started[-1].env.items():
            monkeypatch.setenv(name, value)
        return started[-1]

    yield start
    for one in started:
        one.__exit__()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny) -> Path:
    """The folder of a run as the first cell trains it."""
    folder = tmp_path_factory.mktemp("alone")
    running.train(folder, *tiny, *QUICK[:2], f"trainer.epochs={EPOCHS}", "trainer.threads=1")
    (found,) = folder.glob("outputs/*/*_grid_flexunet")
    return found


def sweep(folder: Path, *words: str) -> running.Command:
    return running.start_flexunet(folder, "train", "-m", *words, *WORDS, *QUICK)


def wait_for_state(folder: Path, command: running.Command, cell: int = 0) -> None:
    """Until a cell has been trained for an epoch."""
    states = folder / "outputs" / "multirun"
    running.wait_until(
        lambda: command.poll() is not None or list(states.glob(f"*/*/{cell}/resume/state.npy")),
        seconds=300,
    )
    assert command.poll() is None, running.ended(command).stdout


def counted(folder: Path) -> list[tuple[str, str, int, int]]:
    """Seed, status, and how many epochs and figures the store has of each cell."""
    found = []
    for run in running.all_runs(folder):
        if seed := run.data.params.get("seed"):
            figures = running.metrics_of(folder, run)
            epochs = sum(
                number for (key, *_), number in figures.items() if key == "epoch/train/loss"
            )
            found.append((seed, run.info.status, epochs, max(figures.values())))
    return sorted(found)


BOTH_ONCE = [(seed, "FINISHED", EPOCHS, 1) for seed in ("0", "1")]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "loses, settings",
    [
        ("time_is_nearly_up", {}),
        ("time_is_nearly_up", {"requeues_after": 3.0}),  # submitit leaves the process by itself
        ("preempt", {}),
        ("lose_node", {}),
    ],
)
def test_a_job_that_slurm_starts_again_goes_on(
    tmp_path, tiny, slurm, uninterrupted, loses, settings
):
    cluster = slurm(**settings)
    command = sweep(tmp_path, *tiny, f"trainer.epochs={EPOCHS}")
    wait_for_state(tmp_path, command)
    getattr(cluster, loses)(0)
    done = running.ended(command)
    assert done.returncode == 0, done.stdout
    assert [task.starts for task in cluster.tasks] == [2, 1]
    assert {task.state for task in cluster.tasks} == {"COMPLETED"}
    assert counted(tmp_path) == BOTH_ONCE
    (cell,) = tmp_path.glob("outputs/multirun/*/*/0")
    assert running.same_weights(cell, uninterrupted)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "loses, words, told",
    [
        ("scancel", [], "its job 1_0 ended without a result (CANCELLED)"),
        ("time_is_nearly_up", ["hydra.launcher.max_num_timeout=0"], "it is not started again"),
    ],
)
def test_a_job_that_ends_fails_its_cell_alone_and_the_command_goes_on(
    tmp_path, tiny, slurm, loses, words, told
):
    cluster = slurm()
    words = [*tiny, f"trainer.epochs={EPOCHS}", *words]
    command = sweep(tmp_path, *words)
    wait_for_state(tmp_path, command)
    getattr(cluster, loses)(0)
    done = running.ended(command)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert told in " ".join(done.stdout.split())
    assert "The same command goes on with" in " ".join(done.stdout.split())
    assert [status for _, status, *_ in counted(tmp_path)][1] == "FINISHED"
    again = running.ended(sweep(tmp_path, *words))
    assert again.returncode == 0, again.stdout
    assert counted(tmp_path) == BOTH_ONCE
    assert "skipped" in again.stdout  # the cell that had finished


@pytest.mark.heavy
def test_what_sbatch_is_told_and_what_it_refuses(tmp_path, tiny, slurm):
    cluster = slurm()
    options = ["launcher.gpus=0", "hydra.launcher.partition=night", "hydra.launcher.mem_gb=4"]
    done = running.ended(sweep(tmp_path, *tiny, *options))
    assert done.returncode == 0, done.stdout
    told = cluster.tasks[0].options
    expected = {"array": "0-1%2", "cpus-per-task": "1", "gpus-per-node": "0", "mem": "4GB"}
    expected |= {"partition": "night", "time": "10", "job-name": "train"}
    assert {name: told[name] for name in expected} == expected
    cluster.refuse("invalid partition specified: night")
    done = running.ended(sweep(tmp_path, *tiny, *options, "trainer.epochs=3"))
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "invalid partition specified: night" in done.stdout
    assert len(running.all_runs(tmp_path)) == 3  # no parent of the second command


def test_without_slurm_it_is_one_sentence_and_dry_shows_the_cells(tmp_path, tiny, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = running.ended(sweep(tmp_path, *tiny))
    assert done.returncode == 1 and "launcher=joblib" in done.stdout
    assert list(tmp_path.iterdir()) == []
    done = running.ended(sweep(tmp_path, *tiny, "dry=true"))
    assert done.returncode == 0 and "2 missing" in done.stdout


@pytest.mark.slow
def test_why_a_job_failed_is_the_last_line_of_its_trace(tmp_path):
    """Of one that submitit could not even begin."""
    from submitit import AutoExecutor

    executor = AutoExecutor(tmp_path, cluster="local")
    executor.update_parameters(timeout_min=1)
    job = executor.submit(divmod, 1, 0)
    with pytest.raises(Exception, match="ZeroDivisionError") as caught:
        job.result()
    assert submitit_launcher.last_line(caught.value).startswith("ZeroDivisionError: ")
    assert submitit_launcher.last_line(ValueError()) == "ValueError"
