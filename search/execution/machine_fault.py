"""Faults of the machine, such as a full disk: no trial's fault, so never booked on one.

A trainer that cannot be imported is one too: the dry run has imported it, so this node lacks it.
"""

import errno
import os
from pathlib import Path

from trainers.api import TrainerNotImported

SPACE = "free some space"
FAULTS = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EIO: "look after the disk",
    errno.EROFS: "let it be written",
}
# Of a place where only Knobwise writes: somebody has changed it.
OURS = {errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM}
LEAST = 2**20  # free space below which a disk counts as full [bytes]


def machine_fault(error: BaseException, *, folder: Path) -> str:
    """The fault behind an error and its remedy, in words; empty if the error is the trainer's own.

    `folder`: of the search, whose disk may be full without the error saying so.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, TrainerNotImported):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in FAULTS:
            return f"{cause.filename or folder}: {cause.strerror}; {FAULTS[cause.errno]}"
        if isinstance(cause, OSError) and cause.errno in OURS:
            checkpoints = folder.absolute() / "checkpoints"
            if Path(str(cause.filename)).absolute().is_relative_to(checkpoints):
                return f"{cause.filename}: {cause.strerror}; let Knobwise write there"
        cause = cause.__cause__ or cause.__context__
    return full_disk(folder)


def full_disk(folder: Path) -> str:
    """That the disk of a folder is full, in words; empty if it is not."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return ""
    is_full = disk.f_bavail * disk.f_frsize < LEAST or (disk.f_files > 0 and not disk.f_favail)
    return f"{folder}: {os.strerror(errno.ENOSPC)}; {SPACE}" if is_full else ""
