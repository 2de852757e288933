"""Lines of a log in JSON: an object per line, a list of objects, a trainer's state with its
`log_history`, or a history of lists by name, also by set and name, or with the steps of each.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search.diagnostics.logs.line import SETS, Line, plain_name
from search.errors import refused

INSIDE = ("log_history", "history")  # keys under which a state keeps its log
SUMMARY = "train_runtime"  # of transformers, in a record behind all epochs, with their mean loss
OF_SETS = re.compile(r"(?<=^valid)_[01]$")  # a number behind the name of a set


def json_lines(path: Path, text: str) -> tuple[list[str], list[Line]]:
    """The columns' names, and every record with its number; what is no number or word is left out.

    Raises:
        UsageError: no JSON, or no records in it.
    """
    try:
        records = _records(json.loads(text))
    except json.JSONDecodeError:
        records = _by_line(path, text)
    lines = [(number, _cells(record)) for number, record in enumerate(records, start=1)]
    lines = [line for line in lines if SUMMARY not in line[1]] or lines
    header = list(dict.fromkeys(name for _, cells in lines for name in cells))
    if not header:
        rule, remedy = "needs a record per epoch", "write one object per line"
        raise refused(str(path), code="json-needs-records", rule=rule, got="none", remedy=remedy)
    return header, lines


def _by_line(path: Path, text: str) -> list[Any]:
    """A record per line; the last may be torn, as of a training that still runs."""
    records: list[Any] = []
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if records and number == lines[-1][0]:
                break
            where, rule = f"{path}: line {number}", "must be a record in JSON"
            raise refused(
                where, code="json-line-not-readable", rule=rule, got=str(error), remedy="mend it"
            ) from error
    return records


def _records(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        return []
    inner = next(
        (content[key] for key in INSIDE if isinstance(content.get(key), dict | list)), None
    )
    if inner is not None:
        return _records(inner)
    if stepped := _stepped(content):
        return stepped
    series = dict(_series(content))
    if not series:
        return [content]
    tables = [rows for rows in series.values() if rows and isinstance(rows[0], Mapping)]
    if tables:
        return _beside(series) or max(tables, key=len)
    length = max(map(len, series.values()))
    return [
        {name: values[at] for name, values in series.items() if at < len(values)}
        for at in range(length)
    ]


def _beside(series: Mapping[str, list[Any]]) -> list[Any]:
    """The records of sets that have a list each, under the sets' names; empty of other lists."""
    of_sets = {name: rows for name, rows in series.items() if name in SETS}
    if len(of_sets) < 2 or len(set(map(len, of_sets.values()))) > 1:
        return []
    names = of_sets.keys()
    return [dict(zip(names, rows, strict=True)) for rows in zip(*of_sets.values(), strict=True)]


def _stepped(content: Mapping[str, Any]) -> list[Any]:
    """Records by step, where each name has a list of values and one of their steps, as in Sacred.

    Empty where the content is of another form.
    """
    records: dict[float, dict[str, Any]] = {}
    for name, series in content.items():
        held = series if isinstance(series, Mapping) else {}
        steps, values = held.get("steps"), held.get("values")
        if not isinstance(steps, list) or not isinstance(values, list):
            return []
        for step, value in zip(steps, values, strict=False):
            if isinstance(step, int | float):
                records.setdefault(step, {"step": step})[name] = value
    return [records[step] for step in sorted(records)]


def _series(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Lists by name; of nested objects, such as a set's own, names are joined."""
    for name, values in content.items():
        numbered = OF_SETS.sub("", str(name))  # as LightGBM names its first set of validation
        whole = f"{before}/{name}" if before else numbered
        if isinstance(values, Mapping):
            yield from _series(values, whole)
        elif isinstance(values, list):
            yield whole, values


def _cells(record: Any, before: str = "") -> dict[str, str]:
    """The cells of a record; names of nested objects are joined."""
    cells: dict[str, str] = {}
    for name, value in record.items() if isinstance(record, Mapping) else ():
        whole = f"{before}/{name}" if before else str(name)
        if isinstance(value, Mapping):
            cells |= _cells(value, whole)
        elif value is None or isinstance(value, str | int | float):
            cells[plain_name(whole)] = "" if value is None else str(value)
    return cells
