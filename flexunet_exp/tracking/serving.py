"""A registered model as a server runs it: pictures in, class masks and defect regions out.

The names of this module and of `Segmenter`, and the use of the artifact `run`, are a promise: every
registered version carries a copy of `served_model.py`, which imports them from the package that is
installed where the version is loaded.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Object, Property

from flexunet_exp.data import masks
from flexunet_exp.decisions.file import Decision
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import deciding, regions
from flexunet_exp.prediction.predictor import Band
from flexunet_exp.runs.folder import load
from flexunet_exp.system.gathering import Gathered
from flexunet_exp.tracking.served_pictures import EXPECTED, Refused, picture

# A server shows what MLflow's own loggers say.
log = logging.getLogger("mlflow.flexunet_exp")

AT_ONCE = 4  # pictures that are decoded, predicted or encoded at a time
KINDS = {str: DataType.string, int: DataType.long, float: DataType.double}


class Segmenter(PythonModel):
    """The best network of the run that lies in the artifact `run`, predicting as it was scored."""

    def load_context(self, context: Any) -> None:
        """Loads the network and predicts once, so that no request waits for tracing."""
        from flexunet_exp.prediction import networks  # imports Keras

        self.run = load(Path(context.artifacts["run"]))
        networks.prepare_process(self.run)
        self.trained = networks.load([self.run], {})
        self.decisions: dict[str | None, Decision | None] = {}
        log.info("%s", deciding.sentence(self.decision(None)))
        self.places = threading.BoundedSemaphore(AT_ONCE)
        self.networks: dict[bool, Gathered] = {}  # with temperatures, and without
        blank = np.zeros((64, 64, self.trained.channels.number), np.uint8)
        self.answer(blank, *regions_wanted({}))
        predictor: Any = self.trained.predictor
        predicted([predictor.ready(blank)] * 2, predictor)  # batches of another size

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """An answer for each row of `model_input`, whose column is `image`.

        Raises Refused naming the first picture that cannot be read.
        """
        wanted = regions_wanted(params or {})
        decision = self.decision((params or {}).get("decision"), *wanted)
        rows = model_input["image"].tolist()
        if not rows:
            raise Refused(f"There is no picture in the request. {EXPECTED}")
        answers = []
        for number, row in enumerate(rows, start=1):
            # The network sees those that wait for it together; others are decoded, measured and
            # encoded meanwhile. More of them would need more memory without being faster.
            with self.places:
                name = f"Picture {number} of {len(rows)}"
                image = picture(row, name, self.trained.bit_depth, self.trained.channels)
                answers.append(self.answer(image, *wanted, decision))
        return answers

    def decision(
        self, name: str | None, min_area: int = 1, min_probability: float = 0.0
    ) -> Decision | None:
        """The decision of a name, or the promoted one.

        Raises Refused where the model has none such, or limits are given beside it.
        """
        try:
            if name not in self.decisions:
                self.decisions[name] = deciding.named(name, [self.run], {})
            found = self.decisions[name]
            deciding.check_limits(found, min_area, min_probability)
        except InputError as error:
            raise Refused(str(error)) from error
        return found

    def applying(self, decision: Decision | None) -> Callable[[np.ndarray], Iterator[Band]]:
        """From an image to its bands, as a decision was chosen: with or without temperatures."""
        from flexunet_exp.prediction import networks

        as_scored = self.trained.settings.calibrated
        wanted = as_scored if decision is None else bool(decision.calibration)
        if wanted not in self.networks:
            trained = networks.recalibrated(self.trained, [self.run], wanted)
            together = partial(predicted, predictor=trained.predictor)
            # Two threads may come here at once: both then use what the first has kept.
            self.networks.setdefault(wanted, Gathered(together, trained.settings.batch_size))
        ready: Any = self.trained.predictor.ready
        return lambda image: self.networks[wanted](ready(image))

    def answer(
        self,
        image: np.ndarray,
        min_area: int,
        min_probability: float,
        decision: Decision | None = None,
    ) -> dict[str, Any]:
        """The mask of an image (H, W, N) and its regions, without the small and unsure ones.

        With a decision, the regions that remain under it, and whether they stop the picture.
        """
        height, width = image.shape[:2]
        names, palette = self.trained.class_names, self.trained.palette
        bands = self.applying(decision)(image)
        prediction, margin = deciding.collected(bands, (height, width), decision)
        mask, found = regions.find(
            prediction.mask, prediction.certainty, names, min_area, min_probability
        )
        return {
            "mask": base64.b64encode(masks.encode_palette_mask(mask, palette)).decode("ascii"),
            "width": width,
            "height": height,
            "class_names": list(names),
            "colors": palette.tolist(),
            "regions": [region._asdict() for region in found],
            **({} if decision is None or margin is None else decided(decision, margin, found)),
        }


def predicted(pictures: list[Any], predictor: Any) -> list[Iterator[Band]]:
    """The bands of pictures that the predictor's `ready` gave, which other threads take."""
    return list(predictor.bands(pictures))


def decided(decision: Decision, margin: float, found: Sequence[regions.Region]) -> dict[str, Any]:
    """What an answer says of a decision."""
    return {
        "decision": deciding.outcome(margin),
        "decision_name": decision.name,
        "reasons": deciding.reasons(found),
        "margin": margin,
    }


def signature() -> ModelSignature:
    """The inputs, outputs and parameters of `Segmenter`."""
    fields = get_type_hints(regions.Region)
    region = Object([Property(name, KINDS[kind]) for name, kind in fields.items()])
    answer: dict[str, Any] = {
        "mask": DataType.string,
        "width": DataType.long,
        "height": DataType.long,
        "class_names": Array(DataType.string),
        "colors": Array(Array(DataType.long)),
        "regions": Array(region),
    }
    of_decision: dict[str, Any] = {
        "decision": DataType.string,
        "decision_name": DataType.string,
        "reasons": Array(DataType.string),
        "margin": DataType.double,
    }
    smallest = ParamSpec("min_area", DataType.long, 1)
    least_sure = ParamSpec("min_probability", DataType.double, 0.0)
    named = ParamSpec("decision", DataType.string, None)
    given: list[ColSpec | TensorSpec] = [ColSpec(kind, name) for name, kind in answer.items()]
    given += [ColSpec(kind, name, required=False) for name, kind in of_decision.items()]
    return ModelSignature(
        Schema([ColSpec(DataType.binary, "image")]),
        Schema(given),
        ParamSchema([smallest, least_sure, named]),
    )


def regions_wanted(params: dict[str, Any]) -> tuple[int, float]:
    min_area, min_probability = params.get("min_area", 1), params.get("min_probability", 0.0)
    if not min_area >= 0:
        raise Refused(f"min_area={min_area}: expected a number of pixels, 0 or more.")
    if not 0 <= min_probability <= 1:
        raise Refused(f"min_probability={min_probability}: expected a number from 0 to 1.")
    return min_area, min_probability
