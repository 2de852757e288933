"""Files of a stranger run no code: arrays are plain, and nothing here reads or writes a pickle."""

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest
from kit import ROOT
from refusals import raises
from source import PARSED_ONCE, parsed

from search.contract.arrays import FoldData, read_folds, write_folds
from trainers.api import Data, Part

READERS = ("pickle", "cPickle", "dill", "cloudpickle", "shelve")  # whatever is called of them
CALLS = (
    "joblib.load",
    "joblib.dump",
    "torch.load",
    "torch.save",
    "pd.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "marshal.load",
    "marshal.loads",
)
EXAMPLES = ROOT / "trainers" / "examples"  # plain scripts; numpy's own default refuses pickles


def _calls(tree):
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@PARSED_ONCE
def test_nothing_reads_or_writes_a_pickle():
    assert len(parsed()) > 100
    for path, tree in parsed().items():
        for name, call in _calls(tree):
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert name not in CALLS, where
            assert name.partition(".")[0] not in READERS, where
            allowed = [word for word in call.keywords if word.arg == "allow_pickle"]
            assert all(ast.unparse(word.value) == "False" for word in allowed), where
            if name in ("np.load", "np.save") and EXAMPLES not in path.parents:
                assert allowed, where


class Bomb:
    """Unpickling it makes a file."""

    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("kind", ["pickle", "array of objects", "torn"])
def test_an_array_that_is_a_pickle_or_damaged_is_refused_by_name_and_never_run(kind, tmp_path):
    part = Part(index=np.arange(3), x=np.zeros((3, 2)), y=np.arange(3))
    write_folds(tmp_path / "arrays", [FoldData(data=Data(train=part, val=part))], stamp="a")
    path = tmp_path / "arrays" / "fold-0" / "train.x.npy"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "array of objects":
        np.save(path, np.array([Bomb()], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(path.read_bytes()[:-5])
    with raises("prepared-array-damaged", "train.x.npy"):
        read_folds(tmp_path / "arrays")
    assert not (tmp_path / "exploded").exists()


def test_arrays_of_an_older_version_are_written_anew(tmp_path):
    part = Part(index=np.arange(3), x=np.zeros((3, 2)), y=np.arange(3))
    old = tmp_path / "arrays" / "fold-0"
    old.mkdir(parents=True)
    (old / "train.x.joblib").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "arrays" / "stamp").write_text("a")
    write_folds(tmp_path / "arrays", [FoldData(data=Data(train=part, val=part))], stamp="a")
    assert read_folds(tmp_path / "arrays")[0].data.train.x.shape == (3, 2)
    assert not (old / "train.x.joblib").exists()
