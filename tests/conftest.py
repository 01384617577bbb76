"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import hypothesis
import pytest

from tests.support import empty_store, marking, properties, running

ROOT = Path(__file__).resolve().parents[1]

hypothesis.settings.register_profile("suite", properties.examples(40))
hypothesis.settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests that start commands as slow; their files come first.

    A long file that begins last would run alone on one of two cores.
    """
    for item in items:
        if marking.starts_commands(item):
            item.add_marker("slow")
        if hasattr(getattr(item, "obj", None), "hypothesis"):
            item.add_marker("property")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_running():
    """Ends commands that a module's tests left running, and resets the precision."""
    yield
    if keras := sys.modules.get("keras"):
        keras.config.set_dtype_policy("float32")
    while running.STARTED:
        running.STARTED.pop().kill()


@pytest.fixture(scope="module", autouse=True)
def folders_of_a_module_go(request, tmp_path_factory, tiny_data):
    """Removes what a module's fixtures wrote, unless a test of it failed.

    Together they take gigabytes. Pytest removes them at the end of the session, and the folders of
    single tests at the end of each.
    """
    before, failed = set(tmp_path_factory.getbasetemp().iterdir()), request.session.testsfailed
    yield
    if request.session.testsfailed == failed:
        for folder in set(tmp_path_factory.getbasetemp().iterdir()) - before:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def empty_stores_are_copied():
    """Applies from the first test after the import of MLflow: many tests do not need it."""
    if "mlflow.store.db.utils" in sys.modules:
        empty_store.use_copies()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real MVTec images, kept outside the project; without it tests skip."""
    folder = Path(os.environ.get("FLEXUNET_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real images not found in {folder} (set FLEXUNET_SHARED_DATA)")
    return folder


@pytest.fixture
def compose():
    """Composes a command's configuration: compose("train", "model=flexunet", …)."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from flexunet_exp.config import resolvers
    from flexunet_exp.config.compose import conf_dir

    resolvers.register_resolvers()

    def composed(command: str, *overrides: str):
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return hydra_compose(command, list(overrides))

    return composed


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """A data root in which generated 64 px grids are found, made once."""
    return tmp_path_factory.mktemp("data")


TINY = (
    "dataset=grid",
    "dataset/layout=synthetic",
    "dataset.layout.images_per_class=4",
    "dataset.layout.good_images=4",
    "dataset.layout.size=64",
    "dataset.image_size=64",
    "model.base_filters=2",
    "model.base_kernel=3",
    "model.num_layers=3",
    "trainer.epochs=2",
    "tracking.log_model=false",  # it takes a sixth of the time; a test can ask for it
)


@pytest.fixture(scope="session")
def tiny(tiny_data) -> list[str]:
    """The words that make a command train a tiny network on tiny grids, in a second."""
    return [*TINY, f"data_root={tiny_data}"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tiny) -> Path:
    """A folder in which one tiny experiment was trained, with its output."""
    folder = tmp_path_factory.mktemp("workspace")
    done = running.flexunet(folder, "train", *tiny, "tracking.log_model=true")
    assert done.returncode == 0, done.stdout
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def run_folder(workspace) -> Path:
    (folder,) = workspace.glob("outputs/*/*_grid_flexunet")
    return folder


@pytest.fixture(scope="module")
def folds(tmp_path_factory, tiny) -> Path:
    """A folder in which the three folds of one split were trained."""
    folder = tmp_path_factory.mktemp("folds")
    words = ["split=folds", "split.n=3", "split.fold=0,1,2", "trainer.epochs=1"]
    done = running.flexunet(folder, "train", "-m", *tiny, *words)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tiny):
    """A configuration of the tiny grids: tiny_dataset("split=folds", …)."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from flexunet_exp.config import resolvers
    from flexunet_exp.config.compose import conf_dir

    resolvers.register_resolvers()

    def composed(*overrides: str):
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return hydra_compose("train", [*tiny, *overrides])

    return composed
