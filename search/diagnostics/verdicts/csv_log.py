"""Anyone's curves, from a CSV file: a row per epoch, with the losses of train and validation, and a
metric where there is one.

Names of columns and gaps are taken as the usual loggers write them. Never guesses a number.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.from_columns import EXTRA, curves_of
from search.errors import UsageError, broken_rule

TRAIN = (
    "train_loss",
    "training_loss",
    "loss",
    "loss_train",
    "train_loss_epoch",
    "train_loss_step",
    "trn_loss",
    "avg_train_loss",
)
VAL = (
    "val_loss",
    "valid_loss",
    "validation_loss",
    "loss_val",
    "eval_loss",
    "dev_loss",
    "val_loss_epoch",
    "test_loss",
)
EPOCH, TRIAL = ("epoch", "epochs", ""), ("trial", "run", "fold")  # a frame's index has no name
SHARES = (
    "accuracy",
    "acc",
    "balanced_accuracy",
    "f1",
    "precision",
    "recall",
    "roc_auc",
    "auc",
    "r2",
)
LOWER = (
    "error",
    "error_rate",
    "mse",
    "mae",
    "rmse",
    "brier",
    "log_loss",
    "perplexity",
    "ppl",
    "wer",
    "cer",
    "mape",
)
METRICS = ("metric", *SHARES, *LOWER)
OF_VAL = ("val_", "valid_", "validation_", "eval_")
DELIMITERS = ",;\t|"
GAPS = ("", "na", "n/a", "-", "none", "null", "no log")  # in a cell: nothing was measured
Line = tuple[int, dict[str, str]]
Cells = dict[str, float | None]


def read_csv(path: Path, *, classes: int) -> dict[str, Curves]:
    """Trainings by name: one, named by the file, or those of a column `trial`. `classes`: of a
    classification, else 0.

    Raises:
        UsageError: no such file, columns missing, text among numbers, epochs that repeat or do not
            rise.
    """
    header, lines = _lines(path)
    layout = _layout(path, header)
    runs: dict[str, list[Line]] = {}
    for line in lines:
        runs.setdefault(line[1].get(layout.trial, "") if layout.trial else path.stem, []).append(
            line
        )
    if len(runs) == len(lines) > 2:  # a column that counts the rows names nothing
        runs = {path.stem: lines}
    return {
        name: _training(path, name if layout.trial else "", own, layout=layout, classes=classes)
        for name, own in runs.items()
    }


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which column is what; `metric` and `trial` are empty where there is none."""

    epoch: str
    train: str
    val: str
    metric: str
    trial: str
    extra: tuple[str, ...]
    steps: bool


def _layout(path: Path, header: Sequence[str]) -> Layout:
    epoch, train, val = (_column(path, header, names) for names in (EPOCH, TRAIN, VAL))
    metrics = [before + name for before in OF_VAL for name in METRICS]
    own = (
        METRICS if train != "loss" else ("metric",)
    )  # beside a plain `loss`, a plain `accuracy` is train's
    metric = next((name for name in (*metrics, *own) if name in header), "")
    trial = next((name for name in TRIAL if name in header), "")
    extra = tuple(name for name in ("train_eval_loss", *EXTRA) if name in header)
    return Layout(
        epoch=epoch,
        train=train,
        val=val,
        metric=metric,
        trial=trial,
        extra=extra,
        steps="step" in header,
    )


def _training(
    path: Path, name: str, lines: Sequence[Line], *, layout: Layout, classes: int
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
    known = columns["epoch"][0] == 0 and classes > 1 and first > 0.8 * math.log(classes)
    told = curves_of(
        columns,
        metric="metric",
        sign=-1.0 if plain in LOWER else 1.0,
        classes=classes,
        untrained=bool(known),
    )
    assert told is not None  # every row has both
    return told


def _lines(path: Path) -> tuple[list[str], list[Line]]:
    """Names of the columns as one writes them here, and every line with its number."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            broken_rule(
                str(path), rule="must be text in UTF-8", got=str(error), remedy="save it so"
            )
        ) from error
    except OSError as error:
        raise UsageError(
            broken_rule(
                str(path), rule="must be a CSV file", got=f"{error}", remedy="give the file's path"
            )
        ) from error
    first = next(
        (line for line in text.splitlines() if line.strip() and not line.startswith("#")), ""
    )
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(
        io.StringIO(text), delimiter=delimiter if delimiter in first else " ", skipinitialspace=True
    )
    try:
        rows = [
            (reader.line_num, row)
            for row in reader
            if any(map(str.strip, row)) and not row[0].startswith("#")
        ]
    except csv.Error as error:
        where = f"{path}: line {reader.line_num}"
        raise UsageError(
            broken_rule(
                where, rule="must be a line of a CSV file", got=str(error), remedy="mend it"
            )
        ) from error
    if len(rows) < 2:
        remedy = "write both"
        raise UsageError(
            broken_rule(
                str(path),
                rule="needs a header and a row per epoch",
                got=f"{len(rows)} lines",
                remedy=remedy,
            )
        )
    header = rows[0][1]
    names = [
        "_".join(name.strip().lower().replace("/", " ").replace("-", " ").replace(".", " ").split())
        for name in header
    ]
    names = ["lr" if name == "learning_rate" else name for name in names]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            broken_rule(
                str(path),
                rule="a column has one name",
                got=f"{twice} twice",
                remedy="rename one of them",
            )
        )
    return names, [
        (number, dict(zip(names, row, strict=False))) for number, row in rows[1:] if row != header
    ]


def _column(path: Path, header: Sequence[str], names: Sequence[str]) -> str:
    found = next((name for name in names if name in header), None)
    if found is None:
        rule = f"needs a column {names[0]} (or {', '.join(filter(None, names[1:]))})"
        remedy = "rename the one that holds it, or write it"
        raise UsageError(
            broken_rule(str(path), rule=rule, got=", ".join(filter(None, header)), remedy=remedy)
        )
    return found


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
