"""Train and validation rows on disk, memory-mapped and shared by all workers of a machine. Test rows never come here (R8)."""

from pathlib import Path

import joblib
import numpy as np

from trainers.api import Data, Part

SETS = ("train", "val")


def write_data(folder: Path, data: Data) -> None:
    """Writes what is missing of the two sets below `folder`; a half-written file never bears a final name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        part: Part = getattr(data, name)
        for key in ("index", "x", "y"):
            final = folder / f"{name}.{key}.joblib"
            if getattr(part, key) is not None and not final.exists():
                fresh = folder / f"{name}.{key}.new"
                joblib.dump(np.ascontiguousarray(getattr(part, key)), fresh)
                fresh.replace(final)


def read_data(folder: Path) -> Data:
    """The two sets, mapped copy-on-write: nobody can change another's rows, and torch takes them without a copy."""
    train, val = (
        Part(**{path.name.split(".")[1]: joblib.load(path, mmap_mode="c") for path in folder.glob(f"{name}.*.joblib")})
        for name in SETS
    )
    return Data(train=train, val=val)
