"""Compares the code that a run was trained and scored with to the present code."""

from __future__ import annotations

import subprocess
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

import flexunet_exp
from flexunet_exp.commands.reproduce.checks import (
    DIFFERENT,
    SAME,
    UNKNOWN,
    Check,
    differing,
    listed,
)
from flexunet_exp.commands.reproduce.recorded import Recorded
from flexunet_exp.config import compose, identity
from flexunet_exp.tracking import provenance

NAMES = {"weights": "Code that decides the weights", "scores": "Code that computes the scores"}
WATCHED = ("flexunet_exp", "conf", "hydra_plugins")  # what a training is made of, in the checkout
MOST_NAMED = 40  # of changed files; more are counted
STRICT = "code=strict asks for the code of the run. {}, or train with the present code: code=warn."


def check(recorded: Recorded, wanted: DictConfig, mode: str) -> Check:
    """What differs in the code; refuses with `mode` strict unless the weights' code is the same.

    `wanted` is the configuration that is trained again.
    """
    state, sentences = compared(recorded, wanted)
    refuses = mode == "strict" and state != SAME
    mend = f"Check out {recorded.commit}" if recorded.commit else "Install the run's release"
    refusal = " ".join([*sentences, STRICT.format(mend)]) if refuses else ""
    return Check(
        "code", state, [*sentences, *of_commits(recorded, compose.PACKAGE.parent)], refusal
    )


def compared(recorded: Recorded, wanted: DictConfig) -> tuple[str, list[str]]:
    """Whether the code that decides the weights is the same, and sentences on it."""
    if then := recorded.provenance.get("code"):
        now = provenance.code(wanted)
        other = {part: differing(then.get(part, {}), now[part]) for part in NAMES}
        return (DIFFERENT if other["weights"] else SAME), [
            of_part(part, other[part], len(now[part])) for part in NAMES
        ]
    if recorded.signature and recorded.data_digest and not recorded.run.cfg.get("init_from"):
        threads = recorded.threads or threads_of(wanted)
        made = identity.signature(recorded.run.cfg, recorded.data_digest, threads)
        if recorded.signature in identity.every(made):
            return SAME, ["The run's signature shows that the code of its weights is the present."]
        return UNKNOWN, [
            "The run's signature is another one: its code, its number of threads, or TensorFlow's "
            "or Keras's version differ. The run is too old to say which."
        ]
    return UNKNOWN, ["The run keeps no digest of its code: whether the code differs is not known."]


def threads_of(wanted: DictConfig) -> int:
    """The number of threads that a configuration is trained with here."""
    from flexunet_exp.system.tensorflow import ProcessSettings

    return ProcessSettings.from_config(wanted).num_threads


def of_part(part: str, modules: list[str], number: int) -> str:
    if not modules:
        return f"{NAMES[part]} is the same."
    return f"{NAMES[part]} differs in {len(modules)} of {number} modules: {listed(modules)}."


def of_commits(recorded: Recorded, root: Path) -> list[str]:
    """Sentences on versions and commits, and the files that changed in between."""
    then, here = recorded.commit, provenance.commit()
    version = recorded.provenance.get("version")
    found = []
    if version and version != flexunet_exp.__version__:
        found.append(f"The run has version {version}, here is {flexunet_exp.__version__}.")
    if then is None:
        found.append("The run records no commit.")
    elif then == here["commit"]:
        found.append(f"Commit {then[:10]}, as here.")
    else:
        present = (here["commit"] or "none")[:10]
        found.append(f"The run's commit is {then[:10]}, here is {present}.")
        found.append(between(changed_files(root, then)))
    if recorded.is_uncommitted:
        found.append("The run's checkout had changes that no commit has.")
    if here["uncommitted"]:
        found.append("The checkout here has changes that no commit has.")
    return found


def between(files: list[str] | None) -> str:
    if files is None:
        return "The history here has no such commit, so the changed files are not known."
    if not files:
        return f"No file of {', '.join(WATCHED)} changed since."
    return f"Changed since, {len(files)} files: {'; '.join(by_folder(files))}."


def by_folder(files: Sequence[str]) -> list[str]:
    """Each folder with the names of its files: `flexunet_exp/models: unet.py, blocks.py`.

    With many files, only the number in each folder just below the checkout's own ones.
    """
    if len(files) > MOST_NAMED:
        above = Counter("/".join(Path(file).parts[:-1][:2]) for file in files)
        return [f"{folder} {number}" for folder, number in sorted(above.items())]
    folders: dict[str, list[str]] = defaultdict(list)
    for file in files:
        folders[str(Path(file).parent)].append(Path(file).name)
    return [f"{folder}: {listed(names)}" for folder, names in sorted(folders.items())]


def changed_files(root: Path, commit: str) -> list[str] | None:
    """The files of the program that differ from a commit; None where git has no such commit."""
    if git(root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        return None
    found = git(root, "diff", "--name-only", "--no-ext-diff", commit, "--", *WATCHED)
    return None if found is None else found.splitlines()


def git(root: Path, *words: str) -> str | None:
    """What git prints in a folder; None where it fails, or is not installed."""
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
