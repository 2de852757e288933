"""Rows as files give them: tables, arrays, classes of any name; and what cannot be read is named."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from refusals import raises

from search.contract.dataset import load_rows, read_labels
from search.contract.normalisation import fit_scaling
from search.contract.targets import number_classes, untrained_classes
from trainers.api import END, IGNORED
from trainers.data import DataSet, bundled, mnist1d

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


@pytest.mark.slow
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
        (_csv(path="no.csv"), ("data-cannot-be-read", "data.path", "no.csv")),
        (_csv(path="t.xls"), ("data-cannot-be-read", "data.path", ".parquet", "t.xls")),
        (_csv(path="empty.csv"), ("data-cannot-be-read", "empty.csv")),
        (_csv(path="head.csv", target="b", categorical=[], groups=None, time=None), ("data-cannot-be-read", "head.csv")),
        (_csv(path="bin.csv"), ("data-cannot-be-read", "bin.csv", "data.encoding=")),
        (_csv(path="twice.csv"), ("data-cannot-be-read", "twice.csv", "'a'")),
        (_csv(path="hole.csv", categorical=[], groups=None, time=None), ("data-cannot-be-read", "hole.csv", "row 1")),
        (_csv(path="one.csv", categorical=[], groups=None, time=None), ("needs-two-classes", "y", "'x'")),
        (_csv(path="inf.csv", categorical=[], groups=None, time=None), ("data-not-finite", "x", "row 1")),
        (_csv(target="lable"), ("data-cannot-be-read", "data.target", "lable", "age, colour, height")),
        (_csv(categorical=["color"]), ("data-cannot-be-read", "data.categorical", "color", "age")),
        (_csv(groups="whom"), ("data-cannot-be-read", "data.groups", "whom")),
        (_csv(categorical=[]), ("data-cannot-be-read", "t.csv", "'colour'", "data.categorical", "'red'")),
        (_csv(impute=None), ("data-not-finite", "x", "row 2", "height", "data.impute=mean")),
        (_csv(task="regression"), ("targets-have-wrong-shape", "'yes'", "3")),
        (_csv(target="height", categorical=["colour", "label"]), ("data-cannot-be-read", "t.csv", "row 2")),
        (_csv(inputs=9), ("shape-differs-from-rows", "9", "data.inputs=4")),
        (_csv(path="t.csv", sep=";"), ("data-not-from-function", "data._target_", "'sep'", "leave it out: ~data.sep")),
        (_npz(path="no.npz"), ("data-cannot-be-read", "no.npz")),
        (_npz(path="nowhere.npz"), ("data-cannot-be-read", "data.path", "nowhere.npz")),
        (_npz(path="bad.npz"), ("data-cannot-be-read", "bad.npz", "groups", "x, z")),
        (_npz(path="short.npz"), ("targets-differ-from-rows", "6", "5")),
        (_npz(path="shapes.npz"), ("data-cannot-be-read", "shapes.npz")),
        (_npz(path="text.npz"), ("features-not-numbers", "<U1")),
        (_npz(path="groups.npz"), ("column-differs-from-rows", "groups", "6", "(5,)")),
        (_npz(path="t.npz", outputs=3), ("shape-differs-from-rows", "data.outputs=2", "3")),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_refused(node, message):
    with raises(*message):
        load_rows(node)


def test_numbers_that_are_no_classes_are_refused_and_gaps_are_closed():
    np.savez("t.npz", x=np.zeros((4, 2)), y=np.array([0.5, 1.0, 2.0, 1.0]))
    with raises("class-not-whole-or-name", "y", "0.5", "data.task=regression"):
        load_rows(_npz())
    np.savez("t.npz", x=np.zeros((4, 2)), y=np.array([[3], [7], [7], [3]]))
    rows = load_rows(_npz())
    assert (rows.data.y.tolist(), rows.classes) == ([0, 1, 1, 0], (3, 7))


def test_a_scaler_that_cannot_be_is_refused():
    y = np.zeros(2, dtype=np.int64)
    with raises("scaler-cannot-be-fitted", "normalise._target_", "nowhere.Scaler"):
        fit_scaling(
            OmegaConf.create({"_target_": "nowhere.Scaler"}), np.zeros((2, 1)), y, impute=None
        )


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
        ("12/1/2004", ("12/1/2004", "2026-01-31")),
        (None, ("row 1",)),
    ):
        pd.DataFrame({"a": [1, 2], "label": ["x", "y"], "when": ["2026-01-31", wrong]}).to_csv(
            "d.csv", index=False
        )
        with raises("data-cannot-be-read", "'when'", *message):
            load_rows(_csv(path="d.csv", categorical=[], groups=None))


def test_a_scaler_that_changes_the_number_of_features_is_refused():
    node = OmegaConf.create({"_target_": "sklearn.preprocessing.PolynomialFeatures"})
    with raises("scaler-cannot-be-fitted", "normalise._target_", "2", "(6,)"):
        fit_scaling(node, np.ones((3, 2)), np.zeros(3, dtype=np.int64), impute=None)


def test_labels_of_own_data_are_checked():
    from pathlib import Path

    np.save("words.npy", np.array(["a", "b", "c"]))
    np.save("holes.npy", np.array([1.0, np.nan, 2.0]))
    np.save("whole.npy", np.array([1, 2, 3]))
    assert read_labels(Path("whole.npy"), 3, task="regression")[0].dtype == np.float32
    assert read_labels(Path("words.npy"), 3, task="classification")[1] == ("a", "b", "c")
    for name, message in (
        ("t.npz", ("labels-not-npy", "t.npz")),
        ("words.npy", ("labels-not-numbers", "<U1")),
        ("holes.npy", ("data-not-finite", "y", "row 1")),
    ):
        with raises(*message):
            read_labels(Path(name), 3, task="regression")
    with raises("labels-differ-from-rows", "data.rows=4", "(3,)"):
        read_labels(Path("whole.npy"), 4, task="regression")


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


def test_targets_of_two_columns_are_no_classes_and_rows_that_are_none_are_refused():
    with raises("class-not-one-column", "y", "(3, 2)"):
        number_classes(np.zeros((3, 2)), where="y")
    np.savez("flat.npz", x=np.ones(3), y=[0, 1, 0])
    with raises("data-not-rows", "x", "(3,)"):
        load_rows(_npz(path="flat.npz"))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([b"b", b"a", b"b"], ("a", "b")),
        (["ö".encode(), b"o", "ö".encode()], ("o", "ö")),
        (np.array(["ö".encode(), b"o", "ö"], object), ("o", "ö")),  # as h5py gives them
        ([b"\xf6", b"\xe4", b"\xf6"], (r"\xe4", r"\xf6")),  # of Latin 1
        (
            np.array(["2026-02-01", "2026-01-01", "2026-02-01"], "M8[D]"),
            ("2026-01-01", "2026-02-01"),
        ),
    ],
)
def test_names_of_classes_are_texts_as_files_hold_them(labels, names):
    numbers, told = number_classes(np.array(labels), where="y")
    assert (numbers.tolist(), told) == ([1, 0, 1], names)


def test_a_row_without_a_class_or_group_or_time_is_refused():
    with raises("class-is-missing", "y", "None", "row 1"):
        number_classes(np.array(["a", None, "b"], dtype=object), where="y")
    np.savez("t.npz", x=np.ones((3, 2)), y=[0, 1, 0], groups=[1.0, np.nan, 2.0])
    node = {"_target_": "trainers.data.npz.load", "path": "t.npz", "task": "classification"}
    with raises("group-is-missing", "groups", "nan", "row 1"):
        load_rows(OmegaConf.create(node))
    days = np.array(["2026-01-01", "NaT", "2026-01-02"], dtype="M8[D]")
    np.savez("t.npz", x=np.ones((3, 2)), y=[0, 1, 0], time=days)
    with raises("time-is-missing", "time", "NaT", "row 1"):
        load_rows(OmegaConf.create(node))
    with raises("class-is-missing", "y", "<NA>", "row 1"):
        number_classes(np.array(["a", pd.NA, "b"], dtype=object), where="y")
    with raises("class-is-missing", "y", "NaT", "row 1"):
        number_classes(days, where="y")


def patients(missing=False, also=None):
    """Rows of a frame that was shuffled, so that its index is no row's number."""
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0], "who": pd.array([7, 8, 9], dtype="Int64")})
    frame = frame.iloc[[2, 0, 1]]
    who = frame["who"].where(frame["x"] != 0) if missing else frame["who"]
    who = who if also is None else np.array([7, 8, also], dtype=object)
    return DataSet(x=frame[["x"]].to_numpy(), y=np.array([0, 1, 0]), groups=who)


def test_groups_of_a_shuffled_frame_are_those_of_its_rows():
    node = {"_target_": "test_dataset.patients", "task": "classification"}
    data = load_rows(OmegaConf.create(node)).data
    assert data.groups[[0]].tolist() == [9]
    with raises("group-is-missing", "groups", "row 1"):
        load_rows(OmegaConf.create({**node, "missing": True}))
    with raises("column-of-several-types", "groups", "'str' and 'int'"):
        load_rows(OmegaConf.create({**node, "also": "p7"}))


def _read(text, **keys):
    Path("odd.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    node = {"path": "odd.csv", "categorical": [], "groups": None, "time": None, "impute": None}
    return load_rows(_csv(**(node | keys))).data


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        (",a,label\n0,1.5,x\n1,2.5,y\n", {}, ("data.drop=['Unnamed: 0']",)),
        ("a,label,\n1.5,x,\n2.5,y,\n", {}, ("column 2",)),
        ("a,label\n1,x\n2,x \n", {}, ("'x'", "'x '")),
        ("a,c,label\n1,u,x\n2,u ,y\n", {"categorical": ["c"]}, ("'c'", "'u'", "'u '")),
        ("a,g,label\n1,u,x\n2,u ,y\n", {"groups": "g"}, ("'g'", "'u'", "'u '")),
        ("a,a ,label\n1,2,x\n", {}, ("'a'",)),
        ("# mine\na,label\n1,x\n", {}, ("# mine",)),
        ("a,label\n1,x,9\n2,y,9\n", {}, ("a, label",)),
        ("a,label,b\n1,x,2\n3,y\n", {}, ("odd.csv:3", "3", "2")),
        ('a,label\n"1,000",x\n2,y\n', {}, ("'1,000'", "row 0")),
        ("a,label\n?,x\n2,y\n", {}, ("'?'", "'data.na_values=[\"\", \"?\"]'")),
        ("a||label\n1||x\n", {"separator": "||"}, ("data.separator", "'||'")),
        (f"a,label\n{10**18},x\n{10**18 + 1},y\n", {}, ("'a'", str(10**18 + 1))),
        (f"a,label\n{10**30},x\n{10**30 + 1},y\n", {}, ("'a'", str(10**30 + 1))),
    ],
)  # fmt: skip
def test_a_table_that_would_be_misread_is_refused(text, keys, message):
    with raises("data-cannot-be-read", *message):
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
    with raises("scaler-cannot-be-fitted", "StandardScaler", "float32"):
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
    with raises("data-cannot-be-read", "rows.npz"):
        load_rows(_npz(path=str(path)))


@pytest.mark.parametrize("names", [["y_val"], ["x_val"], ["lengths_test"], ["x_val", "y_test"]])
def test_a_set_of_an_npz_without_its_rows_or_its_targets_is_refused(names, tmp_path):
    path, arrays = tmp_path / "rows.npz", dict.fromkeys(["x", "y", *names], np.arange(6) % 2)
    np.savez(path, **{name: values[:, None] for name, values in arrays.items()})
    with raises("data-cannot-be-read", names[0]):
        load_rows(_npz(path=str(path)))


def test_a_first_line_of_numbers_is_said_and_a_gap_at_a_rows_end_is_no_short_row():
    data = _read("1,0,label,b\n2,1,x,1\n3,2,y,\n", impute="mean")
    assert not data.notes
    data = _read("1,0\n2,1\n3,\n", target="1", impute="mean")
    assert "odd.csv: the first line, 1, 0 …, is taken for the columns' names" in data.notes
