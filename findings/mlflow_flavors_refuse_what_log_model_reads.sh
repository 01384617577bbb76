#!/usr/bin/env bash
# mlflow 3.17.2, scikit-learn 1.9.1, numpy 2.4.6, Python 3.11
#
# Model.log reads an argument that the flavors refuse.
# Behaviour: with an input example, Model.log loads the stored model again and predicts the example, and only warns where that fails.
# It leaves this trial out where its keyword arguments say validate_serving_input=False. But it hands the same arguments to the
# flavor's save_model, and those of scikit-learn, of pyfunc (and of tensorflow) do not know this one. So the trial, which takes as
# long as loading the model, cannot be left out through a flavor's log_model; and the model whose logging was refused stays in the store as failed.
# A flavor of one's own that drops the argument and calls the real save_model gets the model stored without the trial.
# Seen: a TypeError from both flavors, and two failed models; through the own flavor, a whole model that was not loaded.
# Expected: an argument that Model.log reads is taken out before the flavor is called, or is known to all flavors.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet mlflow==3.17.2 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import mlflow
import numpy as np
from mlflow.models import Model
from sklearn.linear_model import LinearRegression

mlflow.set_tracking_uri("sqlite:///store.db")
data = np.ones((3, 2))
fitted = LinearRegression().fit(data, data[:, 0])
example = {"input_example": data, "pip_requirements": ["scikit-learn"]}


class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


class Own:
    """mlflow.sklearn, with the argument dropped."""

    @staticmethod
    def save_model(*, validate_serving_input, **given):
        mlflow.sklearn.save_model(sk_model=fitted, **given)


loaded = []
load = mlflow.pyfunc.load_model
mlflow.pyfunc.load_model = lambda *args, **given: loaded.append(args) or load(*args, **given)
refused = []
with mlflow.start_run():
    for flavor, model in ((mlflow.sklearn, {"sk_model": fitted}), (mlflow.pyfunc, {"python_model": Sum()})):
        try:
            flavor.log_model(**model, name="refused", validate_serving_input=False, **example)
        except TypeError as error:
            refused.append("validate_serving_input" in str(error))
    Model.log(None, Own, name="untried", flavor_name="sklearn", validate_serving_input=False, **example)
    untried = len(loaded)
    mlflow.sklearn.log_model(fitted, name="tried", **example)
models = {(one.name, str(one.status)) for one in mlflow.MlflowClient().search_logged_models(["0"])}
print(refused, untried, len(loaded), models)
expected = {("refused", "FAILED"), ("untried", "READY"), ("tried", "READY")}
raise SystemExit(not (refused == [True, True] and untried == 0 and loaded and models == expected))
PYTHON
