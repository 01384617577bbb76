"""`python -m flexunet_exp COMMAND [overrides]`, the same as `flexunet COMMAND [overrides]`."""

import sys

from flexunet_exp.cli import main

if __name__ == "__main__":  # a process started for a job of its own imports this again
    sys.exit(main())
