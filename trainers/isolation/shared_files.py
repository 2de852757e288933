"""Files of weights in the working folder, where trials that run at once overwrite each other's."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SAVED = (
    *(".bin", ".ckpt", ".h5", ".joblib", ".keras", ".npy", ".npz"),
    *(".pkl", ".pt", ".pth", ".safetensors"),
)  # what trainings save and load; a log that grows hurts nobody
DEPTH = 4  # of folders below the working folder that are looked at, as `logs/name/run/checkpoints`
OURS = "contract.yaml"  # in the folder of a search, which keeps its trials apart
FOLDERS, ENTRIES = 60, 1000  # folders in all, and entries of each, looked at
FRESH = 1.0  # time for which trials of a process share a look at what was there before [s]
REMARK = (
    "{}, in the folder where all trials run, was there before this trial and has been written "
    "again: a trial may load what another has saved; write to checkpoint.files, in a program to "
    "the folder that {{folder}} in trainer.command becomes"
)


_looks: dict[Path, tuple[float, dict[Path, int]]] = {}  # the last one: when, and what was there


class SharedFiles:
    """Watches the working folder and the folders below it while a trial trains."""

    def __init__(self) -> None:
        self._place, self._epochs = Path.cwd(), 0
        self._before = self._lately()

    def _lately(self) -> dict[Path, int]:
        """What is there now, or was a moment ago: short trials would cost more than they train."""
        now = time.monotonic()
        at, seen = _looks.get(self._place, (-FRESH, {}))
        if now - at >= FRESH:
            _looks.clear()
            _looks[self._place] = (now, seen := _saved_at(self._place))
        return seen

    def remark(self) -> str:
        """Call it once an epoch; names a file that was there before and has been written since.

        It looks at epochs 1, 2, 4, 8 and so on, since a folder may be large; empty otherwise.
        """
        self._epochs += 1
        if not self._before or self._epochs & (self._epochs - 1):
            return ""
        now = _saved_at(self._place)
        changed = [path for path, at in self._before.items() if now.get(path, at) != at]
        return REMARK.format(changed[0].relative_to(self._place)) if changed else ""


def _saved_at(place: Path) -> dict[Path, int]:
    """Times of the last writing [ns] of the files of weights, by path."""
    times: dict[Path, int] = {}
    folders, looked_at = [str(place)], 0
    for _ in range(DEPTH + 1):
        deeper: list[str] = []
        for folder in folders[: FOLDERS - looked_at]:
            looked_at += 1
            for entry in _entries(folder):
                if _is_open_folder(entry):
                    deeper.append(entry.path)
                elif entry.name.endswith(SAVED):
                    with suppress(OSError):  # gone meanwhile
                        times[Path(entry.path)] = entry.stat().st_mtime_ns
        folders = sorted(deeper)
    return times


def _is_open_folder(entry: "os.DirEntry[str]") -> bool:
    is_open = not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    return is_open and not os.path.exists(os.path.join(entry.path, OURS))


def _entries(folder: str) -> "Iterator[os.DirEntry[str]]":
    with suppress(OSError), os.scandir(folder) as entries:
        for _, entry in zip(range(ENTRIES), entries, strict=False):
            yield entry
