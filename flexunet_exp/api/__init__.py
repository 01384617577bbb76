"""What notebooks and scripts use (docs/reference/api.md). It calls the code of the commands."""

from flexunet_exp.api.comparison import Comparison, compare
from flexunet_exp.api.run import Prediction, Run, Scores, load_run

__all__ = ["Comparison", "Prediction", "Run", "Scores", "compare", "load_run"]
