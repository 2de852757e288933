"""No process is left behind: what a child has started ends with it, also after a `kill -9`.

Every heavy child (worker, dry run, probe) is started by `spawn_guarded` and begins with `enter`:
Linux tells it of its starter's death (PR_SET_PDEATHSIG), and a small guard, forked before anything
heavy is imported, kills the rest. A process is killed only if it bears the mark of the same child
or descends from it. A mark in the environment, and not only the guard's descendants, since both
guard and child may be killed, and then the starter still finds what is left.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

import psutil

from search.execution.module_process import module_command

MARK = "KNOBWISE_WORKER"  # variable that every process below one child inherits
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Helpers that libraries keep for the next call: multiprocessing's, joblib's, and torch.compile's,
# without which the next trial in the process could not compile.
HARMLESS = (
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "joblib.externals.loky",
    "torch/_inductor/compile_worker",
)
SHOWN = 3  # processes left behind that are named
# Seconds after its kill from which a child counts as one that nobody can end: the system ends no
# process whose call of a driver or a file system does not return.
STUCK = 60.0
STILL_RUNS = f"was killed {STUCK:g} s ago and still runs, as where a driver or a file system hangs"
INTERVAL = 0.5  # time between two checks whether the guarded process lives [s]


class GuardedProcess:
    """A child in a session of its own. As a context it ends with all that it has started.

    `killed`: True once `kill` has been called.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", *, mark: str, lifeline: int) -> None:
        self._process, self._mark, self._lifeline = process, mark, lifeline
        self.killed = False

    def wait(self, seconds: float | None = None) -> int:
        """Waits for the end of the child; its exit status, negative for a signal.

        Raises:
            subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        return self._process.wait(seconds)

    def is_running(self) -> bool:
        """True until the child has ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kills the child and its session, at once; what left the session dies at the exit."""
        self.killed = True
        if not self.is_running():
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> "GuardedProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # nobody can end it
            self._process.wait(STUCK)
        os.close(self._lifeline)
        kill_marked(self._mark)


def spawn_guarded(
    module: str,
    *arguments: str,
    environment: Mapping[str, str],
    output: IO[Any] | int,
    inherited: Sequence[int] = (),
    folder: str | None = None,
) -> GuardedProcess:
    """Starts a module as a process; it calls `enter` first of all.

    Args:
        module: what is run as the main module.
        arguments: words behind the lifeline's number.
        environment: variables beside those of this process.
        output: file for standard output and error.
        inherited: file descriptors that the child gets.
        folder: its current folder; None for that of this process.
    """
    read_end, write_end = os.pipe()  # the guard sees the write end close when this process dies
    mark = uuid.uuid4().hex
    try:
        process = subprocess.Popen(
            module_command(module, str(read_end), *arguments),
            env={**os.environ, **environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[*inherited, read_end],
            start_new_session=True,
            cwd=folder,
        )
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    return GuardedProcess(process, mark=mark, lifeline=write_end)


def enter() -> list[str]:
    """The first call of a guarded child, before anything heavy is imported; its arguments.

    They are taken away: a user's module that parses `sys.argv` at import finds its own defaults.
    """
    lifeline, *arguments = sys.argv[1:]
    del sys.argv[1:]
    start_guard(int(lifeline))
    die_with_starter()
    return arguments


def die_with_starter() -> None:
    """Has this process killed when the thread that started it ends, and lets it adopt orphans.

    Linux only.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_guard(lifeline: int) -> None:
    """Forks the guard, which kills what is left when `lifeline` or this process ends.

    Call it before threads exist and before `die_with_starter`. The guard is forked twice, so that
    it is no child of this process, whose children belong to its trials.

    `lifeline`: read end of a pipe whose other end the starter holds.
    """
    guarded, mark = os.getpid(), os.environ[MARK]
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        os.close(lifeline)
        return
    if os.fork():
        os._exit(0)
    for number in range(3, 256):
        if number != lifeline:
            with suppress(OSError):
                os.close(number)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the guard outlives those it guards
    while psutil.pid_exists(guarded):
        readable, _, _ = select.select([lifeline], [], [], INTERVAL)
        if readable:
            break
    kill_marked(mark)
    os._exit(0)


def kill_marked(mark: str) -> list[int]:
    """Kills every other process that bears the mark, until none is found; their process ids."""
    killed: list[int] = []
    seen = -1
    while seen < len(killed):
        seen = len(killed)
        for process in psutil.process_iter():
            if process.pid == os.getpid() or process.pid in killed:
                continue
            try:
                if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                    process.kill()
                    killed.append(process.pid)
            except (psutil.Error, OSError):
                continue
    return killed


def kill_children() -> list[str]:
    """Kills what a trial has left running below this process; a description of the first few."""
    try:
        # The cheap question: are there children at all?
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    killed = []
    for child in psutil.Process().children(recursive=True):
        try:
            words = child.cmdline()
            harmless = any(known in " ".join(words) for known in HARMLESS)
            if child.status() == psutil.STATUS_ZOMBIE or harmless:
                continue
            child.kill()
            # Without folders, since those of an interpreter alone may fill the line.
            command = " ".join(word.rpartition("/")[2] for word in words)
            killed.append(f"{child.pid} ({command[:60] or 'ending'})")
        except psutil.Error:
            continue
    more = len(killed) - SHOWN
    return [*killed[:SHOWN], f"and {more} more"] if more > 0 else killed
