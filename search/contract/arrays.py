"""Train and validation rows on disk, mapped by all workers of a machine; never test rows (R8).

And the hash of row numbers, by which a split is recognised.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import UsageError, refused
from trainers.api import Data, Part

SETS, ARRAYS = ("train", "val"), ("index", "x", "y", "lengths", "auxiliary")
TOKENS = "tokens"  # in place of x, where its numbers are token ids
STAMP, UNITS = "stamp", "units.json"
CHUNK = 1 << 20  # bytes read at once
LOST = 1e-3  # share of a column's spread that float32 may round away
FORMAT = "npy"  # plain arrays: reading them runs no code, whoever wrote them


@dataclass(frozen=True, kw_only=True)
class FoldData:
    """Train and validation of one training.

    `units`: mean and scale of its regression targets, None where they are not scaled.
    """

    data: Data
    units: dict[str, Any] | None = None


def write_folds(folder: Path, folds: Iterable[FoldData], *, stamp: str) -> None:
    """Writes the folds, unless all of them lie there already under the same stamp, undamaged."""
    written, head = folder / STAMP, f"{FORMAT} {stamp}"
    if written.exists() and written.read_bytes() == _stamp(folder, head):
        return
    shutil.rmtree(folder, ignore_errors=True)
    for number, fold in enumerate(folds):
        place = folder / f"fold-{number}"
        place.mkdir(parents=True)
        for name in SETS:
            part: Part = getattr(fold.data, name)
            for key in ARRAYS:
                if (array := getattr(part, key)) is not None:
                    shown = TOKENS if key == "x" and part.tokens else key
                    path = place / f"{name}.{shown}.npy"
                    np.save(path, np.ascontiguousarray(array), allow_pickle=False)
        (place / UNITS).write_text(json.dumps(fold.units))
    written.write_bytes(_stamp(folder, head))


def _stamp(folder: Path, head: str) -> bytes:
    """What the stamp says: whose arrays these are, and a checksum of each file."""
    sums = [_sum(path, folder) for path in sorted(folder.glob("fold-*/*"))]
    return "\n".join([head, *sums]).encode()


def _sum(path: Path, folder: Path) -> str:
    """A file's checksum and its place in the folder."""
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return f"{checksum:08x} {path.relative_to(folder)}"


def has_rows(folder: Path) -> bool:
    """Whether rows lie there, all of them: the stamp is written last."""
    return (folder / STAMP).exists()


def train_targets(folder: Path) -> NDArray[Any] | None:
    """The train targets of the first fold; None where there are none, or no rows lie there.

    Raises:
        UsageError: the file is gone or damaged.
    """
    path, stamp = folder / "fold-0" / "train.y.npy", folder / STAMP
    if not has_rows(folder):
        return None
    sums = stamp.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    if not path.exists() and not any(line.endswith("train.y.npy") for line in sums):
        return None
    try:
        if sums and _sum(path, folder) not in sums:
            raise ValueError("its checksum does not match")
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(
            path,
            error,
            rule="must hold the targets as they were written",
            code="prepared-targets-damaged",
        ) from error


def read_folds(folder: Path) -> tuple[FoldData, ...]:
    """Each fold, mapped copy-on-write: nobody can change the rows of another process.

    Raises:
        UsageError: a file there is no plain array, or damaged.
    """
    places = sorted(folder.glob("fold-*"), key=lambda place: int(place.name.removeprefix("fold-")))
    return tuple(
        FoldData(
            data=Data(**{name: _read(place, name) for name in SETS}), units=_units(place / UNITS)
        )
        for place in places
    )


def trained_type(values: NDArray[Any]) -> np.dtype[Any]:
    """The type in which rows [n, …] reach a trainer.

    float32 in place of float64, unless that would round away more than a thousandth of a column's
    spread, as of seconds since 1970 that are not normalised. Other types stay: whole numbers stay
    whole.
    """
    if values.dtype.kind != "f" or values.dtype.itemsize <= 4:
        return values.dtype
    flat = values.reshape(len(values), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.nanmax(np.abs(flat.astype(np.float32) - flat), axis=0, initial=0.0)
        small = error <= LOST * np.nanstd(flat, axis=0)
    constant = np.nanmax(flat, axis=0) == np.nanmin(flat, axis=0)
    fits = small | (constant & np.isfinite(error))
    return np.dtype(np.float32 if fits.all() else np.float64)


def mean_and_scale(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column; 1 for the deviation of a column that never
    changes, which rounding leaves just above 0.
    """
    mean, spread = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    changes = (values.max(axis=0) > values.min(axis=0)) & (spread > 0)
    return mean, np.where(changes, spread, 1.0)


def hash_of(arrays: Mapping[str, NDArray[np.int64]]) -> str:
    """SHA-256 over index arrays in their order."""
    digest = hashlib.sha256()
    for rows in arrays.values():
        digest.update(np.int64(len(rows)).tobytes() + rows.astype("<i8").tobytes())
    return digest.hexdigest()


def _read(place: Path, name: str) -> Part:
    arrays = {}
    for key in (*ARRAYS, TOKENS):
        path = place / f"{name}.{key}.npy"
        if not path.exists():
            continue
        try:
            arrays[key] = np.load(path, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise _damaged(
                path,
                error,
                rule="must be a plain array, as numpy.save writes it",
                code="prepared-array-damaged",
            ) from error
    tokens = arrays.pop(TOKENS, None)
    return Part(**arrays) if tokens is None else Part(**arrays, x=tokens, tokens=True)


def _units(path: Path) -> dict[str, Any] | None:
    try:
        units: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(
            path, error, rule="must hold the units of the targets", code="prepared-units-damaged"
        ) from error
    return units


def _damaged(path: Path, error: Exception, *, code: str, rule: str) -> UsageError:
    return refused(
        str(path),
        code=code,
        rule=rule,
        got=f"{type(error).__name__}: {error}",
        remedy=f"delete {path.parents[1]}; the same command writes it again",
    )


def data_refused(name: str, rule: str, got: object, remedy: str, *, code: str) -> UsageError:
    """The error for an array of the data, by its name."""
    return refused(f"data: {name}", code=code, rule=rule, got=got, remedy=remedy)
