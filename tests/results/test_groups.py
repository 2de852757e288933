"""Whom does the winner serve badly? A score per named group, in a file, on the page, in a line (R3)."""

import math

import numpy as np
import pandas as pd
import pytest
from kit import INLINE, search

from search.contract.metrics import Metric
from search.results.by_group import ByGroup, PredictedRows, _scored, read_groups


def test_each_group_has_the_metric_of_its_own_rows_and_the_worst_stands_first():
    index = np.array([5, 7, 9, 11])
    groups = np.array(["-"] * 12, dtype=object)
    groups[index] = ["b", "a", "a", "b"]
    right = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.7, 0.3]])
    outputs = PredictedRows(
        kind="probabilities", numbers=right, targets=np.array([0, 1, 1, 1]), index=index
    )
    accuracy = Metric(name="accuracy", direction="maximize")
    frame = _scored(accuracy, outputs, groups, seconds=1.0)
    assert frame.to_dict("list") == {"group": ["b", "a"], "rows": [2, 2], "accuracy": [0.5, 1.0]}
    area = Metric(name="roc_auc", direction="maximize")
    by_area = _scored(area, outputs, groups, seconds=1.0)
    assert by_area["group"].tolist() == ["b", "a"]
    assert math.isnan(by_area["roc_auc"].iloc[1])  # one class alone, which is not the worst
    line = ByGroup(frame=by_area, metric="roc_auc").line
    assert "b with 1 on 2 rows is the worst of 1" in line
    assert "1 group alone cannot be scored" in line
    assert "nan" not in ByGroup(frame=by_area[1:], metric="roc_auc").line


@pytest.mark.slow
def test_a_search_over_named_groups_tells_the_group_that_is_served_badly(elsewhere):
    dice = np.random.default_rng(0)
    who = np.repeat(["ann", "ben", "eva", "kim", "leo", "mia"], 60)
    y = dice.integers(0, 2, len(who))
    x = dice.normal(size=(len(who), 3))
    x[:, 0] += 4 * y
    lies = who == "kim"
    pd.DataFrame({**{f"f{n}": x[:, n] for n in range(3)}, "who": who,
                  "label": np.where(lies, 1 - y, y)}).to_csv("people.csv", index=False)  # fmt: skip
    words = ["smoke", *INLINE, "report=on", "data=csv", "data.path=people.csv", "data.target=label", "data.groups=who",
             "data.task=classification", "split=grouped", "split.test=0.17", "split.val=0.6"]  # fmt: skip
    done = search(*words, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    groups = read_groups(elsewhere / "results" / "smoke", metric="accuracy")
    assert groups is not None
    assert groups.frame["accuracy"].is_monotonic_increasing
    assert "by group, on validation rows:" in done.stdout
    assert "By group" in (elsewhere / "results" / "smoke" / "report.html").read_text()
    if "kim" in set(groups.frame["group"]):
        assert groups.frame["group"].iloc[0] == "kim"
    words = [
        *words[:-3],
        "split=kfold",
        "split.folds=3",
        "split.test=0.3",
        "name=folds",
        "report=off",
    ]
    done = search(*words, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    folds = pd.read_csv(elsewhere / "results" / "folds" / "groups.csv")
    assert folds["rows"].tolist() == [60] * len(folds)  # every row outside test, once
    tested = search("test", "folds", cwd=elsewhere)
    assert "by group, on test rows:" in tested.stdout, tested.stderr
    sealed = pd.read_csv(elsewhere / "results" / "folds" / "groups-test.csv")
    assert set(sealed["group"]) | set(folds["group"]) == set(who)
    assert not set(sealed["group"]) & set(folds["group"])
