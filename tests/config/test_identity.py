"""Runs that are in a store already keep their identity, whatever the table of options becomes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from flexunet_exp.config import identity
from flexunet_exp.config.options import OPTIONS

# Configurations of runs, with the hashes that they were recorded under.
KNOWN = json.loads(Path(__file__).with_name("known_identities.json").read_text())


@pytest.mark.parametrize("name", KNOWN)
def test_a_run_of_before_is_known_again(name):
    known = KNOWN[name]
    settings = json.dumps(identity.with_effect(known["config"]), sort_keys=True)
    assert hashlib.sha256(settings.encode()).hexdigest()[:16] == known["with_effect"]
    assert identity.effort(known["config"]) == known["effort"]
    assert identity.scoring_signature(known["config"]) == known["scoring"]


def test_all_sections_that_take_minutes_are_in_the_effort():
    sections = {row.key.split(".")[0] for row in OPTIONS if row.minutes}
    assert sections == set(identity.EFFORT)


def test_runs_from_kept_features_take_other_minutes(compose):
    """Other caches of pictures count as before."""
    of = {
        cache: identity.effort(compose("train", "model=unet", f"dataset.cache={cache}"))
        for cache in ("none", "memory", "features")
    }
    assert of["none"] == of["memory"] != of["features"]


def test_what_refuses_a_split_does_not_count(compose):
    """A run that does not refuse counts as before."""
    loose, strict = (
        identity.with_effect(compose("train", "split=folders", f"dataset.strict={value}"))
        for value in ("false", "true")
    )
    assert loose == strict and loose["split"]["strict"] is False


LITE0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def model_of(compose, *words: str) -> dict:
    return identity.with_effect(compose("train", "model=unet_lite0", *words))["model"]


def test_the_weights_of_an_encoder_count_by_their_content(compose, tmp_path):
    """`imagenet` by the hash of the packaged file, so that a copy of it trains the same run."""
    assert model_of(compose)["encoder_weights"] == LITE0
    (tmp_path / "copy.pth").write_bytes(b"weights")
    named = model_of(compose, f"model.encoder_weights={tmp_path}/copy.pth")["encoder_weights"]
    assert named == hashlib.sha256(b"weights").hexdigest()
    assert model_of(compose, "model.encoder_weights=null")["encoder_weights"] is None
    keras_own = model_of(compose, "model/encoder=resnet50v2")["encoder_weights"]
    assert keras_own == "imagenet"


def test_how_an_encoder_is_trained_counts_where_it_is_trained(compose):
    frozen, trained = (), ("model.encoder_trainable=all",)
    faster, later = ("model.encoder_rate=1",), ("model.encoder_from_epoch=5",)
    assert model_of(compose, *frozen) == model_of(compose, *frozen, *faster)
    found = [model_of(compose, *trained, *more) for more in ((), faster, later)]
    assert all(one != other for one in found for other in found if one is not other)
    assert "encoder_from_epoch" not in found[0]
