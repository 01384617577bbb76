"""The keys of the online augmentor: transforms that are drawn, here with one field for both.

The original makes every variant of each picture, and draws a batch of them. Here each variant has
the probability 1 / (number of variants), so that about one transform is drawn per picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flexunet_exp.commands.import_config.keys import (
    MEANT,
    NO_EFFECT,
    TAKEN,
    Key,
    Outcome,
    Project,
    Table,
)
from flexunet_exp.config.rules import Rule, flag, is_number

PLACE = "flexunet_exp.data.augmentation"
# The original blurs over the colour channels too: conf/augmentation/seed_zipper.yaml has the fields
# of alpha 1300, which are this multiple of alpha / sigma.
BLURRED = 0.69


OWNERS = {"angles": "rotation"}  # of keys of [augmentor] that no transform has the name of


def is_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(is_number, value))


def is_points(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(is_numbers, value))


NUMBER = Rule(is_number, "a number", "1.0")
NUMBERS = Rule(is_numbers, "a list of numbers", "[90, 180]")
POINTS = Rule(is_points, "a list of pairs", "[(0.5, 0.5)]")


def is_on(project: Project) -> bool:
    return bool(project.get("model", "generator") and project.get("generator", "augmentation"))


def transforms(project: Project) -> list[dict[str, Any]]:
    """augmentation.transforms; none if the generator is off, as in the published runs."""
    if not is_on(project):
        return []
    drawn = [(name, number, values) for name, number, values in variants(project) if number]
    whole = sum(number for _, number, _ in drawn) + 1  # the picture as it is
    return [
        {"_target_": f"{PLACE}.{name}", "probability": round(number / whole, 3), **values}
        for name, number, values in drawn
    ]


def variants(project: Project) -> list[tuple[str, int, dict[str, Any]]]:
    """Each transform with the number of variants that the original makes by it."""

    def asked(key: str) -> Any:
        return project.get("augmentor", key)

    angles = list(asked("angles")) if asked("rotation") else []
    turns = [one for one in angles if one % 90 == 0]
    others = [one - 360 if one > 180 else one for one in angles if one % 90]
    sigmas = project.get("deformation", "sigmoids") if asked("deformation") else []
    alpha = project.get("deformation", "alpah")
    fractions = project.get("distortion", "distortions") if asked("distortion") else []
    blur = project.get("distortion", "gaussian_filter_rsigma")
    return [
        ("HorizontalFlip", int(asked("hflip")), {}),
        ("VerticalFlip", int(asked("vflip")), {}),
        ("QuarterTurn", len(turns), {}),
        ("Rotation", len(others), {"degrees": span(others)}),
        ("Shrink", len(asked("shrinks")), {"factor": span(asked("shrinks"))}),
        ("Shear", len(asked("shears")), {"horizontal": 0, "vertical": span(asked("shears"))}),
        *(("Elastic", 1, elastic(alpha, sigma)) for sigma in sigmas),
        *(("Distortion", 1, {"fraction": each, "sigma": blur}) for each in fractions),
        radial("Barrel", "barrdistortion", project),
        radial("Pincushion", "pincdistortion", project),
        ("Sharpen", int(asked("sharpening")), {"strength": project.get("sharpening", "k")}),
        ("Brightness", int(asked("brightening")), brightness(project)),
    ]


def elastic(alpha: float, sigma: float) -> dict[str, Any]:
    return {"alpha": round(BLURRED * alpha / sigma, 1), "sigma": sigma}


def brightness(project: Project) -> dict[str, Any]:
    offset = project.get("brightening", "beta") / 255
    return {"factor": project.get("brightening", "alpha"), "offset": round(offset, 4)}


def radial(name: str, section: str, project: Project) -> tuple[str, int, dict[str, Any]]:
    values = {key: project.get(section, key) for key in ("amount", "radius", "centers")}
    shares = [share for centre in values["centers"] for share in centre]
    settings = {"amount": abs(values["amount"]), "radius": values["radius"], "centre": span(shares)}
    return name, int(project.get("augmentor", section)), settings


def span(values: Sequence[float]) -> Any:
    """A number, or [smallest, largest] of several: one is drawn between them."""
    if not values:
        return 0
    return values[0] if len(set(values)) == 1 else [min(values), max(values)]


def is_drawn(name: tuple[str, str], project: Project) -> bool:
    """Whether a key is of a transform that is drawn: its own, or the one of its section."""
    section, key = name
    row = AUGMENTOR.get(name)
    if row is None or row.default is None or not is_on(project):
        return False
    transform = section if section != "augmentor" else OWNERS.get(key, key)
    return bool(project.get("augmentor", transform))


def drawn_as(name: str, says: str = "") -> Any:
    def becomes(value: Any, project: Project) -> Outcome:
        if not is_on(project):
            return Outcome(NO_EFFECT, "[model] generator is off")
        if value is False or value == []:
            return Outcome(TAKEN, "off")
        return Outcome(MEANT if says else TAKEN, f"augmentation: {name}{says}")

    return becomes


def ignored(says: str) -> Key:
    return Key(lambda value, project: Outcome(NO_EFFECT, says), None)


def strength(value: Any, project: Project) -> Outcome:
    drawn = drawn_as("Elastic")(value, project)
    if drawn.verdict != TAKEN or not project.get("augmentor", "brightening"):
        return drawn
    return Outcome(MEANT, f"{drawn.says}; there [brightening] alpha took its place")


ONE_FIELD = "; picture and mask get the same field, which the original drew twice"
PICTURE = "; the mask keeps its classes, which the original changed too"
RANGE = "; drawn from the whole range"


def key(name: str, rule: Rule, default: Any, says: str = "") -> Key:
    return Key(drawn_as(name, says), rule, default)


AUGMENTOR: Table = {
    ("augmentor", "hflip"): key("HorizontalFlip", flag(), True),
    ("augmentor", "vflip"): key("VerticalFlip", flag(), True),
    ("augmentor", "rotation"): key("QuarterTurn, Rotation", flag(), True),
    ("augmentor", "angles"): key("QuarterTurn, Rotation", NUMBERS, [90, 180, 270], RANGE),
    ("augmentor", "shrinks"): key(
        "Shrink", NUMBERS, [0.8], "; its border there is a sum of pixels modulo 256"
    ),
    ("augmentor", "shears"): key("Shear", NUMBERS, []),
    ("augmentor", "deformation"): key("Elastic", flag(), False, ONE_FIELD),
    ("augmentor", "distortion"): key("Distortion", flag(), False, ONE_FIELD),
    ("augmentor", "barrdistortion"): key("Barrel", flag(), False),
    ("augmentor", "pincdistortion"): key("Pincushion", flag(), False),
    ("augmentor", "sharpening"): key("Sharpen", flag(), False, PICTURE),
    ("augmentor", "brightening"): key("Brightness", flag(), False, PICTURE),
    ("augmentor", "image_width"): ignored("dataset.image_size is the size"),
    ("augmentor", "image_height"): ignored("dataset.image_size is the size"),
    ("deformation", "alpah"): Key(strength, NUMBER, 1300),
    ("deformation", "alpha"): ignored("the original reads the misspelt alpah"),
    ("deformation", "sigmoid"): ignored("the original reads sigmoids"),
    ("deformation", "sigmoids"): key("Elastic", NUMBERS, [8]),
    ("distortion", "gaussian_filter_rsigma"): key("Distortion", NUMBER, 40),
    ("distortion", "gaussian_filter_sigma"): ignored("read, and never used"),
    ("distortion", "distortions"): key("Distortion", NUMBERS, [0.02]),
    ("barrdistortion", "radius"): key("Barrel", NUMBER, 0.5),
    ("barrdistortion", "amount"): key("Barrel", NUMBER, 0.5),
    ("barrdistortion", "centers"): key("Barrel", POINTS, [(0.5, 0.5)], RANGE),
    ("pincdistortion", "radius"): key("Pincushion", NUMBER, 0.5),
    ("pincdistortion", "amount"): key("Pincushion", NUMBER, -0.5),
    ("pincdistortion", "centers"): key("Pincushion", POINTS, [(0.5, 0.5)], RANGE),
    ("sharpening", "k"): key("Sharpen", NUMBER, 1.0),
    ("brightening", "alpha"): key("Brightness", NUMBER, 1.2),
    ("brightening", "beta"): key("Brightness", NUMBER, 10),
}
