"""Any program as a trainer: it prints a line of JSON per epoch, and signals stop it. No torch.

    {"epoch": 1, "train_loss": 0.9, "val_loss": 1.1, "accuracy": 0.8}

The program finds in its environment: KNOBWISE_CONFIG, a JSON file of all keys; KNOBWISE_SPLIT, an
.npz of the row numbers `train` and `val`; KNOBWISE_CHECKPOINT, a folder of this trial, which goes
with it; KNOBWISE_FOLDER, a folder of this trial for files that stay. To be resumable it prints an
epoch's line, flushed, *then* saves that epoch in KNOBWISE_CHECKPOINT; started again, it loads what
it finds and goes on with the next epoch. Its lines go to a file first, so none is lost when the
worker that reads them dies. Whatever else it prints goes to the trial's log.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from trainers.api import Checkpoint, Config, Data, Values
from trainers.command_line import command_line, rehearse
from trainers.printed import LAST_EPOCH, Printed, Record, needed_names

LINES, ERRORS = "lines.jsonl", "errors.log"
BREAKS = re.compile(rb"[\r\n]")  # a progress bar ends its line by \r
PAUSE = 0.02  # seconds between two looks for new lines
RANK = re.compile(r"failed \(exitcode: (?P<status>-?\d+)\) local_rank: (?P<rank>\d+)")  # torchrun
RANK_ENDED = re.compile(r"\(local_rank: (\d+)\)\s+exitcode +: (-?\d+)")  # in its list of all
KEPT = 50  # last lines of errors in which a traceback is looked for
# Ends that say nothing about the trial: somebody's kill, or a crash of native code, as gloo's may.
CRASHES = (
    *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM),
)
KILLED = {-crash for crash in CRASHES} | {128 + crash for crash in CRASHES}  # as a shell tells it
RANK_KILLED = re.compile(rf"^rank \d+ was killed by ({'|'.join(each.name for each in CRASHES)})$")
LEFT = (
    "trainer.command: must end after its training, but it ended while a process in the background "
    "went on printing epochs; wait for that process"
)
MEMORY = re.compile(r"\b(OutOfMemoryError|MemoryError)\b|CUDA out of memory")


class CommandFailed(Exception):
    """The program ended with an exit status other than 0, or without a record."""


class CommandKilled(CommandFailed):
    """The program, or one of its ranks, was ended by a signal: of the kernel, or of somebody."""


class CommandOutOfMemory(CommandFailed, MemoryError):
    """The program ended since memory ran out."""


def train(
    config: Config, data: Data, device: str, checkpoint: Checkpoint
) -> Generator[Values, None, None]:
    """Runs `trainer.command` and yields its records; closing stops its whole process group."""
    folder = checkpoint.folder
    variables = _write_files(config, data, checkpoint)
    command = command_line(
        config, config_file=variables["KNOBWISE_CONFIG"], folder=variables["KNOBWISE_FOLDER"]
    )
    needed = needed_names(config.get("metric") or {})
    untrained = bool(config["trainer"].get("untrained", False))
    earlier, shift = _kept(folder / LINES, Printed(needed=needed, untrained=untrained))
    with (folder / LINES).open("ab") as output, (folder / ERRORS).open("wb") as errors:
        begun = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                **{name: str(path) for name, path in variables.items()},
            },
        )
    most = int(config["trainer"].get("epochs", LAST_EPOCH))
    printed = Printed(needed=needed, untrained=untrained, shift=shift, most=most)
    said: list[str] = []
    grace = float(config["trainer"]["grace"])
    try:
        records = _follow(folder, process, printed, position=begun, said=said, grace=grace)
        first = next(records, None)
        # Records of an earlier attempt, up to the epoch where this one goes on; a program that
        # starts from scratch prints all of them anew.
        yield from (
            earlier[epoch] for epoch in sorted(earlier) if first is None or epoch < first["epoch"]
        )
        if first is not None:
            yield first
        yield from records
        _check_end(process.wait(), command, said)
        if first is None and not earlier:
            wanted = " and ".join(map(repr, needed)) or "numbers"
            other = f"; the last other object was {printed.other:.200}" if printed.other else ""
            raise CommandFailed(
                f"{shlex.join(command)[:200]}: must print a JSON object with {wanted} "
                f"on one line per epoch, to standard output, but printed none{other}"
            )
    finally:
        _stop(process, grace=grace)


def _write_files(config: Config, data: Data, checkpoint: Checkpoint) -> dict[str, Path]:
    """Writes what the program may read; gives the variables of its environment."""
    folder, files = checkpoint.folder, checkpoint.files
    for place in (folder, files):
        place.mkdir(parents=True, exist_ok=True)
    variables = {
        "KNOBWISE_CONFIG": folder / "config.json",
        "KNOBWISE_SPLIT": folder / "split.npz",
        "KNOBWISE_CHECKPOINT": folder,
        "KNOBWISE_FOLDER": files,
    }
    variables["KNOBWISE_CONFIG"].write_text(json.dumps(config))
    with variables["KNOBWISE_SPLIT"].open("wb") as file:
        np.savez(file, train=data.train.index, val=data.val.index)
    return variables


train.rehearse = rehearse  # type: ignore[attr-defined]  # found by trainers.callable


def _kept(path: Path, printed: Printed) -> tuple[dict[int, Record], int]:
    """Records of earlier attempts by epoch, and by how much their epochs were shifted.

    A later attempt replaces an earlier one's epochs.
    """
    kept: dict[int, Record] = {}
    if not path.exists():
        return kept, 0
    text = path.read_bytes()
    whole = max((text.rfind(mark) + 1 for mark in (b"\n", b"\r")), default=0)
    os.truncate(path, whole)
    for line in BREAKS.split(text[:whole]):
        for record in printed.read(_text(line))[0]:
            earlier = {epoch: old for epoch, old in kept.items() if epoch < record["epoch"]}
            kept = earlier | {record["epoch"]: record}
    return kept, printed.shift


class _Tail:
    """The lines that a program adds to a file."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path, self._position, self._rest = path, position, b""

    def lines(self, *, ended: bool) -> tuple[list[str], bool]:
        """New whole lines, and whether there was anything new; at the end, also a torn one."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        self._position += len(data)
        *lines, self._rest = BREAKS.split(self._rest + data)
        if ended and not data and self._rest:
            lines, self._rest = [self._rest], b""
        return [text for line in lines if (text := _text(line)).strip()], bool(data)


def _text(line: bytes) -> str:
    """A line as text; of UTF-16 the zeros go, and the rest can be read."""
    return line.replace(b"\0", b"").decode(errors="replace")


def _follow(
    folder: Path,
    process: subprocess.Popen[bytes],
    printed: Printed,
    *,
    position: int,
    said: list[str],
    grace: float,
) -> Iterator[Record]:
    """The records that a program prints, until it has ended and all is read.

    `said` gets the last lines of its errors, or of its other output where it has no errors.
    What it leaves running is listened to for as long as it prints, with pauses of up to `grace`.

    Raises:
        CommandFailed: the training goes on in the background, so its end is not known.
    """
    heard, in_background, ended = time.monotonic(), False, False
    output, errors = _Tail(folder / LINES, position), _Tail(folder / ERRORS)
    others: list[str] = []
    while True:
        before, ended = ended, process.poll() is not None
        complaints, more_errors = errors.lines(ended=ended)
        for line in complaints:
            print(line, file=sys.stderr, flush=True)
        said[:] = [*said, *complaints][-KEPT:]
        lines, more = output.lines(ended=ended)
        for line in lines:
            records, rest = printed.read(line)
            if rest:
                print(line, flush=True)
                others = [*others, line][-KEPT:]
            yield from records
            in_background |= before and bool(records)  # printed after the program's own end
        if not ended or more or more_errors:
            heard = time.monotonic()
        elif not _goes_on(process) or time.monotonic() > heard + grace:
            if in_background and _goes_on(process):
                raise CommandFailed(LEFT)
            said[:] = said or others
            return
        if not more:
            time.sleep(PAUSE)


def _goes_on(process: subprocess.Popen[bytes]) -> bool:
    """Whether a program has ended well and left other processes of its group behind."""
    if process.returncode != 0:
        return False
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _check_end(status: int, command: Sequence[str], said: Sequence[str]) -> None:
    """Raises CommandFailed for a status other than 0, with the last line of a traceback."""
    if status == 0:
        return
    reason = _last_words(said)
    how = (
        f"exit status {status}" if status > 0 else f"signal {-status} ({signal.strsignal(-status)})"
    )
    killed = status in KILLED or RANK_KILLED.match(reason)
    kind: type[CommandFailed] = CommandKilled if killed else CommandFailed
    if MEMORY.search(reason):
        kind = CommandOutOfMemory
    raise kind(f"{shlex.join(command)[:200]}: ended with {how}" + (f": {reason}" if reason else ""))


def _last_words(lines: Sequence[str]) -> str:
    """The rank that torchrun names, else the error of the last traceback, else the last line."""
    failed = next(filter(None, map(RANK.search, lines)), None)
    if failed is not None:
        # A rank that is killed makes the others abort, which torchrun may see first.
        ends = [(failed["rank"], failed["status"]), *RANK_ENDED.findall("\n".join(lines))]
        killed = [end for end in ends if int(end[1]) == -signal.SIGKILL]
        rank, status = (killed or ends)[0]
        return _words_of_rank(rank, int(status), lines)
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call")]
    after = lines[starts[-1] + 1 :] if starts else []
    errors = [line for line in after if not line.startswith((" ", "\t"))]
    return (errors[0] if errors else lines[-1] if lines else "").strip()[:300]


def _words_of_rank(rank: str, status: int, lines: Sequence[str]) -> str:
    """How the rank ended that failed first, with its own error where it printed one."""
    how = (
        f"was killed by {signal.Signals(-status).name}"
        if status < 0
        else f"ended with exit status {status}"
    )
    own = [line.partition(": ")[2] for line in lines if line.startswith(f"[rank{rank}]: ")]
    errors = [line for line in own if line and not line.startswith((" ", "\t", "Traceback"))]
    return f"rank {rank} {how}" + (f": {errors[-1]}"[:300] if errors and status > 0 else "")


def _stop(process: subprocess.Popen[bytes], *, grace: float) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left after `grace` seconds."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
