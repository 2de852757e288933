"""The process that forks programs: it has done their imports. See `forked.py`.

A program that is its fork first forks such a process of its own, for what it starts in turn.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

import forked
from composed_once import compose_for, compose_once

from search.execution import process_guard

IMPORTED = (
    "search.lifecycle.lifecycle",
    "search.lifecycle.many_stages",
    "search.lifecycle.resume",
    "search.commands.run",
    "search.diagnostics.preflight.run",
    "search.execution.worker.worker",
    "search.execution.worker.conductor_watch",
    "trainers.callable",
    "trainers.command",
    "trainers.mentions",
    "trainers.data.bundled",
)
BY_TORCH = (
    "search.contract.metrics",
    "trainers.stock",
    "trainers.probes.gradients",
    "trainers.probes.questions",
    "trainers.probes.padding",
    "trainers.probes.speed",
)
MOST = 16  # descriptors of a request
ABOVE = 300  # the numbers of descriptors while they change places
PR_SET_PDEATHSIG = 1
NAMESPACES = {"user": 0x10000000, "mnt": 0x20000}  # CLONE_NEWUSER, CLONE_NEWNS
AREAS = {"words": 47, "variables": 49}  # where /proc/self/stat says what memory begins and ends
MADV_COLLAPSE, HUGE = 25, 2**21  # a huge page [bytes]


def serve(door: socket.socket) -> dict[str, Any]:
    """Forks for every request; returns in a fork, and ends when nobody asks any more."""
    while True:
        message, received, _, _ = socket.recv_fds(door, forked.LIMIT, MOST)
        if not message:
            os._exit(0)
        compose_for(tuple(json.loads(message)["words"]))
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            if os.fork():
                os._exit(0)
            request = json.loads(message)
            if request["new_session"]:  # before anybody may send it a signal
                os.setsid()
            os.write(writing, str(os.getpid()).encode())
            for number in (door.detach(), reading, writing):
                os.close(number)
            _wait(received[0])
            _become(request, received[1:])
            return request
        os.close(writing)
        os.waitpid(between, 0)  # by then the program has been adopted
        door.send(os.read(reading, forked.LIMIT))
        for number in (reading, *received):
            os.close(number)


def _wait(ready: int) -> None:
    os.read(ready, 1)
    os.close(ready)


def _become(request: Mapping[str, Any], received: Sequence[int]) -> None:
    """Makes this process the one that was asked for."""
    above = [number + ABOVE for number in range(len(received))]
    for number, place in zip(received, above, strict=True):
        os.dup2(number, place)
    for number in received:
        os.close(number)
    for place, number in zip(above, request["numbers"], strict=True):
        os.dup2(place, number)
        os.close(place)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    if within := request["env"].pop(forked.WITHIN, ""):
        _enter(within)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    tempfile.tempdir = None  # by the variables of the server
    _show(request)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # as in a new process: by chance


def _enter(process: str) -> None:
    """Goes where another process's mounts are; first to its users, among whom this one may."""
    for kind, number in NAMESPACES.items():
        with open(f"/proc/{process}/ns/{kind}") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), number):
                raise OSError(ctypes.get_errno(), f"no way into the {kind} namespace of {process}")


def _show(request: Mapping[str, Any]) -> None:
    """Words and variables stand where the system looks for those of a process."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    shown = {
        "words": request["words"],
        "variables": [f"{name}={value}" for name, value in request["env"].items()],
    }
    for name, field in AREAS.items():
        begin, end = (int(each) for each in fields[field - 2 : field])
        content = b"".join(os.fsencode(each) + b"\0" for each in shown[name])[: end - begin]
        ctypes.memmove(begin, content.ljust(end - begin, b"\0"), end - begin)


def _with_own_server(*, torch: bool, variables: Mapping[str, str]) -> dict[str, Any] | None:
    """Forks a server for what this program starts; returns, with a request, in its forks too."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if number := os.fork():
        theirs.close()
        forked.OWN.append(
            forked.Server(connection=ours, torch=torch, variables=variables, number=number)
        )
        process_guard.subprocess = forked.FORKING
        return None
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    ours.close()
    os.setsid()
    silent = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(silent, number)
    os.close(silent)
    return serve(theirs)


def _run(words: Sequence[str]) -> None:
    """As Python itself does: `-m MODULE …`, `-c CODE …` and `FILE …`."""
    if words[1] == "-m":
        sys.path[0], sys.argv[1:] = os.getcwd(), words[3:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        return
    sys.modules["__main__"] = main = ModuleType("__main__")
    if words[1] == "-c":
        sys.path[0], sys.argv[:], code = "", words[1:2] + words[3:], words[2]
        if code == forked.START:
            sys.modules.pop(words[4], None)  # the module that it runs as the main one
    else:
        sys.path[0], sys.argv[:] = os.path.dirname(os.path.abspath(words[1])), words[1:]
        main.__file__ = os.path.abspath(words[1])
        with open(words[1]) as file:
            code = compile(file.read(), words[1], "exec")
    exec(code, vars(main))


def _end(status: int) -> NoReturn:
    """Ends as Python does, but for taking its modules apart, which copies most of their memory."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for server in forked.OWN:  # a test may look for what a program has left
        server.end()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _in_huge_pages() -> None:
    """Lays memory together in huge pages: a fork copies an entry for each page, and of these are 512 times fewer.

    A Linux before 6.1 does not know the word, and leaves all as it is.
    """
    advise = ctypes.CDLL(None).madvise
    with open("/proc/self/maps") as file:
        areas = file.read().splitlines()
    for area in areas:
        span, rights, _, _, _, *name = area.split()
        begin, end = (int(each, 16) for each in span.split("-"))
        begin, end = -(-begin // HUGE) * HUGE, end // HUGE * HUGE
        if rights == "rw-p" and name in ([], ["[heap]"]) and begin < end:
            size = ctypes.c_size_t(end - begin)
            advise(ctypes.c_void_p(begin), size, MADV_COLLAPSE)


def _read_once() -> None:
    """Configs are composed once by process, and the files of `conf/space/` are read."""
    from search.config.compose import compose_experiment
    from search.config.compose_protocol import spaces_by_path

    compose_once(setattr)
    spaces_by_path(compose_experiment("lr_sweep", overrides=[], config_dir=None))


def _served(words: Sequence[str]) -> tuple[dict[str, Any], bool, dict[str, str]]:
    """Serves in this process. Returns in its forks: the request, whether torch is imported, and the variables then."""
    door, torch = socket.socket(fileno=int(words[2])), words[3] == "torch"
    variables = {name: os.environ[name] for name in os.environ if name not in forked.SERVERS_OWN}
    if torch:
        for module in BY_TORCH:
            importlib.import_module(module)
        importlib.import_module(forked.STOCK).warm()
    for module in list(weakref.finalize._registry):  # torch's take its operators apart at the end
        module.atexit = False
    gc.freeze()
    _in_huge_pages()
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process with threads cannot be forked")
    return serve(door), torch, variables


def main() -> None:
    """A server, and each of its forks. The one with torch is a fork of the other, whose imports it needs too."""
    for module in IMPORTED:
        importlib.import_module(module)
    _read_once()
    words = [sys.executable, *sys.argv]
    while words[1] == forked.SERVE:
        request, torch, variables = _served(words)
        words = request["words"]
    if forked.starts_workers(words):
        request = _with_own_server(torch=torch, variables=variables) or request
    try:
        _run(request["words"])
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        _end(end.code or 0)
    _end(0)


if __name__ == "__main__":
    main()
