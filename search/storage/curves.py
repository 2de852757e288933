"""The learning curves: one record per trial, fold and epoch, appended while a search runs, readable after a kill (R16).

The last record per (trial, fold, epoch) wins: a trial resumed from its checkpoint repeats epochs. Never judges a curve.
"""

import errno
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

Recorder = dict[str, Any]
KEY = ("trial", "fold", "epoch")
FIRST = ("trial", "fold", "epoch", "step", "train_loss", "val_loss")
MEAN = -1  # in the column `fold`: the mean over a trial's folds
THEN = ("lr", "grad_norm", "update_ratio", "seconds")


class CurveLog:
    """The append-only file of a search: all records of this run, and those of trials that an earlier run left unfinished."""

    def __init__(self, log: Path, *, unfinished: Collection[int]) -> None:
        self._records: dict[int, dict[int, Recorder]] = {}
        records, whole = _read_log(log)
        for record in records:
            if record["trial"] in unfinished:
                self._keep(record)
        self._file = log.open("ab", buffering=0)
        self._file.truncate(whole)

    def append(self, record: Recorder) -> None:
        """Adds one record; it survives a kill at once. Raises OSError when the disk is full."""
        text = json.dumps(record).encode() + b"\n"
        if self._file.write(text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "curves.jsonl")
        self._keep(record)

    def records(self, trial: int) -> list[Recorder]:
        """What has been recorded of an unfinished trial, in this run or an earlier one, by epoch."""
        return [record for _, record in sorted(self._records.get(trial, {}).items())]

    def forget(self, trial: int) -> None:
        """The trial has ended: its records stay on disk only."""
        self._records.pop(trial, None)

    def _keep(self, record: Recorder) -> None:
        """A trial's standing follows the mean of its folds, whose record comes last of its epoch."""
        self._records.setdefault(int(record["trial"]), {})[int(record["epoch"])] = record

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_curves(
    log: Path, table: Path, *, metric: str, epochs: Mapping[int, int] | None = None
) -> pd.DataFrame:
    """All records, from the table and the log of a search still open. `epochs` cuts each trial's records at its last epoch."""
    frame = _read(log, table)
    if epochs is not None:
        frame = frame[frame.epoch <= frame.trial.map(epochs).fillna(0)]
    order = list(dict.fromkeys([*FIRST, metric, *THEN]))
    for column in order:
        if column not in frame:
            frame = frame.assign(**{column: None})
    frame = frame[[*order, *(column for column in frame.columns if column not in order)]]
    frame = frame.assign(step=frame["step"].astype("Int64"))
    frame = frame.drop(
        columns="source", errors="ignore"
    )  # of the trial's row; a resumed trial finds it in its records
    return frame.sort_values(["trial", "fold", "epoch"], ignore_index=True)


def followed(frame: pd.DataFrame) -> pd.DataFrame:
    """Of one trial's records those that its standing follows: the mean of its folds, where it has any."""
    main: pd.DataFrame = frame[frame.fold == frame.fold.min()]
    return main


def settle_curves(
    frame: pd.DataFrame, *, log: Path, table: Path, unfinished: Collection[int]
) -> None:
    """Writes the table, whole or not at all; the log keeps what unfinished trials need, since a table has one kind of hole."""
    fresh = table.with_name(f"{table.name}.new")
    frame.to_parquet(fresh, index=False)
    fresh.replace(table)
    rest = [record for record in _read_log(log)[0] if record["trial"] in unfinished]
    if rest:
        fresh = log.with_name(f"{log.name}.new")
        fresh.write_text("".join(json.dumps(record) + "\n" for record in rest))
        fresh.replace(log)
    else:
        log.unlink(missing_ok=True)


def _read(log: Path, table: Path) -> pd.DataFrame:
    """All records, the last of each epoch; the columns trial, fold, epoch are always there."""
    parts = [pd.DataFrame({name: pd.Series(dtype="int64") for name in KEY})]
    if table.exists():
        parts.append(pd.read_parquet(table))
    parts.append(pd.DataFrame(_read_log(log)[0]))
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True).drop_duplicates(
        [*KEY], keep="last", ignore_index=True
    )


def _read_log(log: Path) -> tuple[list[Recorder], int]:
    """The log's records, and how many bytes they take; a torn last line is none."""
    if not log.exists():
        return [], 0
    text = log.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], len(whole)
