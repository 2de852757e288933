"""Checks of the train rows' features: missing, constant, extreme, of one scale (R5, R10).

Pure functions of arrays; never trains.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.column_names import shown
from search.diagnostics.preflight.marks import mark_among_values
from search.diagnostics.preflight.mixed_units import mixed_units

LEAST, VALUES = 1500, 30_000_000  # rows, and values, that are looked at one by one
FEW = 0.10  # share of constant features from which something is missing
USUAL = 0.25  # share of rows in which a border pixel's value is found elsewhere
UNEVEN, ABSURD = 1e2, 1e4  # greatest over least spread of the features: a warning, a fault
LARGE, HUGE = 30.0, 1e3  # a typical spread, in training units
EXTREME = 100.0  # times the 99th percentile of the distances from the median
Array = NDArray[Any]


def missing_values(x: Array) -> Check:
    """Missing features, before they are filled (R10)."""
    judge = Judge(name="missing_values", rule="R10")
    if x.dtype.kind != "f":
        return judge.passed("no value is missing", share=0.0)
    missing = np.isnan(x)
    share, most = float(missing.mean()), float(missing.reshape(len(x), -1).mean(axis=0).max())
    sentence = f"{share:.1%} of the values are missing, {most:.0%} of one feature"
    if most > 0.5:
        remedy = "drop the feature, or learn why it is missing"
        return judge.warn(sentence, remedy, share=share, most=most)
    if share:
        return judge.note(sentence, share=share)
    return judge.passed("no value is missing", share=share)


def constant_features(x: Array, *, channels: int = 1) -> Check:
    """Features, or whole channels, that never change (R10)."""
    judge = Judge(name="constant_features", rule="R10")
    flat = x.reshape(len(x), -1)
    dead = (flat == flat[:1]).all(axis=0)
    if x.ndim > 2:
        channels = x.shape[1]
    sentence = f"{int(dead.sum())} of {len(dead)} features never change in train"
    measured = {"constant": np.flatnonzero(dead)[:100].tolist(), "features": len(dead)}
    remedy = "see how they were read: a column or channel that is always the same teaches nothing"
    silent = np.flatnonzero(dead.reshape(channels, -1).all(axis=1))
    if len(silent) and (x.ndim > 2 or channels > 1):
        text = f"channel {', '.join(map(str, silent[:5]))} never changes in train"
        return judge.fail(text, remedy, **measured)
    if not dead.any():
        return judge.passed(sentence, **measured)
    others = flat[:, ~dead]
    values = np.unique(flat[0, dead])[:5]
    usual = [(others == value).mean() for value in values if others.size]
    if (usual and np.mean(usual) >= USUAL) or (len(dead) > 50 and dead.mean() < FEW):
        return judge.note(f"{sentence}, as at the border of images", **measured)
    return judge.warn(sentence, remedy, **measured)


def extreme_values(x: Array, *, raw: Array | None = None, names: Sequence[str] = ()) -> Check:
    """Values so far out that they look like a mark for something missing, or a read error; one that
    stands for a missing value in many rows; or some in another unit (R10). `raw`: as they came;
    `names`: of the features.
    """
    judge = Judge(name="extreme_values", rule="R10")
    flat = x[: _affordable(x)].reshape(-1, x[0].size).astype(np.float64)
    far = np.abs(flat - np.median(flat, axis=0))
    usual = np.quantile(far, 0.99, axis=0)
    beyond = (far > EXTREME * usual) & (usual > 0)
    worst = (
        float(np.divide(far, usual, out=np.zeros_like(far), where=usual > 0).max())
        if len(flat)
        else 0.0
    )
    sentence = f"the farthest value lies {worst:.3g} times as far out as 99 % of its feature"
    if beyond.any():
        row, feature = np.argwhere(beyond)[0]
        remedy = (
            f"look at feature {shown(int(feature), names)} of train row {row}: a mark for missing, "
            "or a read error?"
        )
        return judge.warn(
            f"{int(beyond.sum())} values; {sentence}",
            remedy,
            values=int(beyond.sum()),
            farthest=worst,
        )
    if raw is not None and (marked := mark_among_values(raw[: _affordable(raw)])):
        feature, value, rows = marked
        text = f"feature {shown(feature, names)} is {value:g} in {rows} rows, apart from all others"
        remedy = (
            "does it stand for a missing value? A table's data.na_values and data.impute read it so"
        )
        return judge.warn(text, remedy, values=rows, farthest=worst, value=value)
    if raw is not None and (mixed := mixed_units(raw[: _affordable(raw)])):
        feature, factor, rows = mixed
        text = f"{rows} values of feature {shown(feature, names)}, over {factor:.0f}, are spread as"
        text = f"{text} the others"
        remedy = "is their unit another one, or was a decimal point lost?"
        return judge.warn(text, remedy, values=rows, farthest=worst, factor=factor)
    return judge.passed(sentence, farthest=worst)


def feature_scales(x: Array, *, whole: bool = False) -> Check:
    """Do normalised features spread alike, by about one (R5)? `whole`: they came as integers."""
    judge = Judge(name="feature_scales", rule="R5")
    if whole:
        return judge.unknown("inputs are whole numbers and not normalised, as tokens are")
    spread = x[: _affordable(x)].reshape(-1, x[0].size).astype(np.float64).std(axis=0)
    spread = spread[spread > 0]
    if not len(spread):
        return judge.unknown("no feature changes")
    low, middle, high = float(spread.min()), float(np.median(spread)), float(spread.max())
    sentence = (
        f"after normalising, features spread by {low:.2g} to {high:.2g}, half of them by more "
        f"than {middle:.2g}"
    )
    measured = {"least": low, "median": middle, "greatest": high}
    remedy = (
        "say normalise=zscore or minmax: one rate cannot serve features of such different scales"
    )
    if high / low >= ABSURD or middle >= HUGE:
        return judge.fail(sentence, remedy, **measured)
    if high / middle >= UNEVEN or middle >= LARGE or middle <= 1 / HUGE:
        return judge.warn(sentence, remedy, **measured)
    return judge.passed(sentence, **measured)


def _affordable(x: Array) -> int:
    """Rows that fit into memory several times over."""
    return max(VALUES // max(int(x[0].size), 1), LEAST)
