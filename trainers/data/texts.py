"""Which texts stand in a column of numbers, and what to do about them."""

import json
import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from trainers.data import broken
from trainers.data.table_file import Format, is_text

UNIT = re.compile(r"([$€£¥]?)\s*[+-]?\d[\d.,]*\s*([^\W\d][^\d]*|[%°$€£¥])?")  # around a number
THOUSANDS = re.compile(r"[+-]?\d{1,3}([ .,'_]\d{3})+([.,]\d*)?")
COMMA = re.compile(r"[+-]?\d*,\d+")
LONG = 80  # letters of a text that a message shows
SHOWN = 6  # texts that a message shows
CATEGORIES = 20  # a column of more texts than these, most of them its own, holds no categories


def check_numeric(
    column: "pd.Series[Any]", path: Path, form: Format, *, texts: Sequence[str]
) -> None:
    """Raises DataError for a column of texts. `texts`: all such columns, for the remedy."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return
    bad = column[(pd.to_numeric(column, errors="coerce").isna() & column.notna()).to_numpy()]
    if bad.empty and not any(isinstance(value, str) for value in column):
        return  # decimal numbers of a .parquet, or whole ones beyond 64 bits
    if bad.empty:
        raise _written_otherwise(column, path, form)
    row = int(column.index.get_indexer(bad.index[:1])[0])
    distinct = [f"{text:.{LONG}}" for text in map(str, bad.unique())]
    got = f"{distinct[0]!r} in row {row}"
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


def _written_otherwise(column: "pd.Series[Any]", path: Path, form: Format) -> Exception:
    """What is wrong with texts that would be numbers, were they written as the config says."""
    text = next(value for value in column if isinstance(value, str))
    remedy = f"write it as numbers, or say {word('categorical', [str(column.name)])}"
    if is_text(path) and form.decimal != ".":
        remedy = "leave data.decimal out, or, where its points part thousands, take them out"
    return broken(
        f"{path}: column {column.name!r}",
        rule="numbers are written as numbers, with the decimal mark of data.decimal",
        got=f"{text!r} as text",
        remedy=remedy,
    )


def word(key: str, names: Sequence[str]) -> str:
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
            return f"{mend}say {word('drop', [name])}; so many texts are no categories"
        if unit := _unit(distinct):
            return f"write it as numbers, without {unit!r}, or say {word('drop', [name])}"
        return f"say {word('categorical', texts)} or {word('drop', texts)}"
    missing = _missing(column, path, form)
    words = f"'data.na_values={json.dumps([*missing, *distinct], ensure_ascii=False)}'"
    if len(distinct) > SHOWN:
        words = "data.na_values=[…]"
    return (
        f"say {words} if such texts mean a missing value, {word('categorical', [name])} if the "
        "numbers are names too, or mend the rows"
    )


def _unit(distinct: Sequence[str]) -> str:
    """What stands around every number, such as % or €; empty where the texts are no such numbers.

    A sign of money may stand in front; any other text in front makes it a name, such as `type1`.
    """
    found = [UNIT.fullmatch(text.strip()) for text in distinct]
    units = {match and (match[1] or match[2] or "") for match in found}
    unit = units.pop() if len(units) == 1 else ""
    return unit or ""


def _missing(column: "pd.Series[Any]", path: Path, form: Format) -> list[str]:
    """The texts that already count as missing in this column; the empty one first."""
    if form.na_values is not None:
        return list(form.na_values)
    if not is_text(path):
        return [""]
    written = form.columns(path, [str(column.name)]).iloc[:, 0].to_numpy()
    return ["", *sorted(set(map(str, written[column.isna().to_numpy()])) - {""})]


def as_seen(text: str) -> str:
    """A text without what nobody sees: blanks at its ends, marks of no width, ways to write é."""
    kept = (c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c in "\t\n")
    return unicodedata.normalize("NFC", "".join(kept)).strip()


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
