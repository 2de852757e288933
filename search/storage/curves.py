"""The learning curves: one record per trial, fold and epoch (R16).

Records are appended while a search runs; after `flush` they survive a kill. The last record per
(trial, fold, epoch) counts, since a trial that is resumed from its checkpoint repeats epochs.
"""

import math
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from search.storage.files import LineFile, replacing
from search.storage.sealed import damaged, read_lines, seal_line, whole_lines
from search.storage.trials import EpochRecord

COLUMNS, NUMBERS = b"columns", b"numbers"  # keys of the table's metadata
KEY = ("trial", "fold", "epoch")
FIRST = ("trial", "fold", "epoch", "step", "train_loss", "val_loss")
SAME = 1e-6  # difference of two scores up to which they are one number
MEAN = -1  # in the column `fold`: the mean over a trial's folds
LAST = ("lr", "grad_norm", "update_ratio", "seconds")


class CurveLog(LineFile):
    """The append-only file: records of this run, and of trials that an earlier run did not finish.

    Raises:
        UsageError: the file is damaged.
    """

    def __init__(self, log: Path, *, unfinished: Collection[int]) -> None:
        self._records: dict[int, dict[int, EpochRecord]] = {}
        records, whole = _read_log(log)
        for record in records:
            if record["trial"] in unfinished:
                self._keep(record)
        super().__init__(log, size=whole)

    def append(self, record: EpochRecord) -> None:
        """Adds one record."""
        self.add(seal_line(record))
        self._keep(record)

    def records(self, trial: int) -> list[EpochRecord]:
        """The records of an unfinished trial, of this run and earlier ones, by epoch."""
        return [record for _, record in sorted(self._records.get(trial, {}).items())]

    def forget(self, trial: int) -> list[EpochRecord]:
        """The trial has ended: its records, which stay on disk only."""
        records = self.records(trial)
        self._records.pop(trial, None)
        return records

    def _keep(self, record: EpochRecord) -> None:
        """The last record of an epoch counts: with folds, their mean, which comes last."""
        self._records.setdefault(int(record["trial"]), {})[int(record["epoch"])] = record


def read_curves(
    log: Path, table: Path, *, metric: str, epochs: Mapping[int, int] | None = None
) -> pd.DataFrame:
    """All records, from the table and from the log of a search that still runs.

    Args:
        log: the append-only file, if there is one.
        table: the parquet file, if there is one.
        metric: name of the column that follows the losses.
        epochs: by trial, its last epoch; later records are dropped. None: all are kept.

    Raises:
        UsageError: one of the files is damaged.
    """
    frame = _read(log, table)
    if epochs is not None:
        frame = frame[frame.epoch <= frame.trial.map(epochs).fillna(0)]
    order = list(dict.fromkeys([*FIRST, metric, *LAST]))
    for column in order:
        if column not in frame:
            frame = frame.assign(**{column: None})
    frame = frame[[*order, *(column for column in frame.columns if column not in order)]]
    # Folds of unequal size take unequal numbers of steps, so their mean may be no whole number
    frame = frame.assign(step=pd.to_numeric(frame["step"]).round().astype("Int64"))
    # The source is a column of the trials' table; a resumed trial reads it from its records.
    frame = frame.drop(columns="source", errors="ignore")
    return frame.sort_values(["trial", "fold", "epoch"], ignore_index=True)


def without_curves(frame: pd.DataFrame, *, epochs: Mapping[int, int]) -> list[int]:
    """Trials that have trained so many `epochs` and have no record: their curves were deleted."""
    recorded = set(frame.trial)
    return [trial for trial, count in epochs.items() if count > 0 and trial not in recorded]


def check_scores(
    frame: pd.DataFrame, scores: Mapping[int, tuple[int, float]], *, metric: str, table: Path
) -> None:
    """Whether the curves are those of the trials, by the score of each trial's best epoch.

    Args:
        frame: as `read_curves` gives it.
        scores: by trial, its best epoch and the value there.

    Raises:
        UsageError: they are of other trainings.
    """
    main = frame.drop_duplicates(["trial", "epoch"])  # a mean over folds comes first
    noted = [(trial, epoch, value) for trial, (epoch, value) in scores.items()]
    both = pd.DataFrame(noted, columns=["trial", "epoch", "noted"]).merge(
        main, on=["trial", "epoch"]
    )
    drawn = pd.to_numeric(both[metric], errors="coerce")
    other = both[(drawn - both.noted).abs() > SAME * (1 + both.noted.abs())]
    if len(other):
        first = other.iloc[0]
        drawn_there = f"{metric} {first[metric]:.6g} at epoch {int(first.epoch)}"
        of = f"trial {int(first.trial)}: {drawn_there}, where its own was {first.noted:.6g}"
        raise damaged(table, got=f"curves of other trainings ({of})")


def followed(frame: pd.DataFrame) -> pd.DataFrame:
    """The records of one trial that decide: the mean of its folds, where it has folds."""
    main: pd.DataFrame = frame[frame.fold == frame.fold.min()]
    return main


def settle_curves(
    frame: pd.DataFrame, *, log: Path, table: Path, unfinished: Collection[int]
) -> None:
    """Writes the table, whole or not at all, and of the log only what is still needed.

    The log keeps the records of `unfinished` trials: it tells NaN from a missing number, a table
    does not.
    """
    content = pa.Table.from_pandas(frame, preserve_index=False)
    sums = _checksum(content.to_pandas(ignore_metadata=True))
    content = content.replace_schema_metadata({COLUMNS: _columns(content), NUMBERS: sums})
    with replacing(table) as file:  # on the disk before the log goes
        pq.write_table(content, file, write_page_checksum=True)
    records = _read_log(log)[0] if unfinished else []
    if rest := [record for record in records if record["trial"] in unfinished]:
        with replacing(log) as file:
            file.writelines(map(seal_line, rest))
    else:
        log.unlink(missing_ok=True)


def _read(log: Path, table: Path) -> pd.DataFrame:
    """All records, the last of each epoch; the columns trial, fold, epoch are always there."""
    parts = [pd.DataFrame({name: pd.Series(dtype="int64") for name in KEY})]
    if table.exists():
        parts.append(_read_table(table))
    parts.append(pd.DataFrame(_read_log(log)[0]))
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True).drop_duplicates(
        [*KEY], keep="last", ignore_index=True
    )


def _read_table(table: Path) -> pd.DataFrame:
    try:
        content = pq.read_table(table, page_checksum_verification=True)
        frame: pd.DataFrame = content.to_pandas(ignore_metadata=True)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:  # kinds of Arrow's
        text = " ".join(str(error).split())[:100]
        raise damaged(table, got=f"{type(error).__name__}: {text}") from error
    written = content.schema.metadata or {}
    for key, found in ((COLUMNS, _columns(content)), (NUMBERS, _checksum(frame))):
        if written.get(key, found) != found:
            raise damaged(table, got=f"{key.decode()} other than those that were written")
    if not set(KEY) <= set(frame.columns):
        raise damaged(table, got="a table without the columns trial, fold, epoch")
    return frame


def _columns(content: pa.Table) -> bytes:
    """Names and types of the columns: pages have checksums of their own, the schema has none."""
    return repr([(field.name, str(field.type)) for field in content.schema]).encode()


def _checksum(frame: pd.DataFrame) -> bytes:
    """A checksum of rows and numbers: the file's pages have their own, its index has none."""
    total = 0
    for name in frame.select_dtypes("number"):
        values = frame[name].to_numpy(dtype=np.float64, na_value=math.nan)
        total = zlib.crc32(np.where(np.isnan(values), math.nan, values).tobytes(), total)
    return f"{len(frame)} {total:08x}".encode()


def _read_log(log: Path) -> tuple[list[EpochRecord], int]:
    """The log's records and their size [bytes], without an incomplete last line."""
    if not log.exists():
        return [], 0
    whole = whole_lines(log.read_bytes())
    return read_lines(whole, log, fault=_fault), len(whole)


def _fault(record: EpochRecord) -> str:
    is_epoch = {type(record.get(name)) for name in KEY} == {int}
    return "" if is_epoch else "it is no record of an epoch"
