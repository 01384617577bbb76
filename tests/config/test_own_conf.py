"""A person's own configuration folder: searched before the shipped one, by all that composes."""

from __future__ import annotations

import shutil
from pathlib import Path

import cloudpickle
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from hydra.types import RunMode

from flexunet_exp.config import own_conf, resolvers
from flexunet_exp.config.compose import PACKAGE, conf_dir
from flexunet_exp.errors import InputError
from flexunet_exp.jobs.explain import explain_composition, unknown_option
from flexunet_exp.runs import folder as runs
from flexunet_exp.sweeps import compose_cells, presets
from tests.support import running

BOLT = "defaults:\n  - grid\n  - _self_\nimage_size: 96\n"


@pytest.fixture(autouse=True)
def nothing_noted(monkeypatch):
    monkeypatch.setattr(own_conf, "KEPT", {})
    monkeypatch.delenv(own_conf.VARIABLE, raising=False)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The current folder, with dataset=bolt in its conf."""
    folder = tmp_path / "Prüfung (ø 3 mm), alt"
    write(folder / "conf" / "dataset" / "bolt.yaml", BOLT)
    monkeypatch.chdir(folder)
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def composed(*words: str, command: str = "train"):
    resolvers.register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(command, list(words))


@pytest.fixture
def loader(project):
    """What composes in the project, as a command has it."""
    resolvers.register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.mark.parametrize("command", ["train", "check", "inspect", "prepare", "infer"])
def test_a_choice_of_the_project_is_one_of_every_command(project, command):
    cfg = composed("dataset=bolt", command=command)
    assert [entry.name for entry in cfg.dataset.classes][:2] == ["background", "bent"]


def test_the_variable_names_another_folder(project, tmp_path, monkeypatch):
    write(tmp_path / "elsewhere" / "dataset" / "nut.yaml", BOLT)
    monkeypatch.setenv(own_conf.VARIABLE, str(tmp_path / "elsewhere"))
    assert composed("dataset=nut").dataset.image_size == 96
    with pytest.raises(MissingConfigException, match="dataset/bolt"):
        composed("dataset=bolt")


def test_a_variable_that_names_no_folder_is_refused(project, monkeypatch):
    monkeypatch.setenv(own_conf.VARIABLE, "nowhere")
    with pytest.raises(InputError, match=r"\$FLEXUNET_CONF=nowhere is not a folder\. Make it"):
        composed()


def test_lists_and_sentences_name_it(loader):
    options = loader.get_group_options("dataset")
    assert "bolt" in options and "zipper" in options
    with pytest.raises(MissingConfigException) as raised:
        loader.load_configuration("train", ["dataset=bold"], RunMode.RUN)
    text = explain_composition(raised.value, "train")
    assert "Did you mean 'bolt'?" in text and "There are: bolt, bottle" in text


def test_its_options_are_known_to_sentences(project, monkeypatch):
    write(project / "conf" / "model" / "net.yaml", "defaults: [flexunet]\nmy_width: 3\n")
    monkeypatch.setattr("sys.argv", ["flexunet train", "model=net"])
    assert "Did you mean 'model.my_width'?" in unknown_option("model.my_widht", "train")


def test_a_sweep_goes_over_its_choices(loader):
    words = ["dataset=glob(bo*)"]
    cfg = loader.load_configuration("train", words, RunMode.MULTIRUN)
    presets.check(cfg, loader)
    cells = compose_cells.overrides_of(cfg, loader, words)
    assert cells == [["dataset=bolt"], ["dataset=bottle"]]
    composer = compose_cells.Composer(cfg, loader, cells)
    assert [composer.cell(words).dataset.image_size for words in cells] == [96, 256]


def test_a_sweep_preset_of_the_project(project, loader):
    preset = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      dataset: bolt,grid\n"
    write(project / "conf" / "sweep" / "mine.yaml", preset)
    cfg = loader.load_configuration("train", ["sweep=mine"], RunMode.MULTIRUN)
    assert presets.params(cfg) == {"dataset": "bolt,grid"}


def test_a_worker_in_another_folder_finds_it(loader, tmp_path):
    """As joblib, submitit and Ray hand the loader to their processes."""
    (tmp_path / "loader").write_bytes(cloudpickle.dumps(loader))
    worker = (
        "import cloudpickle; from hydra.types import RunMode\n"
        "loader = cloudpickle.loads(open('loader', 'rb').read())\n"
        "cfg = loader.load_configuration('train', ['dataset=bolt'], RunMode.RUN)\n"
        "print(cfg.dataset.image_size)"
    )
    done = running.python(tmp_path, worker)
    assert done.stdout.split()[-1] == "96", done.stdout


def test_a_name_that_hides_a_shipped_one_is_used_and_logged_once(project, caplog):
    own = write(project / "conf" / "dataset" / "grid.yaml", "name: mesh\n")
    for _ in range(2):
        assert composed("dataset=grid").dataset.name == "mesh"
        own_conf.log_warnings()
    assert caplog.messages == [f"{own} is used in place of {conf_dir() / 'dataset' / 'grid.yaml'}."]


def test_a_copy_of_a_shipped_file_is_not_worth_a_word(project, caplog):
    shutil.copy(conf_dir() / "dataset" / "grid.yaml", project / "conf" / "dataset")
    composed("dataset=grid")
    own_conf.log_warnings()
    assert caplog.messages == []


def test_a_primary_configuration_does_not_replace_the_shipped_one(project, caplog):
    own = write(project / "conf" / "train.yaml", "mine: true\n")
    assert "mine" not in composed("dataset=bolt")
    own_conf.log_warnings()
    (message,) = caplog.messages
    assert message.startswith(f"{own} is not read: ") and "experiment=NAME" in message


def test_a_primary_configuration_of_another_name_can_be_chosen(project):
    write(project / "conf" / "mine.yaml", "defaults: [train, _self_]\nmonitor: val_loss\n")
    assert composed("dataset=bolt", command="mine").monitor == "val_loss"


def test_a_folder_of_something_else_changes_nothing(tmp_path, monkeypatch, caplog):
    write(tmp_path / "conf" / "train.yaml", "something: else\n")
    write(tmp_path / "conf" / "nginx" / "site.yaml", "server: 1\n")
    monkeypatch.chdir(tmp_path)
    assert own_conf.own_folder() is None
    assert composed() == composed("dataset=zipper")
    own_conf.log_warnings()
    assert caplog.messages == []


def test_the_checkouts_folder_is_the_shipped_one(monkeypatch):
    monkeypatch.chdir(conf_dir().parent)
    assert own_conf.own_folder() is None


def test_hydra_apps_of_other_packages_are_left_alone(project, tmp_path):
    write(tmp_path / "theirs" / "main.yaml", "defaults:\n  - dataset: a\n")
    write(tmp_path / "theirs" / "dataset" / "a.yaml", "x: 1\n")
    with initialize_config_dir(str(tmp_path / "theirs"), version_base="1.3"):
        assert GlobalHydra.instance().config_loader().get_group_options("dataset") == ["a"]


def test_what_is_written_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = own_conf.write_new("dataset/bolt.yaml", BOLT)
    assert path == tmp_path / "conf" / "dataset" / "bolt.yaml"
    assert composed("dataset=bolt").dataset.image_size == 96


def test_nothing_is_written_over(project):
    with pytest.raises(InputError, match=r"bolt\.yaml exists already.* Try name=OTHER, or remove"):
        own_conf.write_new("dataset/bolt.yaml", "new", instead="name=OTHER")
    assert (project / "conf" / "dataset" / "bolt.yaml").read_text() == BOLT


def test_nothing_is_written_into_the_package(monkeypatch):
    monkeypatch.chdir(PACKAGE)
    with pytest.raises(InputError, match="belongs to the package.*export FLEXUNET_CONF=FOLDER"):
        own_conf.write_new("dataset/bolt.yaml", BOLT)
    assert not (PACKAGE / "conf" / "dataset" / "bolt.yaml").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "conf").write_text("a file")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"cannot be written \(.*export FLEXUNET_CONF=FOLDER"):
        own_conf.write_new("dataset/bolt.yaml", BOLT)


@pytest.mark.heavy
def test_a_run_of_it_needs_it_no_more(project, tiny):
    common = [word for word in tiny if not word.startswith(("dataset=", "dataset.image_size"))]
    quick = ("trainer.epochs=1", "callbacks=none", "augmentation=none", "tracking=none")
    done = running.train(project, "dataset=bolt", *common, *quick)
    assert done.returncode == 0, done.stdout
    shutil.rmtree(project / "conf")
    (folder,) = project.glob("outputs/*/*_grid_flexunet")
    assert runs.load(folder).cfg.dataset.image_size == 96
