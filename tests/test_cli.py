"""The console script: commands, exit statuses, paths with any characters, readable errors."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flexunet_exp import cli
from flexunet_exp.config import overrides
from flexunet_exp.jobs import explain
from tests.support import running


def flexunet(*arguments, cwd=None, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-m", "flexunet_exp", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_without_a_command_it_lists_the_commands(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in cli.COMMANDS)


def test_unknown_command_is_status_2_with_a_suggestion(capsys):
    assert cli.main(["trian"]) == 2
    assert "Did you mean 'train'?" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_prints_its_config_and_writes_nothing(command, tmp_path):
    done = flexunet(command, "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert OmegaConf.create(done.stdout), done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_config_only_calls_import_neither_tensorflow_nor_mlflow(command, tmp_path):
    heavy = [
        "tensorflow",
        "keras",
        "mlflow",
        "pandas",
        "matplotlib",
        *["cv2"] * (command == "train"),
    ]
    code = (
        "import sys; from flexunet_exp import cli; "
        f"status = cli.main(['{command}', '--cfg', 'job']); "
        f"heavy = set({heavy}) & set(sys.modules); "
        "sys.exit(f'{status} {heavy}' if status or heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_any_path_survives_hydras_grammar(path):
    if path == "null" or (path[0] == path[-1] and path[0] in "'\"") or path.startswith("["):
        return  # these keep their meaning for Hydra
    override = OverridesParser.create().parse_override(overrides.quote_path(f"dataset.path={path}"))
    value = override.value()
    assert not override.is_sweep_override()
    config = OmegaConf.create({"path": getattr(value, "text", value)})
    assert config.path == path


def test_an_experiments_name_may_be_of_any_script():
    name = "наука, 日本"
    word = overrides.quote_path(f"tracking.experiment_name={name}")
    override = OverridesParser.create().parse_override(word)
    assert override.value() == name and not override.is_sweep_override()


def test_unknown_option_names_the_ones_there_are(tmp_path):
    done = flexunet("train", "trainer.epoch=3", cwd=tmp_path)
    assert done.returncode == 1
    assert "Unknown option 'trainer.epoch'" in done.stderr
    assert "Did you mean 'trainer.epochs'?" in done.stderr
    assert "trainer.batch_size" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("loss=dise", "Unknown choice loss=dise. Did you mean 'dice'?"),
        ("loss=", "Unknown choice loss=. There are: "),
    ],
)
def test_unknown_choice_names_the_ones_there_are(tmp_path, word, said):
    done = flexunet("train", word, cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "cross_entropy" in done.stderr and "search path" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_options_listed_are_those_of_the_choice_that_was_made(tmp_path):
    done = flexunet("train", "optimizer=sgd", "optimizer.momentun=0.9", cwd=tmp_path)
    assert "Did you mean 'optimizer.momentum'?" in done.stderr


def test_a_forgotten_m_is_named(tmp_path):
    done = flexunet("train", "loss=dice,ce_dice", cwd=tmp_path)
    assert done.returncode == 1 and "add -m" in done.stderr


def test_a_broken_yaml_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("a: b: c")
    done = flexunet(
        "train", f"--config-dir={tmp_path}", "+mine=x", "--config-name=mine", cwd=tmp_path
    )
    assert done.returncode == 1
    assert "is not valid YAML" in done.stderr and "mine.yaml" in done.stderr


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("split.fold", " It goes with split=folds."),
        ("loss.alpha", " It goes with loss=focal_tversky or loss=tversky."),
        ("loss.delta", ""),
        ("epochs", ""),
    ],
)
def test_an_option_of_another_choice_names_that_choice(option, said):
    assert explain.goes_with(option) == said


def test_fold_is_refused_with_split_folders(tmp_path):
    done = flexunet("train", "split=folders", "split.fold=1", cwd=tmp_path)
    assert done.returncode == 1
    assert "Unknown option 'split.fold'" in done.stderr


def test_the_trace_is_there_for_who_asks(tmp_path):
    done = flexunet("train", "trainer.epoch=3", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_output_folder_not_writable_is_one_sentence(tmp_path):
    (tmp_path / "outputs").write_text("a file where a folder is needed")
    done = flexunet("train", "dataset/layout=synthetic", cwd=tmp_path)
    assert done.returncode == 1
    assert "outputs" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("ignored", "ended_by"), [(False, "KeyboardInterrupt"), (True, "nothing")])
def test_a_closed_terminal_interrupts_but_not_under_nohup(tmp_path, ignored, ended_by):
    code = (
        "import os, signal, sys; from flexunet_exp.system import interrupt\n"
        "if sys.argv[1] == 'True': signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "interrupt.listen()\n"
        "try:\n os.kill(os.getpid(), signal.SIGHUP); print('nothing')\n"
        "except KeyboardInterrupt:\n print('KeyboardInterrupt')"
    )
    assert running.python(tmp_path, code, str(ignored)).stdout.strip() == ended_by


def test_a_password_in_an_address_is_written_nowhere(tmp_path):
    done = running.flexunet(tmp_path, "train", "tracking.uri=http://anna:geheim@127.0.0.1:9")
    assert done.returncode == 1 and "MLFLOW_TRACKING_PASSWORD" in done.stdout
    assert "geheim" not in done.stdout and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["+experiment=grid"], "Type experiment=grid"),
        (["+trainer.epochs=3"], "Type trainer.epochs=3"),
        (["++experiment=grid"], "Type experiment=grid"),
        (["+loss=dice"], "Type loss=dice"),
        (["dataset.image_size=(256,512)"], "Type dataset.image_size=[256,512]"),
        (["split.ratios=( 0.6, 0.2, 0.2 )"], "Type split.ratios=[0.6,0.2,0.2]"),
        (["dataset.image_size=[256,512"], "this value cannot be read"),
        (["trainer.epochs"], "Type NAME=VALUE"),
        (["dataset.image_size=256,512"], "dataset.image_size=[256,512]"),
        (["-m", "loss=focal,dice", "loss.gamma=1,2"], "loss=dice has no gamma"),
        (["-m", "loss=dice,focal", "loss.gamma=1,2"], "sweep over loss=focal alone"),
        (["-m", "loss=dice,ce_dice,focal", "loss.gamma=1"], "loss=dice and loss=ce_dice have no"),
    ],
)
def test_hydras_messages_are_in_words(tmp_path, words, told):
    done = flexunet("train", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert told in done.stderr, done.stderr
    assert not {"mismatched", "hydra.cc", "LexerNoViableAltException"} & set(done.stderr.split())
    assert "hydra.cc" not in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 3


@pytest.mark.parametrize("chdir", ["false", "true"])
def test_paths_are_those_of_the_commands_folder(tmp_path, chdir):
    """Whatever Hydra does with the working folder: store, data and cache lie where one typed."""
    words = ["dataset=grid", "dataset/layout=synthetic", "dataset.image_size=128"]
    words += ["dataset.layout.size=64", "dataset.layout.images_per_class=3", "split=memorise"]
    done = flexunet("check", *words, f"hydra.job.chdir={chdir}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data", "outputs"}
    assert not list((tmp_path / "outputs").rglob("ground_truth"))
