"""Prepared rows that somebody damaged are named, with what writes them again."""

import numpy as np
import pytest
from refusals import raises

from search.contract.arrays import FoldData, read_folds, train_targets, write_folds
from trainers.api import Data, Part


@pytest.fixture
def arrays(tmp_path):
    part = Part(index=np.arange(3), x=np.zeros((3, 2)), y=np.arange(3))
    folds = [FoldData(data=Data(train=part, val=part), units={"mean": [0.0], "scale": [1.0]})]
    write_folds(tmp_path / "arrays", folds, stamp="a")
    return tmp_path / "arrays"


def test_units_that_are_no_json_are_named(arrays):
    (units,) = (arrays / "fold-0").glob("*.json")
    units.write_text("{")
    with raises("prepared-units-damaged", str(units), f" {arrays};"):
        read_folds(arrays)


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_targets_that_are_gone_or_changed_are_named(how, arrays):
    assert train_targets(arrays).tolist() == [0, 1, 2]
    path = arrays / "fold-0" / "train.y.npy"
    if how == "gone":
        path.unlink()
    else:
        np.save(path, np.array([2, 1, 0]))
    with raises("prepared-targets-damaged", "train.y.npy", f" {arrays};"):
        train_targets(arrays)
