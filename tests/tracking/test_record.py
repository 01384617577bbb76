"""What runs are called."""

from __future__ import annotations

import pytest

from flexunet_exp.config.overrides import short


@pytest.mark.parametrize(
    ("key", "value", "called"),
    [
        ("loss", "dice", "dice"),
        ("model.base_filters", "8", "bf=8"),
        ("optimizer.learning_rate", "0.0016598327", "lr=0.00166"),
        ("optimizer.learning_rate", "1.6598327e-05", "lr=1.66e-05"),
        ("dataset.layout.date", "2026-11-27", "d=2026-11-27"),
        ("data.e", "--------", "e=--------"),
    ],
)
def test_a_setting_in_a_name_is_its_initials_and_a_drawn_number_is_short(key, value, called):
    assert short(key, value) == called
