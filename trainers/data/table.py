"""A table of one's own, .csv or .parquet: numeric columns as they are, categorical ones one-hot.

Numbers keep all their digits (float64) until the contract has scaled them.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trainers.data import DataSet, broken
from trainers.data.columns import (
    check_digits,
    check_names,
    check_once,
    check_texts,
    check_zeros,
    lengths_of,
    moments_of,
)
from trainers.data.looks import looks
from trainers.data.sequences import joined_steps, without_padding
from trainers.data.table_file import Format, is_text, read_table
from trainers.data.texts import check_numeric, names_in_two_cases

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")  # as the name of a column
PRESENT = {  # columns beside the target that have no gaps, and the rule
    "groups": "every row needs its group (data.groups)",
    "sequence": "every step belongs to a sequence",
}


def load(
    *,
    path: str,
    target: str | Sequence[str],
    auxiliary: Mapping[str, str] | None = None,
    categorical: Sequence[str] = (),
    drop: Sequence[str] = (),
    groups: str | None = None,
    time: str | None = None,
    sequence: str | None = None,
    length: str | None = None,
    target_length: str | None = None,
    separator: str = ",",
    decimal: str = ".",
    encoding: str = "utf-8",
    na_values: Sequence[str] | None = None,
) -> DataSet:
    """x [n, features]: numeric columns in the file's order, then one per category; gaps are NaN.

    `auxiliary`: further targets, and their tasks. `sequence`: column of ids; a row is one step.
    `length`: a row is a sequence, this column counts its real steps; `target_length`: its targets.

    Raises:
        DataError: no such table or column, text among numbers, no target, group or sequence.
    """
    file, texts = Path(path), _texts(na_values)
    form = Format(separator=separator, decimal=decimal, encoding=encoding, na_values=texts)
    frame = read_table(file, form)
    targets = _names("target", target, frame)
    category_names, dropped = _names("categorical", categorical, frame), _names("drop", drop, frame)
    further = _names("auxiliary", list(auxiliary or {}), frame)
    named = {"groups": groups, "time": time, "sequence": sequence}
    special = _special({**named, "length": length, "target_length": target_length}, frame)
    lengths, target_lengths = (
        lengths_of(frame[special[key]], path) if key in special else None
        for key in ("length", "target_length")
    )
    frame = without_padding(frame, targets, lengths if target_lengths is None else target_lengths)
    _check_labels(frame, [*targets, *further], category_names, special, file, form)
    features = frame.drop(columns=list({*targets, *further, *special.values(), *dropped}))
    numbers = _numbers(features, category_names, file, form)
    rows = DataSet(
        x=numbers.to_numpy(dtype=np.float64),
        y=np.asarray(frame[targets[0]] if len(targets) == 1 else frame[targets]),
        groups=np.asarray(frame[special["groups"]]) if groups is not None else None,
        time=moments_of(frame[special["time"]], path) if time is not None else None,
        names=tuple(numbers.columns),
        lengths=lengths,
        target_lengths=target_lengths,
        auxiliary={name: np.asarray(frame[name]) for name in further},
        notes=(
            *_notes(frame, features, [*targets, *further], category_names, path),
            *looks(numbers, list(map(str, features)), file, form),
        ),
    )
    if sequence is None:
        return rows
    return joined_steps(rows, np.asarray(frame[special["sequence"]]), where=path)


def _check_labels(
    frame: pd.DataFrame,
    targets: Sequence[str],
    categories: Sequence[str],
    special: Mapping[str, str],
    file: Path,
    form: Format,
) -> None:
    """Raises DataError for a gap in a target or in a column of `PRESENT`, or for texts or numbers
    that are no names of classes, categories or groups.
    """
    _check_present(frame, targets, file, form, rule="every row needs its target")
    names = [*targets, *(special[key] for key in special if key == "groups")]
    for name in names:
        check_texts(frame[name], str(file))
    if is_text(file):
        whole = {name for name in (*names, *categories) if frame[name].dtype.kind == "i"}
        check_zeros(form.columns(file, sorted(whole)), str(file))
    for key, rule in PRESENT.items():
        if key in special:
            _check_present(frame, [special[key]], file, form, rule=rule)


def _special(named: Mapping[str, str | None], frame: pd.DataFrame) -> dict[str, str]:
    """The columns that are no features, by what they are."""
    special = {
        key: _names(key, [column], frame)[0] for key, column in named.items() if column is not None
    }
    if {"sequence", "length"} <= set(special):
        raise broken(
            "data.length",
            rule="a row is a step (data.sequence) or a sequence (data.length)",
            got="both",
            remedy="drop one of them",
        )
    return special


def _notes(
    frame: pd.DataFrame,
    features: pd.DataFrame,
    targets: Sequence[str],
    categories: Sequence[str],
    path: str,
) -> tuple[str, ...]:
    """What whoever begins a search on the table should hear."""
    named = [*targets, *categories]
    cases = [note for name in named for note in names_in_two_cases(frame[name], path)]
    return (*_names_of_numbers(frame, path), *_gaps(features, categories, path), *cases)


def _names_of_numbers(frame: pd.DataFrame, path: str) -> tuple[str, ...]:
    """That the first line may be a row, where most of its names are numbers, or one has a point."""
    names = list(map(str, frame.columns))
    numbers = [name for name in names if NUMBER.fullmatch(name)]
    if 2 * len(numbers) <= len(names) and not any("." in name for name in numbers):
        return ()
    return (f"{path}: the first line, {', '.join(names[:3])} …, is taken for the columns' names",)


def _gaps(features: pd.DataFrame, categorical: Sequence[str], path: str) -> tuple[str, ...]:
    """What is to be said of rows without a category: all their columns of it are 0."""
    counts = {name: int(features[name].isna().sum()) for name in categorical if name in features}
    return tuple(
        f"{path}: column {name!r}: {count} of {len(features)} rows have no category, which is "
        "coded as none of them (0 in each of its columns)"
        for name, count in counts.items()
        if count
    )


def _numbers(
    features: pd.DataFrame, categorical: Sequence[str], file: Path, form: Format
) -> pd.DataFrame:
    """All features as float64 columns."""
    check_names([str(name) for name in features], str(file))
    coded_names = [name for name in categorical if name in features]
    for category in coded_names:
        check_texts(features[category], str(file))
    dates = features.select_dtypes(include=["datetime", "datetimetz", "timedelta"])
    features = features.assign(**dates.astype(str))  # or they would be microseconds
    numeric = [name for name in features if name not in categorical]
    texts = [str(name) for name in numeric if _holds_texts(features[name])]
    for name in numeric:
        check_numeric(features[name], file, form, texts=texts)
    whole = pd.DataFrame({name: pd.to_numeric(features[name]).astype(float) for name in numeric})
    for name in numeric:
        check_digits(features[name], whole[name], str(file))
    if coded_names:
        coded = pd.get_dummies(features[coded_names], columns=coded_names, dtype=float)
        whole = pd.concat([whole, coded], axis=1)
        check_once(list(whole.columns), str(file))
    if not len(whole.columns):
        raise broken(
            str(file),
            rule="a table needs features beside its target",
            got="none",
            remedy="drop fewer columns",
        )
    return whole


def _texts(na_values: Any) -> list[str] | None:
    if na_values is None:
        return None
    if isinstance(na_values, str | int | float) or any(value is None for value in na_values):
        raise broken(
            "data.na_values",
            rule="is a list of texts that mean a missing value",
            got=repr(na_values),
            remedy='say \'data.na_values=[""]\' or \'data.na_values=["","?"]\'',
        )
    return [str(value) for value in na_values]


def _names(key: str, names: Sequence[Any], frame: pd.DataFrame) -> list[str]:
    """Columns as a config names them; YAML turns a name such as 0 or true into no text.

    Raises:
        DataError: there is no such column.
    """
    columns = []
    if key == "target" and not names and isinstance(names, list | tuple):
        raise broken("data.target", rule="names a column", got="none", remedy="name one")
    for name in names if isinstance(names, list | tuple) else [names]:
        text = str(name).lower() if isinstance(name, bool) or name is None else str(name)
        text = "null" if name is None else text
        if text not in frame.columns:
            raise broken(
                f"data.{key}",
                rule="must name columns of the table",
                got="null, which YAML takes for no value" if name is None else text,
                remedy=_there_are(list(frame.columns)),
            )
        columns.append(text)
    return columns


def _there_are(names: Sequence[str]) -> str:
    """The columns; or that the first line is a row, where a number with a point is among them."""
    there = f"there are: {', '.join(names)}"
    if any(NUMBER.fullmatch(name) and "." in name for name in names):
        return f"{there}: write the columns' names as the first line, above the rows"
    return there


def _check_present(
    frame: pd.DataFrame, names: Sequence[str], path: Path, form: Format, *, rule: str
) -> None:
    """Every row has a value in each of these columns."""
    missing = frame[list(names)].isna().any(axis=1).to_numpy()
    if not missing.any():
        return
    row, got, remedy = int(missing.argmax()), "none", "drop such rows"
    if is_text(path):  # a class or a group may be called NA or None
        texts = form.columns(path, names).iloc[row].tolist()
        if any(texts):
            got = f"{', '.join(map(repr, texts))}, which counts as missing,"
            remedy = "drop such rows, or say 'data.na_values=[\"\"]' if it is a value"
    raise broken(str(path), rule=rule, got=f"{got} in row {row}", remedy=remedy)


def _holds_texts(column: "pd.Series[Any]") -> bool:
    """Whether it holds texts, of which none is a number."""
    is_numeric = pd.api.types.is_numeric_dtype(column)
    return not is_numeric and bool(pd.to_numeric(column, errors="coerce").isna().all())
