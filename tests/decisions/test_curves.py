"""The curves of a decision: each class by the regions that its own rule lets remain."""

from __future__ import annotations

import pandas as pd

from flexunet_exp.decisions import curves
from flexunet_exp.decisions.rules import Shape
from tests.support.region_records import Drawn, record_of

RECORD = record_of(
    [Drawn(f"s{n}").true(1, 0, 4).predicted(1, 0, 4, 0.9).predicted(1, 9, 2, 0.9) for n in range(6)]
    + [Drawn(f"d{n}").true(2, 0, 3).predicted(2, 0, 3, 0.9) for n in range(6)]
)


def curve(**areas: int) -> dict[str, pd.DataFrame]:
    shapes = {name: Shape(area) for name, area in areas.items()}
    table = curves.free_response(RECORD, shapes, 0.3, 20)
    return {name: part.reset_index(drop=True) for name, part in table.groupby("class", sort=False)}


def test_every_class_has_the_curve_of_its_own_least_area():
    large, small = curve(scratch=16, dent=16), curve(scratch=1, dent=1)
    own = curve(scratch=16, dent=1)
    assert list(large) == list(small) == ["all", "scratch", "dent"]
    assert list(own) == ["scratch", "dent"]  # no region remains by one rule for all
    pd.testing.assert_frame_equal(own["scratch"], large["scratch"])
    pd.testing.assert_frame_equal(own["dent"], small["dent"])
    assert (large["dent"]["found"] == 0).all() and small["dent"]["found"].max() == 1
    assert small["scratch"]["false_alarms"].max() > 0 == large["scratch"]["false_alarms"].max()
