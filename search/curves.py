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

Record = dict[str, Any]
KEY = ("trial", "fold", "epoch")
FIRST = ("trial", "fold", "epoch", "step", "train_loss", "val_loss")
THEN = ("lr", "grad_norm", "update_ratio", "seconds")


class CurveLog:
    """The append-only file of a running search, beside the table that an earlier run may have left."""

    def __init__(self, log: Path, table: Path, *, unfinished: Collection[int]) -> None:
        self._records: dict[int, dict[int, Record]] = {}
        frame = _read(log, table)
        for row in frame[frame.trial.isin(list(unfinished))].to_dict("records"):
            # A table has a hole where a trainer told nothing; a record has no such key.
            self._keep({str(key): value for key, value in row.items() if pd.notna(value)})
        self._file = log.open("ab", buffering=0)
        self._file.truncate(log.read_bytes().rfind(b"\n") + 1)

    def append(self, record: Record) -> None:
        """Adds one record; it survives a kill at once. Raises OSError when the disk is full."""
        text = json.dumps(record).encode() + b"\n"
        if self._file.write(text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "curves.jsonl")
        self._keep(record)

    def records(self, trial: int) -> list[Record]:
        """What has been recorded of an unfinished trial, in this run or an earlier one, by epoch."""
        return [record for _, record in sorted(self._records.get(trial, {}).items())]

    def forget(self, trial: int) -> None:
        """The trial has ended: its records stay on disk only."""
        self._records.pop(trial, None)

    def _keep(self, record: Record) -> None:
        self._records.setdefault(int(record["trial"]), {})[int(record["epoch"])] = record

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_curves(log: Path, table: Path, *, metric: str, epochs: Mapping[int, int] | None = None) -> pd.DataFrame:
    """All records, from the table and the log of a search still open. `epochs` cuts each trial's records at its last epoch."""
    frame = _read(log, table)
    if epochs is not None:
        frame = frame[frame.epoch <= frame.trial.map(epochs).fillna(0)]
    for column in (*FIRST, metric, *THEN):
        if column not in frame:
            frame = frame.assign(**{column: None})
    order = [*FIRST, metric, *THEN]
    frame = frame[[*order, *(column for column in frame.columns if column not in order)]]
    frame = frame.assign(step=frame["step"].astype("Int64"))
    return frame.sort_values(["trial", "fold", "epoch"], ignore_index=True)


def write_curves(frame: pd.DataFrame, table: Path) -> None:
    """Writes the table whole or not at all."""
    fresh = table.with_name(f"{table.name}.new")
    frame.to_parquet(fresh, index=False)
    fresh.replace(table)


def _read(log: Path, table: Path) -> pd.DataFrame:
    """All records, the last of each epoch; the columns trial, fold, epoch are always there."""
    parts = [pd.DataFrame({name: pd.Series(dtype="int64") for name in KEY})]
    if table.exists():
        parts.append(pd.read_parquet(table))
    if log.exists():
        text = log.read_bytes()
        records = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
        parts += [pd.DataFrame(records)] if records else []
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True).drop_duplicates([*KEY], keep="last", ignore_index=True)
