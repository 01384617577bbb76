"""Splits of a sample table: pictures to train on, to choose the best epoch, and to test.

A split function takes the sample table and returns a copy with `split` filled in. `ratios` and
`folds` deal whole sources, so an original and its augmented copies always lie in the same split.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from flexunet_exp.errors import InputError

SPLITS = ("train", "valid", "test")
CALIBRATION = "calibration"  # the part that only `decide` uses; most splits have none
GOOD = "good"


def ratios(
    table: pd.DataFrame,
    ratios: Sequence[float] = (0.6, 0.2, 0.2),
    seed: int = 0,
    calibration: float = 0.0,
) -> pd.DataFrame:
    """Split the sources of each class by shares of train, valid and test that sum to 1.

    The split of a source depends on `seed`, its name and the other sources of its class alone.
    Counts are rounded by largest remainder. A class with enough sources has one in every split
    whose share is above 0. Raises InputError for shares of another form.
    """
    shares = _checked_shares(ratios)
    assigned: dict[str, str] = {}
    for sources in _strata(table, seed).values():
        counts = _counts(len(sources), shares)
        splits = [split for split, n in zip(SPLITS, counts, strict=True) for _ in range(n)]
        assigned |= zip(sources, splits, strict=True)
    return with_calibration(table.assign(split=table["source"].map(assigned)), calibration, seed)


def folds(
    table: pd.DataFrame,
    n: int = 5,
    fold: int = 0,
    seed: int = 0,
    valid: float | None = None,
    calibration: float = 0.0,
) -> pd.DataFrame:
    """Split for `n`-fold cross-validation: test is fold `fold`, valid the next, train the rest.

    The sources of each class are dealt in turn, every class from where the one before ended, so
    that the folds differ by one source at most. With `valid`, a share above 0 and below 1, only
    that share of each class's sources outside of the test fold validates, at least one, those of
    the next fold first: more is left to train. Raises InputError for n < 3, a fold outside 0..n-1,
    a defect class with fewer sources than folds, or a share outside its range.
    """
    strata = _strata(table, seed)
    _check_folds(n, fold, valid, {name: len(sources) for name, sources in strata.items()})
    assigned: dict[str, str] = {}
    first = 0  # the fold of the class's first source
    for sources in strata.values():
        after = {s: (first + turn - fold) % n for turn, s in enumerate(sources)}  # 0: the test fold
        first += len(sources)
        others = sorted((source for source in sources if after[source]), key=after.__getitem__)
        if valid is None:
            chosen = sum(after[source] == 1 for source in others)
        else:
            chosen = min(max(1, round(valid * len(others))), len(others) - 1)
        assigned |= dict.fromkeys(sources, "test") | dict.fromkeys(others, "train")
        assigned |= dict.fromkeys(others[:chosen], "valid")
    return with_calibration(table.assign(split=table["source"].map(assigned)), calibration, seed)


def folders(table: pd.DataFrame, strict: bool = False, calibration: float = 0.0) -> pd.DataFrame:
    """Keep the split that the folders name; with `strict`, a source in two splits is an error.

    Raises InputError where the folders name no split, as in raw MVTec AD.
    """
    unnamed = table[~table["split"].isin(SPLITS)]
    if len(unnamed):
        raise InputError(
            f"{len(unnamed)} of {len(table)} pictures lie in no train, valid or test folder, such "
            f"as {unnamed['image'].iloc[0]}: choose split=ratios."
        )
    if strict and (leak := _leak(table)):
        raise InputError(f"{leak} Choose split=ratios, or allow it: dataset.strict=false.")
    return with_calibration(table.copy(), calibration)


def with_calibration(table: pd.DataFrame, share: float, seed: int = 0) -> pd.DataFrame:
    """A split table of which a share of each class's sources leaves train for `calibration`.

    The number is `share` of all sources of a class, rounded, at least one; none of a class that has
    no source in train. Validation and test stay as they are. Raises InputError where a class would
    have no source left to train.
    """
    if not share:
        return table
    is_train = table["split"] == "train"
    training = set(table.loc[is_train, "source"])
    taken: set[str] = set()
    short = []
    for name, sources in _strata(table, seed).items():
        # Last in the order by which the other parts are dealt, so that these do not change.
        own = [source for source in sources if source in training]
        number = max(1, round(share * len(sources))) if own else 0
        if own and number >= len(own):
            short.append(f"{name} ({number} of {len(own)})")
        taken |= set(own[max(0, len(own) - number) :])
    if short:
        raise InputError(
            f"split.calibration={share} takes all sources that train of {', '.join(short)}. Choose "
            "a smaller share, or smaller validation and test parts."
        )
    is_taken = is_train & table["source"].isin(taken)
    return table.assign(split=table["split"].mask(is_taken, CALIBRATION))


def memorise(table: pd.DataFrame, num_images: int = 4, repeats: int = 1) -> pd.DataFrame:
    """For debugging: the same few pictures are train, valid and test, so the scores mean nothing.

    An epoch of training shows each picture `repeats` times.
    """
    chosen = pick_samples(table, num_images)
    parts = [chosen.assign(split=split) for split in ("train",) * repeats + ("valid", "test")]
    return pd.concat(parts, ignore_index=True)


def pick_samples(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows that stand for the table: by hash of the picture, one class after the other.

    Neither the order of the rows nor their split matters; defect-free pictures come last.
    """
    ordered = table.drop_duplicates("sha256").sort_values("sha256")
    turn = ordered.groupby("label").cumcount()
    ranked = ordered.assign(turn=turn, good=ordered["label"] == GOOD)
    chosen = ranked.sort_values(["turn", "good", "label"]).index[:count]
    return table.loc[chosen]


def parts_of(table: pd.DataFrame) -> tuple[str, ...]:
    """The parts of a split table to be shown: `calibration` only where there is one."""
    return (*SPLITS, CALIBRATION) if (table["split"] == CALIBRATION).any() else SPLITS


def leak_warnings(table: pd.DataFrame) -> list[str]:
    """A warning where the splits of a table share pictures, or copies of them by their sources."""
    first, *others = (set(table.loc[table["split"] == split, "sha256"]) for split in SPLITS)
    if first and all(first == other for other in others):
        return [
            f"The same {len(first)} pictures train, validate and test: this run shows that the "
            "program works, nothing else."
        ]
    leak = _leak(table)
    return [f"{leak} split=ratios keeps a picture's copies together."] if leak else []


def with_merged_copies(table: pd.DataFrame, warn: Callable[[str], None]) -> pd.DataFrame:
    """The table with identical pictures (one sha256) merged into one source; warns of them.

    Under two sources, copies of one picture could lie in train and in test.
    """
    together: dict[str, str] = {}

    def root(source: str) -> str:
        while together.get(source, source) != source:
            source = together[source]
        return source

    several = table[table["sha256"].duplicated(keep=False)]
    for _, copies in several.groupby("sha256")["source"]:
        first, *others = sorted(set(copies))
        for other in others:
            together[root(other)] = root(first)
    if together:
        named = ", ".join(sorted(together)[:5])
        warn(f"{len(together)} sources hold copies of other pictures, such as {named}.")
    return with_own_variants(table.assign(source=[root(source) for source in table["source"]]))


def with_own_variants(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a variant of its own for every picture of a source: they name its pictures."""
    number = table.groupby(["source", "variant"]).cumcount()
    rows = zip(table["variant"], number, strict=True)
    return table.assign(variant=[copy_name(variant, n) if n else variant for variant, n in rows])


def is_real(variant: str) -> bool:
    """Whether a variant is a picture that was taken, and not an augmented copy of one."""
    return variant == "original" or re.fullmatch(r"copy\d+", variant) is not None


def copy_name(variant: str, number: int) -> str:
    """`copy2` of the second original, `rot90_copy2` of the second rot90."""
    return f"copy{number + 1}" if variant == "original" else f"{variant}_copy{number + 1}"


def check(table: pd.DataFrame, pixels: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """Warnings of classes without a pixel in a split.

    `pixels` (N, C) are those of each class in each row, `class_names` has the background first.
    Raises InputError when there is nothing to train or to validate with.
    """
    sizes = table["split"].value_counts()
    empty = [split for split in ("train", "valid") if not sizes.get(split)]
    if empty:
        alone = set(sizes.index) == {"test"}
        scored = (
            " To score a network on the test pictures: flexunet evaluate run=RUN dataset=NAME "
            "dataset.path=FOLDER only=test"
        )
        raise InputError(
            f"No picture is left to {' and '.join(empty)}: training needs both. Try more pictures, "
            "other shares such as split.ratios=[0.6,0.2,0.2], or, where folders name the splits, "
            f"split=ratios, which divides all pictures.{scored * alone}"
        )
    warnings = []
    for split in SPLITS:
        seen = pixels[(table["split"] == split).to_numpy()].sum(axis=0)
        absent = [name for name, n in zip(class_names[1:], seen[1:], strict=True) if not n]
        if not sizes.get(split):
            warnings.append(f"The split {split} holds no picture.")
        elif absent:
            warnings.append(f"The split {split} holds no picture of {', '.join(absent)}.")
    return warnings


def _strata(table: pd.DataFrame, seed: int) -> dict[str, list[str]]:
    """Sources of each class: classes by name, sources in the order of a hash of seed and name."""
    strata: dict[str, list[str]] = {}
    for source, label in _labels(table).items():
        strata.setdefault(str(label), []).append(str(source))
    return {name: sorted(strata[name], key=lambda s: _draw(s, seed)) for name in sorted(strata)}


def _labels(table: pd.DataFrame) -> pd.Series:
    """Label of each source: its original picture's, else the most frequent, ties by name."""
    is_original = table.assign(original=table["variant"] == "original")
    votes = is_original.groupby(["source", "label"])["original"].agg(["max", "size"]).reset_index()
    ranked = votes.sort_values(["max", "size", "label"], ascending=[False, False, True])
    return ranked.drop_duplicates("source").set_index("source")["label"]


def _draw(source: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{source}".encode()).digest()


def _counts(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers near `total` times each share that sum to `total`, by largest remainder."""
    quotas = [total * share for share in shares]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    wanted = [i for i, share in enumerate(shares) if share > 0]
    for i in wanted:
        if counts[i] == 0 and total >= len(wanted):
            counts[counts.index(max(counts))] -= 1
            counts[i] = 1
    return counts


def _checked_shares(ratios: Sequence[float]) -> list[float]:
    try:
        train, valid, test = (float(share) for share in ratios)
    except (TypeError, ValueError):
        train = valid = test = math.nan
    smallest = min(train, valid, test)
    if not (smallest >= 0 and train > 0 and abs(train + valid + test - 1) <= 1e-6):
        raise InputError(
            f"split.ratios={ratios}: expected the shares of train (above 0), valid and test, which "
            "sum to 1, such as split.ratios=[0.6,0.2,0.2]."
        )
    return [train, valid, test]


def _check_folds(n: int, fold: int, valid: float | None, sources: dict[str, int]) -> None:
    problems = []
    if not (valid is None or (isinstance(valid, int | float) and 0 < valid < 1)):
        problems.append(
            f"split.valid={valid}: expected null, for a whole fold, or the share of the other "
            "folds that validates, above 0 and below 1, such as 0.125."
        )
    if n < 3:
        problems.append(f"split.n={n}: expected 3 or more, one fold each to test, valid and train.")
    if not 0 <= fold < n:
        problems.append(f"split.fold={fold}: expected 0 to {n - 1}, as split.n={n}.")
    few = {name: count for name, count in sources.items() if name != GOOD and count < n}
    if few:
        named = ", ".join(f"{name} ({count})" for name, count in few.items())
        smaller = f"split.n={min(few.values())} or " if min(few.values()) >= 3 else ""
        problems.append(
            f"split.n={n}: fewer source pictures than folds in {named}: "
            f"choose {smaller}split=ratios."
        )
    if problems:
        raise InputError(problems)


def _leak(table: pd.DataFrame) -> str:
    """A sentence on the sources that lie in several splits; empty if there are none."""
    splits = table.groupby("source")["split"].nunique()
    shared = splits.index[splits > 1]
    if shared.empty:
        return ""
    in_test = table[table["split"] == "test"]
    touched = int(in_test["source"].isin(shared).sum())
    return (
        f"By their names, {len(shared)} of {len(splits)} source pictures lie in more than one "
        f"split: {touched} of {len(in_test)} test pictures have a copy in train or valid, which "
        "flatters the scores."
    )
