"""Anyone's curves, from a CSV file: a row per epoch, with the losses of train and validation, and a
metric where there is one.

Names of columns and gaps are taken as the usual loggers write them. Never guesses a number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.from_columns import curves_of
from search.diagnostics.verdicts.log_columns import LOWER, OF_VAL, SHARES, Layout, layout_of
from search.diagnostics.verdicts.log_lines import Line, lines_of
from search.errors import UsageError, broken_rule

GAPS = ("", "na", "n/a", "-", "none", "null", "no log")  # in a cell: nothing was measured
Cells = dict[str, float | None]


def read_csv(path: Path, *, classes: int = 0, constant: float | None = None) -> dict[str, Curves]:
    """Trainings by name: one, named by the file, or those of a column `trial`.

    Args:
        path: of the file.
        classes: of a classification, else 0.
        constant: the loss of a constant prediction, where it is known.

    Raises:
        UsageError: no such file, columns missing, text among numbers, epochs that repeat or do not
            rise.
    """
    header, lines = lines_of(path)
    layout = layout_of(path, header)
    runs: dict[str, list[Line]] = {}
    for line in lines:
        runs.setdefault(line[1].get(layout.trial, "") if layout.trial else path.stem, []).append(
            line
        )
    if len(runs) == len(lines) > 2:  # a column that counts the rows names nothing
        runs = {path.stem: lines}
    return {
        name: _training(
            path,
            name if layout.trial else "",
            own,
            layout=layout,
            classes=classes,
            constant=constant,
        )
        for name, own in runs.items()
    }


def _training(
    path: Path,
    name: str,
    lines: Sequence[Line],
    *,
    layout: Layout,
    classes: int,
    constant: float | None,
) -> Curves:
    rows = _whole(_rows(path, lines, layout=layout), layout=layout)
    if not rows:
        place = f"{path}: {name}" if name else str(path)
        rule = f"needs epochs with numbers in both {layout.train} and {layout.val}"
        raise UsageError(broken_rule(place, rule=rule, got="none", remedy="give both, by epoch"))
    names = {
        "epoch": layout.epoch,
        "train_loss": layout.train,
        "val_loss": layout.val,
        "metric": layout.metric,
    }
    names |= {name: name for name in layout.extra}
    columns = {
        name: _array([row.get(column) for row in rows]) for name, column in names.items() if column
    }
    plain = layout.metric.removeprefix(
        next((before for before in OF_VAL if layout.metric.startswith(before)), "")
    )
    if plain in SHARES and float(np.nanmax(columns["metric"], initial=0.0)) > 1.5:
        columns["metric"] = columns["metric"] / 100  # told in percent
    first = float(columns["train_loss"][0])
    chance = constant or (math.log(classes) if classes > 1 else math.inf)
    known = columns["epoch"][0] == 0 and first > 0.8 * chance
    told = curves_of(
        columns,
        metric="metric",
        sign=-1.0 if plain in LOWER else 1.0,
        classes=classes,
        constant=constant,
        untrained=bool(known),
    )
    assert told is not None  # every row has both
    return told


@dataclass(kw_only=True)
class Epoch:
    """What the rows of one epoch tell: `train` of several steps, where so many were logged."""

    cells: Cells
    train: list[float] = field(default_factory=list)


def _rows(path: Path, lines: Sequence[Line], *, layout: Layout) -> list[Epoch]:
    """By epoch; rows of one epoch that complete each other become one."""
    rows: list[Epoch] = []
    for number, cells in lines:
        at = _number(path, number, layout.epoch, cells)
        if at is None or not math.isfinite(at):
            raise UsageError(
                broken_rule(
                    f"{path}: line {number}",
                    rule="every row needs its epoch",
                    got="none",
                    remedy="give it",
                )
            )
        told: Cells = {
            name: _number(path, number, name, cells) for name in (layout.train, layout.val)
        }
        told |= {
            name: _or_gap(cells.get(name, "")) for name in (layout.metric, *layout.extra) if name
        }
        before = rows[-1].cells[layout.epoch] if rows else None
        if before is not None and at < before:
            remedy = "sort the rows; several trainings need their names in a column `trial`"
            raise UsageError(
                broken_rule(
                    f"{path}: line {number}",
                    rule="epochs must rise",
                    got=f"{at:g} after {before:g}",
                    remedy=remedy,
                )
            )
        if at != before:
            rows.append(Epoch(cells={layout.epoch: at}))
        _complete(path, number, rows[-1], told, layout=layout)
    return rows


def _complete(path: Path, number: int, row: Epoch, told: Cells, *, layout: Layout) -> None:
    """Some loggers write an epoch's losses into separate rows, or train's at every few steps."""
    for name, value in told.items():
        if value is None:
            continue
        strict = name == layout.val or (name == layout.train and not layout.steps)
        if strict and row.cells.get(name) is not None:
            remedy = "keep one row per epoch, or name the trainings in a column `trial`"
            got = f"another {name} for the epoch before"
            raise UsageError(
                broken_rule(
                    f"{path}: line {number}", rule="an epoch has one row", got=got, remedy=remedy
                )
            )
        row.cells[name] = value
        if name == layout.train:
            row.train.append(value)


def _whole(rows: Sequence[Epoch], *, layout: Layout) -> list[Cells]:
    """Epochs with both losses; one that tells validation's only has the mean of train's since the
    one before.
    """
    made: list[Cells] = []
    since: list[float] = []
    for row in rows:
        since += row.train
        if row.cells.get(layout.val) is None:
            continue
        if since:
            made.append({**row.cells, layout.train: sum(since) / len(since)})
        since = []
    return made


def _array(cells: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if cell is None else cell for cell in cells])


def _number(path: Path, number: int, name: str, cells: Mapping[str, str]) -> float | None:
    cell = (cells.get(name) or "").strip()
    if cell.lower() in GAPS:
        return None
    try:
        return float(cell)
    except ValueError:
        what = name or "the epoch, in the first column,"
        raise UsageError(
            broken_rule(
                f"{path}: line {number}",
                rule=f"{what} must be a number",
                got=repr(cell),
                remedy="mend or empty the cell",
            )
        ) from None


def _or_gap(cell: str) -> float | None:
    """A number that may be missing: nothing rests on it alone."""
    try:
        return float(cell.strip().removesuffix("%"))
    except ValueError:
        return None
