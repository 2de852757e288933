"""Which rows train, which rank, which stay sealed: fixed once, by config and its own seed (R2). Never looks at features."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from search.errors import UsageError, broken_rule, unknown

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Row numbers of the three sets, ascending, disjoint."""

    train: Rows
    val: Rows
    test: Rows

    def hash(self) -> str:
        """SHA-256 over the three index arrays."""
        digest = hashlib.sha256()
        for rows in (self.train, self.val, self.test):
            digest.update(np.int64(len(rows)).tobytes() + rows.astype("<i8").tobytes())
        return digest.hexdigest()


def make_split(node: Mapping[str, Any], *, rows: int, labels: NDArray[Any] | None) -> Split:
    """The split of a config for so many rows; stratified where `labels` are given.

    Raises:
        UsageError: an unknown kind, shares that leave a set empty, or a class too small to stratify.
    """
    if node["kind"] != "holdout":
        raise UsageError(unknown("split", name=str(node["kind"]), known=["holdout"]))
    for key in ("test", "val"):
        if not 0 < node[key] < 1:
            raise UsageError(
                broken_rule(f"split.{key}", rule="a share lies between 0 and 1", got=node[key], remedy="say 0.3 for 30 %")
            )
    seed = int(node["seed"])
    try:
        rest, test = train_test_split(np.arange(rows), test_size=node["test"], stratify=labels, random_state=seed)
        inner = labels[rest] if labels is not None else None
        train, val = train_test_split(rest, test_size=node["val"], stratify=inner, random_state=seed)
    except ValueError as error:
        raise UsageError(
            broken_rule(
                "split", rule=f"{rows} rows must give three sets", got=str(error), remedy="change the shares or the data"
            )
        ) from error
    return Split(train=np.sort(train), val=np.sort(val), test=np.sort(test))
