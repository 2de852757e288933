"""Rows as files give them: tables, arrays, classes of any name; and what cannot be read is named."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from search.contract.dataset import load_rows, read_labels
from search.contract.normalisation import fit_scaling
from search.contract.targets import number_classes, untrained_classes
from search.errors import UsageError
from trainers.api import END, IGNORED
from trainers.data import bundled, mnist1d

TABLE = """age,colour,height,label,when,who
30,red,1.5,yes,3,a
40,blue,1.7,no,1,b
50,red,,yes,2,a
"""


def _csv(**keys):
    base = {
        "_target_": "trainers.data.table.load",
        "path": "t.csv",
        "task": "classification",
        "target": "label",
    }
    base |= {
        "categorical": ["colour"],
        "groups": "who",
        "time": "when",
        "inputs": None,
        "outputs": None,
        "impute": "mean",
    }
    return OmegaConf.create(base | keys)


def _npz(**keys):
    base = {
        "_target_": "trainers.data.npz.load",
        "path": "t.npz",
        "task": "classification",
        "impute": None,
    }
    return OmegaConf.create(base | keys)


@pytest.fixture(autouse=True)
def files(elsewhere):
    (elsewhere / "t.csv").write_text(TABLE)
    pd.read_csv("t.csv").to_parquet("t.parquet")
    (elsewhere / "empty.csv").write_text("")
    (elsewhere / "head.csv").write_text("a,b\n")
    (elsewhere / "twice.csv").write_text("a,a,label\n1,2,3\n")
    (elsewhere / "hole.csv").write_text("a,label\n1,x\n2,\n")
    (elsewhere / "inf.csv").write_text("a,label\n1,x\ninf,y\n")
    (elsewhere / "one.csv").write_text("a,label\n1,x\n2,x\n")
    (elsewhere / "bin.csv").write_bytes(b"\xff\xfe\x00,\x00\n\x01")
    np.savez(
        "t.npz",
        x=np.zeros((6, 2)),
        y=np.arange(6) % 2,
        x_test=np.ones((2, 2)),
        y_test=np.array([0, 1]),
    )
    np.savez("bad.npz", x=np.zeros((6, 2)), z=np.arange(6))
    np.savez("short.npz", x=np.zeros((6, 2)), y=np.arange(5))
    np.savez(
        "shapes.npz",
        x=np.zeros((6, 2)),
        y=np.arange(6),
        x_test=np.ones((2, 3)),
        y_test=np.arange(2),
    )
    np.savez("text.npz", x=np.array([["a"], ["b"]]), y=np.arange(2))
    np.savez("groups.npz", x=np.zeros((6, 2)), y=np.arange(6) % 2, groups=np.arange(5))
    (elsewhere / "no.npz").write_text("no archive")


@pytest.mark.parametrize("path", ["t.csv", "t.parquet"])
def test_a_table_gives_numbers_categories_classes_groups_and_time(path):
    rows = load_rows(_csv(path=path))
    assert rows.data.names == ("age", "height", "colour_blue", "colour_red")
    np.testing.assert_array_equal(
        rows.data.x,
        np.array([[30, 1.5, 0, 1], [40, 1.7, 1, 0], [50, np.nan, 0, 1]]),
    )
    assert (rows.data.y.tolist(), rows.classes, rows.outputs, rows.inputs) == (
        [1, 0, 1],
        ("no", "yes"),
        2,
        4,
    )
    assert (rows.data.groups.tolist(), rows.data.time.tolist()) == (["a", "b", "a"], [3, 1, 2])


def test_missing_features_are_filled_by_train_alone():
    x = np.array([[1.0], [3.0], [np.nan]], dtype=np.float32)
    scaling = fit_scaling(
        OmegaConf.create({"_target_": None, "target": False}),
        x[:2],
        np.zeros(2, dtype=np.int64),
        impute="mean",
    )
    assert scaling.features(x)[:, 0].tolist() == [1.0, 3.0, 2.0]
    assert scaling.constants() == {"kind": "SimpleImputer", "statistics_": [2.0]}


def test_targets_of_a_regression_are_scaled_by_train_and_known_to_the_contract():
    y = np.array([[10.0], [20.0]], dtype=np.float32)
    scaling = fit_scaling(
        OmegaConf.create({"_target_": None, "target": True}), np.zeros((2, 1)), y, impute=None
    )
    assert scaling.targets(np.array([[30.0]]))[0, 0] == 3.0
    assert scaling.constants()["target"] == {"mean": [15.0], "scale": [5.0]}
    constant = fit_scaling(
        OmegaConf.create({"_target_": None, "target": True}),
        np.zeros((2, 1)),
        y * 0 + 7,
        impute=None,
    )
    assert constant.targets(np.array([[7.0]]))[0, 0] == 0.0


def test_arrays_may_bring_their_own_test_set():
    rows = load_rows(_npz())
    assert rows.data.given["test"].tolist() == [6, 7]
    assert rows.data.x.shape == (8, 2)


def test_the_bundled_sets_have_the_shapes_that_they_promise():
    shapes = {name: getattr(bundled, name)() for name in ("digits", "breast_cancer", "diabetes")}
    assert {name: (data.x.shape, data.y.shape) for name, data in shapes.items()} == {
        "digits": ((1797, 64), (1797,)),
        "breast_cancer": ((569, 30), (569,)),
        "diabetes": ((442, 10), (442, 1)),
    }
    before = np.random.get_state()[1].tolist()
    made = mnist1d.load()
    assert (made.x.shape, made.given["test"].tolist()) == ((5000, 40), list(range(4000, 5000)))
    assert np.random.get_state()[1].tolist() == before
    assert (np.bincount(made.y) == 500).all()


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (_csv(path="no.csv"), r"data\.path: must be a file, but got no\.csv, where there is none; mend the path"),
        (_csv(path="t.xls"), r"data\.path: a table is a \.parquet file, or text \(\.csv, \.tsv, \.txt, \.data\), but got t\.xls; save it as one"),
        (_csv(path="empty.csv"), r"empty\.csv: must be a readable \.csv table, but got No columns to parse"),
        (_csv(path="head.csv", target="b", categorical=[], groups=None, time=None), r"head\.csv: a table has rows, but got none"),
        (_csv(path="bin.csv"), r"bin\.csv: must be text in utf-8, but got .*; say data\.encoding="),
        (_csv(path="twice.csv"), r"twice\.csv: a column's name stands once, but got 'a' twice; rename one of them"),
        (_csv(path="hole.csv", categorical=[], groups=None, time=None), r"hole\.csv: every row needs its target, but got none in row 1; drop"),
        (_csv(path="one.csv", categorical=[], groups=None, time=None), r"data: y: classification needs at least two classes, but got only the class 'x'"),
        (_csv(path="inf.csv", categorical=[], groups=None, time=None), r"data: x: must be finite, but got NaN or inf in 1 rows, first in row 1"),
        (_csv(target="lable"), r"data\.target: must name columns of the table, but got lable; there are: age, colour, height"),
        (_csv(categorical=["color"]), r"data\.categorical: must name columns of the table, but got color; there are: age"),
        (_csv(groups="whom"), r"data\.groups: must name columns of the table, but got whom"),
        (_csv(categorical=[]), r"t\.csv: column 'colour': a column is numeric unless data\.categorical names it, but got 'red' in row 0; say"),
        (_csv(impute=None), r"data: x: must be finite, but got NaN or inf in 1 rows, first in row 2, in height; drop them or say data\.impute=mean"),
        (_csv(task="regression"), r"data: y: regression needs numbers \[n\] or \[n, outputs\], but got 'yes' among 3; check the target"),
        (_csv(target="height", categorical=["colour", "label"]), r"t\.csv: every row needs its target, but got none in row 2"),
        (_csv(inputs=9), r"data\.inputs: must be 4, as in the rows, but got 9; say data\.inputs=4"),
        (_csv(task="guess"), r"task 'guess' does not exist; there are: classification, regression"),
        (_csv(path="t.csv", sep=";"), r"data\._target_: must name a function that returns a DataSet and takes the keys of data, but got .*'sep'"),
        (_npz(path="no.npz"), r"no\.npz: must be an \.npz file without pickles, but got "),
        (_npz(path="nowhere.npz"), r"data\.path: must be a file, but got nowhere\.npz"),
        (_npz(path="bad.npz"), r"bad\.npz: holds x and y, and may hold groups, .* but got x, z; rename them"),
        (_npz(path="short.npz"), r"data: y: must have a row per row of x \(6\), but got 5; make them agree"),
        (_npz(path="shapes.npz"), r"shapes\.npz: sets of one data set have rows of one shape, but got "),
        (_npz(path="text.npz"), r"data: x: features must be numbers, but got dtype <U1; encode them"),
        (_npz(path="groups.npz"), r"data: groups: must have one value per row \(6\), but got shape \(5,\)"),
        (_npz(path="t.npz", outputs=3), r"data\.outputs: must be 2, as in the rows, but got 3"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_refused(node, message):
    with pytest.raises(UsageError, match=message):
        load_rows(node)


def test_numbers_that_are_no_classes_are_refused_and_gaps_are_closed():
    np.savez("t.npz", x=np.zeros((4, 2)), y=np.array([0.5, 1.0, 2.0, 1.0]))
    with pytest.raises(
        UsageError,
        match=r"data: y: classes are whole numbers or names, but got 0\.5; mend them, or say data\.task=reg",
    ):
        load_rows(_npz())
    np.savez("t.npz", x=np.zeros((4, 2)), y=np.array([[3], [7], [7], [3]]))
    rows = load_rows(_npz())
    assert (rows.data.y.tolist(), rows.classes) == ([0, 1, 1, 0], (3, 7))


def test_a_scaler_that_cannot_be_is_refused():
    y = np.zeros(2, dtype=np.int64)
    with pytest.raises(
        UsageError,
        match=r"normalise\._target_: must name a scaler with fit and transform, .* but got nowhere\.Scaler",
    ):
        fit_scaling(
            OmegaConf.create({"_target_": "nowhere.Scaler"}), np.zeros((2, 1)), y, impute=None
        )
    with pytest.raises(
        UsageError,
        match=r"data\.impute 'often' does not exist; .*there are: mean, median, most_frequent",
    ):
        fit_scaling(OmegaConf.create({"_target_": None}), np.zeros((2, 1)), y, impute="often")


def test_dates_are_ordered_as_dates():
    for text in (
        "2026-01-31,2025-12-01,2026-01-05",
        "2026-01-31T10:00:00+02:00,2025-12-01,2026-01-05",
    ):
        stamps = text.split(",")
        pd.DataFrame({"a": [1, 2, 3], "label": ["x", "y", "x"], "when": stamps}).to_csv(
            "d.csv", index=False
        )
        time = load_rows(_csv(path="d.csv", categorical=[], groups=None)).data.time
        assert np.argsort(time).tolist() == [1, 2, 0]
    for wrong, message in (
        ("12/1/2004", "time is a number or a date such as 2026-01-31, but got"),
        (None, "every row needs its time, but got none in row 1"),
    ):
        pd.DataFrame({"a": [1, 2], "label": ["x", "y"], "when": ["2026-01-31", wrong]}).to_csv(
            "d.csv", index=False
        )
        with pytest.raises(UsageError, match=message):
            load_rows(_csv(path="d.csv", categorical=[], groups=None))


def test_a_scaler_that_changes_the_number_of_features_is_refused():
    node = OmegaConf.create({"_target_": "sklearn.preprocessing.PolynomialFeatures"})
    with pytest.raises(
        UsageError,
        match=r"normalise\._target_: must name a scaler .*rows of 2 features came back as \(6,\)",
    ):
        fit_scaling(node, np.ones((3, 2)), np.zeros(3, dtype=np.int64), impute=None)


def test_labels_of_own_data_are_checked():
    from pathlib import Path

    np.save("words.npy", np.array(["a", "b", "c"]))
    np.save("holes.npy", np.array([1.0, np.nan, 2.0]))
    np.save("whole.npy", np.array([1, 2, 3]))
    assert read_labels(Path("whole.npy"), 3, task="regression")[0].dtype == np.float32
    assert read_labels(Path("words.npy"), 3, task="classification")[1] == ("a", "b", "c")
    for name, message in (
        ("t.npz", "which is no .npy"),
        ("words.npy", "regression needs numbers, but got <U1"),
        ("holes.npy", "must be finite, but got NaN"),
    ):
        with pytest.raises(UsageError, match=message):
            read_labels(Path(name), 3, task="regression")


def test_a_class_that_no_train_row_has_is_named_with_its_sets():
    sets = {"train": np.array([0, 1]), "val": np.array([0, 2]), "test": np.array([1, IGNORED, 3])}
    told = untrained_classes(sets, task="classification", classes=("cat", "dog", "cow", "horse"))
    assert told.startswith("no train row has the class cow (in val), horse (in test): none of its")
    sets = {"train": np.array([[1, 2, END]]), "val": np.array([[3, END, END]]), "test": None}
    assert "has the class x (in val):" in untrained_classes(
        sets, task="transduction", classes=("v", "w", "x")
    )
    assert "has the class 2 (in val):" in untrained_classes(sets, task="transduction", classes=())
    assert untrained_classes({"train": None, "val": None}, task="classification", classes=()) == ""
    equal = {"train": np.array([0, 1]), "val": np.array([1])}
    assert untrained_classes(equal, task="classification", classes=()) == ""


def test_a_row_without_a_class_or_group_is_refused():
    with pytest.raises(UsageError, match=r"every row needs its class, but got None in row 1; drop"):
        number_classes(np.array(["a", None, "b"], dtype=object), where="y")
    np.savez("t.npz", x=np.ones((3, 2)), y=[0, 1, 0], groups=[1.0, np.nan, 2.0])
    node = {"_target_": "trainers.data.npz.load", "path": "t.npz", "task": "classification"}
    with pytest.raises(UsageError, match=r"every row needs its group, but got nan in row 1; drop"):
        load_rows(OmegaConf.create(node))


def _read(text, **keys):
    Path("odd.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    node = {"path": "odd.csv", "categorical": [], "groups": None, "time": None, "impute": None}
    return load_rows(_csv(**(node | keys))).data


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        (",a,label\n0,1.5,x\n1,2.5,y\n", {}, r"every feature has a name .* data.drop=\['Unnamed: 0'\]"),
        ("a,label,\n1.5,x,\n2.5,y,\n", {}, "got none for column 2"),
        ("a,label\n1,x\n2,x \n", {}, "texts differ by more than blanks at their ends, but got 'x' and 'x '"),
        ("a,c,label\n1,u,x\n2,u ,y\n", {"categorical": ["c"]}, "column 'c': texts differ"),
        ("a,g,label\n1,u,x\n2,u ,y\n", {"groups": "g"}, "column 'g': texts differ"),
        ("a,a ,label\n1,2,x\n", {}, "a column's name stands once"),
        ("# mine\na,label\n1,x\n", {}, "the first line names every column, but got # mine, and rows"),
        ("a,label\n1,x,9\n2,y,9\n", {}, r"a, label, and rows with more fields"),
        ("a,label,b\n1,x,2\n3,y\n", {}, r"odd\.csv:3: a row has the 3 fields of the first line, but got 2"),
        ('a,label\n"1,000",x\n2,y\n', {}, "but got '1,000' in row 0; .*; take out what parts its thousands"),
        ("a,label\n?,x\n2,y\n", {}, r"say 'data\.na_values=\[\"\", \"\?\"\]' if such texts mean a missing value"),
        ("a||label\n1||x\n", {"separator": "||"}, r"data\.separator: is one character, or"),
        (f"a,label\n{10**18},x\n{10**18 + 1},y\n", {}, "a number has at most sixteen digits"),
        (f"a,label\n{10**30},x\n{10**30 + 1},y\n", {}, "a number has at most sixteen digits"),
    ],
)  # fmt: skip
def test_a_table_that_would_be_misread_is_refused(text, keys, message):
    with pytest.raises(UsageError, match=message):
        _read(text, **keys)


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("blank", ["", " "])
def test_marks_line_ends_and_blanks_of_a_table_change_nothing(mark, end, blank):
    rows = [("label ", "a", "b.c[0]=é"), ('"big\ncat"', "1e9", "2"), ("dog", "1000000001", "3")]
    text = mark + end.join(f",{blank}".join(row) for row in rows) + end
    data = _read(text)
    assert data.names == ("a", "b.c[0]=é")
    assert data.x.tolist() == [[1e9, 2.0], [1000000001.0, 3.0]]
    assert data.y.tolist() == [0, 1]


def test_numbers_of_a_parquet_table_are_numbers_whatever_their_type():
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "truth": pd.array([True, False, None], dtype="boolean"),
            "exact": [Decimal("1.5"), Decimal("2.5"), Decimal("-1")],
            "label": pd.Categorical(["x", "y", "x"]),
        }
    )
    frame.to_parquet("odd.parquet")
    data = load_rows(_csv(path="odd.parquet", categorical=[], groups=None, time=None)).data
    assert np.array_equal(data.x, [[1, 1, 1.5], [np.nan, 0, 2.5], [3, np.nan, -1]], equal_nan=True)
    assert data.y.tolist() == [0, 1, 0]


@pytest.mark.filterwarnings("ignore:overflow")
def test_features_that_no_scaler_brings_within_float32_are_refused():
    node = OmegaConf.create({"_target_": "sklearn.preprocessing.StandardScaler", "target": False})
    rows = np.array([[1e300], [-1e300], [5e299]])
    with pytest.raises(UsageError, match="or not finite as float32"):
        fit_scaling(node, rows, np.arange(3), impute=None)


@pytest.mark.parametrize("kind", ["cut off", "a flipped byte", "one array"])
def test_a_damaged_npz_is_named_whatever_is_wrong_with_it(kind, tmp_path):
    path = tmp_path / "rows.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random((50, 4)), y=np.arange(50) % 2)
    content = bytearray(path.read_bytes())
    if kind == "cut off":
        del content[200:]
    elif kind == "a flipped byte":
        content[300] ^= 255
    path.write_bytes(content)
    if kind == "one array":
        with path.open("wb") as file:
            np.save(file, np.arange(3))
    with pytest.raises(
        UsageError, match=r"rows\.npz: must be an \.npz file without pickles, but got "
    ):
        load_rows(_npz(path=str(path)))


def test_a_first_line_of_numbers_is_said_and_a_gap_at_a_rows_end_is_no_short_row():
    data = _read("1,0,label,b\n2,1,x,1\n3,2,y,\n", impute="mean")
    assert not data.notes
    data = _read("1,0\n2,1\n3,\n", target="1", impute="mean")
    assert "odd.csv: the first line, 1, 0 …, is taken for the columns' names" in data.notes
