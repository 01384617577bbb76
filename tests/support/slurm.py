"""A stand-in for SLURM on this machine: sbatch, srun, sacct, scontrol and scancel over a folder.

It does what SLURM's manual says of the parts that submitit uses: arrays with a limit of tasks at
once, the signal before a time limit (sbatch --signal), the end at the limit (SIGCONT and SIGTERM,
SIGKILL after KillWait), requeueing, nodes that fail. A minute of a time limit is as long as
`minute` says. The commands are this file, run by the name of the command; they leave requests in
the folder, and `Slurm` carries them out.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "scontrol", "scancel")
SPOOL = "SLURM_STANDIN"
REFUSAL = "refusal"  # its text
KILL_WAIT = 5.0  # seconds, also of grace for a preempted task; SLURM's default is 30
OVER = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")


@dataclass
class Task:
    """One task of an array, which may start several times."""

    job: int
    number: int
    script: str
    options: dict[str, str]
    folder: str  # in which sbatch was called
    state: str = "PENDING"
    process: subprocess.Popen | None = None
    started: float = 0.0
    starts: int = 0
    is_warned: bool = False
    requeue_at: float | None = None
    kill_at: float | None = None
    ends_as: str | None = None  # what it becomes once its processes are gone

    @property
    def name(self) -> str:
        return f"{self.job}_{self.number}" if "array" in self.options else str(self.job)


class Slurm:
    """Runs what is submitted; to be used as a context."""

    def __init__(self, folder: Path, minute: float = 60.0, requeues_after: float = 0.0):
        self.folder, self.minute, self.requeues_after = folder, minute, requeues_after
        self.spool, self.bin = folder / "spool", folder / "bin"
        self.tasks: list[Task] = []
        self.lock, self.over = threading.Lock(), threading.Event()

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", SPOOL: str(self.spool)}

    def __enter__(self) -> Slurm:
        self.spool.mkdir(parents=True)
        self.bin.mkdir()
        for name in COMMANDS:
            path = self.bin / name
            path.write_text(f'#!/bin/sh\nexec {sys.executable} -S {__file__} {name} "$@"\n')
            path.chmod(0o755)
        self.publish()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        for task in self.tasks:
            self.kill(task)

    def run(self) -> None:
        while not self.over.wait(0.05):
            with self.lock:
                for request in sorted(self.spool.glob("*.request")):
                    self.obey(json.loads(request.read_text()))
                    request.unlink()
                for task in self.tasks:
                    self.watch(task)
                for task in self.tasks:
                    self.start_if_free(task)
                self.publish()

    def obey(self, request: dict) -> None:
        words = request["words"]
        if request["command"] == "sbatch":
            self.submit(request["job"], request["folder"])
            return
        for task in self.tasks:
            if words[-1] in (task.name, str(task.job)):
                (self.requeue if request["command"] == "scontrol" else self.cancel)(task)

    def submit(self, job: int, folder: str) -> None:
        script = self.spool / f"{job:04}.sh"
        found = re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", script.read_text(), re.MULTILINE)
        options = {name: shlex.split(value)[0] for name, value in found}
        first, last = (0, 0)
        if "array" in options:
            first, last = map(int, options["array"].split("%")[0].split("-"))
        for number in range(first, last + 1):
            self.tasks.append(Task(job, number, str(script), options, folder))

    def start_if_free(self, task: Task) -> None:
        running = sum(one.job == task.job and one.process is not None for one in self.tasks)
        at_once = int(task.options.get("array", "%1").split("%")[1])
        if task.state != "PENDING" or running >= at_once:
            return
        names = {"%A": str(task.job), "%a": str(task.number), "%j": task.name}
        output, errors = (replaced(task.options[name], names) for name in ("output", "error"))
        if not Path(output).parent.is_dir():
            return  # submitit makes it once sbatch has returned; SLURM is slower than this
        env = {
            **os.environ,
            **self.env,
            "SLURM_JOB_ID": str(task.job * 1000 + task.number),
            "SLURM_NTASKS": "1",
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_JOB_NODELIST": "node1",
            "SLURM_NODEID": "0",
            "SLURM_PROCID": "0",
            "SLURM_LOCALID": "0",
            "SLURM_RESTART_COUNT": str(task.starts),
        }
        if "array" in task.options:
            env |= {"SLURM_ARRAY_JOB_ID": str(task.job), "SLURM_ARRAY_TASK_ID": str(task.number)}
        with open(output, "ab") as out, open(errors, "ab") as err:
            task.process = subprocess.Popen(
                ["bash", task.script],
                cwd=task.folder,
                env=env,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        task.state, task.started, task.starts = "RUNNING", time.monotonic(), task.starts + 1
        task.is_warned, task.requeue_at, task.kill_at, task.ends_as = False, None, None, None

    def watch(self, task: Task) -> None:
        """Warns and ends a task at its limit; takes up its end."""
        if task.process is None:
            return
        code = task.process.poll()
        if code is not None:
            self.kill(task)  # what it left running
            task.process = None
            task.state = task.ends_as or ("FAILED" if code else "COMPLETED")
            return
        limit = int(task.options["time"]) * self.minute
        _, before = task.options["signal"].split("@")
        passed = time.monotonic() - task.started
        if not task.is_warned and passed > limit - int(before) / 60 * self.minute:
            self.warn(task)
        if task.kill_at is None and task.requeue_at and time.monotonic() > task.requeue_at:
            self.end(task, "PENDING")
        if task.kill_at is None and passed > limit:
            self.end(task, "TIMEOUT")
        if task.kill_at is not None and time.monotonic() > task.kill_at:
            task.ends_as = task.ends_as or "PENDING"
            self.kill(task)

    def warn(self, task: Task) -> None:
        """The signal of sbatch --signal, to the steps and not to the batch script."""
        task.is_warned = True
        name, _ = task.options["signal"].split("@")
        for child in children_of(task.process.pid):
            send(child, getattr(signal, f"SIG{name}"))

    def end(self, task: Task, state: str | None) -> None:
        """Asks all processes of a task to end; KILL_WAIT seconds later they are killed."""
        task.ends_as, task.kill_at = state, time.monotonic() + KILL_WAIT
        for number in (signal.SIGCONT, signal.SIGTERM):
            for child in children_of(task.process.pid):
                send(child, number)

    def requeue(self, task: Task) -> None:
        """By scontrol, which returns before the processes of the task are asked to end."""
        if task.process is None:
            task.state = "PENDING"
        else:
            task.ends_as, task.requeue_at = "PENDING", time.monotonic() + self.requeues_after

    def cancel(self, task: Task) -> None:
        if task.process is None and task.state not in OVER:
            task.state = "CANCELLED"
        elif task.process is not None:
            self.end(task, "CANCELLED")

    def refuse(self, why: str) -> None:
        """Lets sbatch fail from now on."""
        (self.spool / REFUSAL).write_text(why)

    def time_is_nearly_up(self, number: int) -> None:
        with self.lock:
            self.warn(self.tasks[number])

    def preempt(self, number: int) -> None:
        """As with PreemptMode=REQUEUE and a grace time: asked to end, and queued again at its end.

        A task that ends by itself in the grace time has failed.
        """
        with self.lock:
            task = self.tasks[number]
            self.end(task, None)

    def scancel(self, number: int) -> None:
        with self.lock:
            self.cancel(self.tasks[number])

    def lose_node(self, number: int) -> None:
        """The node of a task is gone with all processes; SLURM requeues the task."""
        with self.lock:
            self.tasks[number].ends_as = "PENDING"
            self.kill(self.tasks[number])

    def kill(self, task: Task) -> None:
        if task.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(task.process.pid, signal.SIGKILL)

    def publish(self) -> None:
        """What sacct says."""
        lines = [f"{task.name}|{task.state}|node1" for task in self.tasks]
        new = self.spool / "states.new"
        new.write_text("\n".join(["JobID|State|NodeList", *lines]) + "\n")
        new.replace(self.spool / "states")


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def replaced(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


# What follows runs in the commands.


def srun(words: list[str]) -> None:
    """Takes this process's place by the command, with its outputs in the files."""
    options = {}
    while words[0].startswith("--"):
        name = words.pop(0)
        options[name] = "" if name == "--unbuffered" else words.pop(0)
    names = {"%A_%a": "", "%t": os.environ["SLURM_PROCID"]}
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        names["%A_%a"] = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    for option, descriptor in (("--output", 1), ("--error", 2)):
        path = replaced(options[option], names)
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), descriptor)
    os.execvp(words[0], words)


def request(command: str, words: list[str], spool: Path) -> int:
    """Leaves a request, under a number of its own."""
    for number in range(1, 10_000):
        try:
            with open(spool / f"{number:04}.taken", "x"):
                break
        except FileExistsError:
            continue
    if command == "sbatch":  # which keeps a copy of the script
        shutil.copyfile(words[0], spool / f"{number:04}.sh")
    new = spool / f"{number:04}.new"
    told = {"command": command, "words": words, "job": number, "folder": os.getcwd()}
    new.write_text(json.dumps(told))
    new.rename(spool / f"{number:04}.request")
    return number


def main(command: str, words: list[str]) -> None:
    spool = Path(os.environ[SPOOL])
    if command == "srun":
        srun(words)
    elif command == "sacct":
        print((spool / "states").read_text(), end="")
    elif command == "sbatch" and (spool / REFUSAL).exists():
        sys.exit(f"sbatch: error: {(spool / REFUSAL).read_text()}")
    elif command == "sbatch":
        print(f"Submitted batch job {request(command, words, spool)}")
    else:
        request(command, words, spool)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
