"""Any program as a trainer: it prints a line of JSON per epoch, and signals stop it. No torch.

    {"epoch": 1, "train_loss": 0.9, "val_loss": 1.1, "accuracy": 0.8}

The program finds in its environment: KNOBWISE_CONFIG, a JSON file of all keys; KNOBWISE_SPLIT, an
.npz of the row numbers `train` and `val`; KNOBWISE_CHECKPOINT, a folder of this trial. To be
resumable it prints an epoch's line, flushed, *then* saves that epoch there; started again, it loads
what it finds and goes on with the next epoch. Its lines go to a file first, so none is lost when
the worker that reads them dies. Other lines of output go to the trial's log.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from trainers.api import Checkpoint, Config, Data, Values

LINES = "lines.jsonl"
PLACE = re.compile(r"\{([A-Za-z_][\w.]*)\}")  # other braces, such as those of JSON, are left alone
PAUSE = 0.02  # seconds between two looks for new lines
Record = dict[str, Any]


class CommandFailed(Exception):
    """The program ended with an exit status other than 0."""


def train(
    config: Config, data: Data, device: str, checkpoint: Checkpoint
) -> Generator[Values, None, None]:
    """Runs `trainer.command` and yields its records; closing stops its whole process group."""
    folder = checkpoint.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "KNOBWISE_CONFIG": folder / "config.json",
        "KNOBWISE_SPLIT": folder / "split.npz",
        "KNOBWISE_CHECKPOINT": folder,
    }
    files["KNOBWISE_CONFIG"].write_text(json.dumps(config))
    with files["KNOBWISE_SPLIT"].open("wb") as file:
        np.savez(file, train=data.train.index, val=data.val.index)
    command = command_line(config, config_file=files["KNOBWISE_CONFIG"])
    earlier = _kept(folder / LINES)
    with (folder / LINES).open("ab") as output:
        begun = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                **{name: str(path) for name, path in files.items()},
            },
        )
    try:
        lines = _follow(folder / LINES, process, position=begun)
        first = next(lines, None)
        # Records of an earlier attempt, up to the epoch where this one goes on; a program that
        # starts from scratch prints all of them anew.
        yield from (
            earlier[epoch] for epoch in sorted(earlier) if first is None or epoch < first["epoch"]
        )
        if first is not None:
            yield first
        yield from lines
        if process.wait() != 0:
            raise CommandFailed(
                f"{shlex.join(command)[:200]}: ended with exit status {process.returncode}"
            )
    finally:
        _stop(process, grace=float(config["trainer"]["grace"]))


def command_line(config: Config, *, config_file: Path) -> list[str]:
    """`trainer.command` with {path.of.a.key} filled in from the config.

    {config} is the JSON file of all keys, {python} this Python.

    Raises:
        TypeError: the command is no list.
        KeyError: it names a key that the config does not have.
    """
    command = config["trainer"]["command"]
    if not isinstance(command, list) or not command:
        raise TypeError(
            f"trainer.command: must be a list of program and arguments, but got {command!r}; "
            "write [python, train.py]"
        )
    keys = {**_flat(config), "config": str(config_file), "python": sys.executable}

    def filled(match: re.Match[str]) -> str:
        if match[1] not in keys:
            raise KeyError(
                f"trainer.command: {match[0]} must name a key of the config, but there are: "
                + ", ".join(sorted(keys))
            )
        return str(keys[match[1]])

    return [PLACE.sub(filled, str(word)) for word in command]


def _flat(node: Config, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat.update(
            _flat(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else {f"{prefix}{key}": value}
        )
    return flat


def _kept(path: Path) -> dict[int, Record]:
    """Records of earlier attempts by epoch; a later attempt replaces an earlier one's epochs."""
    kept: dict[int, Record] = {}
    if not path.exists():
        return kept
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    os.truncate(path, len(whole))
    for line in whole.splitlines():
        record = _parse(line, last=max(kept, default=0))
        if record is not None:
            kept = {epoch: old for epoch, old in kept.items() if epoch < record["epoch"]} | {
                record["epoch"]: record
            }
    return kept


def _follow(path: Path, process: subprocess.Popen[bytes], *, position: int) -> Iterator[Record]:
    """The records that a program prints behind `position`, until it has ended and all is read."""
    last, rest = 0, b""
    with path.open("rb") as file:
        while True:
            ended = process.poll() is not None
            file.seek(position)
            data = file.read()
            position += len(data)
            *lines, rest = (rest + data).split(b"\n")
            if ended and not data and rest:  # a last line may lack its end
                lines, rest = [rest], b""
            for line in lines:
                record = _parse(line, last=last)
                if record is None:
                    print(line.decode(errors="replace"), flush=True)
                else:
                    last = record["epoch"]
                    yield record
            if ended and not data:
                return
            if not data:
                time.sleep(PAUSE)


def _parse(line: bytes, *, last: int) -> Record | None:
    """A line's record with its epoch, by default the next one; None for any other line."""
    if not line.lstrip().startswith(b"{"):
        return None
    with suppress(ValueError, TypeError):
        record = json.loads(line)
        return {**record, "epoch": int(record.get("epoch", last + 1))}
    return None


def _stop(process: subprocess.Popen[bytes], *, grace: float) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left after `grace` seconds."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
