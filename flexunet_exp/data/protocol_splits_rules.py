"""Rules for the arguments of the splits of the literature; imports no pandas."""

from __future__ import annotations

from flexunet_exp.config.rules import Arguments, fraction, share

RULES = {
    name: Arguments({"valid": fraction(0.25), "calibration": share(0.2)})
    for name in ("third", "five_shot")
}
