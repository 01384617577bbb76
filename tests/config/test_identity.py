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
