"""dataset.good_share=adaptive: follows validation, is logged, and is the same after a kill."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from flexunet_exp.config import validation
from flexunet_exp.data.feed import good_share
from flexunet_exp.errors import InputError
from tests.support.running import all_runs, flexunet, same_weights, signalled, store, train

EPOCHS = 5
WORDS = (
    *("dataset.good_share=adaptive", f"trainer.epochs={EPOCHS}", "trainer.deterministic=true"),
    *("trainer.batch_size=2", "trainer.save_every=1", "~callbacks.epoch_images"),
)


@pytest.fixture(scope="module")
def command(tiny) -> list[str]:
    return [*tiny, *WORDS]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, command) -> Path:
    folder = tmp_path_factory.mktemp("adaptive")
    done = train(folder, *command)
    assert done.returncode == 0, done.stdout
    return folder


def run_folder(folder: Path) -> Path:
    (found,) = folder.glob("outputs/*/*")
    return found


def history(folder: Path, name: str) -> list[float]:
    (run,) = all_runs(folder)
    return [one.value for one in store(folder).client.get_metric_history(run.info.run_id, name)]


def test_the_share_of_an_epoch_follows_an_earlier_validation(uninterrupted):
    invented, shares = (
        history(uninterrupted, name) for name in ("epoch/val/invented", "epoch/train/good_share")
    )
    assert len(invented) == len(shares) == EPOCHS and 0 < max(invented) <= 1
    steps = 8  # 14 to 16 training pictures, in pairs: at least 7
    delay = EPOCHS - sum(share != good_share.START for share in shares)
    assert delay in (good_share.delay(steps), good_share.delay(steps - 1))
    expected = [good_share.after(one) for one in invented[: EPOCHS - delay]]
    assert shares == pytest.approx([good_share.START] * delay + expected)


@pytest.mark.heavy
@pytest.mark.parametrize("nth", [2, 4])
def test_a_run_that_was_killed_draws_and_trains_the_same(tmp_path, command, uninterrupted, nth):
    at = ("SIGKILL", "flexunet_exp.training.state:Keeper.write", nth)
    assert signalled(tmp_path, *at, "train", *command).returncode == -signal.SIGKILL
    done = train(tmp_path, *command)
    assert done.returncode == 0 and "Going on with the unfinished run" in done.stdout, done.stdout
    assert same_weights(run_folder(tmp_path), run_folder(uninterrupted))
    name = "epoch/train/good_share"
    assert history(tmp_path, name) == history(uninterrupted, name)


def test_the_shares_of_patches_must_fit_together(compose):
    words = ("dataset.good_share=adaptive", "dataset.patch.size=64", "dataset.patch.foreground=0.6")
    with pytest.raises(InputError, match=r"good_share=adaptive \(up to 0.5\) and"):
        validation.check_settings(compose("train", "dataset=grid", *words))


def test_without_good_pictures_to_validate_it_is_refused(tmp_path, tiny):
    done = flexunet(
        tmp_path,
        "train",
        *tiny,
        "dataset.good_share=adaptive",
        "dataset.good=none",
        "tracking=none",
    )
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "dataset.good_share=0.25" in " ".join(done.stdout.split())
