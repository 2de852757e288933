"""Do rows of two sets nearly repeat each other: one patient twice, or a row augmented before the
split (R3)?

Pure functions of arrays; never trains.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson
from sklearn.neighbors import NearestNeighbors

from search.diagnostics.preflight.reading import some_features

ROWS, FEATURES = 1500, 200  # of each set, drawn at random, that are compared
TENTH, TWENTIETH = 10, 20  # the neighbours that say how far apart rows lie here
NEAR = 0.2  # of the distance to the tenth neighbour: nearer is a copy, not a neighbour
BY_CHANCE = 4.0  # times what chance brings: more is no coincidence
RARELY = 1e-3  # how often twice what chance brings may give so many copies
LEAKED = 0.02  # share of held-out rows that nearly stand in train that is too much
LEAST = 3  # copies that are no single coincidence
# Columns of many values from which rows are compared in other forms; triples of these that are
# tried; share of the rows of a set that is too much.
WIDE, TRIPLES, REARRANGED = 6, 12, 0.05
Array = NDArray[Any]
View = Callable[[Array], Array]


def repeated(sets: Mapping[str, Array], *, like: Array, forms: bool = True) -> str:
    """How rows of held-out sets stand in train, nearly or in another form; empty if they do not.

    Args:
        sets: rows by set, `train` among them.
        like: rows of train with their features drawn independently: how near rows are by chance
            where features have few values.
        forms: other forms too: of rows as a loop gives them they are none, as of mixed rows.
    """
    near = near_copies(sets, like)
    if max(near.values(), default=0.0) >= LEAKED:
        return f"{_told(near)} nearly repeat a row of train"
    if not forms:
        return ""
    scaled = near_copies(*_in_form(sets, like))
    if max(scaled.values(), default=0.0) >= LEAKED:
        return f"{_told(scaled)} nearly repeat a row of train, times a factor"
    form, other = _rearranged(sets, like=like)
    return f"{_told(other)} stand in train {form}" if form else ""


def _told(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{share:.0%} of the rows of {name}" for name, share in shares.items())


def _in_form(sets: Mapping[str, Array], like: Array) -> tuple[dict[str, Array], Array]:
    """Rows as shares of their own size, so that a brighter picture is the same one. Without those
    that stand in train to the digit.
    """
    train = _flat(sets["train"])
    known = _keys(train)
    apart = {
        name: rows if name == "train" else rows[~np.isin(_keys(rows), known)]
        for name, rows in ((name, _flat(rows)) for name, rows in sets.items())
    }
    return {name: _shares(rows) for name, rows in apart.items()}, _shares(_flat(like))


def _shares(rows: Array) -> Array:
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    shares: Array = rows / np.where(size > 0, size, 1.0)
    return shares


def near_copies(sets: Mapping[str, Array], like: Array) -> dict[str, float]:
    """Of each held-out set, the share of rows that nearly stand in train; 0 where that may be
    chance.

    The nearest of n rows in d dimensions is as near as that with a known probability; d is taken
    from the distances to the tenth and the twentieth neighbour.

    Arguments as of `repeated`.
    """
    train = _flat(sets["train"])
    scale = np.where((spread := np.nanstd(train, axis=0)) > 0, spread, 1.0)
    shares = {}
    for name, rows in sets.items():
        if name == "train" or len(train) <= TWENTIETH + 1 or not len(rows):
            continue
        shares[name] = 0.0
        share, usual = _share_of_copies(train / scale, _flat(rows) / scale)
        copies = round(share * min(len(rows), ROWS))
        if copies < LEAST or share <= BY_CHANCE * usual:
            continue
        usual = max(usual, _share_of_copies(train / scale, _flat(like) / scale)[0])
        often = 2 * usual * min(len(rows), ROWS)
        if share > BY_CHANCE * usual and poisson.sf(copies - 1, often) < RARELY:
            shares[name] = share
    return shares


def _share_of_copies(train: Array, rows: Array) -> tuple[float, float]:
    """Share of rows with a near copy in train, that is no exact one; and what is to be expected."""
    finder = NearestNeighbors(n_neighbors=TWENTIETH).fit(train)
    distances = finder.kneighbors(rows)[0]
    distances = distances[distances[:, 0] > 0]  # exact copies are another check's
    distances = distances[distances[:, TENTH - 1] > 0]
    if len(distances) < TWENTIETH:
        return 0.0, 1.0
    nearest, tenth, twentieth = distances[:, 0], distances[:, TENTH - 1], distances[:, -1]
    growth = math.log(float(np.median(twentieth / tenth)))
    dimensions = math.log(TWENTIETH / TENTH) / growth if growth > 0 else math.inf
    expected = 1 - (1 - NEAR**dimensions) ** (TENTH - 1)
    return float((nearest < NEAR * tenth).mean()), expected


def _rearranged(sets: Mapping[str, Array], *, like: Array) -> tuple[str, dict[str, float]]:
    """In which other form rows of held-out sets stand in train, and the share of each set; empty
    where that may be chance. Values are compared to the digit.

    Their values in another order, such as a mirror image; moved by a column, as overlapping windows
    of a series are; or three of their values, as where the others were filled in. Arguments as of
    `repeated`.
    """
    train = _flat(sets["train"])
    for form, views in _forms(train).items():
        shares = {
            name: _share_alike(train, _flat(rows), views)
            for name, rows in sets.items()
            if name != "train"
        }
        chance = _share_alike(train, _flat(like), views)
        copies = max(
            (share * min(len(sets[name]), ROWS) for name, share in shares.items()), default=0.0
        )
        if (
            max(shares.values(), default=0.0) > max(REARRANGED, BY_CHANCE * chance)
            and copies > LEAST
        ):
            return form, shares
    return "", {}


def are_windows(rows: Array) -> bool:
    """Whether rows are windows of a series: some stand there again, moved by a column."""
    flat = _flat(rows)
    return flat.shape[1] > 2 and _share_alike(flat, flat, [(_tail, _head)]) > REARRANGED


def _forms(train: Array) -> dict[str, list[tuple[View, View]]]:
    """Views of held-out rows and of train's that are equal where such a row stands in train."""
    width, dice = train.shape[1], np.random.default_rng(0)
    continuous = continuous_columns(train)
    forms: dict[str, list[tuple[View, View]]] = {}
    if width >= WIDE:
        forms["with their values in another order"] = [(_sorted, _sorted)]
        forms["moved by a column"] = [(_tail, _head), (_head, _tail)]
    if len(continuous) >= WIDE:
        triples = [dice.permutation(continuous)[:3] for _ in range(TRIPLES)]
        forms["with three values or more"] = [
            (partial(np.take, indices=three, axis=1),) * 2 for three in triples
        ]
    return forms


def _share_alike(train: Array, rows: Array, views: Sequence[tuple[View, View]]) -> float:
    """The share of rows of which any view is one of train's. Rows of few values are alike by what
    they are, such as one answer to all questions.
    """
    alike = np.zeros(len(rows), dtype=bool)
    for mine, theirs in views:
        alike |= np.isin(_keys(mine(rows)), _keys(theirs(train)))
    values = 1 + (np.diff(np.sort(rows, axis=1), axis=1) > 0).sum(axis=1)
    alike &= values >= min(WIDE, rows.shape[1])
    return float(alike.mean()) if len(rows) else 0.0


def _keys(rows: Array) -> Array:
    """A key per row, of its values as float32."""
    plain = np.ascontiguousarray(rows, dtype=np.float32) + np.float32(0)
    return plain.view(np.dtype((np.void, 4 * plain.shape[1]))).reshape(-1)


def continuous_columns(rows: Array) -> list[int]:
    """Columns in which most rows have a value of their own, which chance does not bring twice."""
    flat = rows.reshape(len(rows), -1)
    columns = range(flat.shape[1])
    return [column for column in columns if len(np.unique(flat[:, column])) > len(flat) / 2]


def _sorted(rows: Array) -> Array:
    return np.sort(rows, axis=1)


def _head(rows: Array) -> Array:
    return rows[:, :-1]


def _tail(rows: Array) -> Array:
    return rows[:, 1:]


def _flat(rows: Array) -> Array:
    """Some rows and features, without gaps."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[:ROWS])
    flat = np.nan_to_num(rows[drawn].reshape(len(drawn), -1).astype(np.float64))
    return some_features(flat, FEATURES)
