"""Runs a flexunet command that stops itself (SIGSTOP) before its first epoch's upload.

Meanwhile a test can change the store in the middle of a training.
"""

from __future__ import annotations

import os
import signal
import sys

from flexunet_exp import cli
from flexunet_exp.training import state


def main() -> int:
    whole = state.Upload.on_epoch_end

    def stopping(self, epoch, logs=None):
        if epoch == 0:
            print("STOPPED HERE", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        whole(self, epoch, logs)

    state.Upload.on_epoch_end = stopping
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
