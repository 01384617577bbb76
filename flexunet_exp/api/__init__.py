"""The Python API for notebooks and scripts (docs/reference/api.md); calls the commands' code."""

from flexunet_exp.api.comparison import Comparison, compare
from flexunet_exp.api.run import Prediction, Run, Scores, load_run

__all__ = ["Comparison", "Prediction", "Run", "Scores", "compare", "load_run"]
