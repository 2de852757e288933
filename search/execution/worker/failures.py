"""How an exception of a trainer ends its trial, in the words of its row. Raises nothing itself."""

import errno
import re
import traceback
from pathlib import Path

from search.config.text import one_line
from search.execution.end_reasons import TrialEnd
from search.execution.machine_fault import machine_fault
from search.execution.memory import memory_kills
from search.execution.messages import TrialEnded
from search.execution.worker.epoch_message import TrialFailed
from trainers.api import NothingReported
from trainers.command_end import CommandFailed, CommandKilled, CommandOutOfMemory

NO_MEMORY = re.compile(
    r"DefaultCPUAllocator: (?:can't allocate|not enough) memory|CUDA out of memory"
    r"|CU(?:BLAS|DNN|SOLVER|SPARSE)_STATUS_ALLOC_FAILED|CUDA error: out of memory"
)
# What a process says where another one was first: with a name, a port, a lock; or has half written
# the file that it reads.
TAKEN = re.compile(
    r"\b(?:FileExistsError|BlockingIOError)\b|address already in use|\bEADDRINUSE\b"
    r"|database is locked|unable to lock file|\bto NOT exist\b"
    r"|\bEOFError\b|PytorchStreamReader failed|Ran out of input",
    re.IGNORECASE,
)


def end_of(error: Exception, *, trial: int, folder: Path) -> TrialEnded:
    """The report of a trial that an exception has ended. `folder`: of the search."""
    if fault := machine_fault(error, folder=folder):
        return TrialEnded(trial=trial, end=TrialEnd.MACHINE_FAULT, reason=one_line(fault))
    reason = one_line(_reason(error))
    end = TrialEnd.COLLIDED if TAKEN.search(reason) else TrialEnd.FAILED
    end = TrialEnd.KILLED if isinstance(error, CommandKilled) else end
    end = TrialEnd.SILENT if isinstance(error, NothingReported) else end
    return TrialEnded(
        trial=trial,
        end=TrialEnd.OUT_OF_MEMORY if out_of_memory(error) else end,
        reason=reason,
        cause=one_line(f"{type(error).__name__} at {_place(error)}"),
    )


def print_error(error: Exception) -> None:
    """Prints an error into the trial's log; a program has printed its own traceback already."""
    own = None if isinstance(error, CommandFailed) else error.__traceback__
    traceback.print_exception(type(error), error, own)


def cause_of(error: Exception, *, kills_before: int) -> Exception:
    """The error itself; or that memory ran out, if the kernel has killed the trial's program.

    `kills_before`: as of `memory_kills`, while the program was still there.
    """
    if not isinstance(error, CommandKilled) or memory_kills() <= kills_before:
        return error
    words = f"{error} (the kernel has killed a process for want of memory)"
    return CommandOutOfMemory(words).with_traceback(error.__traceback__)


def out_of_memory(error: Exception) -> bool:
    """Python's MemoryError, torch's OutOfMemoryError by its name, since torch may be absent, and
    what torch on a CPU, CUDA's libraries and the system say in its place.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__) or (
        isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)) is not None
    )


def _reason(error: Exception) -> str:
    """The error's first line, with the line of code that raised it, unless that is ours."""
    text = re.sub(r"^\[enforce fail at [^]]*\][^.]*\. ", "", str(error))
    if out_of_memory(error):  # CUDA goes on with every process that uses the device
        text = re.split(r"(?<=[.]) (?:Process \d+ has|Including non-PyTorch)", text)[0]
    lines = text.strip().splitlines()
    is_ours = isinstance(error, TrialFailed | CommandFailed | NothingReported)
    place = "" if is_ours else f" ({_place(error)})"
    return f"{type(error).__name__}: {lines[0] if lines else ''}{place}"


def _place(error: Exception) -> str:
    """File and line that raised it; seats may also hand over an error that was never raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "not raised"
