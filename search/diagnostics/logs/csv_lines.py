"""The lines of a CSV file, whatever its delimiter, under the names of its columns."""

import csv
import io
import re
from collections import Counter
from itertools import takewhile, zip_longest
from pathlib import Path

from search.diagnostics.logs.commas import with_points
from search.diagnostics.logs.line import Line, is_told, number_in, plain_name, spelt_out
from search.diagnostics.logs.measures import is_loss
from search.diagnostics.logs.phases import PHASE, SHARED
from search.errors import refused

DELIMITERS = ",;\t|"
WALLS = str.maketrans("│┃║", "|||")  # between the columns of a table that is drawn with lines
# What a line below a table's names consists of, in Markdown or drawn.
RULER = set("-:=+ ─━═┄┈╌┌┬┐├┼┤└┴┘┏┳┓┣╋┫┗┻┛┡╇┩╞╪╡╔╦╗╠╬╣╚╩╝╭╮╰╯┢┪┠┨┯┷")
OF_RUN = " - "  # between a run's name and a column's
EXCEL = re.compile(r"\Asep=.\n")  # names the delimiter, which the next line shows
NAMED, VALUE = ("tag", "key", "metric", "name", "variable"), "value"  # of a table in long form
WORDS = re.compile(r"[^\s,;|]+")
LEAST = 3  # rows that make a table among other lines
SHOWN = 60  # letters of a line that is no header
TABLE = "must be a table with a header, JSON, or text whose lines name losses"
REMEDY = "write a row per epoch, or lines such as `epoch 3: train_loss=0.5 val_loss=0.6`"


def csv_lines(path: Path, text: str) -> tuple[list[str], list[Line], dict[str, str]]:
    """The columns' names, every line with its number, and how cells of columns whose commas may
    mean either were read.

    Raises:
        UsageError: no CSV, no row, or a column's name twice.
    """
    rows = _by_run(_rows(path, _table_in(text)))
    if len(rows) < 2:
        rule, got = "needs a header and a row per epoch", f"{len(rows)} lines"
        raise refused(
            str(path), code="csv-needs-header-and-rows", rule=rule, got=got, remedy="write both"
        )
    header = rows[0][1]
    numbers = sum(number_in(cell) is not None for cell in header)
    if 2 * numbers >= len(header):  # no names: the columns are numbered
        numbers, header = 0, [str(at + 1) for at in range(max(len(row) for _, row in rows))]
        rows = [(0, header), *rows]
    names = [plain_name(name) for name in header]
    names = [spelt_out(c) if names.count(n) > 1 else n for c, n in zip(header, names, strict=True)]
    # Text, with a line below a title.
    ruled = any(name and not set(name) - RULER for name in header)
    below = [(number, row) for number, row in rows[1:] if row != rows[0][1]]
    told = (row[: len(names)] for _, row in below)  # a line of text may have thousands of cells
    columns, unsure = with_points(list(zip_longest(*told, fillvalue="")))
    cells = zip(*columns, strict=True)
    lines = [
        (number, dict(zip(names, own[: len(row)], strict=False)))
        for (number, row), own in zip(below, cells, strict=True)
    ]
    counts = Counter(name for _, cells in lines for name in cells if is_told(cells, name))
    most = max(counts.values(), default=0)
    if ruled or numbers or 2 * most < len(lines):  # no column holds numbers
        got = f"no table below {' '.join(header)[:SHOWN]!r}"
        raise refused(str(path), code="file-holds-no-table", rule=TABLE, got=got, remedy=REMEDY)
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None and not ruled:
        rule, remedy = "a column has one name", "rename one of them"
        raise refused(
            str(path), code="csv-column-twice", rule=rule, got=f"{twice} twice", remedy=remedy
        )
    return *_spread(names, lines), {names[at]: text for at, text in unsure.items()}


def is_table(text: str) -> bool:
    """Whether every line has as many cells as the first one, which holds names, and a number."""
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        header = next(rows, [])
        return (
            len(header) > 1
            and not any(number_in(cell) is not None for cell in header)
            and all(
                len(row) == len(header) and any(number_in(cell) is not None for cell in row)
                for row in rows
                if row
            )
        )
    except csv.Error:
        return False


def _table_in(text: str) -> str:
    """The table that the first line naming a loss heads, where other lines stand around it, such as
    a model's summary; else the text.
    """
    lines = text.splitlines()
    for at, line in enumerate(lines):
        delimiter = max(DELIMITERS, key=line.count)
        names = line.split(delimiter)
        if len(names) > 1 and any(is_loss(plain_name(name)) for name in names):
            same = takewhile(lambda row: len(row.split(delimiter)) == len(names), lines[at:])  # noqa: B023
            table = "\n".join(same)
            whole = table.count("\n") >= LEAST and lines.count(line) == 1  # else one of many
            return table if at and whole and is_table(table) else text
    return text


def _aligned(path: Path, rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """The rows, without columns that are empty in all of them if there are as many too many.

    Raises:
        UsageError: a row has more cells than there are names: they may belong to others.
    """
    names, below = rows[0][1], rows[1:]
    named = any(is_loss(plain_name(name)) for name in names)
    if not named or all(len(row) <= len(names) for _, row in below):
        return rows
    empty = [not any(cells) for cells in zip_longest(*(row for _, row in below), fillvalue="")]
    if len(empty) - sum(empty) == len(names):
        held = [at for at, none in enumerate(empty) if not none]
        return [rows[0], *((n, [row[at] for at in held if at < len(row)]) for n, row in below)]
    for number, row in below:
        if any(row[len(names) :]):
            where, rule = f"{path}: line {number}", "a row has a cell for each name"
            got, remedy = f"{len(row)} cells below {len(names)} names", "write as many names"
            raise refused(where, code="csv-row-too-long", rule=rule, got=got, remedy=remedy)
    return rows


def _by_run(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """A Weights & Biases export writes RUN - NAME, RUN - NAME__MIN, RUN - NAME__MAX: of one run,
    its name is dropped; of several, each gets rows of its own and its name in a column.
    """
    header = rows[0][1] if rows else []
    ends = [name.removesuffix("__MIN") for name in header if name.endswith("__MIN")]
    runs = list(dict.fromkeys(name.rpartition(OF_RUN)[0] for name in ends if OF_RUN in name))
    if not runs:
        return rows
    own = [name for name in header if OF_RUN not in name]
    names = list(dict.fromkeys(name.rpartition(OF_RUN)[2] for name in ends))
    made = [(rows[0][0], [*own, "run", *names] if len(runs) > 1 else [*own, *names])]
    for run in runs:
        for number, row in rows[1:]:
            cells = dict(zip(header, row, strict=False))
            measured = [cells.get(f"{run}{OF_RUN}{name}", "") for name in names]
            if any(measured):
                shared = [cells.get(name, "") for name in own]
                made.append((number, [*shared, *([run] if len(runs) > 1 else []), *measured]))
    return made


def _spread(names: list[str], lines: list[Line]) -> tuple[list[str], list[Line]]:
    """A table in long form, whose cells name what they measure, with a column for each; others are
    left as they are.
    """
    by = next((name for name in NAMED if name in names and VALUE in names), None)
    if by is None or any(number_in(cells.get(by, "")) is not None for _, cells in lines):
        return names, lines
    keys = [name for name in names if name in (*SHARED, *PHASE)]
    made: dict[tuple[tuple[str, ...], int], Line] = {}
    told = Counter[tuple[tuple[str, ...], str]]()  # what is told again gets a row of its own
    for number, cells in lines:
        at, name = tuple(cells.get(key, "") for key in keys), plain_name(cells[by])
        times = told[at, name]
        _, row = made.setdefault((at, times), (number, dict(zip(keys, at, strict=True))))
        row[name] = cells[VALUE]
        told[at, name] += 1
    spread = list(made.values())
    return list(dict.fromkeys(name for _, row in spread for name in row)), spread


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """Every row that is not empty and no comment, with its number."""
    text = _uncommented(EXCEL.sub("", text.translate(WALLS)))
    first = next(
        (line for line in text.splitlines() if set(line) - RULER and not line.startswith("#")), ""
    )
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(
        io.StringIO(text), delimiter=delimiter if delimiter in first else " ", skipinitialspace=True
    )
    try:
        rows = [
            (reader.line_num, row)
            for row in reader
            if set().union(*row) - RULER and not row[0].startswith("#")
        ]
        if len(rows) > 2 and not text.endswith("\n") and len(rows[-1][1]) < len(rows[-2][1]):
            del rows[-1]  # torn, as of a training that still runs
        return _aligned(path, rows) if rows and delimiter in first else rows
    except csv.Error as error:
        where, rule = f"{path}: line {reader.line_num}", "must be a line of a CSV file"
        raise refused(
            where, code="csv-line-not-readable", rule=rule, got=str(error), remedy="mend it"
        ) from error


def _uncommented(text: str) -> str:
    """The text with the names of its columns in a line of their own, where a comment above the
    numbers holds as many words, as `numpy.savetxt` and others write it.
    """
    lines = text.splitlines()
    above = sum(1 for _ in takewhile(lambda line: line.startswith("#"), lines))
    first = WORDS.findall(lines[above]) if above < len(lines) else []
    for at in range(above):
        names = lines[at].lstrip("# ")
        if len(WORDS.findall(names)) == len(first) and all(number_in(w) is not None for w in first):
            return "\n".join((*lines[:at], names, *lines[at + 1 :]))
    return text
