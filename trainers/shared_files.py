"""Files of weights in the working folder, where trials that run at once overwrite each other's."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SAVED = (
    *(".bin", ".ckpt", ".h5", ".joblib", ".keras", ".npy", ".npz"),
    *(".pkl", ".pt", ".pth", ".safetensors"),
)  # what trainings save and load; a log that grows hurts nobody
FOLDERS, ENTRIES = 20, 1000  # folders below the working folder, and entries of each, looked at
REMARK = (
    "{}, in the folder where all trials run, was there before this trial and has been written "
    "again: a trial may load what another has saved; write to checkpoint.files, in a program to "
    "the folder that {{folder}} in trainer.command becomes"
)


class SharedFiles:
    """Watches the working folder and the folders in it while a trial trains."""

    def __init__(self) -> None:
        self._place, self._epochs = Path.cwd(), 0
        self._before = _saved_at(self._place)

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
    here = list(_entries(str(place)))
    folders = [entry.path for entry in here if _is_open_folder(entry)]
    times: dict[Path, int] = {}
    for entries in (here, *map(_entries, folders[:FOLDERS])):
        for entry in entries:
            if entry.name.endswith(SAVED):
                with suppress(OSError):  # gone meanwhile
                    times[Path(entry.path)] = entry.stat().st_mtime_ns
    return times


def _is_open_folder(entry: "os.DirEntry[str]") -> bool:
    return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)


def _entries(folder: str) -> "Iterator[os.DirEntry[str]]":
    with suppress(OSError), os.scandir(folder) as entries:
        for _, entry in zip(range(ENTRIES), entries, strict=False):
            yield entry
