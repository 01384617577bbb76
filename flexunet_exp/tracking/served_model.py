"""What MLflow copies into every registered version, and runs where the version is loaded.

It imports one name alone, which the package promises to keep: a version outlives its code.
"""

from mlflow.models import set_model

from flexunet_exp.tracking.serving import Segmenter

set_model(Segmenter())
