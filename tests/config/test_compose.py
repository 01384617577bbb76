"""Building from configuration, and the signature: what changes it and what must not."""

from __future__ import annotations

import keras
import pytest

from flexunet_exp.config import building, identity


def signature(cfg, digest="data", threads=2) -> str:
    return identity.signature(cfg, digest, threads)


@pytest.mark.parametrize(
    "override",
    [
        "model.base_filters=8",
        "loss=dice",
        "optimizer.learning_rate=0.01",
        "trainer.seed=1",
        "trainer.precision=mixed_bfloat16",
        "dataset.image_size=512",
        "augmentation=none",
        "callbacks.reduce_lr.patience=3",
        "monitor=val_loss",
    ],
)
def test_what_can_change_the_weights_changes_the_signature(compose, override):
    assert signature(compose("train", override)) != signature(compose("train"))


@pytest.mark.parametrize(
    "override",
    [
        "tracking=none",
        "tracking.run_name=other",
        "data_root=elsewhere",
        "dataset.path=elsewhere",
        "callbacks.epoch_images.every=7",
        "~callbacks.curves",
        "dataset.cache=memory",
        "objective=val/iou",
        "rerun=all",
    ],
)
def test_what_cannot_does_not(compose, override):
    assert signature(compose("train", override)) == signature(compose("train"))


def test_data_and_threads_change_it(compose):
    cfg = compose("train")
    assert len({signature(cfg), signature(cfg, "other"), signature(cfg, threads=1)}) == 3
    assert signature(compose("train", "trainer.threads=2")) == signature(cfg)


def test_own_code_outside_the_package_changes_it(compose, tmp_path, monkeypatch):
    monkeypatch.setenv("FLEXUNET_TRUSTED", "mylosses")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = compose("train", "loss._target_=mylosses.Mine")
    signatures = set()
    for factor in (1, 2):
        (tmp_path / "mylosses.py").write_text(f"FACTOR = {factor}\n")
        signatures.add(signature(cfg))
    assert len(signatures) == 2


def test_own_code_in_a_folder_without_init_changes_it(compose, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "barenets").mkdir()
    cfg = compose("train", "loss._target_=barenets.losses.Mine")
    signatures = set()
    for factor in (1, 2):
        (tmp_path / "barenets" / "losses.py").write_text(f"FACTOR = {factor}\n")
        signatures.add(signature(cfg))
    assert len(signatures) == 2


def test_a_class_called_gloss_does_not_turn_the_monitor_round(compose):
    assert compose("train", "monitor=val_dice/gloss").callbacks.early_stopping.mode == "max"
    assert compose("train", "monitor=val_loss").callbacks.early_stopping.mode == "min"


def test_build_gives_a_target_what_it_asks_for_and_no_more(compose):
    optimizer = building.build(compose("train").optimizer, run="unasked")
    assert isinstance(optimizer, keras.optimizers.Adam)
    shape = {"input_shape": (256, 256, 3), "num_classes": 3}
    model = building.build(compose("train", "model.base_filters=1").model, **shape)
    assert model.output_shape == (None, None, None, 3)


def test_runs_of_a_release_that_trained_the_same_weights_keep_their_signature(compose, monkeypatch):
    cfg = compose("train", "tracking=none", "data_root=nowhere")
    without = signature(cfg)
    monkeypatch.setattr(identity, "SAME_WEIGHTS", {"a" * 64: "one release", "b" * 64: "another"})
    found = signature(cfg)
    assert found == without and without.earlier == ()
    assert len({found, *found.earlier}) == 3
    assert identity.every(found) == (found, *found.earlier)
    assert identity.every("plain") == ("plain",)


def test_a_course_is_a_signature_without_the_number_of_epochs(compose):
    def course(*words: str, start: str = "") -> str:
        return identity.Identity.of(compose("train", *words), "data", 2, start).course

    assert course("trainer.epochs=7") == course()
    assert (
        len({course(), course("loss=dice"), course("trainer.batch_size=2"), course(start="x")}) == 4
    )


def test_the_weights_a_training_begins_with_are_part_of_the_signature_and_their_path_is_not(
    compose,
):
    plain, first, second = (
        identity.signature(compose("train", *words), "data", 2, start)
        for words, start in (([], ""), (["init_from=/a"], "x"), (["init_from=/b"], "x"))
    )
    assert first == second != plain
    assert identity.signature(compose("train", "trainer.keep_state=true"), "data", 2) == plain
