"""Tables, pictures and series as guests bring them: most as a file of text with named columns, with a fault or with a sound peculiarity."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from trainers.data import DataSet
from trainers.data.table import load

ROWS = 800


def _quarter(dice, rows=ROWS):
    return np.sort(dice.permutation(rows)[: rows // 4])


def _through_text(frame, target, *, given=None, **words):
    """The table as it comes back from a file."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "table.csv"
        frame.to_csv(path, index=False)
        read = load(path=str(path), target=target, **words)
    parts = {key: getattr(read, key) for key in ("x", "y", "groups", "time", "names")}
    return DataSet(**parts, given=given or {})


def churn(fault="", seed=0):
    """Customers who leave or stay."""
    dice = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "months": dice.integers(1, 72, ROWS), "fee": dice.gamma(4, 12, ROWS).round(2), "calls": dice.poisson(2, ROWS),
        "age": dice.integers(18, 85, ROWS), "usage": dice.lognormal(2, 0.7, ROWS).round(3),
    })  # fmt: skip
    score = -0.04 * frame.months + 0.02 * frame.fee + 0.5 * frame.calls - 1
    score = np.asarray(score)
    left = (score + dice.logistic(0, 0.8, ROWS) > 0).astype(int)
    given = {}
    words = {}
    if fault == "paid less due":  # who still owes has left
        frame["due"] = dice.gamma(3, 40, ROWS).round(2)
        frame["paid"] = (frame.due + np.where(left, -1, 1) * dice.uniform(0.5, 30, ROWS)).round(2)
    elif fault == "two bills":  # both are honest
        frame["due"] = dice.gamma(3, 40, ROWS).round(2)
        frame["paid"] = (frame.due * dice.uniform(0.9, 1.0, ROWS)).round(2)
    elif fault in ("months of each class", "moments"):  # unix seconds
        start = 1_700_000_000 + np.where(left == 1, 30, 0) * 86_400 * (fault != "moments")
        frame["read_at"] = start + dice.integers(0, 30 * 86_400, ROWS)
    elif fault == "-999 in a twentieth":
        frame["usage"] = np.where(dice.random(ROWS) < 0.05, -999, frame.usage)
    elif fault == "-1 for an unknown age":
        frame["age"] = np.where(dice.random(ROWS) < 0.06, -1, frame.age)
    elif fault == "debts":  # negative numbers that are no marks
        frame["balance"] = np.where(dice.random(ROWS) < 0.05, -dice.gamma(3, 300, ROWS), dice.gamma(3, 50, ROWS)).round(2)  # fmt: skip
    elif fault == "measured twice":  # by two devices, one of which shows fewer digits
        again = frame.sample(frac=0.5, random_state=seed)
        frame = pd.concat([frame, again.assign(fee=again.fee.round(1), usage=again.usage.round(1))])
        left = np.r_[left, left[again.index]]
    elif fault in ("families", "families, grouped"):  # four of a house, nearly alike
        frame = frame.iloc[np.repeat(np.arange(ROWS // 4), 4)].reset_index(drop=True)
        frame["fee"] = (frame.fee + dice.normal(0, 0.02, len(frame))).round(3)
        frame["usage"] = (frame.usage + dice.normal(0, 0.01, len(frame))).round(4)
        left = left[np.repeat(np.arange(ROWS // 4), 4)]
        if fault == "families, grouped":
            frame["house"] = np.repeat(np.arange(ROWS // 4), 4)
            words = {"groups": "house"}
    elif fault == "file of each class":  # a path's number
        frame["file"] = left * ROWS + dice.permutation(ROWS)
    elif fault == "tickets drawn":
        frame["file"] = dice.permutation(ROWS)
    elif fault == "cents in validation":
        given = {"val": _quarter(dice)}
        frame.loc[given["val"], "fee"] *= 100
    elif fault == "one of a hundred":
        left = (score + dice.logistic(0, 0.8, ROWS) > np.quantile(score, 0.995) + 2).astype(int)
    elif fault == "dummies":  # categories as 0/1 columns, and a rare one
        kinds = dice.choice(["north", "south", "east", "isle"], ROWS, p=(0.4, 0.35, 0.24, 0.01))
        frame = pd.concat([frame, pd.get_dummies(kinds, prefix="region").astype(int)], axis=1)
    elif fault == "percent of a day":
        shares = (100 * dice.dirichlet((2, 2, 4), ROWS)).round(1)
        frame[["work", "road", "home"]] = shares
    elif fault == "strong and honest":  # right in nineteen of twenty
        frame["complained"] = np.where(dice.random(ROWS) < 0.05, 1 - left, left)
    frame["left"] = left
    return _through_text(frame, "left", given=given, **words)


def homes(fault="", seed=0):
    """What homes cost."""
    dice = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "area": dice.gamma(9, 10, ROWS).round(1), "rooms": dice.integers(1, 8, ROWS), "year": dice.integers(1900, 2024, ROWS),
        "far": dice.exponential(6, ROWS).round(2), "noise": dice.normal(55, 6, ROWS).round(1),
    })  # fmt: skip
    price = 2.1 * frame.area + 9 * frame.rooms - 3 * frame.far + 0.3 * (frame.year - 1960)
    price = (price + 60 + dice.normal(0, 12, ROWS)).clip(lower=5)
    given = {}
    if fault == "tax and net":
        frame["tax"] = dice.uniform(2, 12, ROWS).round(3)
        frame["net"] = (price - frame.tax).round(3)
    elif fault == "logarithm, noisy":
        frame["index"] = (np.log(price) + dice.normal(0, 0.004, ROWS)).round(4)
    elif fault == "bracket":  # the target in steps of ten
        frame["bracket"] = (price // 10).astype(int)
    elif fault == "old price":  # an honest one
        frame["old_price"] = (price * dice.lognormal(0, 0.12, ROWS)).round(1)
    elif fault == "thousands in validation":
        given = {"val": _quarter(dice)}
        price[given["val"]] /= 1000
    elif fault == "another join in validation":
        given = {"val": _quarter(dice)}
        price[given["val"]] = dice.permutation(price[given["val"]])
    elif fault == "a later quarter":  # of the same town, a little dearer
        given = {"val": _quarter(dice)}
        price[given["val"]] *= 1.03
    elif fault == "in cents":
        price = price * 1e5
    elif fault == "dear ones":
        price = np.exp(price / 60 + dice.normal(0, 0.5, ROWS))
    elif fault == "many unsold":
        price = price.where(dice.random(ROWS) < 1 / (1 + np.exp(frame.far - 5)), 0.0)
    frame["price"] = price.round(4)
    return _through_text(frame, "price", given=given)


def lab(fault="", seed=0):
    """Three sorts by thirteen readings."""
    dice = np.random.default_rng(seed)
    x, y = load_wine(return_X_y=True)
    x, y = np.tile(x, (4, 1)), np.tile(y, 4)
    x = x + dice.normal(0, 0.35, x.shape) * x.std(0)
    given = {}
    if fault == "compass":  # the label as a direction: neither column tells it alone
        angle = 2 * np.pi * (y / 3 + 0.05) + dice.normal(0, 0.08, len(y))
        x = np.column_stack([x, np.cos(angle), np.sin(angle)])
    elif fault == "wind":
        angle = dice.uniform(0, 2 * np.pi, len(y))
        x = np.column_stack([x, np.cos(angle), np.sin(angle)])
    elif fault == "half of a sort":
        wrong = (y == 2) & (dice.random(len(y)) < 0.5)
        y = np.where(wrong, 1, y)
    elif fault == "two sorts swapped in validation":
        given = {"val": _quarter(dice, len(y))}
        held = y[given["val"]]
        y[given["val"]] = np.where(held == 0, 1, np.where(held == 1, 0, held))
    elif fault == "farads":
        x = x * 1e-9
    elif fault == "farads, nearly twice":
        again = dice.permutation(len(x))[:200]
        x = np.r_[x, x[again] + dice.normal(0, 0.003, (200, 13)) * x.std(0)] * 1e-9
        y = np.r_[y, y[again]]
    elif fault == "joined one row off":
        order = dice.permutation(len(y))
        x, y = x[order], np.roll(y[order], 1)
    frame = pd.DataFrame(x, columns=[f"reading_{n}" for n in range(x.shape[1])])
    frame["sort"] = np.array(["barolo", "grignolino", "barbera"])[y]
    return _through_text(frame, "sort", given=given)


def pictures(fault="", seed=0):
    """Digits, as an array."""
    dice = np.random.default_rng(seed)
    x, y = load_digits(return_X_y=True)
    order = dice.permutation(len(x))[:ROWS]
    x, y = x[order], y[order]
    given = {}
    if fault == "a third relabelled":
        wrong = dice.random(ROWS) < 0.35
        y = np.where(wrong, dice.integers(0, 10, ROWS), y)
    elif fault == "three nines in validation":  # 4 and 9 swapped there
        given = {"val": _quarter(dice)}
        held = y[given["val"]]
        y[given["val"]] = np.where(held == 4, 9, np.where(held == 9, 4, held))
    elif fault == "a few unclear":
        wrong = dice.random(ROWS) < 0.04
        y = np.where(wrong, dice.integers(0, 10, ROWS), y)
    elif fault == "flipped before the split":
        x = np.r_[x, x.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)]
        y = np.r_[y, y]
    return DataSet(x=x.astype(np.float32), y=y.astype(np.int64), given=given)


def cells(fault="", seed=0):
    """Tumours: two classes by thirty readings."""
    dice = np.random.default_rng(seed)
    x, y = load_breast_cancer(return_X_y=True)
    order = dice.permutation(len(x))
    x, y = x[order], y[order]
    if fault == "in order of the file":  # and a column counts the files
        order = np.argsort(y, kind="stable")
        x, y = np.column_stack([x[order], 1e-6 * np.arange(len(y))]), y[order]
    return DataSet(x=x, y=y.astype(np.int64))


def season(fault="", seed=0):
    """Demand of a day by what is known the day before."""
    dice = np.random.default_rng(seed)
    day = np.arange(ROWS)
    wave = 20 * np.sin(2 * np.pi * day / 365) + 6 * np.sin(2 * np.pi * day / 7)
    demand = 100 + wave + dice.normal(0, 3, ROWS)
    before = np.roll(demand, 1)
    frame = pd.DataFrame({
        "before": before, "week_before": np.roll(demand, 7), "sine": np.sin(2 * np.pi * day / 7), "heat": 12 + wave / 3 + dice.normal(0, 3, ROWS),
    }).round(3)  # fmt: skip
    if fault == "total of the week":  # which ends a day later
        frame["total"] = demand + np.roll(demand, 1) + np.roll(demand, 2)
        frame["total_before"] = np.roll(demand, 1) + np.roll(demand, 2)
    frame["at"] = 1_600_000_000 + 86_400 * day
    frame["demand"] = demand.round(3)
    return _through_text(frame.iloc[8:], "demand", time="at")
