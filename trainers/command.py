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
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from trainers.api import Checkpoint, Config, Data, Values
from trainers.command_end import KILLED, STAYED, CommandFailed, check_end, silent
from trainers.command_line import command_line, filled_files, rehearse
from trainers.isolation.shared_files import LIGHTNING_ROOT
from trainers.printed import LAST_EPOCH, Printed, Record, needed_names

LINES, ERRORS, CONFIG, ENDED = "lines.jsonl", "errors.log", "config.json", "ended"
BREAKS = re.compile(rb"[\r\n]")  # a progress bar ends its line by \r
PAUSE = 0.02  # seconds between two looks for new lines
LINGERS = 0.5  # share of trainer.epoch_timeout for which it may be silent behind its last epoch
KEPT = 50  # last lines of errors in which a traceback is looked for
ANEW = (
    "begun anew in an empty folder: after an interruption the program did not go on from its files"
)
LEFT = (
    "trainer.command: must end after its training, but it ended while a process in the background "
    "went on printing epochs; wait for that process"
)


def train(
    config: Config, data: Data, device: str, checkpoint: Checkpoint
) -> Generator[Values, None, str]:
    """Runs `trainer.command` and yields its records; closing stops its whole process group.

    Returns what is to be said of its end; empty as a rule.
    """
    folder = checkpoint.folder
    was_cut = (folder / CONFIG).exists() and not (folder / ENDED).exists()
    variables = _write_files(config, data, checkpoint)
    command = _filled(config, variables)
    needed = needed_names(config.get("metric") or {})
    untrained = bool(config["trainer"].get("untrained", False))
    before = Printed(needed=needed, untrained=untrained)
    earlier = _kept(folder / LINES, before)
    most = int(config["trainer"].get("epochs", LAST_EPOCH))
    printed = Printed(
        needed=needed,
        untrained=untrained,
        shift=before.shift,
        numbered=before.numbered,
        most=most,
        resumes=bool(earlier),
        told=before.told,
    )
    patience = LINGERS * float(config["trainer"].get("epoch_timeout", math.inf))
    grace = float(config["trainer"]["grace"])
    program = _Program(command, variables, folder, grace=grace, patience=patience)
    try:
        records = program.records(printed)
        first = next(records, None)
        told = max(earlier, default=0)
        if was_cut and first is None and _is_stuck(program.wait(), told=told, most=most):
            for place in (folder, checkpoint.files):
                shutil.rmtree(place, ignore_errors=True)
            return (yield from train(config, data, device, checkpoint)) or ANEW
        # Records of an earlier attempt, up to the epoch where this one goes on; a program that
        # starts from scratch prints all of them anew.
        yield from (
            earlier[epoch] for epoch in sorted(earlier) if first is None or epoch < first["epoch"]
        )
        if first is not None:
            yield first
        yield from records
        at = f"epoch {printed.last} of {most}" if first and printed.last < most < LAST_EPOCH else ""
        remark = STAYED.format(patience)
        if not program.stays:
            remark = check_end(program.wait(), command, program.said, late=program.late, at=at)
        (folder / ENDED).touch()
        if first is None and not earlier:
            raise silent(command, printed, needed=needed, said=program.said)
        return remark or printed.left_out()
    finally:
        program.stop()


def _is_stuck(status: int, *, told: int, most: int) -> bool:
    """Whether a program that was called again took what its interrupted attempt has left for a
    finished training, or stumbled over it. One that fails after epochs that were told keeps what it
    has saved, which may be weeks of work.
    """
    return told < most if status == 0 else not told and status not in KILLED


def _filled(config: Config, variables: Mapping[str, Path]) -> list[str]:
    """The words of the command; writes the copies of the files that it names."""
    config_file, folder = variables["KNOBWISE_CONFIG"], variables["KNOBWISE_FOLDER"]
    for path, text in filled_files(config, config_file=config_file, folder=folder).items():
        path.write_text(text, encoding="utf-8")
    return command_line(config, config_file=config_file, folder=folder)


def _write_files(config: Config, data: Data, checkpoint: Checkpoint) -> dict[str, Path]:
    """Writes what the program may read; gives the variables of its environment."""
    folder, files = checkpoint.folder, checkpoint.files
    for place in (folder, files):
        place.mkdir(parents=True, exist_ok=True)
    variables = {
        "KNOBWISE_CONFIG": folder / CONFIG,
        "KNOBWISE_SPLIT": folder / "split.npz",
        "KNOBWISE_CHECKPOINT": folder,
        "KNOBWISE_FOLDER": files,
        LIGHTNING_ROOT: Path(os.environ.get(LIGHTNING_ROOT, files)),
    }
    variables["KNOBWISE_CONFIG"].write_text(json.dumps(config))
    with variables["KNOBWISE_SPLIT"].open("wb") as file:
        np.savez(file, train=data.train.index, val=data.val.index)
    return variables


vars(train)["rehearse"] = rehearse  # found by trainers.callable


def _kept(path: Path, printed: Printed) -> dict[int, Record]:
    """Records of earlier attempts by epoch.

    A later attempt replaces an earlier one's epochs.
    """
    kept: dict[int, Record] = {}
    if not path.exists():
        return kept
    text = path.read_bytes()
    whole = max((text.rfind(mark) + 1 for mark in (b"\n", b"\r")), default=0)
    os.truncate(path, whole)
    for line in BREAKS.split(text[:whole]):
        for record in printed.read(_text(line))[0]:
            earlier = {epoch: old for epoch, old in kept.items() if epoch < record["epoch"]}
            kept = earlier | {record["epoch"]: record}
    return kept


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


class _Program:
    """The program from its start to its end: its records, and the last lines of what else it says.

    Args:
        command: its words.
        variables: further ones of its environment.
        folder: where its output goes.
        grace: time that it has to end, and that what it leaves running may be silent for [s].
        patience: time that it may be silent for behind its last epoch [s].

    Attributes:
        stays: whether it was silent for longer, so that nothing more is read; it still runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, Path],
        folder: Path,
        *,
        grace: float,
        patience: float,
    ) -> None:
        named = {name: str(path) for name, path in variables.items()}
        with (folder / LINES).open("ab") as output, (folder / ERRORS).open("wb") as errors:
            self._output = _Tail(folder / LINES, output.tell())
            self._errors = _Tail(folder / ERRORS)
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **named},
            )
        self._grace, self._patience, self.stays = grace, patience, False
        self._complaints, self._others = deque[str](maxlen=KEPT), deque[str](maxlen=KEPT)
        self._late = deque[str](maxlen=KEPT)

    @property
    def said(self) -> list[str]:
        """The last lines of its errors, or of its other output where it has no errors."""
        return list(self._complaints or self._others)

    @property
    def late(self) -> list[str]:
        """The last errors since the last look at which there was a record."""
        return list(self._late)

    def wait(self) -> int:
        """Its exit status, at its end."""
        return self._process.wait()

    def records(self, printed: Printed) -> Iterator[Record]:
        """The records that it prints, until it has ended and all is read.

        What it leaves running is listened to for as long as it prints, with pauses of up to
        `grace`.

        Raises:
            CommandFailed: the training goes on in the background, so its end is not known.
        """
        heard = spoke = time.monotonic()
        in_background = ended = False
        while True:
            before, ended = ended, self._process.poll() is not None
            complaints, more_errors = self._errors.lines(ended=ended)
            for line in complaints:
                print(line, file=sys.stderr, flush=True)
            self._complaints += complaints
            self._late += complaints
            lines, more = self._output.lines(ended=ended)
            for line in lines:
                records, rest = printed.read(line)
                if rest:
                    print(line, flush=True)
                    self._others.append(line)
                if records:
                    self._late = deque(complaints, maxlen=KEPT)
                yield from records
                in_background |= before and bool(records)  # printed after the program's own end
            if more or more_errors:
                heard = spoke = time.monotonic()
            elif not ended:
                heard = time.monotonic()
            elif not self._goes_on() or time.monotonic() > heard + self._grace:
                if in_background and self._goes_on():
                    raise CommandFailed(LEFT)
                return
            self.stays = not ended and printed.is_last and heard > spoke + self._patience
            if self.stays:
                return
            if not more:
                time.sleep(PAUSE)

    def _goes_on(self) -> bool:
        """Whether it has ended well and left other processes of its group behind."""
        if self._process.returncode != 0:
            return False
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> None:
        """SIGTERM to the whole group, SIGKILL to what is left after `grace` seconds."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._grace)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
