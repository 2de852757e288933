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
from sklearn.preprocessing import normalize

from search.diagnostics.preflight.reading import some_features

ROWS, FEATURES = 1500, 200  # of each set, drawn at random, that are compared
TENTH, TWENTIETH = 10, 20  # the neighbours that say how far apart rows lie here
NEAR = 0.2  # of the distance to the tenth neighbour: nearer is a copy, not a neighbour
BY_CHANCE = 4.0  # times what chance brings: more is no coincidence
RARELY = 1e-3  # how often twice what chance brings may give so many copies
LEAKED = 0.02  # share of held-out rows that nearly stand in train that is too much
BLOCK, BLOCKED = 12, 512  # values in a row that two windows share; values that are looked at
MOVED = "in part, at another place, as windows that overlap or pictures that were moved"
LEAST = 3  # copies that are no single coincidence
# Columns of many values from which rows are compared in other forms; triples of these that are
# tried; share of the rows of a set that is too much.
WIDE, TRIPLES, REARRANGED = 6, 12, 0.05
Array = NDArray[Any]
View = Callable[[Array], Array]
Share = Callable[[Array, Array], float]


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
    if sets["train"][:1].size >= WIDE and (moved := _in_another_form(sets, like, _share_moved)):
        return f"{_told(moved)} stand in train {MOVED}"
    if not forms:
        return ""
    scaled = near_copies(*_in_form(sets, like))
    if max(scaled.values(), default=0.0) >= LEAKED:
        return f"{_told(scaled)} nearly repeat a row of train, times a factor"
    for form, views in _forms(_flat(sets["train"])).items():
        if other := _in_another_form(sets, like, partial(_share_alike, views=views)):
            return f"{_told(other)} stand in train {form}"
    return ""


def _told(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{share:.0%} of the rows of {name}" for name, share in shares.items())


def _in_form(sets: Mapping[str, Array], like: Array) -> tuple[dict[str, Array], Array]:
    """Rows as shares of their own size, so that a brighter picture is the same one. Without those
    that stand in train to the digit.
    """
    flat = {name: _flat(rows) for name, rows in sets.items()}
    for name in flat.keys() - {"train"}:
        flat[name] = flat[name][~np.isin(_keys(flat[name]), _keys(flat["train"]))]
    shares = {name: normalize(rows) for name, rows in flat.items() if len(rows)}
    return shares, normalize(_flat(like))


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


def _in_another_form(sets: Mapping[str, Array], like: Array, share: Share) -> dict[str, float]:
    """The shares of rows of held-out sets that stand in train in another form, by `share`; empty
    where that may be chance. Values are compared to the digit. Arguments as of `repeated`.
    """
    held = {name: rows for name, rows in sets.items() if name != "train"}
    shares = {name: share(sets["train"], rows) for name, rows in held.items()}
    copies = max((shares[name] * min(len(held[name]), ROWS) for name in held), default=0.0)
    if copies <= LEAST or max(shares.values()) <= REARRANGED:
        return {}
    chance = BY_CHANCE * share(sets["train"], like)
    return shares if max(shares.values()) > chance else {}


def are_windows(rows: Array) -> bool:
    """Whether rows are windows of a series: of some, a part stands in others at another place."""
    flat = rows.reshape(len(rows), -1)
    return flat.shape[1] > 2 and _share_moved(flat[::2], flat[1::2]) > REARRANGED


def _share_moved(train: Array, rows: Array) -> float:
    """The share of rows of which a part stands in train one place beside, or both before and behind
    its place, as of windows of a series: those after train's last ones share values on one side.
    """
    train, rows = (_flat(some, BLOCKED) for some in (train, rows))
    long = min(BLOCK, max(WIDE, rows.shape[1] // 2), rows.shape[1] - 1)
    theirs, mine = (_blocks(some, long) for some in (train, rows))
    places = np.array([0, mine.shape[1] // 2, mine.shape[1] - 1])
    values = [_values(rows[:, place : place + long]) for place in places]
    keys = np.where(np.stack(values, axis=1) >= min(WIDE, long), mine[:, places], 0)  # 0: none
    wanted = np.append(np.unique(keys), 0)  # few: a search among these is faster than a sort
    found = (wanted[np.searchsorted(wanted[:-1], theirs)] == theirs) & (theirs > 0)
    key, at = theirs[found], np.nonzero(found)[1]
    beside, before, behind = (np.zeros(len(rows), dtype=bool) for _ in range(3))
    for place, own in zip(places, keys.T, strict=True):
        before |= np.isin(own, key[at < place])
        behind |= np.isin(own, key[at > place])
        beside |= np.isin(own, key[abs(at - place) == 1])
    return float((beside | (before & behind)).mean()) if len(rows) else 0.0


def _blocks(rows: Array, long: int) -> Array:
    """A key for the values at each place and behind it [n, places]."""
    factors = np.random.default_rng(0).integers(1 << 63, size=long, dtype=np.uint64) * 2 + 1
    bits = (rows.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    return np.lib.stride_tricks.sliding_window_view(bits, long, axis=1) @ factors


def _forms(train: Array) -> dict[str, list[View]]:
    """Views of rows that are equal where a held-out row stands in train in that form: its values in
    another order, such as a mirror image, or three of them, as where the others were filled in.
    """
    width, dice = train.shape[1], np.random.default_rng(0)
    continuous = continuous_columns(train)
    forms: dict[str, list[View]] = {}
    if width >= WIDE:
        forms["with their values in another order"] = [partial(np.sort, axis=1)]
    if len(continuous) >= WIDE:
        forms["with three values or more"] = [
            partial(np.take, indices=dice.permutation(continuous)[:3], axis=1)
            for _ in range(TRIPLES)
        ]
    return forms


def _share_alike(train: Array, rows: Array, *, views: Sequence[View]) -> float:
    """The share of rows of which any view is one of train's. Rows of few values are alike by what
    they are, such as one answer to all questions.
    """
    train, rows = _flat(train), _flat(rows)
    alike = np.zeros(len(rows), dtype=bool)
    for view in views:
        alike |= np.isin(_keys(view(rows)), _keys(view(train)))
    alike &= _values(rows) >= min(WIDE, rows.shape[1])
    return float(alike.mean()) if len(rows) else 0.0


def _values(rows: Array) -> Array:
    """How many different values each row has."""
    return np.asarray(1 + np.count_nonzero(np.diff(np.sort(rows, axis=1), axis=1), axis=1))


def _keys(rows: Array) -> Array:
    """A key per row, of its values as float32."""
    plain = np.ascontiguousarray(rows, dtype=np.float32) + np.float32(0)
    return plain.view(np.dtype((np.void, 4 * plain.shape[1]))).reshape(-1)


def continuous_columns(rows: Array) -> list[int]:
    """Columns in which most rows have a value of their own, which chance does not bring twice."""
    columns = rows.reshape(len(rows), -1).T
    return [place for place, one in enumerate(columns) if len(np.unique(one)) > len(rows) / 2]


def _flat(rows: Array, most: int = FEATURES) -> Array:
    """Some rows and features, without gaps."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[:ROWS])
    flat = np.nan_to_num(rows[drawn].reshape(len(drawn), -1).astype(np.float64))
    return some_features(flat, most)
