"""Tables as strangers write them: no digit is lost before the scaling, and odd files are named, with a remedy."""

import gzip
import shlex

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from refusals import raises

from search.config.compose import compose_experiment
from search.contract.arrays import trained_type
from search.contract.contract import prepare
from search.contract.dataset import load_rows
from search.contract.metrics import Metric, scores
from search.contract.normalisation import fit_scaling
from trainers.data.table import load

SCALER = {"_target_": "sklearn.preprocessing.StandardScaler", "target": True}


def _node(path="t.csv", **keys):
    node = {
        "_target_": "trainers.data.table.load",
        "path": path,
        "task": "classification",
        "target": "label",
        "impute": None,
        "inputs": None,
        "outputs": None,
    }
    return OmegaConf.create({**node, **keys})


@settings(max_examples=20)
@given(
    offset=st.sampled_from([0, 1e6, 1.7e9, 1e12, -1e12]),
    spread=st.sampled_from([1.0, 50.0, 1e4]),
    seed=st.integers(0, 99),
)
def test_a_column_far_from_zero_is_scaled_like_the_same_column_near_zero(offset, spread, seed):
    values = np.round(np.random.default_rng(seed).normal(0, 20 * spread, 64))
    labels = ["a", "b"] * 32
    pd.DataFrame({"when": values + offset, "label": labels}).to_csv("t.csv", index=False)
    rows = load_rows(_node()).data
    scaled = fit_scaling(OmegaConf.create(SCALER), rows.x, rows.y, impute=None).features(rows.x)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[:, 0], (values - values.mean()) / values.std(), atol=1e-5)


def test_a_target_far_from_zero_keeps_its_digits_through_scaling_and_metric():
    z = np.random.default_rng(0).normal(size=400)
    target = np.round(1e9 + 10 * z, 6)
    pd.DataFrame({"z": z, "label": target}).to_csv("t.csv", index=False)
    config = compose_experiment(
        "lr_sweep",
        overrides=[
            "data=csv",
            "data.path=t.csv",
            "data.task=regression",
            "data.target=label",
            "loss=mse",
            "metric=r2",
        ],
        config_dir=None,
    )
    metric = Metric(name="r2", direction="maximize")
    made = prepare(config, metric=metric)
    y = made.final.val.y
    assert y.dtype == np.float32
    units = made.units
    own = y * np.array(units["scale"]) + np.array(units["mean"])
    np.testing.assert_allclose(own[:, 0], target[made.final.val.index], rtol=0, atol=1e-4)
    perfect = scores(metric, targets=y, kind="predictions", output=y, units=units)
    constant = scores(metric, targets=y, kind="predictions", output=0 * y, units=units)
    assert perfect["r2"] == pytest.approx(1.0)
    assert abs(constant["r2"]) < 0.1


def test_rows_that_are_not_scaled_keep_the_type_that_holds_their_digits():
    plain = OmegaConf.create({"_target_": None, "target": False})
    near = np.random.default_rng(0).normal(size=(50, 2))
    for y, kind in ((near, np.float32), (1e9 + 10 * near, np.float64), (1e40 * near, np.float64)):
        scaling = fit_scaling(plain, near, y, impute=None)
        assert scaling.targets(y).dtype == kind
        assert scaling.features(near).dtype == np.float32
    whole = np.array([[2**24 + 1, 2**53 + 1]] * 3)
    scaling = fit_scaling(plain, whole, near[:, 0], impute=None)
    np.testing.assert_array_equal(scaling.features(whole), whole)  # whole numbers stay whole
    assert trained_type(np.full((5, 1), 1.7e9 + 0.1)) == np.float32  # a constant tells nothing
    assert trained_type(np.full((5, 1), 1e300)) == np.float64  # which no single can hold
    assert trained_type(np.ones((5, 1), dtype=np.float16)) == np.float16


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("age;height;label\n30;1,5;a\n40;1,75;b\n", {"separator": ";", "decimal": ","}),
        ("age\theight\tlabel\n30\t1.5\ta\n40\t1.75\tb\n", {"separator": "\t"}),
        ("age,height,label\n30,1.5,a\n40,1.75,b\n", {}),
    ],
)
def test_separators_decimal_marks_encodings_and_compression_give_the_same_rows(text, keys):
    with gzip.open("t.csv.gz", "wt", encoding="utf-16") as file:
        file.write(text)
    rows = load_rows(_node("t.csv.gz", encoding="utf-16", **keys))
    np.testing.assert_array_equal(rows.data.x, [[30, 1.5], [40, 1.75]])
    assert rows.classes == ("a", "b")


@pytest.mark.parametrize(
    ("written", "keys", "message"),
    [
        ("a,label\n1,007\n2,07\n", {}, ("t.csv", "'label'", "'007'", "'07'")),
        (" who ,a,label\n01,1,x\n1,2,y\n", {"groups": "who"}, ("'who'", "'01'", "'1'")),
        ("kind,a,label\n0,1,x\n00,2,y\n", {"categorical": ["kind"]}, ("'kind'", "'0'", "'00'")),
        ("a;b;label\n1,5;2,5;x\n", {}, ("a;b;label", "data.separator=';'")),
        ("a,label\n1,x\n", {"separator": ";"}, ("'a,label'", "data.separator=','")),
        ("a,label\n1,x\n2,x\u200b\n", {}, ("'label'", "'x'", r"'x\u200b'")),
        ("a,label\n1,caf\u00e9\n2,cafe\u0301\n", {}, ("'label'", "'caf\u00e9'", "'cafe\u0301'")),
        ("a_x,a,label\n1,x,p\n2,y,q\n", {"categorical": ["a"]}, ("'a_x' twice",)),
        ("Unnamed: 0.1,a,label\n1,1,x\n2,2,y\n", {}, ("'Unnamed: 0.1'",)),
        ("a;label\n1.5;x\n2;y\n", {"separator": ";", "decimal": ","}, ("'a'", "'1.5'", "data.decimal")),
    ],
)  # fmt: skip
def test_what_a_table_would_lose_is_refused_with_the_way_out(written, keys, message):
    with open("t.csv", "w") as file:
        file.write(written)
    with raises("data-cannot-be-read", *message):
        load_rows(_node(**keys))


def test_utf_16_is_known_by_its_mark_and_fixed_width_numbers_are_classes():
    with open("t.csv", "w", encoding="utf-16") as file:
        file.write("a,label\n1,01\n2,02\n3,10\n")
    with raises("data-cannot-be-read", "utf-8", "data.encoding=utf-16"):
        load_rows(_node())
    assert load_rows(_node(encoding="utf-16")).classes == (1, 2, 10)


def test_columns_named_by_numbers_and_words_that_yaml_takes_for_values_are_found():
    pd.DataFrame([[1.0, 2.0, 0], [3.0, 4.0, 1]]).to_csv("t.csv", index=False)
    assert load_rows(_node(target=2, drop=[0])).data.names == ("1",)
    frame = pd.DataFrame([[1.0, 2.0, "x"], [3.0, 4.0, "y"]], columns=["null", "true", "1.5"])
    frame.to_csv("t.csv", index=False)
    assert load_rows(_node(target=1.5, drop=[None])).data.names == ("true",)
    assert load_rows(_node(target="1.5", drop=[True])).data.names == ("null",)
    numbered = pd.DataFrame([[1.0, 0], [3.0, 1]], columns=[0, 1])
    numbered.columns = numbered.columns.astype(str)
    numbered.to_parquet("t.parquet")
    assert load_rows(_node("t.parquet", target=1)).data.names == ("0",)


def test_a_class_called_na_is_a_class_where_the_config_says_so():
    with open("t.csv", "w") as file:
        file.write("x,label\n1,NA\n2,EU\n3,NA\n")
    with raises("data-cannot-be-read", "'NA'", "row 0", "'data.na_values=[\"\"]'"):
        load_rows(_node())
    assert load_rows(_node(na_values=[""])).classes == ("EU", "NA")
    with open("t.csv", "w") as file:
        file.write("x,label,site\n1,a,X\n2,b,NA\n3,a,Y\n")
    with raises("data-cannot-be-read", "data.groups", "'NA'", "row 1"):
        load_rows(_node(groups="site"))
    with open("t.csv", "w") as file:
        file.write("x,label\n1,a\n?,b\n3,a\n")
    rows = load_rows(_node(na_values=["?"], impute="mean"))
    assert np.isnan(rows.data.x[1, 0])


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("a;b;label\n1;2;x\n2;3;y\n", {}, ("t.csv", "','", "'a;b;label'", "data.separator=';'")),
        ("a\tlabel\n1\tx\n", {}, ("data.separator='\\t'",)),
        ("a b label\n1 2 x\n2 3 y\n", {}, (r"'data.separator=\s+'",)),
        ("a  label\n1 1 x\n2 3 y\n", {}, (r"'data.separator=\s+'",)),
        ('"a","label"\n"1",5,"x"\n"2",6,"y"\n', {}, ("row,a,label", "data.drop=[row]")),
        ("a label\n1 5 x\n2 6 y\n", {"separator": r"\s+"}, ("row a label", "data.drop=[row]")),
        ("sep=;\na;label\n1;x\n2;y\n", {}, ("'sep=;'", "drop the first line", "data.separator=';'")),
        ("sep=;\na;label\n1;x\n2;y\n", {"separator": ";"}, ("drop the first line",)),
        ("'a','label'\n'1','x'\n", {}, ("'a'", "take out the quotes")),
        ("1.5,x\n2,y\n", {}, ("label", "1.5, x", "the first line, above the rows")),
        ("town,x,street,label\nBonn,1,A,x\nKöln,2,B,y\n", {}, ("'town'", "'Bonn'", "row 0", "data.categorical=[town,street]", "data.drop=[town,street]")),
        ("a,label\n\"1,5\",x\n\"2,5\",y\n", {}, ("'a'", "'1,5'", "row 0", "data.decimal=','")),
        ("a,label\n1,2,x\n2,3,y\n", {}, ("t.csv", "a, label")),
        ("a,label\n1,x\n2,y\n", {"target": None}, ("data.target", "null", "a, label")),
        ("a,label\n1,x\n2,y\n", {"na_values": "?"}, ("data.na_values", "'?'", "'data.na_values=[\"\"]'")),
        ("a,b,label\ns,m/s,\n1,2,x\n2,3,y\n", {}, ("t.csv:2", "'s', 'm/s'", "drop that line")),
        ("a;b;c;label\n[-];[%];;kind\n1,5;2;3;x\n2;3,5;4;y\n", {"separator": ";", "decimal": ","}, ("t.csv:2", "'[-]', '[%]'")),
        ("A,A,A\na,b,label\n1,2,0\n2,3,1\n", {}, ("t.csv:2", "'a', 'b', 'label'", "the line above")),
        ("a,a,label\n1,2,x\n2,3,y\n", {}, ("'a' twice", "rename")),
    ],
)  # fmt: skip
def test_an_odd_table_is_refused_with_its_remedy(text, keys, message):
    with open("t.csv", "w") as file:
        file.write(text)
    with raises("data-cannot-be-read", *message):
        load_rows(_node(**keys))


def test_the_remedy_for_a_column_of_any_name_can_be_pasted_into_a_shell():
    name = 'Bob\'s "odd" [col], = 1'
    frame = pd.DataFrame({"a": [1, 2, 3, 4], name: ["p", "q", "p", "q"], "label": list("xyxy")})
    frame.to_csv("t.csv", index=False)
    with raises("data-cannot-be-read", "data.categorical=") as told:
        load_rows(_node())
    pasted, _, dropped = shlex.split(str(told.value).rpartition("; say ")[2])
    words = ["data=csv", "data.path=t.csv", "data.task=classification", "data.target=label"]
    for word, columns in ((pasted, 3), (dropped, 1)):
        config = compose_experiment("lr_sweep", overrides=[*words, word], config_dir=None)
        assert load_rows(config.data).data.x.shape == (4, columns)


def test_text_in_another_encoding_is_named_with_its_remedy():
    with open("t.csv", "wb") as file:
        file.write("größe,label\n1,x\n2,y\n".encode("latin-1"))
    with raises("data-cannot-be-read", "utf-8", "data.encoding=latin-1"):
        load_rows(_node())
    assert load_rows(_node(encoding="latin-1")).data.names == ("größe",)


@pytest.mark.parametrize("sequence", [None, "who"])
def test_rows_without_a_category_are_counted_by_column(sequence, tmp_path):
    frame = pd.DataFrame({"who": [0, 0, 1, 1], "a": [1.0, 2, 3, 4], "y": ["p", "q", "p", "q"]})
    frame["colour"], frame["size"] = ["red", None, "blue", None], ["s", "m", "l", "s"]
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    names = {"target": "y", "categorical": ["colour", "size"], "sequence": sequence}
    (note,) = load(path=str(tmp_path / "gaps.csv"), **names).notes
    assert "column 'colour': 2 of 4 rows have no category, which is coded as none of them" in note


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ("1,x\n?,y\nn.a.,x\nNA,y\n2,x\n", {}, ("'?'", "row 1", "2 of 5", "'?', 'n.a.'", """'data.na_values=["", "NA", "?", "n.a."]'""", "data.categorical=[a]")),
        ("1,x\nTotal,y\n", {}, ("1 of 2", "'Total'", "'data.na_values=[\"\", \"Total\"]'")),
        ("".join(f"{n}.5%,x\n" for n in range(40)), {}, ("'0.5%'", "data.drop=[a]")),
        ("5%,x\n7.5%,y\n", {}, ("'5%'", "without '%'", "data.drop=[a]")),
        ("$5,x\n$7,y\n", {}, ("'$5'", "without '$'", "data.drop=[a]")),
        ("5 kg,x\n7 kg,y\n", {}, ("'5 kg'", "without 'kg'", "data.drop=[a]")),
        ("8:30,x\n9:30,y\n", {}, ("'8:30'", "data.categorical=[a]")),
        ("A1,x\nA2,y\n", {}, ("'A1'", "data.categorical=[a]")),
        ("".join(f"word {chr(65 + n)},x\n" for n in range(40)), {}, ("row 0", "data.drop=[a]")),
    ],
)  # fmt: skip
def test_texts_among_numbers_are_all_told_with_what_to_do_about_their_kind(rows, keys, message):
    with open("t.csv", "w") as file:
        file.write("a,label\n" + rows)
    with raises("data-cannot-be-read", *message):
        load_rows(_node(**keys))


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("?,-,x", "data.na_values"),  # a gap, as it is written elsewhere
        ("old,7,x", "data.na_values"),  # it holds a number
        (",,x", ""),  # nothing
    ],
)
def test_a_first_row_with_gaps_is_no_line_of_units(first, words):
    with open("t.csv", "w") as file:
        file.write(f"a,b,label\n{first}\n1,2,x\n2,3,y\n")
    if not words:
        assert np.isnan(load_rows(_node(impute="mean")).data.x[0]).all()
        return
    with raises("data-cannot-be-read", words, "row 0"):
        load_rows(_node())


def test_the_remedy_for_texts_that_mean_missing_keeps_those_that_did_before():
    with open("t.csv", "w") as file:
        file.write("a,label\n1,x\n?,y\nNA,x\n,y\n2,x\n")
    rows = load_rows(_node(na_values=["", "NA", "?"], impute="mean"))
    assert np.isnan(rows.data.x[:, 0]).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("first", "remedy"),
    [
        (b"\x1f\x8b\x08\x00\xff", ".csv.gz"),
        (b"PK\x03\x04\xff", ".zip"),
        (b"PAR1\xff", ".parquet"),
        (b"a,l\xe4bel\n", "data.encoding=latin-1"),
    ],
)
def test_a_file_that_is_no_text_is_known_by_its_first_bytes(first, remedy):
    with open("t.csv", "wb") as file:
        file.write(first)
    with raises("data-cannot-be-read", "t.csv", remedy):
        load_rows(_node())


@pytest.mark.parametrize("ending", [".tsv", ".txt", ".data", ".tsv.gz", ".CSV", ".TSV.GZ"])
def test_a_table_may_have_other_endings_of_text(ending):
    frame = pd.DataFrame({"a": [1.0, 2.0], "label": ["x", "y"]})
    frame.to_csv(f"t{ending}", index=False, sep="\t")
    rows = load_rows(_node(f"t{ending}", separator=r"\t"))
    assert (rows.data.x.ravel().tolist(), rows.classes) == ([1.0, 2.0], ("x", "y"))


def test_classes_that_differ_by_capital_letters_and_a_row_in_place_of_names_are_told():
    with open("t.csv", "w") as file:
        file.write("-0.5,3843.17,label\n1,2,Yes\n2,3,yes\n3,4,no\n")
    first, second = load_rows(_node()).data.notes
    assert first == "t.csv: the first line, -0.5, 3843.17, label …, is taken for the columns' names"
    assert second == "t.csv: column 'label': 'Yes' and 'yes' are taken for two names"
    with open("t.csv", "w") as file:
        file.write("q1,2024,label\n1,2,yes\n2,3,no\n")
    assert load_rows(_node()).data.notes == ()


@pytest.mark.parametrize("made", [pd.to_datetime, pd.to_timedelta])
def test_dates_and_times_of_a_parquet_are_no_numbers(made):
    table = pd.DataFrame({"a": range(6), "when": made(range(6), unit="D"), "label": [0, 1] * 3})
    table.to_parquet("t.parquet")
    with raises("data-cannot-be-read", "when", "data.drop=[when]", "in row 0"):
        load_rows(_node("t.parquet"))
    assert load_rows(_node("t.parquet", drop=["when"])).data.names == ("a",)


def test_a_target_of_texts_is_no_regression():
    with open("t.csv", "w") as file:
        file.write("a,label\n1,x\n2,1.5e\n")
    with raises("targets-have-wrong-shape", "y", "'x'", "2"):
        load_rows(_node(task="regression"))


def test_a_text_of_many_letters_is_shown_in_part():
    with open("t.csv", "w") as file:
        file.write("a,label\n" + "x" * 10_000 + ",p\ny,q\n")
    with raises("data-cannot-be-read", "'a'") as told:
        load_rows(_node())
    assert len(str(told.value)) < 500


def _noted(name: str, values: list[str]) -> tuple[str, ...]:
    with open("t.csv", "w") as file:
        rows = (f"{value},{0.5 * n},{'pq'[n % 2]}" for n, value in enumerate(values))
        file.write(f"{name},b,label\n" + "\n".join(rows) + "\n")
    return load_rows(_node(impute="mean")).data.notes


def test_numbers_that_may_be_row_numbers_marks_or_thousands_are_noted():
    (rows,) = _noted("index", [str(n) for n in range(1, 21)])
    assert "column 'index' numbers the rows" in rows
    assert "'data.drop=[index]'" in rows
    (mark,) = _noted("a", ["-999", "3.5", "", "-999.0", "7"])
    assert "column 'a': 2 of 5 rows hold -999" in mark
    assert """'data.na_values=["","-999"]'""" in mark
    (thousands,) = _noted("price", ["950", "1.200", "", "12.345", "80"])
    assert "column 'price': '1.200' is read with a decimal point" in thousands


@pytest.mark.parametrize(
    "values",
    [
        [str(n) for n in range(5)],  # few rows may be in order by chance
        [str(n) for n in (*range(10), 11)],
        ["-999", "3.5", "7"],  # one such number may be a measurement
        ["-999", "-999", "-870", "-999", "-1020"],
        ["950", "1.2", "12.345"],  # decimal places as a program writes them
        ["950", "1.205", "12.345"],
        ["950.000", "1.200", "12.345"],
        ["0.950", "1.200", "123"],
        ["-1.200", "950"],
    ],
)
def test_numbers_that_are_what_they_say_are_not_noted(values):
    assert _noted("a", values) == ()
