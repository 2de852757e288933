"""What tests share: running the program as a user does, and reading what it leaves."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from forked import LINUX, SAFE, WITHIN, Forked

from search.config.catalogue import experiments

HERE = Path(__file__).parent
ROOT = HERE.parents[1]  # the clone
# Where workers started from within a test find the toys, as a user's own modules, and the package of this clone.
PATH = os.pathsep.join((str(HERE), str(ROOT)))
MARK = "KNOBWISE_TEST"
UNSTEADY = ["seconds", "device"]  # columns that may differ between two runs of the same search

# A tiny search: a trainer without torch, whose value depends on every epoch that went before. It leaves no page, which
# no test of it reads.
TINY = [
    "own_trainer",
    "trainer._target_=toys.steady",
    "trainer.checkpoint_every=0.001",
    "placement.slots=2",
    "placement.max_retries=50",
    "protocol.extend=0",
    "protocol.refine=0",
    "rehearse=false",
    "report=off",
]

# A search whose trials train in its own process: where neither workers nor the dry run are a test's property.
INLINE = ["placement=inline", "rehearse=false"]
SEARCHES = {*experiments(None), "tune"}  # as a command's first word


def command(*words: str) -> list[str]:
    """`python -m search …` with this Python."""
    return [sys.executable, "-m", "search", *words]


def environment(**extra: str) -> dict[str, str]:
    """The test process's own (see `conftest.py`: this folder and this clone are importable), and a wide terminal."""
    return {**os.environ, "COLUMNS": "200", **extra}


def search(
    *words: str, cwd: Path, timeout: float = 120, anew: bool = False, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end. `anew`: its own imports are part of the test."""
    return script(*_program(words), cwd=cwd, timeout=timeout, anew=anew, **extra)


def undisturbed(*words: str, cwd: Path, timeout: float = 120, **extra: str) -> Path:
    """The folder of a whole search of `own_trainer` that nothing disturbs."""
    done = search(*words, cwd=cwd, timeout=timeout, **extra)
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd / "results" / "own_trainer"


def script(
    *words: str, cwd: Path, timeout: float = 120, anew: bool = False, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Runs `python WORDS`, such as a file of a user who calls `search.run`, to its end."""
    process = _started(words, cwd=cwd, extra=extra, anew=anew, stderr=subprocess.PIPE)
    with process:
        try:
            told = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, *told)


def start(*words: str, cwd: Path, **extra: str) -> subprocess.Popen[str]:
    """Starts the program in a session of its own."""
    how = {"stderr": subprocess.STDOUT, "start_new_session": True}
    return _started(_program(words), cwd=cwd, extra=extra, **how)


def _program(words: Sequence[str]) -> list[str]:
    """Its words. No figures and no page, half of a small search's work, but where a test says `report=on`."""
    drawn = not words or words[0] not in SEARCHES or any(word[:7] == "report=" for word in words)
    return command(*words, *([] if drawn else ["report=off"]))[1:]


def _started(
    words: Sequence[str],
    *,
    cwd: Path,
    extra: Mapping[str, str],
    anew: bool = False,
    **how: Any,
) -> subprocess.Popen[str]:
    """The process: a fork, unless a variable is given that may act on imports or on Python itself."""
    is_fork = LINUX and not anew and set(extra) <= {"TOY_PAUSE", MARK, WITHIN, *SAFE}
    how |= {"cwd": cwd, "env": environment(**extra), "stdout": subprocess.PIPE, "text": True}
    return (Forked if is_fork else subprocess.Popen)([sys.executable, *words], **how)


@contextmanager
def running(*words: str, cwd: Path, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """The program, started and in the end surely gone, with its pipe closed."""
    process = start(*words, cwd=cwd, **extra)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], *, seconds: float = 30, what: object = "") -> None:
    """Polls until something is so; a `what` that can be called says at the end what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"waited {seconds} s for {(what() if callable(what) else what) or condition}"
            )
        time.sleep(0.005)


def marked(mark: str) -> list[psutil.Process]:
    """All living processes that were started with a test's mark: all but a program that is a fork itself."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def told_of(processes: list[psutil.Process]) -> list[tuple[object, ...]]:
    """What a test that fails says of processes that should be gone."""
    return [
        (process.pid, process.ppid(), process.status(), words_of(process)) for process in processes
    ]


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing of one that is just ending."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def certificate(folder: Path, *addresses: str) -> tuple[Path, Path]:
    """A certificate of a new authority, which is itself, and its key, for these IP addresses."""
    files = folder / "cert.pem", folder / "key.pem"
    names = ",".join(f"IP:{address}" for address in addresses)
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    words += ["-out", str(files[0]), "-keyout", str(files[1]), "-addext", f"subjectAltName={names}"]
    subprocess.run(["openssl", "req", *words], check=True, capture_output=True)
    return files


def trials(folder: Path) -> pd.DataFrame:
    """trials.csv of a search."""
    return pd.read_csv(folder / "trials.csv")


def steady(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows without the columns that two runs may differ in."""
    return frame.drop(columns=[column for column in UNSTEADY if column in frame])
