"""Tables of losses among the lines of a text: drawn with lines, as CSV, or in columns of spaces."""

import re
from collections.abc import Sequence

from search.diagnostics.logs.csv_lines import DELIMITERS, LEAST, RULER, WALLS
from search.diagnostics.logs.line import GAPS, number_in, plain_name
from search.diagnostics.logs.measures import is_loss

# A column's name, whose words begin with letters: lines of text hold numbers, or marks like `:`.
NAME = re.compile(r"#?[a-z_][\w/()%@.#-]*(?: [a-z_(%/-][\w/()%@.#-]*)*", re.I)
NUMBER = re.compile(r"(?<![\w.])[-+.]?\d")
GAP = re.compile(r" {2,}|\t")  # between the columns of a table that is aligned with spaces
COMMA = ","
NEAR = 10  # lines below the names within which the first row stands


def tables_in(text: str) -> tuple[dict[str, str], str]:
    """The tables by their lines, as CSV behind empty lines for those before, and the text without
    them. A table whose header stands there again is one of many, and stays in the text.
    """
    lines = text.splitlines()
    tables: dict[str, str] = {}
    rest = list(lines)
    at = 0
    while at < len(lines):
        delimiter = _delimiter(lines[at])
        alone = bool(delimiter) and lines.count(lines[at]) == 1
        rows = _rows(lines, at, delimiter) if alone else []
        at += 1
        if len(rows) <= LEAST:
            continue
        first, last = rows[0], rows[-1]
        table = [""] * first
        for row in range(first, last + 1):
            cells = _cells(lines[row], delimiter) if row in rows else []
            table.append(COMMA.join(cell.replace(COMMA, "") for cell in cells))
            drawn = row in rows or not set(lines[row]) - RULER
            rest[row] = "" if drawn else lines[row]
        tables[f": table in lines {first + 1} to {last + 1}"] = "\n".join((*table, ""))
        at = last + 1
    return tables, "\n".join((*rest, "")) if tables else text


def _delimiter(line: str) -> str:
    """What stands between the names of columns, one of which is a loss; empty of another line."""
    if "loss" not in line.lower() or NUMBER.search(line):
        return ""
    delimiters: list[str] = [*DELIMITERS, "  "]
    for delimiter in delimiters:
        names = _cells(line, delimiter)
        named = len(names) > 1 and all(NAME.fullmatch(name) for name in names)
        if named and any(is_loss(plain_name(name)) for name in names):
            return delimiter
    return ""


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line, without the walls at its ends."""
    line = line.translate(WALLS).strip()
    cells = GAP.split(line) if delimiter == "  " else line.strip("|").split(delimiter)
    return [cell.strip() for cell in cells]


def _rows(lines: Sequence[str], first: int, delimiter: str) -> list[int]:
    """The header's line and those of the rows below it, up to the next header."""
    names = _cells(lines[first], delimiter)
    losses = [at for at, name in enumerate(names) if is_loss(plain_name(name))]
    rows = [first]
    for at in range(first + 1, len(lines)):
        cells = _cells(lines[at], delimiter)
        if cells == names or (len(rows) == 1 and at > first + NEAR):
            break
        told = [cells[loss] for loss in losses] if len(cells) == len(names) else []
        numbers = [cell for cell in told if number_in(cell) is not None]
        if numbers and all(cell in numbers or cell.lower() in GAPS for cell in told):
            rows.append(at)
    return rows
