"""A registered model behind a real server: what it answers to pictures, and to anything else."""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flexunet_exp.runs.folder import load
from flexunet_exp.tracking import find_runs, registry
from tests.support import running
from tests.support.running import Command, flexunet

Answer = tuple[int, str]
REGION = {"label", "area", "share", "left", "top", "width", "height", "centre_x", "centre_y"}
# As the release before the package had folders registered it.
BEFORE_HOUSE = Path(__file__).with_name("before_house_served_model.py.txt")
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tiny) -> Path:
    """A folder in which a tiny network was trained, registered and promoted."""
    folder = tmp_path_factory.mktemp("workspace")
    stored = "tracking.log_model=true"
    done = flexunet(folder, "train", *tiny, stored, "tracking.register=tiny")
    assert done.returncode == 0, done.stdout
    store = running.store(folder)
    (version,) = store.client.search_model_versions("name = 'tiny'")
    registry.crown(store, version, None, "to be served")
    return folder


@pytest.fixture(scope="module")
def server(workspace) -> Iterator[str]:
    """The address of `mlflow models serve`, which is gone with all its processes afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{workspace}/mlruns/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with open(workspace / "server.log", "w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "models", "serve"),
                *("-m", "models:/tiny@champion", "--env-manager", "local", "--port", port),
            ],
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", process, workspace / "server.log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


@pytest.fixture(scope="module")
def post(server) -> Callable[..., Answer]:
    """Status and body of the server's answer to a body, or to what is to be JSON."""

    def posted(body: object) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(server, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=100) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return posted


def predictions(answer: Answer) -> list[dict]:
    status, body = answer
    assert status == 200, body
    return json.loads(body)["predictions"]


def encoded(pixels: np.ndarray, kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, np.uint8)


def mask_of(prediction: dict) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(prediction["mask"]))) as mask:
        assert mask.mode == "P"
        colours = np.array(mask.getpalette()).reshape(-1, 3)
        names = prediction["class_names"]
        np.testing.assert_array_equal(colours[: len(names)], prediction["colors"])
        return np.asarray(mask)


def test_the_masks_are_those_that_the_run_was_scored_with(workspace, post):
    (run,) = workspace.glob("outputs/*/*_grid_flexunet")
    table = pd.read_csv(run / "samples.csv")
    tested = table[table["split"] == "test"]
    contents = [Path(path).read_bytes() for path in tested["image"]]
    rows = [{"image": base64.b64encode(content).decode()} for content in contents]
    answered = predictions(post({"dataframe_records": rows}))
    assert len(answered) == len(tested) >= 4
    for source, prediction in zip(tested["source"], answered, strict=True):
        path = run / "evaluation" / "test" / "predictions" / f"{source.replace('/', '-')}.png"
        with Image.open(path) as scored:
            np.testing.assert_array_equal(mask_of(prediction), np.asarray(scored))


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (noise(90, 130, 3), "PNG"),
        (noise(64, 64, 4), "PNG"),
        (noise(51, 70).astype(np.uint16) * 257, "PNG"),
        (noise(33, 201, 3), "JPEG"),
        (noise(1, 1, 3), "BMP"),
        (noise(20, 700), "TIFF"),
    ],
)
def test_pictures_of_any_size_and_kind_get_a_mask_and_regions_of_their_size(post, pixels, kind):
    (prediction,) = predictions(post({"dataframe_records": [{"image": encoded(pixels, kind)}]}))
    height, width = pixels.shape[:2]
    mask = mask_of(prediction)
    assert mask.shape == (height, width) == (prediction["height"], prediction["width"])
    assert prediction["class_names"][:2] == ["background", "bent"]
    regions = prediction["regions"]
    for name, number in zip(prediction["class_names"][1:], range(1, 9), strict=False):
        areas = [region["area"] for region in regions if region["label"] == name]
        assert sum(areas) == np.count_nonzero(mask == number)
    for region in regions:
        assert set(region) > REGION and 0 < region["mean_probability"] <= 1
        assert 0 <= region["left"] <= width - region["width"]
        assert 0 <= region["top"] <= height - region["height"]


def test_every_form_of_request_gets_the_same_answers(post):
    images = [encoded(noise(40, 60, 3)), encoded(noise(30, 20, 3))]
    forms = [
        {"dataframe_records": [{"image": image} for image in images]},
        {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}},
        {"inputs": images},
        {"inputs": {"image": images}},
        {"instances": [{"image": image} for image in images]},
    ]
    answers = [predictions(post(form)) for form in forms]
    assert [prediction["width"] for prediction in answers[0]] == [60, 20]
    assert all(answer == answers[0] for answer in answers)


def test_small_and_unsure_regions_can_be_left_out(post):
    records = [{"image": encoded(noise(80, 80, 3))}]

    def regions(**params: float) -> tuple[dict, list[dict]]:
        (prediction,) = predictions(post({"dataframe_records": records, "params": params}))
        return prediction, prediction["regions"]

    everything = regions()[1]
    middle = float(np.median([region["mean_probability"] for region in everything]))
    sure = regions(min_probability=middle)[1]
    assert sure == [region for region in everything if region["mean_probability"] >= middle]
    assert 0 < len(sure) < len(everything)
    large = regions(min_area=5)[1]
    assert large == [region for region in everything if region["area"] >= 5]
    prediction, none = regions(min_area=10_000)
    assert none == [] and not mask_of(prediction).any()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(99))), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def record(content: object) -> dict:
    image = base64.b64encode(content).decode() if isinstance(content, bytes) else content
    return {"dataframe_records": [{"image": image}]}


HALF = base64.b64decode(encoded(noise(64, 64, 3)))[:5000]
RUBBISH = {
    "nothing": (b"", "valid JSON"),
    "no JSON": (b"\x89PNG", "valid JSON"),
    "a list": ([1], "dataframe_records"),
    "another key": ({"picture": 1}, "dataframe_records"),
    "another column": ({"dataframe_records": [{"picture": "aGVsbG8="}]}, "'image': binary"),
    "no base64": (record("abc!d"), "base64"),
    "no base64 as inputs": ({"inputs": ["%%%"]}, "as base64"),
    "cut off base64": ({"inputs": ["iVBOR"]}, "no readable image"),
    "null": (record(None), "column image"),
    "a number": (record(5), "column image"),
    "base64 of no image": (record(b"just a text"), "Picture 1 of 1: no readable image"),
    "an empty image": (record(""), "it is empty"),
    "half an image": (record(HALF), "cut off half-way"),
    "a bomb": (record(bomb(60_000, 60_000)), "at most 100,000,000 pixels"),
    "a little too much": (record(bomb(10_001, 10_000)), "10001 x 10000"),
    "no rows": ({"dataframe_split": {"columns": ["image"], "data": []}}, "no picture"),
    "no records": ({"dataframe_records": []}, "missing inputs ['image']"),
    "a negative area": (record(bomb(1, 1)) | {"params": {"min_area": -1}}, "0 or more"),
    "no probability": (record(bomb(1, 1)) | {"params": {"min_probability": 2}}, "from 0 to 1"),
    "a word for a number": (record(bomb(1, 1)) | {"params": {"min_area": "big"}}, "min_area"),
}


@pytest.mark.parametrize(("body", "words"), RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_refused_with_a_sentence_that_says_what_is_expected(post, body, words):
    status, answer = post(body)
    assert status == 400
    assert words in json.loads(answer)["message"]
    assert "Traceback" not in answer and len(answer) < 2000


def test_a_bad_picture_among_good_ones_is_named_and_never_sent_back(post):
    images = [encoded(noise(300, 300, 3)), base64.b64encode(b"no picture").decode()]
    status, answer = post({"inputs": images})
    assert status == 400 and "Picture 2 of 2" in answer and len(answer) < 1000


def test_eight_clients_at_once_each_get_their_own_answer(post):
    pictures = [record(base64.b64decode(encoded(noise(40 + n, 90 - n, 3)))) for n in range(8)]
    alone = [predictions(post(picture)) for picture in pictures]
    with ThreadPoolExecutor(8) as clients:
        together = [clients.submit(post, picture) for picture in pictures * 4]
    assert [predictions(answer.result()) for answer in together] == alone * 4


def test_the_version_says_whose_it_is_and_carries_its_run(workspace, tiny, compose, tmp_path):
    (run,) = running.all_runs(workspace)
    client = running.store(workspace).client
    (version,) = client.search_model_versions("name = 'tiny'")
    assert version.run_id == run.info.run_id == version.tags["run_id"]
    assert version.tags["test_digest"] == run.data.tags["test_digest"]
    assert float(version.tags["val/dice"]) == pytest.approx(run.data.metrics["val/dice"], abs=1e-4)
    cfg = compose("evaluate", "run='models:/tiny@champion'")
    cfg.tracking.uri = running.store(workspace).uri
    found = find_runs.find(cfg, tmp_path)
    folder = Path(run.data.tags["run_folder"])
    for name in ("best.keras", "samples.csv", "config.yaml", "evaluation/test/confusions.npz"):
        assert (found.folder / name).read_bytes() == (folder / name).read_bytes()
    again = flexunet(workspace, "train", *tiny, "tracking.register=tiny")
    assert "Already done" in again.stdout
    assert len(client.search_model_versions("name = 'tiny'")) == 1


def test_a_run_is_still_fetched_from_the_store_though_it_has_a_second_model(workspace, tmp_path):
    (run,) = running.all_runs(workspace)
    fetched = load(find_runs.fetch(running.store(workspace), run.info.run_id, tmp_path))
    assert zipfile.is_zipfile(fetched.network)


def test_a_model_registered_before_the_package_had_folders_answers_the_same(workspace, tmp_path):
    """Its version carries other code, which imports modules that have other names now."""
    store = running.store(workspace)
    now, before = (
        registry.fetch_registered(store, "models:/tiny@champion", tmp_path / name)
        for name in ("now", "before")
    )
    (carried,) = before.glob("*.py")
    assert carried.name == registry.CARRIED.name
    carried.write_text(BEFORE_HOUSE.read_text())
    program = str(running.SUPPORT / "served_answers.py")
    done = running.ended(Command(tmp_path, program, str(now), str(before)))
    assert done.returncode == 0, done.stdout
    ours, theirs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert ours == theirs and [answer["width"] for answer in ours] == [130, 33]


def test_the_code_that_a_version_carries_imports_one_module_of_the_package():
    nodes = ast.walk(ast.parse(registry.CARRIED.read_text()))
    imported = [node for node in nodes if isinstance(node, ast.ImportFrom | ast.Import)]
    assert [ast.unparse(node) for node in imported] == [
        "from mlflow.models import set_model",
        "from flexunet_exp.tracking.serving import Segmenter",
    ]
