"""Train and validation rows on disk, memory-mapped and shared by all workers of a machine. Test rows never come here (R8)."""

from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np

from trainers.api import Data, Part

SETS = ("train", "val")


def write_folds(folder: Path, folds: Sequence[Data]) -> None:
    """Writes what is missing of each fold's two sets below `folder`; a half-written file never bears a final name."""
    for number, data in enumerate(folds):
        place = folder / f"fold-{number}"
        place.mkdir(parents=True, exist_ok=True)
        for name in SETS:
            part: Part = getattr(data, name)
            for key in ("index", "x", "y"):
                final = place / f"{name}.{key}.joblib"
                if getattr(part, key) is not None and not final.exists():
                    fresh = place / f"{name}.{key}.new"
                    joblib.dump(np.ascontiguousarray(getattr(part, key)), fresh)
                    fresh.replace(final)


def read_folds(folder: Path) -> tuple[Data, ...]:
    """Each fold, mapped copy-on-write: nobody can change another's rows, and torch takes them without a copy."""
    places = sorted(folder.glob("fold-*"), key=lambda place: int(place.name.removeprefix("fold-")))
    return tuple(Data(**{name: _read(place, name) for name in SETS}) for place in places)


def _read(place: Path, name: str) -> Part:
    return Part(**{path.name.split(".")[1]: joblib.load(path, mmap_mode="c") for path in place.glob(f"{name}.*.joblib")})
