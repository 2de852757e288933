"""The file of a table, .csv or .parquet: read by pandas, with named columns and rows."""

import bz2
import codecs
import csv
import gzip
import lzma
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from trainers.data import broken
from trainers.data.files import check_is_file

OPENED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
MARKS = {  # first bytes of files that are no text, and the remedy
    b"\x1f\x8b": "it is compressed: give its name the ending .csv.gz",
    b"PK\x03\x04": "it is a .zip or an Excel file: save the table as .csv",
    b"PAR1": "it is a .parquet file: give its name that ending",
}
PACKED = tuple(OPENED)  # endings of a compressed .csv
TEXTS = (".csv", ".tsv", ".txt", ".data")  # endings of a table that is text
IS_UNIT = re.compile(r"[^\W\d]|[%°]")  # what a line of units or names has, and `-` or `?` has not
HEAD = 20  # rows that say quickly that a column holds texts
SEPARATORS = {";": ";", "\t": "\\t", "|": "|", ",": ","}  # what a wrong one leaves in the header


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a .csv is written; `na_values`: texts that mean a missing value, None for pandas' own."""

    separator: str
    decimal: str
    encoding: str
    na_values: Sequence[str] | None

    @property
    def mark(self) -> str:
        """The separator; a shell passes a tab on as two letters."""
        return "\t" if self.separator == r"\t" else self.separator

    def read(self, path: Path, **options: Any) -> pd.DataFrame:
        """The file by pandas; `options` win over the format's."""
        settings = {
            "sep": self.mark,
            "decimal": self.decimal,
            "encoding": self.encoding,
            "na_values": None if self.na_values is None else list(self.na_values),
            "keep_default_na": self.na_values is None,
            "low_memory": False,  # a column has one type from its first row to its last
            "index_col": False,  # else one field too many shifts all columns by one
        }
        with warnings.catch_warnings():  # fields without a column are an error, not a warning
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(path, **{**settings, **options})
        return frame

    def columns(self, path: Path, names: Collection[str]) -> pd.DataFrame:
        """Columns as they are written, as texts; their names without blanks at the ends."""
        if not names:
            return pd.DataFrame()
        wanted = set(names)
        frame = self.read(
            path,
            dtype=str,
            usecols=lambda name: name.strip() in wanted,
            index_col=None,
            keep_default_na=False,
            na_values=[],
        )
        return frame.rename(columns=str.strip)[list(names)]


def read_table(path: Path, form: Format) -> pd.DataFrame:
    """The table of a file, its columns named.

    Raises:
        DataError: a file that is no such table.
    """
    if _ending(path) not in (*TEXTS, ".parquet"):
        raise broken(
            "data.path",
            rule=f"a table is a .parquet file, or text ({', '.join(TEXTS)})",
            got=str(path),
            remedy="save it as one of them",
        )
    check_is_file(path)
    if len(form.mark) != 1 and form.mark != r"\s+":
        raise broken(
            "data.separator",
            rule=r"is one character, or \s+ for blanks, or \t for a tab",
            got=repr(form.separator),
            remedy="write the table with such a one"
            if form.mark
            else "quote it in a shell: 'data.separator=;'",
        )
    header, frame = _read(path, form)
    if is_text(path):
        _check_fields(frame, path, form)
        _check_second_line(frame, path, form)
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    _check_header(header or list(frame.columns), frame, path, form)
    return frame


def _read(path: Path, form: Format) -> tuple[list[str], pd.DataFrame]:
    """The names in a text's first line, none of a parquet, and the rows.

    Raises:
        DataError: a file that cannot be read.
    """
    try:
        header = _header(path, form) if is_text(path) else []
        return header, form.read(path) if is_text(path) else pd.read_parquet(path)
    except UnicodeError as error:
        raise broken(
            str(path),
            rule=f"must be text in {form.encoding}",
            got=str(error),
            remedy=_other_bytes(path),
        ) from error
    except pd.errors.ParserWarning as error:
        raise broken(
            str(path),
            rule="the first line names every column",
            got=f"{', '.join(header)}, and rows with more fields",
            remedy=_other_separator(header)
            or _row_names(header, path, form)
            or "name the others, and drop lines above the names",
        ) from error
    except Exception as error:  # each reader has a tree of errors of its own
        raise broken(
            str(path),
            rule=f"must be a readable {_ending(path)} table",
            got=str(error).strip(),
            remedy="mend the file, or its data.separator and data.encoding",
        ) from error


def is_text(path: Path) -> bool:
    """Whether the name of a table says that it is text, packed or not."""
    return _ending(path) in TEXTS


def _ending(path: Path) -> str:
    """What a file's name ends with, as `.csv`; behind it a text may have that of a packed file."""
    last = path.suffix.lower()
    before = path.with_suffix("").suffix.lower()
    return before if last in PACKED and before in TEXTS else last


def _other_bytes(path: Path) -> str:
    """The remedy for a file that is no text in its encoding: its first bytes say what it is."""
    with OPENED.get(path.suffix.lower(), open)(path, "rb") as file:
        first = file.read(4)
    for mark, what in MARKS.items():
        if first.startswith(mark):
            return what
    utf_16 = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return f"say data.encoding={'utf-16' if utf_16 else 'latin-1'}, or whatever it is"


def _other_separator(header: Sequence[str]) -> str:
    """The remedy where a header holds another separator, or names one as Excel does; else empty."""
    if header[0].startswith("sep="):
        mark = header[0][4:] or ";"
        return f"drop the first line, and say data.separator='{SEPARATORS.get(mark, mark)}'"
    marks = [mark for mark in SEPARATORS if mark in header[0]] if len(header) == 1 else []
    return f"say data.separator='{SEPARATORS[marks[0]]}'" if marks else ""


def _row_names(header: Sequence[str], path: Path, form: Format) -> str:
    """The remedy where each row begins with a field more than there are names, as R writes the
    names of rows; else empty.
    """
    with suppress(Exception):  # of the parser: the rows differ
        rows = form.read(path, header=None, skiprows=1, nrows=100, dtype=str, na_values=[])
        if rows.shape[1] == len(header) + 1 > 2 and rows[0].is_unique:
            first = ("," if form.mark == "," else " ").join(["row", *header[:2]])
            return (
                "where the first field is a row's name, as R writes it, put a name for it before "
                f"the others ({first} …) and say data.drop=[row]"
            )
    return ""


def _blanks(header: Sequence[str], frame: pd.DataFrame) -> str:
    """The remedy where blanks part names and fields; else empty."""
    if len(header) > 1 or not len(frame):
        return ""
    names, fields = (len(str(text).split()) for text in (header[0], frame.iloc[0, 0]))
    return r"say 'data.separator=\s+'" if 1 < names <= fields <= names + 1 else ""


def _header(path: Path, form: Format) -> list[str]:
    first = form.read(path, header=None, nrows=1, dtype=str, keep_default_na=False, na_values=[])
    return [str(name).strip() for name in first.iloc[0]]


def _check_fields(frame: pd.DataFrame, path: Path, form: Format) -> None:
    """Every row has all fields. One that ends early, as that of a file cut off, has no last one."""
    if len(form.mark) > 1 or not len(frame) or not frame.iloc[:, -1].isna().any():
        return
    opened = OPENED.get(path.suffix.lower(), open)
    with suppress(csv.Error), opened(path, "rt", encoding=form.encoding, newline="") as file:
        for row in (reader := csv.reader(file, delimiter=form.mark)):
            if row and any(map(str.strip, row)) and len(row) < frame.shape[1]:
                raise broken(
                    f"{path}:{reader.line_num}",
                    rule=f"a row has the {frame.shape[1]} fields of the first line",
                    got=str(len(row)),
                    remedy="complete the row or drop it",
                )


def _check_second_line(frame: pd.DataFrame, path: Path, form: Format) -> None:
    """No line of units, types or names stands below the names: it would be read as a row.

    Such a line has a text, or nothing, in every column that holds numbers otherwise.
    """
    if len(frame) <= 2 or all(map(pd.api.types.is_numeric_dtype, frame.dtypes)):
        return
    texts, numeric = [], 0
    for _, column in frame.items():
        first, below = column.iloc[0], column.iloc[1:]
        if not pd.api.types.is_numeric_dtype(column):
            if not (_are_numbers(below.iloc[:HEAD], form) and _are_numbers(below, form)):
                continue  # of texts altogether
            texts += [str(first)] * bool(pd.notna(first))
        numeric += 1
        if pd.notna(pd.to_numeric(str(first).replace(form.decimal, "."), errors="coerce")):
            return
    if numeric > 1 and any(IS_UNIT.search(text) for text in texts):
        shown = ", ".join(f"{text!r:.40}" for text in texts[:3])
        raise broken(
            f"{path}:2",
            rule="below the names a table has its rows",
            got=f"{shown} above columns of numbers",
            remedy="drop that line if it holds units or types, or the line above it if the names "
            "stand in this one; a row with gaps leaves their fields empty",
        )


def _are_numbers(column: "pd.Series[Any]", form: Format) -> bool:
    """Whether all that a column of texts holds are numbers, and it holds some."""
    written = column.dropna().astype(str).str.replace(form.decimal, ".", regex=False)
    return len(written) > 0 and bool(pd.to_numeric(written, errors="coerce").notna().all())


def _check_header(header: Sequence[str], frame: pd.DataFrame, path: Path, form: Format) -> None:
    """A table has named columns, each once, and rows."""
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:  # pandas has renamed the second one
        raise broken(
            str(path),
            rule="a column's name stands once",
            got=f"{twice[0]!r} twice",
            remedy="rename one of them",
        )
    if header and all(len(name) > 1 and name[0] == name[-1] == "'" for name in header):
        raise broken(
            str(path),
            rule='names and texts stand in " or in nothing',
            got=header[0],
            remedy="take out the quotes '",
        )
    if other := _other_separator(header) or _blanks(header, frame):
        raise broken(
            str(path),
            rule=f"columns are separated by {form.separator!r} (data.separator)",
            got=f"one column {header[0]!r}",
            remedy=other,
        )
    if frame.empty:
        raise broken(
            str(path), rule="a table has rows", got="none", remedy="give the file that has them"
        )
