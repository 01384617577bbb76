"""What is said of a run's temperatures."""

from __future__ import annotations

from flexunet_exp.prediction.calibration import Calibration


def calibration(after: dict[str, float]) -> Calibration:
    before = {"all": 0.00164, "defect": 0.223}
    fitted_on = {"part": "valid", "pictures": 30}
    names = ["background", "dent"]
    return Calibration(
        *("a1", names, [1.04, 1.04], 1.04, [], fitted_on, {}, before, after, before, after)
    )


def test_both_errors_are_said_and_which_got_worse():
    better = calibration({"all": 0.0015, "defect": 0.21}).describe()
    assert "error of all pixels 0.00164, calibrated 0.0015" in better
    assert better.endswith("of defect pixels 0.223, calibrated 0.21")
    worse = calibration({"all": 0.0015, "defect": 0.479}).describe()
    assert worse.endswith("Calibrated, the error of defect pixels is worse.")
    both = calibration({"all": 0.5, "defect": 0.479}).describe()
    assert both.endswith("Calibrated, the errors of all pixels and of defect pixels are worse.")
