"""Rows that are sound and unlike a textbook's, and short texts."""

import numpy as np

from trainers.data import DataSet

ROWS = 600


def odd(kind, seed=0):
    """Sound, and unlike a textbook."""
    dice = np.random.default_rng(seed)
    x = dice.normal(0, 1, (ROWS, 6))
    noise = dice.normal(0, 0.3, ROWS)
    if kind == "censored":  # a scale that ends at its greatest reading
        y = np.minimum(2 * x[:, 0] + x[:, 1] + noise, 1.5)
    elif kind == "angle":
        turn = np.arctan2(x[:, 0], x[:, 1]) + 0.2 * noise
        y = np.stack([np.sin(turn), np.cos(turn)], 1)
    elif kind == "ordinal":
        x = np.floor(2 * np.clip(x, -2, 2))
        y = x[:, 0] + 0.5 * x[:, 1] + noise
    elif kind == "cauchy":
        y = 3 * x[:, 0] + x[:, 1] + dice.standard_cauchy(ROWS)
    elif kind == "thirty rows":
        x, y = x[:30], (x[:30, 0] > 0).astype(int)
    elif kind == "one in three hundred":
        y = (dice.random(6000) < 1 / 300).astype(int)
        x = dice.normal(0, 1, (6000, 6)) + 3.0 * y[:, None]
    elif kind == "a person's visits":  # several alike rows per group, which never part
        person = np.repeat(np.arange(120), 5)
        traits = dice.normal(0, 1, (120, 6))
        x = traits[person] + 0.05 * x
        y = (traits[:, 0] + traits[:, 1] > 0).astype(int)[person]
        return DataSet(x=x.astype(np.float32), y=y, groups=person)
    elif kind in ("windows", "windows at random"):  # a series in windows that overlap
        series = np.convolve(dice.normal(0, 1, ROWS + 40), np.ones(5) / 5, "valid")
        x = np.lib.stride_tricks.sliding_window_view(series, 13)[:ROWS]
        x, y = x[:, :12], x[:, 12]
    y = y.astype(np.int64) if y.dtype.kind == "i" else y.reshape(len(y), -1).astype(np.float32)
    time = np.arange(len(x), dtype=np.float64) if kind == "windows" else None
    return DataSet(x=x.astype(np.float32), y=y, time=time)


def texts(fault="", seed=0):
    """Tickets of 4 to 14 words, padded by 0: whether they praise or blame."""
    dice = np.random.default_rng(seed)
    lengths = dice.integers(4, 15, 900)
    y = dice.integers(0, 2, 900)
    x = dice.integers(1, 60, (900, 14))
    tone = dice.random((900, 14)) < 0.5
    x = np.where(tone, 1 + 10 * y[:, None] + dice.integers(0, 10, (900, 14)), x)
    if fault == "outcome in the text":  # the class's own word at any place
        x[np.arange(900), (dice.random(900) * lengths).astype(int)] = 60 + y
    if fault == "copies":  # sent twice, one word corrected
        again = x.copy()
        again[np.arange(900), 0] = dice.integers(1, 60, 900)
        x, y, lengths = np.r_[x, again], np.r_[y, y], np.r_[lengths, lengths]
    x[np.arange(14) >= lengths[:, None]] = 0
    return DataSet(x=x, y=y, lengths=lengths)
