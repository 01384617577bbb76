"""What is written is read back, undefined stays undefined, and the table fits a terminal."""

from __future__ import annotations

import io
import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from rich.console import Console

from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import other_data, results, scoring, terminal
from flexunet_exp.evaluation.settings import ScoreSettings
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.scores import confusions
from flexunet_exp.scores import record as records
from tests.support.properties import examples
from tests.support.recording import masks_with, record_of

CLASSES = ["background", "null", "[bold]split teeth"]
# The last class has no truth; the last image holds no defect.
COUNTS = np.array(
    [
        [[90, 4, 0], [2, 8, 0], [0, 0, 0]],
        [[80, 0, 3], [9, 1, 0], [0, 0, 0]],
        [[100, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
)
NAMES = ["null/000", "null/001", "good/000"]
SEED_DICE = [0.9, 0.8, 1.0]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "evaluation" / "test"


def write(folder) -> results.Evaluation:
    record = record_of([masks_with(counts) for counts in COUNTS], NAMES, CLASSES, SEED_DICE)
    return results.write_evaluation(folder, record, object_overlap=0.5, resamples=20)


def test_an_evaluation_comes_back_as_it_was_written(folder):
    written = write(folder)
    summary, classes, intervals = results.read_evaluation(folder)
    assert summary == pytest.approx(written.summary, rel=0, abs=0, nan_ok=True)
    expected = confusions.per_class(COUNTS, CLASSES)
    pd.testing.assert_frame_equal(classes[expected.columns], expected, check_index_type=False)
    pd.testing.assert_frame_equal(classes, written.classes, check_index_type=False)
    pd.testing.assert_frame_equal(intervals, written.intervals, check_index_type=False)
    assert classes.index.tolist() == CLASSES
    assert classes[["objects", "found"]].to_numpy().tolist() == [[0, 0], [2, 1], [0, 0]]


def test_the_record_comes_back_as_it_was_written(folder):
    written = write(folder)
    kept = records.load(folder)
    assert records.summary(kept, 0.5) == pytest.approx(written.summary, rel=0, abs=0, nan_ok=True)
    assert kept.names == NAMES
    (folder / "objects.csv").write_bytes(b"\xff")
    with pytest.raises(InputError, match="objects.csv: missing or damaged"):
        records.load(folder)


def test_the_summary_adds_the_seed_metric_and_its_baseline(folder):
    summary = write(folder).summary
    assert summary["dice_coef_multiclass"] == pytest.approx(0.9)
    baseline = [(2 * 94 + 1) / (2 * 104 + 1), (2 * 83 + 1) / (2 * 93 + 1), 1.0]
    assert summary["baseline_dice_coef_multiclass"] == pytest.approx(np.mean(baseline))


def test_the_folder_holds_whole_files_and_nothing_else(folder):
    write(folder)
    write(folder)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert files == [
        *("boundaries.npz", "confusions.npz"),
        *("figures/classes.png", "figures/confusion.png", "figures/curves.png"),
        *("histograms.npz", "images.csv", "intervals.csv", "objects.csv"),
        *("scores.csv", "scores.json"),
    ]
    for figure in (folder / "figures").iterdir():
        Image.open(figure).verify()
    assert confusions.load_counts(folder / "confusions.npz").names.tolist() == NAMES


def test_the_json_is_strict_sorted_and_null_where_undefined(folder):
    write(folder)
    text = (folder / "scores.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    stored = json.loads(text, parse_constant=refuse)
    assert list(stored) == sorted(stored)
    assert stored["dice/[bold]split teeth"] is None
    assert stored["dice"] == pytest.approx(18 / 33)


def test_missing_files_are_all_named(tmp_path):
    with pytest.raises(InputError) as raised:
        results.read_evaluation(tmp_path / "test")
    expected = ("scores.json", "scores.csv", "intervals.csv")
    for problem, name in zip(raised.value.problems, expected, strict=True):
        assert f"{name}: no such file" in problem and "flexunet evaluate" in problem


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scores.json", "{"),
        ("scores.json", "[1]"),
        ("scores.csv", ""),
        ("scores.csv", "a,b\n1,2\n"),
    ],
)
def test_a_damaged_file_is_reported_with_its_folder(folder, name, content):
    write(folder)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match="damaged"):
        results.read_evaluation(folder)


def printed(folder, *splits: str, **options) -> str:
    write(folder)
    console = Console(file=io.StringIO(), width=options.pop("width", 100), **options)
    evaluation = results.read_evaluation(folder)
    terminal.print_scores(dict.fromkeys(splits, evaluation), console)
    return console.file.getvalue()


def row(text: str, label: str) -> list[str]:
    return next(line for line in text.splitlines() if label in line).split(label)[1].split()


def test_the_table_shows_the_scores_beside_what_background_alone_gets(folder):
    text = printed(folder, "valid", "test")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
    dice, few = ["0.545"] * 2, ["too", "few"]
    found = ["0.375", "0.692", "0.450", "0.333", "1/2"]
    assert row(text, "  null") == ["2", "6.73", *dice, *few, *found]
    assert row(text, "[bold]split teeth") == ["0", "0.00", *"––––", "0.000", "–", "–"]
    assert row(text, "pixel accuracy") == ["0.9394", "0.9394", "0.9327"]
    assert row(text, "macro Dice, defects") == ["0.5455", "0.5455", *few, "0.0000"]
    # One in the first image, one in the second.
    assert row(text, "false alarms an image") == ["0.6667", "0.6667"]
    assert row(text, "dice_coef_multiclass")[:2] == ["0.9000", "0.9000"]
    assert "test: 3 images, 2 of them with a defect" in text
    assert text.index("[bold]split teeth") < text.index("background")


def test_the_table_of_one_split_and_of_a_narrow_terminal_stay_within_their_width(folder):
    assert row(printed(folder, "test"), "pixel accuracy") == ["0.9394", "0.9327"]
    narrow = printed(folder, "valid", "test", width=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert row(narrow, "  null")[-1] == "1/2"


def test_without_a_console_it_prints_plainly_to_standard_output(folder, capsys):
    terminal.print_scores({"test": write(folder)})
    text = capsys.readouterr().out
    assert "macro Dice, defects" in text and "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100


def images_with_dice(hits: list[int | None]) -> np.ndarray:
    """One image for each number of hits of 10 true pixels; None = an image without defect."""
    counts = np.zeros((len(hits), 2, 2), np.int64)
    counts[:, 0, 0] = 50
    for image, hit in zip(counts, hits, strict=True):
        if hit is not None:
            image[1] = 10 - hit, hit
    return counts


def test_extremes_come_in_order_and_ties_by_name():
    counts = images_with_dice([5, 0, None, 9, 3, 3, 1, 8, 7, 10, 2])
    names = ["e", "a", "good", "j", "d", "c", "f", "i", "h", "k", "g"]
    assert results.pick_extremes(counts, names, n=2) == {
        "best": [9, 3],
        "median": [4, 0],
        "worst": [1, 6],
    }


@examples(80)
@given(st.lists(st.none() | st.integers(0, 10), max_size=14), st.integers(1, 4))
def test_extremes_never_name_an_image_twice_nor_one_without_defect(hits, n):
    names = [str(index) for index in range(len(hits))]
    picked = results.pick_extremes(images_with_dice(hits), names, n)
    shown = [index for group in picked.values() for index in group]
    defective = [index for index, hit in enumerate(hits) if hit is not None]
    assert len(shown) == len(set(shown)) == min(3 * n, len(defective))
    assert set(shown) <= set(defective)
    assert all(len(group) <= n for group in picked.values())
    dice = [[hits[index] for index in picked[group]] for group in ("worst", "median", "best")]
    assert max(dice[0], default=0) <= min(dice[1] + dice[2], default=math.inf)
    assert max(dice[0] + dice[1], default=0) <= min(dice[2], default=math.inf)


def test_nothing_to_score_is_a_sentence(tmp_path):
    settings = ScoreSettings.from_config(OmegaConf.create({}))
    with pytest.raises(InputError, match="No picture can be scored"):
        scoring.score([], tmp_path, settings, "title", {})


def test_only_pictures_that_trained_or_chose_a_network_are_known_to_it(tmp_path):
    table = pd.DataFrame(
        {"sha256": list("abcd"), "split": ["train", "valid", "calibration", "test"]}
    )
    rest = dict.fromkeys(("image", "mask", "label", "source", "variant"), "x")
    table.assign(**rest, width=1, height=1).to_csv(tmp_path / "samples.csv", index=False)
    run = FinishedRun(tmp_path, OmegaConf.create({}))
    asked = SimpleNamespace(table=table)
    assert other_data.known_pictures(asked, [run]) == 2
