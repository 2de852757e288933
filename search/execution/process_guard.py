"""No process is left behind: what a worker or its children have started ends with them, also after a `kill -9`.

Linux tells children of their starter's death (PR_SET_PDEATHSIG); a small guard forked from the worker sees to the rest.
Never touches a process that does not bear the mark of the same worker or descend from it.
"""

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress

import psutil

MARK = "KNOBWISE_WORKER"  # variable that every process of one worker inherits
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Helpers that libraries keep for the next call: multiprocessing's, and the worker pool of joblib.
HARMLESS = (
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "joblib.externals.loky",
)
INTERVAL = 0.5  # seconds between two looks at whether the worker lives


def die_with_starter() -> None:
    """This process is killed when the thread that started it ends, and adopts orphans of its children. Linux only."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_guard(lifeline: int) -> None:
    """Forks the guard: when `lifeline` (a pipe whose other end the starter holds) ends, or this process, it kills what is left.

    To be called first of all: before threads exist, before `die_with_starter`, before anything heavy is imported. The guard
    is forked twice, so that it is no child of this process, whose children are its trials' affair.
    """
    worker, mark = os.getpid(), os.environ[MARK]
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
    while psutil.pid_exists(worker):
        readable, _, _ = select.select([lifeline], [], [], INTERVAL)
        if readable:
            break
    kill_marked(mark)
    os._exit(0)


def kill_marked(mark: str) -> list[int]:
    """Kills every other process that bears the mark, and looks again for those started meanwhile; returns their numbers."""
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
    """Kills what a trial has left running below this process; says what it was."""
    try:
        os.waitid(
            os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT
        )  # the cheap question: are there children at all?
    except ChildProcessError:
        return []
    left = []
    for child in psutil.Process().children(recursive=True):
        try:
            told = f"{child.pid} ({' '.join(child.cmdline())[:60]})"
            if child.status() == psutil.STATUS_ZOMBIE or any(word in told for word in HARMLESS):
                continue
            child.kill()
            left.append(told)
        except psutil.Error:
            continue
    return left
