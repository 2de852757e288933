"""How a program ended: well, or by which error, in one line."""

import re
import shlex
import signal
from collections.abc import Sequence
from textwrap import shorten

from trainers.api import NothingReported
from trainers.printed import UNREAD, Printed

TRACEBACK = "Traceback (most recent call last"
HANDLED = ("Exception ignored in", "Exception in thread")  # before a traceback that ends nothing
RANK = re.compile(r"failed \(exitcode: (?P<status>-?\d+)\) local_rank: (?P<rank>\d+)")  # torchrun
RANK_ENDED = re.compile(r"\(local_rank: (\d+)\)\s+exitcode +: (-?\d+)")  # in its list of all
# Ends that say nothing about the trial: somebody's kill, or a crash of native code, as gloo's may.
CRASHES = (
    *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM),
)
KILLED = {-crash for crash in CRASHES} | {128 + crash for crash in CRASHES}  # as a shell tells it
RANK_KILLED = re.compile(rf"^rank \d+ was killed by ({'|'.join(each.name for each in CRASHES)})$")
SILENT = (
    "print one, as trainers/examples/script.py does; or, if it has ended a training that an "
    "earlier trial began, save in the folder that {folder} in trainer.command becomes"
)
STAYED = (
    "did not end after its last epoch and was stopped, silent for {:g} s: a thread or process that "
    "it has begun may keep it"
)
NAMED = (
    "; if another of its numbers is the metric, say metric.name=… and metric.direction=maximize or "
    "minimize"
)
AS_ERRORS = "it prints them as errors, as logging does: use print, or log to standard output"
BOX = re.compile("[\u2500-\u257f]+")  # the lines around a message, as rich and typer draw them
ENDING = 5  # last lines in which a message of several lines begins
MEMORY = re.compile(r"\b(OutOfMemoryError|MemoryError)\b|CUDA out of memory")


class CommandFailed(Exception):
    """The program ended with an exit status other than 0, or without a record."""


class CommandSilent(CommandFailed, NothingReported):
    """The program has ended well and printed no record."""


class CommandKilled(CommandFailed):
    """The program, or one of its ranks, was ended by a signal: of the kernel, or of somebody."""


class CommandOutOfMemory(CommandFailed, MemoryError):
    """The program ended since memory ran out."""


def check_end(
    status: int,
    command: Sequence[str],
    said: Sequence[str],
    *,
    late: Sequence[str] = (),
    at: str = "",
) -> str:
    """Raises CommandFailed where an error ended the program; gives what else to say of its end.

    Args:
        status: its exit status; another one than 0 is an error.
        said: its last lines of errors.
        late: those of them that came after its last record.
        at: where it ended before its last epoch, such as `epoch 3 of 20`; empty if it did not.
            A traceback in `late` is then the cause, whatever the status says.
    """
    if status == 0:
        if at and _has_raised(late):
            raise CommandFailed(
                f"ended with exit status 0, but at {at} and after an error: {_last_words(late)}"
                f"{_of(command)}"
            )
        return (
            f"an error came after its last epoch: {_last_words(late)}" if _has_raised(late) else ""
        )
    reason = _last_words(said)
    how = (
        f"exit status {status}" if status > 0 else f"signal {-status} ({signal.strsignal(-status)})"
    )
    killed = status in KILLED or RANK_KILLED.match(reason)
    kind: type[CommandFailed] = CommandKilled if killed else CommandFailed
    if MEMORY.search(reason):
        kind = CommandOutOfMemory
    raise kind(f"ended with {how}" + (f": {reason}" if reason else "") + _of(command))


def silent(
    command: Sequence[str], printed: Printed, *, needed: Sequence[str], said: Sequence[str]
) -> CommandSilent:
    """The error of a program that has printed no record, and what it printed in its place.

    `said`: the last lines of its errors, or of its other output where it has no errors.
    """
    wanted = " and ".join(map(repr, needed)) or "numbers"
    errors = Printed(needed=needed, untrained=True)
    instead = SILENT
    if any(errors.read(line)[0] for line in said):
        instead = AS_ERRORS
    elif printed.other:
        remedy = "" if printed.other.endswith(UNREAD) else NAMED
        instead = f"the last other object was {printed.other}{remedy}"
    return CommandSilent(
        f"must print a JSON object with {wanted} on one line per epoch, to standard output, but "
        f"printed none; {instead}{_of(command)}"
    )


def _of(command: Sequence[str]) -> str:
    """The words of a command, as many as a message has room for, at its end: first the cause."""
    return "; it was " + shorten(shlex.join(command), 200, placeholder=" …")


def _has_raised(lines: Sequence[str]) -> bool:
    """Whether they hold a traceback of more than a thread's or a destructor's."""
    before = ["", *lines]
    return any(
        line.startswith(TRACEBACK) and not previous.startswith(HANDLED)
        for previous, line in zip(before, lines, strict=False)
    )


def raised(lines: Sequence[str]) -> str:
    """The error of the last traceback, its first line where it has several; empty if none is."""
    starts = [i for i, line in enumerate(lines) if line.startswith(TRACEBACK)]
    after = lines[starts[-1] + 1 :] if starts else []
    return next((line.strip() for line in after if not line.startswith((" ", "\t"))), "")


def _last_words(lines: Sequence[str]) -> str:
    """The rank that torchrun names, else the error of the last traceback, else the last line; with
    those before it from one that speaks of an error, as absl and typer end.
    """
    failed = next(filter(None, map(RANK.search, lines)), None)
    if failed is not None:
        # A rank that is killed makes the others abort, which torchrun may see first.
        ends = [(failed["rank"], failed["status"]), *RANK_ENDED.findall("\n".join(lines))]
        killed = [end for end in ends if int(end[1]) == -signal.SIGKILL]
        rank, status = (killed or ends)[0]
        return _words_of_rank(rank, int(status), lines)
    if error := raised(lines):
        return error[:300]
    last = [plain for line in lines if (plain := BOX.sub("", line).strip())][-ENDING:]
    starts = [place for place, line in enumerate(last) if "error" in line.lower()]
    return " ".join(last[starts[-1] if starts else -1 :])[:300]


def signal_name(number: int) -> str:
    """SIGKILL for 9. Of the real-time signals Python names the first and the last one only."""
    known = number in {each.value for each in signal.Signals}
    return signal.Signals(number).name if known else f"signal {number}"


def _words_of_rank(rank: str, status: int, lines: Sequence[str]) -> str:
    """How the rank ended that failed first, with its own error where it printed one."""
    how = (
        f"was killed by {signal_name(-status)}"
        if status < 0
        else f"ended with exit status {status}"
    )
    own = [line.partition(": ")[2] for line in lines if line.startswith(f"[rank{rank}]: ")]
    errors = [line for line in own if line and not line.startswith((" ", "\t", "Traceback"))]
    return f"rank {rank} {how}" + (f": {errors[-1]}"[:300] if errors and status > 0 else "")
