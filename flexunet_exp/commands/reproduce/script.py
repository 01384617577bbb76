"""The commands that train a run again on another machine, as a file for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from flexunet_exp.commands.reproduce.recorded import Recorded
from flexunet_exp.config.overrides import Word, shell
from flexunet_exp.errors import InputError

USAGE = "usage: bash {} REPOSITORY DATA   (the program's repository, the folder of all data sets)"
# Words that a stranger gives anew, or that say nothing of the run.
LEFT_OUT = ("data_root", "cache_dir", "rerun", "require", "dry", "hydra.run.dir", "hydra.sweep.dir")


def write(recorded: Recorded, path: Path) -> None:
    """Writes the script; InputError where the file exists, or the run's words are not known."""
    if recorded.words is None:
        raise InputError(
            f"Run {recorded.name} keeps no words of its command line: `reproduce` trained it, or "
            "an earlier release without a store. Give the run that it reproduces, or train it "
            "again here: leave script= out."
        )
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write("\n".join(lines(recorded, path.name)) + "\n")
    except FileExistsError as error:
        raise InputError(
            f"{path} exists already, and is left as it is. Choose another script=FILE."
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error
    path.chmod(0o755)


def lines(recorded: Recorded, name: str) -> Iterator[str]:
    usage = shlex.quote(USAGE.format(name))
    words = trained(recorded)
    yield "#!/usr/bin/env bash"
    yield from commented(recorded)
    yield "set -euo pipefail"
    yield f"if [ $# != 2 ]; then echo {usage} >&2; exit 2; fi"
    yield 'mkdir -p "$2"'
    yield 'data=$(cd "$2" && pwd)'
    yield 'git clone "$1" flexunet_exp'
    yield "cd flexunet_exp"
    if recorded.commit:
        yield f"git checkout {shlex.quote(recorded.commit)}"
    yield from installed(recorded)
    digest = one_line(recorded.data_digest or "not recorded")
    yield f"# The data: digest {digest}, as card.json has it."
    for command in ("check", "train"):  # the size of the pictures must fit the network
        yield f'.venv/bin/flexunet {command} {shell(words)} "data_root=$data"'


def commented(recorded: Recorded) -> Iterator[str]:
    """What the run was, and what the script cannot repeat, as comments."""
    version = one_line(str(recorded.provenance.get("version", "not recorded")))
    yield f"# Trains run {one_line(recorded.name)} ({one_line(recorded.origin)}) again."
    yield f"# flexunet_exp {version}, commit {recorded.commit or 'not recorded'}."
    if recorded.is_uncommitted:
        yield "# Its checkout had changes that no commit has: the weights can differ."
    if machine := recorded.provenance.get("machine"):
        facts = "; ".join(f"{name} {value}" for name, value in machine.items())
        yield f"# It was trained on: {one_line(facts)}."
    yield "# Files of a conf/ of your own, and files that the words below name, are to be copied."


def installed(recorded: Recorded) -> Iterator[str]:
    """The virtual environment with the versions of the run, where they are recorded."""
    packages = dict(recorded.provenance.get("packages", {}))
    python = ".".join(packages.pop("python", "3").split(".")[:2])
    pins = [f"{name}=={number}" for name, number in packages.items()]
    yield f"{shlex.quote(f'python{python}')} -m venv .venv"
    if pins:
        yield f".venv/bin/pip install . {shell(pins)}"
    else:
        yield "# The run keeps no versions of its packages: those of its commit."
        yield ".venv/bin/pip install . -c constraints.txt"


def trained(recorded: Recorded) -> list[Word]:
    """The words of the run without its folders, with the number of its threads."""
    words = [word for word in recorded.words or () if word.key not in LEFT_OUT]
    words = [word for word in words if not (word.is_of_sweep or is_of_store(word))]
    if recorded.threads and all(word.key != "trainer.threads" for word in words):
        words.append(Word("trainer.threads", str(recorded.threads)))
    return words


def is_of_store(word: Word) -> bool:
    return word.key.split(".")[0] == "tracking"


def one_line(text: str) -> str:
    """A text that stays in its comment."""
    return " ".join(text.split())
