"""Which texts stand in a column of numbers, and what to do about them."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from trainers.data import broken
from trainers.data.table_file import Format

THOUSANDS = re.compile(r"[+-]?\d{1,3}([ .,'_]\d{3})+([.,]\d*)?")
COMMA = re.compile(r"[+-]?\d*,\d+")
SHOWN = 6  # texts that a message shows
CATEGORIES = 20  # a column of more texts than these, most of them its own, holds no categories


def check_numeric(
    column: "pd.Series[Any]", path: Path, form: Format, *, texts: Sequence[str]
) -> None:
    """Raises DataError for a column of texts. `texts`: all such columns, for the remedy."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return
    bad = column[(pd.to_numeric(column, errors="coerce").isna() & column.notna()).to_numpy()]
    if column.dtype == object and bad.empty:
        return  # decimal numbers of a .parquet, or whole ones beyond 64 bits
    row = int(column.index.get_indexer(bad.index[:1])[0])
    got = f"{bad.iloc[0]!r} in row {row}"
    distinct = list(map(str, bad.unique()))
    if len(bad) < column.notna().sum():
        more = f", and {len(distinct) - SHOWN} other texts" if len(distinct) > SHOWN else ""
        shown = ", ".join(map(repr, distinct[:SHOWN]))
        got += f"; texts in {len(bad)} of {len(column)} rows: {shown}{more}"
    raise broken(
        f"{path}: column {column.name!r}",
        rule="a column is numeric unless data.categorical names it",
        got=got,
        remedy=_remedy(column, distinct, path, form, texts),
    )


def _word(key: str, names: Sequence[str]) -> str:
    """The word of a command that gives a key of the data these columns, for a shell."""
    quoted = (
        name if name.isidentifier() else json.dumps(name, ensure_ascii=False) for name in names
    )
    return shlex.quote(f"data.{key}=[{','.join(quoted)}]")


def _remedy(
    column: "pd.Series[Any]",
    distinct: Sequence[str],
    path: Path,
    form: Format,
    texts: Sequence[str],
) -> str:
    """What to say for a column in which these texts are no numbers."""
    text, name = distinct[0], str(column.name)
    if THOUSANDS.fullmatch(text):
        return "take out what parts its thousands, or name the decimal mark (data.decimal)"
    if form.decimal == "." and COMMA.fullmatch(text):
        return "say data.decimal=',' if that is its decimal mark"
    if name in texts:
        if len(distinct) > max(CATEGORIES, column.notna().sum() / 2):
            has_digits = all(any(map(str.isdigit, text)) for text in distinct)
            mend = "write it as numbers, without units, or " if has_digits else ""
            return f"{mend}say {_word('drop', [name])}; so many texts are no categories"
        return f"say {_word('categorical', texts)} or {_word('drop', texts)}"
    missing = _missing(column, path, form)
    words = f"'data.na_values={json.dumps([*missing, *distinct], ensure_ascii=False)}'"
    if len(distinct) > SHOWN:
        words = "data.na_values=[…]"
    return (
        f"say {words} if such texts mean a missing value, {_word('categorical', [name])} if the "
        "numbers are names too, or mend the rows"
    )


def _missing(column: "pd.Series[Any]", path: Path, form: Format) -> list[str]:
    """The texts that already count as missing in this column; the empty one first."""
    if form.na_values is not None:
        return list(form.na_values)
    if path.suffix == ".parquet":
        return [""]
    written = form.columns(path, [str(column.name)]).iloc[:, 0].to_numpy()
    return ["", *sorted(set(map(str, written[column.isna().to_numpy()])) - {""})]


def names_in_two_cases(column: "pd.Series[Any]", path: str) -> tuple[str, ...]:
    """What is to be said of classes or categories that differ by capital letters only."""
    first: dict[str, str] = {}
    for text in (text for text in column.dropna().unique() if isinstance(text, str)):
        other = first.setdefault(text.casefold(), text)
        if other != text:
            return (
                f"{path}: column {column.name!r}: {other!r} and {text!r} are taken for two names",
            )
    return ()
