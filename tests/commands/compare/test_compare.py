"""The command over a real store: what it says, what it writes, and what it never mixes or loses."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from flexunet_exp.commands.compare import files
from flexunet_exp.commands.compare.command import compare
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import job
from flexunet_exp.jobs.explain import explain
from flexunet_exp.scores import confusions
from flexunet_exp.system.files import write_table
from flexunet_exp.tracking.store import Store
from tests.support import running, storing

FILES = {"compare.html", "leaderboard.csv", "leaderboard.md", "pairs.csv", "contact_sheet.png"}


class Shelf:
    """A folder with pictures and a store of runs, and the command over it."""

    def __init__(self, folder: Path, compose):
        self.folder, self.compose = folder, compose
        self.root = storing.make_pictures(folder / "data")
        self.store = running.store(folder)
        self.number = 0

    def compared(self, *words: str) -> Path:
        """The folder of what the command writes."""
        self.number += 1
        home = job.Home.__new__(job.Home)
        home.folder = self.folder / f"out{self.number}"
        home.folder.mkdir()
        uri = f"tracking.uri='sqlite:///{self.folder}/mlruns/mlflow.db'"
        tracking = [] if "tracking=none" in words else [uri]
        compare(self.compose("compare", *tracking, *words), home)
        return home.folder / "compare"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Shelf:
    """Three losses, of which the first two are equal, two seeds of three folds each."""
    from hydra import compose, initialize_config_dir

    from flexunet_exp.config import resolvers
    from flexunet_exp.config.compose import conf_dir

    def composed(command: str, *words: str):
        resolvers.register_resolvers()
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose(command, list(words))

    made = Shelf(tmp_path_factory.mktemp("shelf"), composed)
    qualities = {"dice": 0.8, "ce_dice": 0.8, "focal": 0.3}
    made.parent, made.runs = storing.sweep(made.store, made.root, "losses", qualities)
    return made


@pytest.fixture(scope="module")
def results(shelf) -> Path:
    return shelf.compared()


@pytest.fixture(scope="module")
def board(results) -> pd.DataFrame:
    return pd.read_csv(results / "leaderboard.csv").set_index("cell")


def test_everything_is_written_and_kept_on_the_parent_run(shelf, results):
    assert {path.name for path in results.iterdir()} == FILES
    stored = {file.path for file in shelf.store.client.list_artifacts(shelf.parent, "compare")}
    assert stored == {f"compare/{name}" for name in FILES}


def test_another_comparison_is_kept_beside_the_first(shelf, results):
    shelf.compared("runs=losses", "top=1", "images=1")
    folders = {file.path for file in shelf.store.client.list_artifacts(shelf.parent)}
    assert folders == {"compare", "compare2"}


def test_figures_are_those_of_the_runs(shelf, board):
    runs = [run for run in shelf.store.search() if run.data.params.get("loss") == "focal"]
    values = {key: [run.data.metrics[f"{key}/dice"] for run in runs] for key in ("val", "test")}
    row = board.loc["focal"]
    assert row["runs"] == 6 and row["rank"] == 3
    for key, figures in values.items():
        assert row[key] == pytest.approx(np.mean(figures))
        assert row[f"{key}_sd"] == pytest.approx(np.std(figures, ddof=1))
    assert (board["val"].diff().dropna() <= 0).all()
    assert (board["parameters"] == 1234).all()


def test_the_pooled_figure_is_that_of_all_folds_pixels(shelf, board):
    """Of each seed's three folds together, and of the two seeds the mean."""
    by_seed: dict[str, np.ndarray] = {}
    for run in shelf.store.search():
        if run.data.params.get("loss") == "dice":
            path = shelf.store.client.download_artifacts(
                run.info.run_id, "evaluation/test/confusions.npz"
            )
            counts = confusions.load_counts(Path(path)).counts.sum(axis=0)
            by_seed[run.data.params["seed"]] = by_seed.get(run.data.params["seed"], 0) + counts
    dice = []
    for pooled in by_seed.values():
        hits = np.diag(pooled)
        dice.append((2 * hits / (pooled.sum(axis=0) + pooled.sum(axis=1)))[1:].mean())
    assert board.loc["dice", "pooled"] == pytest.approx(np.mean(dice))
    assert board.loc["dice", "seed_sd"] == pytest.approx(np.std(dice, ddof=1))


def test_equals_are_tied_and_a_far_worse_one_is_worse(board, results):
    first, second = board.index[:2]
    assert {first, second} == {"dice", "ce_dice"}
    assert board["of_first"].fillna("").tolist() == ["", "tie", "worse"]
    pairs = pd.read_csv(results / "pairs.csv")
    assert len(pairs) == 3 and (pairs["sources"] == 33).all()
    assert (pairs["holm"] >= pairs["p"]).all()
    assert pairs["low"].lt(pairs["difference"]).all()


def test_a_spreadsheet_takes_no_text_of_a_store_for_a_formula(tmp_path):
    table = pd.DataFrame({"loss": ["=1+1", "@x", "dice"], "shift": ["-0.5", "+1e-3", "-a"]})
    write_table(tmp_path / "table.csv", table)
    written = pd.read_csv(tmp_path / "table.csv", dtype=str)
    assert written["loss"].tolist() == ["'=1+1", "'@x", "dice"]
    assert written["shift"].tolist() == ["-0.5", "+1e-3", "'-a"]


def test_the_page_needs_nothing_beside_it_and_shows_every_cell(results):
    page = (results / "compare.html").read_text()
    own = page[page.rindex("</script>", 0, page.index("<body>")) :]
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", own)
    for name in ("dice", "ce_dice", "focal", "Plotly.newPlot", "data:image/jpeg;base64,"):
        assert name in own
    assert page.count("* plotly.js v") == 1


def test_the_sheet_has_a_row_a_picture_and_a_column_a_leader(shelf, results):
    eight = cv2.imread(str(results / "contact_sheet.png"))
    two = cv2.imread(str(shelf.compared("images=2", "top=2") / "contact_sheet.png"))
    assert two.shape[0] < eight.shape[0] / 2 and two.shape[1] < eight.shape[1]


def test_failed_and_unfinished_runs_are_listed_and_not_ranked(shelf, results):
    parent = storing.parent_run(shelf.store, "troubled")
    run = storing.stored_run
    words = (["loss=tversky"], ["loss=lovasz"], ["loss=dice", "trainer.seed=7"])
    run(shelf.store, shelf.root, words[0], 0.5, parent, "FAILED", "ValueError: <no luck>")
    run(shelf.store, shelf.root, words[1], 0.5, parent, "RUNNING")
    run(shelf.store, shelf.root, words[2], 0.8, parent)
    made = shelf.compared("runs=troubled")
    assert len(pd.read_csv(made / "leaderboard.csv")) == 1
    text, page = ((made / name).read_text() for name in ("leaderboard.md", "compare.html"))
    assert "failed: ValueError: &lt;no luck&gt;" in text and "loss=lovasz" in text
    assert "&lt;no luck&gt;" in page and "<no luck>" not in page


def test_a_picture_that_is_gone_or_changed_is_said_and_shown_as_grey(shelf, caplog, tmp_path):
    grid = shelf.root / "mvtec_anomaly_detection" / "grid"
    kept = shutil.copytree(grid, tmp_path / "grid")
    try:
        for path in grid.glob("test/*/*.png"):
            path.unlink() if path.parent.name == "bent" else path.write_bytes(b"other")
        for path in grid.glob("ground_truth/glue/*.png"):
            cv2.imwrite(str(path), np.zeros((storing.SIDE, storing.SIDE), np.uint8))
        for path in grid.glob("ground_truth/thread/*.png"):
            path.unlink()
        made = shelf.compared()
    finally:
        shutil.rmtree(grid)
        shutil.copytree(kept, grid)
    said = (made / "compare.html").read_text()
    for words in ("is gone: shown as grey", "has changed since", "its truth is not shown"):
        assert words in said
    assert (made / "contact_sheet.png").is_file()


def test_a_leader_whose_files_are_gone_is_in_no_pair_and_said(shelf, results):
    parent = storing.parent_run(shelf.store, "no files")
    for loss, quality, keep in (("dice", 0.9, "nothing"), ("focal", 0.3, "everything")):
        words = [f"loss={loss}", "trainer.seed=5"]
        storing.stored_run(shelf.store, shelf.root, words, quality, parent, keep=keep)
    made = shelf.compared("runs='no files'")
    board = pd.read_csv(made / "leaderboard.csv")
    assert board["cell"].tolist() == ["dice", "focal"]
    said = (made / "leaderboard.md").read_text()
    assert "#1 of grid is not compared" in said
    assert "It was not compared with another cell" in said and "no other cell" not in said
    assert pd.read_csv(made / "pairs.csv").empty


def test_masks_that_were_changed_between_two_runs_are_not_compared(shelf, results):
    parent = storing.parent_run(shelf.store, "changed")
    ids = [
        storing.stored_run(shelf.store, shelf.root, [f"loss={loss}", "trainer.seed=9"], q, parent)
        for loss, q in (("dice", 0.9), ("focal", 0.5))
    ]
    artifacts = shelf.folder / "mlruns" / "artifacts" / ids[1] / "artifacts"
    path = artifacts / "evaluation" / "test" / "confusions.npz"
    kept = confusions.load_counts(path)
    counts = kept.counts.copy()
    counts[:, 0, 0] -= 1
    counts[:, 1, 1] += 1
    confusions.save_counts(
        path, kept.names, counts, kept.dice_coef_multiclass, kept.classes.tolist()
    )
    pairs = pd.read_csv(shelf.compared("runs=changed") / "pairs.csv")
    assert pairs["verdict"].tolist() == ["no verdict"]
    assert "masks" in pairs["because"][0]


def test_a_cell_of_fewer_folds_is_compared_over_the_pictures_of_both(shelf, results):
    parent = storing.parent_run(shelf.store, "ragged")
    for loss, folds in (("dice", "012"), ("ce_dice", "012"), ("focal", "01")):
        for fold in folds:
            words = [f"loss={loss}", "trainer.seed=4", f"split.fold={fold}"]
            storing.stored_run(shelf.store, shelf.root, words, 0.7, parent)
    made = shelf.compared("runs=ragged")
    board = pd.read_csv(made / "leaderboard.csv")
    assert board["partial"].tolist() == [False, False, True]
    pairs = pd.read_csv(made / "pairs.csv")
    assert sorted(pairs["sources"]) == [22, 22, 33]
    assert "fewer or more folds" in (made / "leaderboard.md").read_text()


def test_only_what_the_filter_lets_through(shelf, results):
    made = shelf.compared("runs=losses", "filter=\"params.loss != 'focal'\"")
    assert set(pd.read_csv(made / "leaderboard.csv")["cell"]) == {"dice", "ce_dice"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs=loses"], "nearest are losses"),
        (["filter=loss is dice"], "filter=.*Try"),
        (["metric=val/dise"], "Did you mean 'val/dice'"),
        (["metric=test/dice", "top=0", "images=none"], r"(?s)metric.*top=0.*images=none"),
        (["filter=\"params.loss = 'nothing'\""], "filter matches none of its"),
        (["metric=val/num_images"], "of which higher is better"),
        (["tracking.experiment_name=flexunett"], "Did you mean 'flexunet'"),
        (["tracking=none"], "no store"),
    ],
)
def test_what_is_asked_for_in_vain_is_said_in_a_sentence(shelf, words, said):
    quoted = [re.sub(r"^filter=(?!\")(.*)", r"filter='\1'", word) for word in words]
    with pytest.raises(InputError, match=said):
        shelf.compared(*quoted)
    names = [one.name for one in shelf.store.client.search_experiments()]
    assert "flexunett" not in names


def test_no_store_is_made_where_there_is_none(tmp_path):
    with pytest.raises(InputError, match="There is no store"):
        Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet", create=False)
    assert not list(tmp_path.iterdir())


def test_a_locked_a_newer_a_half_made_and_a_damaged_store_are_said_in_a_sentence(shelf, tmp_path):
    database = shelf.folder / "mlruns" / "mlflow.db"
    for trouble, said in (
        ("begin exclusive", "Another program holds"),
        ("update alembic_version set version_num = 'ffff00001111'", "another version of MLflow"),
    ):
        copy = tmp_path / f"{said[:3]}.db"
        shutil.copyfile(database, copy)
        with sqlite3.connect(copy, isolation_level=None) as connection:
            connection.execute(trouble)
            with pytest.raises(Exception) as error:
                Store(f"sqlite:///{copy}", "flexunet", create=False).search()
        assert said in explain(error.value)
        connection.close()
    with sqlite3.connect(tmp_path / "half.db") as connection:  # Ctrl-C while the tables were made
        connection.execute("create table experiment_tags (key)")
    with pytest.raises(Exception) as error:
        Store(f"sqlite:///{tmp_path}/half.db", "flexunet", create=False)
    assert "incomplete" in explain(error.value) and "CREATE TABLE" not in explain(error.value)
    (broken := tmp_path / "broken.db").write_bytes(b"nonsense" * 500)
    with pytest.raises(Exception) as error:
        Store(f"sqlite:///{broken}", "flexunet", create=False)
    assert "not an SQLite database" in explain(error.value)


def test_the_disk_filling_up_leaves_no_half_file(shelf, monkeypatch, tmp_path):
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "replace_file", full)
    with pytest.raises(OSError) as error:
        shelf.compared()
    assert "No space left" in explain(error.value)


def test_a_run_that_is_not_there_ends_in_a_sentence(shelf):
    done = running.flexunet(shelf.folder, "compare", "runs=12345,abcdef")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout and done.stdout.count("is not a run of") == 2
