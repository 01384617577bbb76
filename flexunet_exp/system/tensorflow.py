"""TensorFlow's settings before a run: threads, precision, seeds, determinism."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.system import collection, imports

# The threads and the determinism of the process's first run, which TensorFlow cannot change
# afterwards.
FIXED: list[tuple[int, bool]] = []


@dataclass(frozen=True)
class ProcessSettings:
    """How a process computes a run."""

    threads: int | None  # None: all that the process may use
    deterministic: bool
    precision: str
    seed: int
    strategy: str  # auto or mirrored

    @classmethod
    def from_config(cls, cfg: DictConfig) -> ProcessSettings:
        trainer = cfg.trainer
        fixed = trainer.threads, bool(trainer.deterministic)
        return cls(*fixed, trainer.precision, trainer.seed, trainer.strategy)

    @property
    def num_threads(self) -> int:
        return self.threads or available_cores()

    @property
    def fixed(self) -> tuple[int, bool]:
        """The settings that a process cannot change after its first run."""
        return self.num_threads, self.deterministic


def available_cores() -> int:
    return len(os.sched_getaffinity(0))


def needs_own_process(settings: ProcessSettings) -> bool:
    """Whether an earlier run of this process has fixed other values than this run needs."""
    return bool(FIXED) and FIXED[0] != settings.fixed


def prepare(settings: ProcessSettings) -> None:
    """Sets the process up for one run, leaving nothing of an earlier run in it."""
    keep_freed_memory()
    load()
    import keras
    import tensorflow as tf

    if not FIXED:
        fix(tf, settings)
    assert not needs_own_process(settings), "train.task starts a process for such a run"
    keras.backend.clear_session()
    keras.config.set_dtype_policy(settings.precision)
    keras.utils.set_random_seed(settings.seed)


@contextmanager
def forgetting_gradients() -> Iterator[None]:
    """Drops the gradients of its own that TensorFlow registers within it.

    Each traced step registers one for good, and with it all graphs of its training: 8 MB for the
    smallest network (docs/measured/large.md). What was traced within it cannot be differentiated
    anew afterwards; steps that have been traced can be run.
    """
    known = set(registered_gradients())
    try:
        yield
    finally:
        now = registered_gradients()
        for name in [name for name in now if name.startswith("CustomGradient-")]:
            if name not in known:
                del now[name]


def registered_gradients() -> dict[str, Any]:
    """By the name of the operation; empty before TensorFlow is imported."""
    if "tensorflow" not in sys.modules:
        return {}
    from tensorflow.python.framework import ops

    return ops.gradient_registry._registry


def load() -> None:
    """Imports TensorFlow and Keras, and turns their own printing off.

    oneDNN computes the convolutions on every processor, unless TF_ENABLE_ONEDNN_OPTS says
    otherwise. TensorFlow alone turns it on only where it finds AVX512 (docs/measured/speed.md).
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with quiet_start(), collection.importing("keras"), imports.leaving_out():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
    keras.utils.disable_interactive_logging()  # the program logs its own lines
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def keep_freed_memory() -> None:
    """Tells the C library to keep memory that TensorFlow frees, instead of returning it each step.

    Every step frees and allocates its activations; as new pages these take a sixth of the step's
    time (docs/measured/speed.md). Does nothing where the library is not glibc.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        one_arena, no_mmap, keep_top = (-8, 1), (-4, 0), (-1, 2**31 - 1)  # as in malloc.h
        for option, value in (one_arena, no_mmap, keep_top):
            libc.mallopt(option, value)


def fix(tf, settings: ProcessSettings) -> None:
    threads, deterministic = settings.fixed
    # 0 means all cores to TensorFlow.
    if threads != (tf.config.threading.get_intra_op_parallelism_threads() or available_cores()):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    FIXED.append((threads, deterministic))


def has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def strategy(settings: ProcessSettings) -> AbstractContextManager:
    """The scope in which a network is built: mirrored over all devices, or a scope without effect.

    `auto` mirrors over the GPUs where there are several. `mirrored` without a GPU uses the logical
    CPU devices, which the tests do.
    """
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    if settings.strategy == "auto" and len(gpus) < 2:
        return nullcontext()
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices]).scope()


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hides the notices that TensorFlow's libraries write to file descriptor 2.

    No setting hides them, because they come before TensorFlow's own logging starts. Errors still
    raise.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
