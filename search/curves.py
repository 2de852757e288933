"""The learning curves: one record per trial, fold and epoch, appended while a search runs, readable after a kill (R16).

The last record per (trial, fold, epoch) wins: a trial resumed from its checkpoint repeats epochs. Never judges a curve.
"""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

Record = dict[str, Any]
FIRST = ("trial", "fold", "epoch", "step", "train_loss", "val_loss")
THEN = ("lr", "grad_norm", "update_ratio", "seconds")


class CurveLog:
    """The append-only file of a running search, beside the table that an earlier run may have left."""

    def __init__(self, log: Path, table: Path) -> None:
        self._records: dict[int, dict[int, Record]] = {}
        for record in _read(log, table):
            self._keep(record)
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
    kept = _read(log, table)
    if epochs is not None:
        kept = [record for record in kept if record["epoch"] <= epochs.get(record["trial"], 0)]
    frame = pd.DataFrame(kept, columns=None if kept else [*FIRST, metric, *THEN])
    for column in (*FIRST, metric, *THEN):
        if column not in frame:
            frame[column] = None
    order = [*FIRST, metric, *THEN]
    frame = frame[[*order, *(column for column in frame.columns if column not in order)]]
    frame["step"] = frame["step"].astype("Int64")
    return frame.sort_values(["trial", "fold", "epoch"], ignore_index=True)


def write_curves(frame: pd.DataFrame, table: Path) -> None:
    """Writes the table whole or not at all."""
    fresh = table.with_name(f"{table.name}.new")
    frame.to_parquet(fresh, index=False)
    fresh.replace(table)


def _read(log: Path, table: Path) -> list[Record]:
    records: list[Record] = []
    if table.exists():
        records = [{str(key): value for key, value in row.items()} for row in pd.read_parquet(table).to_dict("records")]
    if log.exists():
        text = log.read_bytes()
        records += [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
    return list({(record["trial"], record["fold"], record["epoch"]): record for record in records}.values())
