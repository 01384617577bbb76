"""What a tracker is made from, before anything was checked."""

from __future__ import annotations

import pytest

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from flexunet_exp.tracking.settings import TrackingSettings


@pytest.mark.parametrize("name", ["log_model", "experiment_name", "uri"])
def test_a_deleted_option_is_left_to_the_check_of_settings(compose, name):
    cfg = compose("train", f"~tracking.{name}")
    assert isinstance(TrackingSettings.from_config(cfg), TrackingSettings)
    with pytest.raises(InputError, match=f"tracking.{name}"):
        validation.check_settings(cfg)
