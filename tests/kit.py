"""What tests share: running the program as a user does, and reading what it leaves."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil

HERE = Path(__file__).parent
MARK = "KNOBWISE_TEST"
UNSTEADY = ["seconds", "device"]  # columns that may differ between two runs of the same search

# A tiny search: a trainer without torch, whose value depends on every epoch that went before.
TINY = [
    "own_trainer",
    "trainer._target_=toys.steady",
    "trainer.checkpoint_every=0.001",
    "placement.slots=2",
    "placement.max_retries=50",
    "protocol.extend=0",
    "protocol.refine=0",
    "rehearse=false",
]


def command(*words: str) -> list[str]:
    """`python -m search …` with this Python."""
    return [sys.executable, "-m", "search", *words]


def environment(**extra: str) -> dict[str, str]:
    """The test process's own (see `conftest.py`: tests/ and this clone are importable), and a wide terminal."""
    return {**os.environ, "COLUMNS": "200", **extra}


def search(
    *words: str, cwd: Path, timeout: float = 120, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    return subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(*words: str, cwd: Path, **extra: str) -> subprocess.Popen[str]:
    """Starts the program in a session of its own."""
    return subprocess.Popen(
        command(*words),
        cwd=cwd,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


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
    """All living processes that inherited a test's mark."""
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
