"""Train and validation rows on disk, mapped by all workers of a machine; never test rows (R8).

And the hash of row numbers, by which a split is recognised.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from trainers.api import Data, Part

SETS = ("train", "val")
STAMP, UNITS = "stamp", "units.json"


@dataclass(frozen=True, kw_only=True)
class FoldData:
    """Train and validation of one training.

    `units`: mean and scale of its regression targets, None where they are not scaled.
    """

    data: Data
    units: dict[str, Any] | None = None


def write_folds(folder: Path, folds: Iterable[FoldData], *, stamp: str) -> None:
    """Writes the folds, unless all of them lie there already under the same stamp."""
    written = folder / STAMP
    if written.exists() and written.read_text() == stamp:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for number, fold in enumerate(folds):
        place = folder / f"fold-{number}"
        place.mkdir(parents=True)
        for name in SETS:
            part: Part = getattr(fold.data, name)
            for key in ("index", "x", "y"):
                if getattr(part, key) is not None:
                    joblib.dump(
                        np.ascontiguousarray(getattr(part, key)), place / f"{name}.{key}.joblib"
                    )
        (place / UNITS).write_text(json.dumps(fold.units))
    written.write_text(stamp)


def read_folds(folder: Path) -> tuple[FoldData, ...]:
    """Each fold, mapped copy-on-write: nobody can change the rows of another process."""
    places = sorted(folder.glob("fold-*"), key=lambda place: int(place.name.removeprefix("fold-")))
    return tuple(
        FoldData(
            data=Data(**{name: _read(place, name) for name in SETS}),
            units=json.loads((place / UNITS).read_text()),
        )
        for place in places
    )


def hash_of(arrays: Mapping[str, NDArray[np.int64]]) -> str:
    """SHA-256 over index arrays in their order."""
    digest = hashlib.sha256()
    for rows in arrays.values():
        digest.update(np.int64(len(rows)).tobytes() + rows.astype("<i8").tobytes())
    return digest.hexdigest()


def _read(place: Path, name: str) -> Part:
    return Part(
        **{
            path.name.split(".")[1]: joblib.load(path, mmap_mode="c")
            for path in place.glob(f"{name}.*.joblib")
        }
    )
