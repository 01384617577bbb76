"""`python -m flexunet_exp COMMAND [overrides]`, the same as `flexunet COMMAND [overrides]`."""

import sys

from flexunet_exp.cli import main

sys.exit(main())
