"""What TensorFlow is told before a run: threads, precision, seeds, determinism."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from flexunet_exp.errors import InputError

DETERMINISTIC: list[bool] = []  # filled once this process was made deterministic


def num_threads(trainer: DictConfig) -> int:
    """The threads this run computes with: as configured, else all this process may use."""
    return trainer.threads or available_cores()


def available_cores() -> int:
    return len(os.sched_getaffinity(0))


def prepare(trainer: DictConfig) -> None:
    """Sets the process up for one run, leaving nothing of an earlier run in it.

    Raises InputError when an earlier run in this process used another number of threads, which
    TensorFlow cannot change once it has started.
    """
    with quiet_start():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
    set_threads(tf, num_threads(trainer))
    keras.backend.clear_session()
    keras.utils.disable_interactive_logging()  # we print our own lines
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    keras.config.set_dtype_policy(trainer.precision)
    keras.utils.set_random_seed(trainer.seed)
    set_determinism(tf, trainer.deterministic)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keeps the notices off the screen that TensorFlow's libraries write to file descriptor 2.

    No setting does: they come before TensorFlow's own logging is up. What fails, raises.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def set_determinism(tf, wanted: bool) -> None:
    """TensorFlow can be made deterministic in a process, but not let go again."""
    if wanted:
        tf.config.experimental.enable_op_determinism()
        DETERMINISTIC.append(True)
    elif DETERMINISTIC:
        raise InputError(
            "trainer.deterministic=false after a deterministic run in this process: TensorFlow "
            "cannot go back. Give each value a command of its own."
        )


def set_threads(tf, threads: int) -> None:
    # 0 is TensorFlow's own word for all cores.
    current = tf.config.threading.get_intra_op_parallelism_threads() or available_cores()
    if current == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise InputError(
            f"trainer.threads={threads} differs from an earlier run of this process, and "
            "TensorFlow cannot change it once started. Give each value a command of its own."
        ) from error
