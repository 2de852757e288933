"""Splits: every row in one set, drawn by the split's own seed, and sets that are none refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import raises
from sklearn.model_selection import train_test_split

from search.contract.arrays import hash_of
from search.contract.drawn_rows import drawn_rows
from search.contract.split import Marks, make_split


def _node(kind, **keys):
    return {"kind": kind, "test": 0.3, "val": 0.2, "folds": 4, "seed": 0, **keys}


@given(st.integers(60, 300), st.integers(1, 5), st.integers(0, 1000), st.floats(0.1, 0.9))
def test_rows_are_drawn_as_scikit_learn_draws_them(rows, classes, seed, share):
    """With labels and without: a search that an earlier version began has its rows by that function."""
    dice = np.random.default_rng(seed)
    common = dice.permutation(np.append(np.arange(2 * classes), dice.integers(0, classes, rows)))
    for labels in (None, common % classes):
        _, drawn = train_test_split(
            np.arange(len(common)), test_size=share, random_state=seed, stratify=labels
        )
        taken = math.ceil(share * len(common))
        ours = drawn_rows(len(common), taken=taken, seed=seed, labels=labels)
        assert sorted(ours) == sorted(drawn)


@given(
    st.sampled_from(["holdout", "kfold", "grouped", "ordered", "predefined"]),
    st.integers(60, 200),
    st.integers(0, 1000),
    st.booleans(),
)
def test_every_row_lies_in_one_set_and_the_same_words_give_the_same_rows(
    kind, rows, seed, labelled
):
    dice = np.random.default_rng(seed)
    labels = dice.permutation(np.arange(rows) % 3) if labelled else None
    groups = dice.integers(0, 20, rows).astype(str) if kind == "grouped" else None
    marks = Marks(
        labels=labels, groups=groups, time=dice.integers(0, 9, rows) if kind == "ordered" else None
    )
    node = _node(kind, seed=seed)
    split = make_split(node, rows=rows, marks=marks)
    for fold in split.folds:
        parts = [fold.train, fold.val, split.test]
        assert all(len(part) and (np.diff(part) > 0).all() for part in parts)
        assert sorted(np.concatenate(parts)) == list(range(rows))
    if kind == "kfold":
        assert len(split.folds) == 4
        assert sorted(np.concatenate([fold.val for fold in split.folds])) == list(split.rest)
        numbers = split.arrays()["folds"]
        assert [
            set(np.flatnonzero(numbers == k)) == set(fold.val) for k, fold in enumerate(split.folds)
        ] == [True] * 4
        assert (numbers[split.test] == -1).all()
    assert (
        make_split(node, rows=rows, marks=marks).hash() == split.hash() == hash_of(split.arrays())
    )
    if kind == "grouped":
        seen = [
            set(marks.groups[part])
            for part in (split.folds[0].train, split.folds[0].val, split.test)
        ]
        assert not seen[0] & seen[1]
        assert not (seen[0] | seen[1]) & seen[2]
    if kind == "ordered":
        train, val, test = (
            marks.time[part] for part in (split.folds[0].train, split.folds[0].val, split.test)
        )
        assert train.max() <= val.min()
        assert val.max() <= test.min()
        assert abs(len(test) - 0.3 * rows) <= 0.5


def test_folds_hold_every_class_in_equal_shares():
    labels = np.array([0] * 80 + [1] * 20)
    split = make_split(_node("kfold"), rows=100, marks=Marks(labels=labels))
    assert [int(labels[fold.val].sum()) for fold in split.folds] == [3, 3, 4, 4] or sum(
        labels[fold.val].sum() for fold in split.folds
    ) == 14
    assert max(labels[fold.val].mean() for fold in split.folds) < 0.25


def test_given_sets_and_sets_from_files_are_taken_as_they_are(tmp_path):
    marks = Marks(given={"test": np.array([7, 8, 9])})
    split = make_split(_node("predefined", test="given"), rows=50, marks=marks)
    assert split.test.tolist() == [7, 8, 9]
    assert len(split.folds[0].val) == round(0.2 * 47) + 1
    np.save(tmp_path / "val.npy", np.array([3, 1]))
    (tmp_path / "test.txt").write_text("5\n4\n")
    node = _node("predefined", test=f"{tmp_path}/test.txt", val=f"{tmp_path}/val.npy")
    split = make_split(node, rows=10, marks=Marks())
    assert (split.test.tolist(), split.folds[0].val.tolist()) == ([4, 5], [1, 3])
    assert split.folds[0].train.tolist() == [0, 2, 6, 7, 8, 9]
    for test in (np.arange(50) < 3, [2, 0, 1]):  # a mask, and a list of numbers
        split = make_split(
            _node("predefined", test="given"), rows=50, marks=Marks(given={"test": test})
        )
        assert split.test.tolist() == [0, 1, 2]
    with raises("row-number-outside-data", "split.test", "49", "50 in the data"):
        make_split(_node("predefined", test="given"), rows=50, marks=Marks(given={"test": [50]}))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (_node("cut"), ("unknown-split", "'cut'")),
        (_node("holdout", test=1.5), ("share-not-between-0-and-1", "split.test", "1.5", "0.3")),
        (_node("holdout", test=0), ("share-not-between-0-and-1", "has its own test set: leave this")),
        (_node("holdout", val="much"), ("share-not-between-0-and-1", "split.val", "'much'")),
        (_node("holdout", test=True), ("share-not-between-0-and-1", "split.test")),
        (_node("holdout", test=0.999), ("set-too-small", "split.test", "20", "0.999")),
        (_node("ordered", test=0.001), ("set-without-rows", "20")),
        (_node("grouped"), ("grouped-split-needs-groups", "split.kind", "split=grouped", "data.groups")),
        (_node("kfold", folds=1), ("folds-not-a-count", "split.folds")),
        (_node("kfold", folds=15), ("more-folds-than-rows", "split.folds", "14", "15")),
        (_node("predefined", test="given"), ("no-set-is-given", "split.test")),
        (_node("predefined", test="no.npy"), ("row-numbers-not-readable", "split.test", ".npy", ".txt")),
        (_node("predefined", test="out.npy"), ("row-number-outside-data", "split.test", "19", "20")),
        (_node("predefined", test="twice.npy"), ("row-twice-in-set", "split.test", "twice.npy")),
        (_node("predefined", test="grid.npy"), ("row-numbers-have-wrong-shape", "split.test", "grid.npy")),
        (_node("predefined", test="a.npy", val="b.npy"), ("row-in-two-sets", "split.val")),
    ],
)  # fmt: skip
def test_a_split_that_cannot_be_is_refused(node, message, elsewhere):
    arrays = {"out": [20, 1], "twice": [1, 1], "grid": [[1, 2], [3, 4]], "a": [2, 3], "b": [3, 4]}
    for name, rows in arrays.items():
        np.save(elsewhere / f"{name}.npy", np.array(rows))
    with raises(*message):
        make_split(node, rows=20, marks=Marks())


def test_data_that_bring_sets_of_their_own_are_not_split_anew():
    marks = Marks(given={"test": np.arange(3), "val": np.arange(3, 6)})
    with raises("given-set-ignored-by-split", "'kfold'", "split=predef"):
        make_split(_node("kfold"), rows=20, marks=marks)
    with raises("given-set-is-ignored", "0.2", "split.val=given"):
        make_split(_node("predefined", test="given"), rows=20, marks=marks)


def test_a_share_is_drawn_from_what_given_sets_leave():
    marks = Marks(given={"val": np.arange(10)})
    split = make_split(_node("predefined", test=0.2, val="given"), rows=60, marks=marks)
    assert split.folds[0].val.tolist() == list(range(10))
    assert not set(split.test) & set(range(10))
    assert len(split.test) == 10


def test_groups_and_time_that_a_split_would_not_heed_are_refused():
    with raises("column-ignored-by-split", "split.kind", "data.groups", "split=grouped"):
        make_split(_node("holdout"), rows=60, marks=Marks(groups=np.arange(60)))
    with raises("column-ignored-by-split", "split.kind", "data.time", "split=ordered"):
        make_split(_node("kfold"), rows=60, marks=Marks(time=np.arange(60)))


HOLDOUT, FOLDS = _node("holdout", test=0.3, val=0.2), _node("kfold", test=0.3, folds=5)


@pytest.mark.parametrize(
    ("node", "of_class", "message"),
    [
        (HOLDOUT, (20, 20, 1), ("set-lacks-a-class", "split.test", "'yak'", "41")),
        (HOLDOUT, (50, 50, 2), ("set-lacks-a-class", "split.val", "'yak'", "71")),
        (HOLDOUT, (4, 4, 4), ("set-too-small", "split.val", "0.2")),
        (FOLDS, (30, 30, 6), ("fold-lacks-a-class", "split.folds", "'yak'", "split.folds=4")),
        (FOLDS, (50, 50, 2), ("fold-lacks-a-class", "split.folds", "'yak'")),
    ],
)  # fmt: skip
def test_too_few_rows_of_a_class_are_told_by_its_own_name(node, of_class, message):
    labels = np.repeat(np.arange(3), of_class)
    marks = Marks(labels=labels, classes=("cat", "dog", "yak"))
    with raises(*message):
        make_split(node, rows=len(labels), marks=marks)


@pytest.mark.parametrize(("groups", "key"), [(1, "test"), (2, "val")])
def test_too_few_groups_for_three_sets_are_told(groups, key):
    marks = Marks(groups=np.arange(20) % groups)
    with raises("set-too-small", f"split.{key}"):
        make_split(_node("grouped", test=0.3, val=0.2), rows=20, marks=marks)


@pytest.mark.parametrize("labels", [None, np.tile([0, 1], 60)])
def test_folds_part_no_group_and_groups_fewer_than_folds_are_refused(labels):
    marks = Marks(labels=labels, groups=np.repeat(np.arange(12), 10))
    split = make_split(_node("kfold", folds=4), rows=120, marks=marks)
    assert not set(marks.groups[split.test]) & set(marks.groups[split.rest])
    for fold in split.folds:
        assert not set(marks.groups[fold.train]) & set(marks.groups[fold.val])
    few = Marks(labels=labels, groups=np.repeat(np.arange(4), 30))
    with raises("more-folds-than-groups"):
        make_split(_node("kfold", folds=4, test=0.5), rows=120, marks=few)
