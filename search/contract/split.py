"""Which rows train, validate and test: fixed once, by the config and a seed of its own (R2).

Never looks at features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.contract.arrays import hash_of
from search.contract.drawn_rows import drawn_rows
from search.contract.fixed_set import Rows, fixed_set, split_refused
from search.errors import UsageError, unknown

KINDS = ("holdout", "kfold", "predefined", "grouped", "ordered")
FEW_OF_CLASS = "merge or drop that class, or find more of it"
HEEDING = {"groups": ("grouped", "kfold"), "time": ("ordered",)}  # kinds that heed a mark


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Row numbers of one training and its validation, ascending, disjoint."""

    train: Rows
    val: Rows


@dataclass(frozen=True, kw_only=True)
class Split:
    """Row numbers of the sealed test set and of the folds.

    With several folds, their validation rows together are all rows outside the test set.
    """

    folds: tuple[Fold, ...]
    test: Rows

    @property
    def rest(self) -> Rows:
        """The rows of the final model: the one fold's train rows, or all rows but test."""
        if len(self.folds) == 1:
            return self.folds[0].train
        return np.sort(np.concatenate([fold.val for fold in self.folds]))

    def arrays(self) -> dict[str, Rows]:
        """`split.npz`: train, val, test; or `folds` and test.

        `folds` [n]: the fold in which each row validates, −1 for test rows.
        """
        if len(self.folds) == 1:
            return {"train": self.folds[0].train, "val": self.folds[0].val, "test": self.test}
        numbers = np.full(len(self.rest) + len(self.test), -1, dtype=np.int64)
        for number, fold in enumerate(self.folds):
            numbers[fold.val] = number
        return {"folds": numbers, "test": self.test}

    def hash(self) -> str:
        """SHA-256 over the index arrays."""
        return hash_of(self.arrays())


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a split may look at.

    `labels`: classes to stratify by, and `classes` their names, if any; `groups`: rows of one
    group stay in one set; `time`: the order of the rows; `given`: sets that came with the data.
    """

    labels: NDArray[Any] | None = None
    classes: tuple[Any, ...] = ()
    groups: NDArray[Any] | None = None
    time: NDArray[Any] | None = None
    given: Mapping[str, Rows] | None = None

    def smallest(self, rows: Rows) -> tuple[str, int]:
        """The class with the fewest of these rows, by its own name, and how many it has."""
        assert self.labels is not None
        numbers, counts = np.unique(self.labels[rows], return_counts=True)
        number = int(numbers[counts.argmin()])
        return repr(self.classes[number] if self.classes else number), int(counts.min())


def make_split(node: Mapping[str, Any], *, rows: int, marks: Marks) -> Split:
    """The split of a config for so many rows; stratified where there are labels.

    Raises:
        UsageError: an unknown kind, shares that leave a set empty, a class too small, or sets that
            overlap or name rows that do not exist.
    """
    kind = str(node.get("kind"))
    if kind not in KINDS:
        raise UsageError(unknown("split", name=kind, known=KINDS), code="unknown-split")
    given = dict(marks.given or {})
    if given and kind != "predefined":
        rule = f"these data came with their own {' and '.join(given)} set, which counts"
        raise split_refused(
            "kind", rule, repr(kind), "say split=predefined", code="given-set-ignored-by-split"
        )
    for key, fits in HEEDING.items():
        if getattr(marks, key) is not None and kind not in (*fits, "predefined"):
            rule = f"data.{key} is named, and only split={' or '.join(fits)} heeds it"
            raise split_refused(
                "kind",
                rule,
                repr(kind),
                f"say split={fits[0]}, or drop it",
                code="column-ignored-by-split",
            )
    if kind == "predefined":
        return _predefined(node, rows, given, marks)
    everything = np.arange(rows)
    draw = {"grouped": _by_group, "ordered": _by_time}.get(kind, _at_random)
    if kind == "kfold" and marks.groups is not None:
        draw = _by_group
    rest, test = draw(everything, "test", node, marks)
    if kind == "kfold":
        return Split(folds=_folds(rest, node, marks), test=test)
    train, val = draw(rest, "val", node, marks)
    return _checked(Split(folds=(Fold(train=train, val=val),), test=test), rows)


def _predefined(
    node: Mapping[str, Any], rows: int, given: Mapping[str, Rows], marks: Marks
) -> Split:
    """The sets that files or the data bring; what they leave out is drawn."""
    test, val = (fixed_set(node, key, rows, given) for key in ("test", "val"))
    if test is None:
        free = np.arange(rows) if val is None else np.setdiff1d(np.arange(rows), val)
        test = _at_random(free, "test", node, marks)[1]
    rest = np.setdiff1d(np.arange(rows), test)
    if val is None:
        val = _at_random(rest, "val", node, marks)[1]
    if len(overlap := np.intersect1d(test, val)):
        got = f"row {overlap[0]} in test and validation"
        raise split_refused(
            "val", "no row is in two sets", got, "mend the files", code="row-in-two-sets"
        )
    return _checked(Split(folds=(Fold(train=np.setdiff1d(rest, val), val=val),), test=test), rows)


def _at_random(rows: Rows, key: str, node: Mapping[str, Any], marks: Marks) -> tuple[Rows, Rows]:
    """The rows that stay, and those drawn for the set `key`; of every class some in both."""
    share, labels, classes = _share(node, key), None, 1
    if marks.labels is not None:
        labels = marks.labels[rows]
        classes = len(np.unique(labels))
        name, fewest = marks.smallest(rows)
        if fewest < 2:
            got = f"{fewest} of class {name} among the {len(rows)} rows"
            got += " that are not in test" * (key == "val")
            rule = "each set needs rows of every class"
            raise split_refused(key, rule, got, FEW_OF_CLASS, code="set-lacks-a-class")
    _check_size(key, share, count=len(rows), least=classes, noun="row")
    taken = math.ceil(share * len(rows))
    drawn = rows[drawn_rows(len(rows), taken=taken, seed=node.get("seed", 0), labels=labels)]
    return np.setdiff1d(rows, drawn), np.sort(drawn)


def _by_group(rows: Rows, key: str, node: Mapping[str, Any], marks: Marks) -> tuple[Rows, Rows]:
    if marks.groups is None:
        rule, remedy = "split=grouped needs a group per row", "name the column: data.groups=…"
        raise split_refused("kind", rule, "none", remedy, code="grouped-split-needs-groups")
    from sklearn.model_selection import GroupShuffleSplit  # takes a second

    share, groups = _share(node, key), marks.groups[rows]
    _check_size(key, share, count=len(np.unique(groups)), least=1, noun="group")
    splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=node.get("seed", 0))
    kept, drawn = next(splitter.split(rows, groups=groups))
    return np.sort(rows[kept]), np.sort(rows[drawn])


def _by_time(rows: Rows, key: str, node: Mapping[str, Any], marks: Marks) -> tuple[Rows, Rows]:
    order = rows if marks.time is None else rows[np.argsort(marks.time[rows], kind="stable")]
    cut = len(rows) - round(_share(node, key) * len(rows))
    return np.sort(order[:cut]), np.sort(order[cut:])


def _check_size(key: str, share: float, *, count: int, least: int, noun: str) -> None:
    """A share of so many rows or groups, and what it leaves, hold at least one of every class."""
    drawn = math.ceil(share * count)
    if min(drawn, count - drawn) < least:
        each = f"a {noun}" if least == 1 else f"a {noun} of each of the {least} classes"
        got = f"{drawn} and {count - drawn} {noun}s, by a share of {share:g} of {count}"
        remedy = f"change split.{key}, or find more {noun}s"
        raise split_refused(
            key, f"the set and what is left need {each}", got, remedy, code="set-too-small"
        )


def _folds(rows: Rows, node: Mapping[str, Any], marks: Marks) -> tuple[Fold, ...]:
    count = node.get("folds")
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise split_refused(
            "folds",
            "must be a whole number of at least 2",
            repr(count),
            "say split.folds=5",
            code="folds-not-a-count",
        )
    if count > len(rows):
        raise split_refused(
            "folds",
            f"there must be no more folds than rows ({len(rows)})",
            count,
            f"say split.folds={len(rows)} or less",
            code="more-folds-than-rows",
        )
    from sklearn import model_selection  # takes a second

    drawn = {"shuffle": True, "random_state": node.get("seed", 0)}
    splitter: Any = model_selection.KFold(count, **drawn)
    labels = None
    if marks.labels is not None:
        labels = marks.labels[rows]
        splitter = model_selection.StratifiedKFold(count, **drawn)
        name, fewest = marks.smallest(rows)
        if fewest < count:
            got = f"{count} folds, and {fewest} of class {name} among the rows that are not in test"
            remedy = f"say split.folds={fewest}" if fewest > 1 else FEW_OF_CLASS
            rule = "every fold needs a row of every class"
            raise split_refused("folds", rule, got, remedy, code="fold-lacks-a-class")
    groups = None if marks.groups is None else marks.groups[rows]
    if groups is not None:
        if count > (there := len(np.unique(groups))):
            rule = f"there must be no more folds than groups ({there})"
            raise split_refused(
                "folds",
                rule,
                count,
                f"say split.folds={there} or less",
                code="more-folds-than-groups",
            )
        stratified = model_selection.StratifiedGroupKFold(count, **drawn)
        splitter = model_selection.GroupKFold(count) if labels is None else stratified
    parts = splitter.split(rows, labels, groups)
    return tuple(Fold(train=np.sort(rows[train]), val=np.sort(rows[val])) for train, val in parts)


def _share(node: Mapping[str, Any], key: str) -> float:
    share = node.get(key)
    seals = "; a trainer that splits its own rows has its own test set: leave this as it is"
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise split_refused(
            key,
            "a share lies between 0 and 1",
            repr(share),
            f"say split.{key}=0.3 for 30 %" + (seals if key == "test" and share == 0 else ""),
            code="share-not-between-0-and-1",
        )
    return float(share)


def _checked(split: Split, rows: int) -> Split:
    for name, part in split.arrays().items():
        if not len(part):
            rule, got = f"{rows} rows must give three sets", f"no row for {name}"
            raise split_refused(
                "", rule, got, "change the shares or the data", code="set-without-rows"
            )
    return split
