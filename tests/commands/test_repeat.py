"""Deterministic runs are equal bit for bit, wherever they run and whatever ran before them."""

from __future__ import annotations

import pytest

from tests.support.running import all_runs, same_weights, train

DETERMINISTIC = ("trainer.deterministic=true", "model.dropout_rate=0.1", "model.batch_norm=true")


@pytest.fixture(scope="module")
def command(tiny) -> list[str]:
    return [*tiny, *DETERMINISTIC]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, command):
    """The run folder of a deterministic run on two threads."""
    folder = tmp_path_factory.mktemp("alone")
    done = train(folder, *command, "trainer.threads=2")
    assert done.returncode == 0, done.stdout
    (run_folder,) = folder.glob("outputs/*/*")
    return run_folder


@pytest.mark.heavy
def test_the_third_run_of_a_process_is_as_if_alone(tmp_path, command, alone):
    precisions = "trainer.precision=mixed_float16,mixed_bfloat16,float32"
    done = train(tmp_path, "-m", *command, "trainer.threads=2", precisions)
    assert done.returncode == 0, done.stdout
    first, _, third = sorted(tmp_path.glob("outputs/multirun/*/*/[0-2]"))
    assert same_weights(third, alone)
    assert not same_weights(first, alone)


@pytest.mark.heavy
def test_what_a_process_cannot_change_gets_one_of_its_own(tmp_path, command, alone):
    """Threads do change the weights, so equal ones are a matter of the run's own threads."""
    done = train(tmp_path, "-m", *command, "trainer.threads=1,2")
    assert done.returncode == 0, done.stdout
    one, two = sorted(tmp_path.glob("outputs/multirun/*/*/[01]"))
    assert same_weights(two, alone)
    assert not same_weights(one, alone)
    assert "finished" in done.stdout and (two / "train.log").read_text().count("epoch 2/2") == 1
    assert [run.info.status for run in all_runs(tmp_path)] == ["FINISHED"] * 3
