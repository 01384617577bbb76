"""Launchers: several trials at once, each with its part of the machine, below one parent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import joblib
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hydra.utils import instantiate
from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg
from joblib.externals.loky import get_reusable_executor

from flexunet_exp.config import compose, resolvers
from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims
from flexunet_exp.sweeps import launchers
from flexunet_exp.system import tensorflow
from flexunet_exp.tracking.store import PARENT
from tests.support import running
from tests.support.ray_nodes import Cluster

QUICK = ("trainer.epochs=1", "callbacks=none", "augmentation=none")


@pytest.fixture
def multirun():
    """The configuration of a multirun: multirun("launcher=joblib", …)."""
    resolvers.register_resolvers()
    with initialize_config_dir(str(compose.conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield lambda *words: loader.load_configuration("train", list(words), RunMode.MULTIRUN)


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(tensorflow, "available_cores", lambda: 4)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["launcher=basic"], []),
        (["launcher=joblib"], ["trainer.threads=2"]),
        (["launcher=joblib", "launcher.parallel=3"], ["trainer.threads=1"]),
        (["launcher=joblib", "launcher.parallel=9"], ["trainer.threads=1"]),
        (["launcher=joblib", "trainer.threads=4"], []),
        (["launcher=submitit"], ["trainer.threads=2"]),
        (["launcher=slurm"], ["trainer.threads=4"]),
        (["launcher=ray", "launcher.cpus=3"], ["trainer.threads=3"]),
    ],
)
def test_a_trial_has_the_cores_divided_by_the_trials_at_once(multirun, four_cores, words, told):
    assert launchers.thread_overrides(multirun(*words), axes=[]) == told


def test_threads_that_are_swept_over_are_left_alone(multirun, four_cores):
    assert launchers.thread_overrides(multirun("launcher=joblib"), axes=["trainer.threads"]) == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["launcher.parallel=2"], "launcher=joblib"),
        (["launcher=joblib", "launcher.parallel=0"], "launcher.parallel=0 is not"),
        (["launcher=joblib", "launcher.cpus=x"], "launcher.cpus=x is not"),
        (["launcher=slurm", "launcher.cpus=null"], "launcher.cpus=4"),
        (["launcher=ray", "hydra.launcher.address=head:6379"], "launcher.cpus=4"),
    ],
)
def test_what_cannot_start_is_refused_with_what_to_type(multirun, words, problem):
    with pytest.raises(InputError, match=re.escape(problem)):
        launchers.check(multirun(*words))


@pytest.mark.parametrize("launcher", ["joblib", "submitit", "slurm", "ray"])
def test_what_a_launcher_needs_is_one_sentence(tmp_path, launcher):
    """In a Python that has neither Hydra's plugins for joblib and submitit nor Ray."""
    lacking = (
        "import sys, hydra_plugins; sys.modules['ray'] = None\n"
        f"hydra_plugins.__path__ = [{str(compose.PACKAGE.parent / 'hydra_plugins')!r}]\n"
        "from flexunet_exp import cli\n"
        f"sys.exit(cli.main(['train', '-m', 'launcher={launcher}', 'launcher.cpus=1']))"
    )
    done = running.python(tmp_path, lacking)
    assert done.returncode == 1
    assert "pip install 'flexunet_exp[sweep]'" in done.stdout and "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_launcher_without_multirun_is_refused(tmp_path):
    done = running.train(tmp_path, "launcher=joblib")
    assert done.returncode == 1 and "flexunet train -m launcher=joblib" in done.stdout


def test_a_search_trains_as_many_at_once_as_its_launcher(multirun):
    assert multirun("sweep=tpe").hydra.sweeper.n_jobs == 1
    assert multirun("sweep=tpe", "launcher=submitit").hydra.sweeper.n_jobs == 2


@pytest.mark.parametrize(
    ("count", "parallel", "parts"),
    [
        (4, 2, ["0,1", "2,3"]),
        (2, 2, ["0", "1"]),
        (5, 2, ["0,1", "2,3"]),
        (1, 2, ["0", "0"]),
        (2, 3, ["0", "1", "0"]),
    ],
)
def test_gpus_are_spread_over_the_trials_at_once(count, parallel, parts):
    visible = [str(number) for number in range(count)]
    found = [",".join(launchers.part(visible, place, parallel)) for place in range(parallel)]
    assert found == parts


# === Real ones ===


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray of two nodes with a core each, on this machine."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'flexunet_exp[sweep]'")
    with Cluster(nodes=2) as started:
        yield started.address


LAUNCHERS = {  # `basic` is what all other tests of sweeps use
    "joblib": ("launcher=joblib",),
    "submitit": ("launcher=submitit",),
    "ray": ("launcher=ray", "launcher.cpus=1"),
}
HEAVY = [name for name in LAUNCHERS if name != "joblib"]
EACH = ["joblib", *(pytest.param(name, marks=pytest.mark.heavy) for name in HEAVY)]
BAD = "62"  # cannot be halved twice: its cell fails
SIZES = {"joblib": ["64", BAD], "submitit": ["64", BAD], "ray": ["64", BAD, "32"]}


@pytest.fixture(scope="module", params=EACH)
def sweep(request, tmp_path_factory, tiny):
    """A multirun of good cells and a bad one: launcher, folder, and how it ended."""
    folder = tmp_path_factory.mktemp(request.param)
    sizes = f"dataset.image_size={','.join(SIZES[request.param])}"
    words = [*tiny, *QUICK, *LAUNCHERS[request.param], sizes]
    if request.param == "ray":
        words.append(f"hydra.launcher.address={request.getfixturevalue('cluster')}")
    return request.param, folder, running.train(folder, "-m", *words)


def test_parent_and_children_are_right_on_every_launcher(sweep):
    launcher, folder, done = sweep
    assert done.returncode == 1, done.stdout
    parent, *children = running.all_runs(folder)
    assert {child.data.tags[PARENT] for child in children} == {parent.info.run_id}
    found = {run.data.params.get("image_size", BAD): run.info.status for run in children}
    expected = {size: "FAILED" if size == BAD else "FINISHED" for size in SIZES[launcher]}
    assert found == expected
    assert parent.info.status == "FAILED"
    ended = re.findall(r"│\s*(\d) │ \S+\s+│ (\w+)", done.stdout)
    assert ended == [(str(n), how.lower()) for n, how in enumerate(expected.values())]
    assert re.search(r"cell 1 failed: .*image_size", done.stdout)
    tags = [child.data.tags for child in children if "image_size" in child.data.params]
    assert all("launcher" in one["overrides"] for one in tags)
    assert not any("launcher" in one["mlflow.note.content"] for one in tags)  # it needs -m


def test_every_trial_computes_with_the_threads_that_are_its_part(sweep):
    launcher, folder, _ = sweep
    part = str(max(1, tensorflow.available_cores() // 2))
    finished = [run for run in running.all_runs(folder) if "image_size" in run.data.params]
    threads = {run.data.params.get("threads") for run in finished}
    assert threads == {"1" if launcher == "ray" else part}


def test_ray_trains_on_both_nodes(sweep):
    """A trial takes the only core of its node, so two at one time are on two nodes."""
    launcher, folder, _ = sweep
    if launcher != "ray":
        pytest.skip("of Ray alone")
    first, second = (
        run.info for run in running.all_runs(folder) if "image_size" in run.data.params
    )
    assert max(first.start_time, second.start_time) < min(first.end_time, second.end_time)


@pytest.mark.heavy
def test_workers_have_different_gpus_and_ctrl_c_leaves_no_run_running(tmp_path, tiny):
    """Two GPUs that are not there: what counts is what the workers are told before they look."""
    environment = {**os.environ, launchers.VISIBLE: "0,1"}
    words = [*tiny, "launcher=joblib", "trainer.seed=0,1", "trainer.epochs=500"]
    command = [sys.executable, "-m", "flexunet_exp", "train", "-m", *words]
    printed = (tmp_path / "printed.txt").open("w")
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=printed)
    running.STARTED.append(process)
    logs = tmp_path / "outputs" / "multirun"
    running.wait_until(lambda: len(list(logs.glob("*/*/[01]/resume/state.npy"))) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    told = [re.search(r"GPU (\S+) of 0,1", path.read_text()) for path in logs.rglob("train.log")]
    assert sorted(match[1] for match in told if match) == ["0", "1"]
    assert {run.info.status for run in running.all_runs(tmp_path)} == {"KILLED"}
    assert len(running.all_runs(tmp_path)) == 3


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_jobs_of_submitit_end_with_their_command(tmp_path, tiny, name):
    """SIGINT reaches all processes of the terminal's group; a killed command says nothing."""
    words = [*tiny, "launcher=submitit", "trainer.seed=0,1", "trainer.epochs=5000"]
    command = [sys.executable, "-m", "flexunet_exp", "train", "-m", *words]
    with open(tmp_path / "printed.txt", "w") as printed:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=printed, start_new_session=True)
    running.STARTED.append(process)
    sweeps = tmp_path / "outputs" / "multirun"
    running.wait_until(lambda: len(list(sweeps.glob("*/*/[01]/resume/state.npy"))) == 2, 300)
    number = getattr(signal, name)
    os.killpg(process.pid, number) if name == "SIGINT" else process.send_signal(number)
    assert process.wait(60) == (-number if name == "SIGKILL" else 130)
    runs = [run for run in running.all_runs(tmp_path) if PARENT in run.data.tags]
    folders = [next(sweeps.glob(f"*/*/{place}")) for place in (0, 1)]
    running.wait_until(lambda: not any(claims.is_busy(folder) for folder in folders), 30)
    if name != "SIGKILL":
        assert {run.info.status for run in runs} == {"KILLED"}
    assert "Traceback" not in (tmp_path / "printed.txt").read_text()


def modules_of_worker(number: int) -> set[str]:
    time.sleep(1)  # so that one worker does not take all of the work
    return {name for name in ("tensorflow", "mlflow") if name in sys.modules}


@pytest.mark.heavy
@pytest.mark.slow
def test_joblib_trains_in_the_workers_that_have_imported_meanwhile(multirun, tmp_path):
    cfg = multirun("launcher=joblib", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db")
    if launchers.gpus():
        pytest.skip("a worker takes its GPUs before its import")
    try:
        with launchers.warming_workers(cfg):
            pass
        launcher = instantiate(cfg.hydra.launcher)
        process_joblib_cfg(launcher.joblib)  # as Hydra's launcher does before it asks for workers
        found = joblib.Parallel(**{**launcher.joblib, "backend": "loky"})(
            joblib.delayed(modules_of_worker)(number) for number in range(2)
        )
    finally:
        get_reusable_executor().shutdown(wait=True)
    assert all({"tensorflow", "mlflow"} <= names for names in found)


KEPT = """
import pickle, sys
from hydra.core.plugins import Plugins
from flexunet_exp import cli
made = Plugins.instantiate_launcher
def noted(*arguments, **named):
    launcher = made(*arguments, **named)
    launch = launcher.launch
    def sizes(*words, **more):
        returned = launch(*words, **more)
        print(len(returned), "jobs of", max(len(pickle.dumps(job)) for job in returned), "bytes")
        return returned
    launcher.launch = sizes
    return launcher
Plugins.instantiate_launcher = noted
sys.exit(cli.main(["train", "-m", "data_root=missing", "trainer.seed=0,1", "tracking=none"]))
"""


def test_no_configuration_of_an_ended_cell_is_kept(tmp_path):
    """Hydra keeps all that a job returned until the sweep ends."""
    done = running.python(tmp_path, KEPT)
    assert done.returncode == 1, done.stdout  # there are no data
    [(jobs, size)] = re.findall(r"(\d+) jobs of (\d+) bytes", done.stdout)
    assert int(jobs) == 2 and int(size) < 3000
