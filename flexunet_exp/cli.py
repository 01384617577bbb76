"""The console script: picks a command, quotes paths for Hydra, prints errors as messages."""

from __future__ import annotations

import atexit
import gc
import importlib
import keyword
import os
import sys
from pathlib import Path

from flexunet_exp.config.overrides import Word, quote_path, sweeps
from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.system import collection, interrupt
from flexunet_exp.tracking.address import require_valid

COMMANDS = {
    "train": "compose → fit → evaluate → track one experiment; -m sweeps over several",
    "evaluate": "run=RUN scores a finished run again, from the run alone",
    "compare": "ranks runs of the store, compares the leaders on the same test pictures",
    "decide": "run=RUN|PARENT max_false_alarms=0.05: which parts to stop, with a guarantee",
    "review": "run=PARENT: labels that are probably wrong, ranked on a page",
    "propose": "run=RUN|PARENT input=FOLDER n=20: which pictures to label next, pre-annotated",
    "reproduce": "run=RUN trains a finished run again: what differs, and are the scores equal?",
    "infer": "run=RUN input=PATH output=DIR: masks, overlays and regions of any pictures",
    "import": "input=EXPORT output=SET: annotations of any tool → image/mask data, ready to train",
    "import-config": "FILE.config output=NAME: an INI file of the original program → an experiment",
    "export-labels": "input=SET|run=RUN output=DIR format=coco: masks → an annotation tool's files",
    "prepare": "input=DIR output=DIR: raw MVTec AD → image/mask data, split by source, augmented",
    "check": "dataset=…: the data card, leakage and every problem of a data set with its file",
    "plan": "dataset=… minutes=30: writes an experiment that fits data, machine and minutes",
    "inspect": "layers, parameters, multiply-adds and receptive field of the composed model",
    "export": "run=RUN format=saved_model|onnx|litert: its network as a file, with a proof",
    "promote": "run=RUN name=NAME registers a run's best model; as the champion if it is better",
    "cache": "lists decoded pictures and kept features; prune=all or prune=DAYS removes them",
    "sync": "uploads the outboxes of runs to the store; run=FOLDER for one run",
    "ui": "opens the MLflow UI on the project's store",
}
TRACE = "HYDRA_FULL_ERROR"


def main(arguments: list[str] | None = None) -> int:
    """Runs one command: 0 done, 1 failed with a message, 2 unknown command, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    command, overrides = arguments[0], arguments[1:]
    if command not in COMMANDS:
        print(f"Unknown command {command!r}.{did_you_mean(command, COMMANDS)}\n\n{usage()}")
        return 2
    is_sweep = sweeps(overrides)
    quoted = (quote_path(word, command, is_sweep) for word in overrides)
    sys.argv = [f"flexunet {command}", *quoted]
    interrupt.listen()
    try:
        require_addresses(overrides)
    except InputError as error:  # before Hydra writes the typed words into files
        print(f"flexunet {command}: {error}", file=sys.stderr)
        return 1
    # Python searches all of TensorFlow for garbage before it ends, which takes over a second.
    atexit.register(gc.freeze)
    return run(command)


def run(command: str) -> int:
    """Runs the command's Hydra app; an error prints a message, and no stack trace unless asked."""
    wants_trace = os.environ.get(TRACE) == "1"
    os.environ[TRACE] = "1"  # Hydra then raises its errors instead of printing them
    collection.pause()  # until the command begins its work
    try:
        return importlib.import_module(module_of(command)).main() or 0
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        if wants_trace:
            raise
        from flexunet_exp.jobs.explain import explain

        print(f"flexunet {command}: {explain(error, command)}", file=sys.stderr)
        return 1


def module_of(command: str) -> str:
    """The module with a command's `main`: `commands/NAME.py`, or `commands/NAME/command.py`."""
    module = command.replace("-", "_") + "_" * keyword.iskeyword(command)
    folder = Path(__file__).parent / "commands" / module
    return f"flexunet_exp.commands.{module}" + ".command" * folder.is_dir()


def require_addresses(overrides: list[str]) -> None:
    """Raises InputError for a `tracking.uri=` that is not an address, or contains a password."""
    for word in map(Word.parse, overrides):
        address = word.as_typed().value
        if word.key == "tracking.uri" and address not in (None, "", "null") and "${" not in address:
            require_valid(address)


def usage() -> str:
    lines = [f"  {name:<14}{does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            "usage: flexunet COMMAND [overrides]    e.g. flexunet train experiment=quickstart",
            "",
            *lines,
            "",
            "flexunet COMMAND --help lists the choices; flexunet COMMAND --cfg job the config.",
        ]
    )
