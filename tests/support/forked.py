"""Starts `python -m search` as a fork of a process that has imported it: imports are half of what a short search costs.

The program runs from its first line in a process of its own, with its own words, folder, variables and
streams, and ends as any Python program does; only its imports are done already, and the files of
`conf/space/` are read. What it starts in turn (workers, dry runs, probes) is started anew, as a
user's are. What may train within its own process (`placement=inline`) is the fork of one that has
imported torch too.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
from typing import Any

LINUX = sys.platform == "linux"
PR_SET_CHILD_SUBREAPER = 36
IMPORTED = (
    "search.lifecycle.lifecycle",
    "search.lifecycle.many_stages",
    "search.lifecycle.resume",
    "search.commands.run",
    "search.diagnostics.preflight.run",
    "trainers.data.bundled",
)
TORCH = {"placement=inline", "train"}  # words of what may train by itself
LIMIT = 2**16  # of a request [bytes]
SERVERS: dict[bool, tuple["subprocess.Popen[bytes]", socket.socket]] = {}  # with torch, and without


class Forked(subprocess.Popen):
    """As `Popen(words, …)`, where the words are those behind `python -m search`; a child of this process."""

    def _execute_child(self, words, *rest):
        cwd, env, streams, new_session = rest[4], rest[5], rest[9:15], rest[-2]
        request = {"words": words, "cwd": str(cwd), "env": env, "new_session": new_session}
        own = (streams[0], streams[3], streams[5])
        self.pid = _ask(request, [number if end == -1 else end for number, end in enumerate(own)])
        self._child_created = True
        self._close_pipe_fds(*streams)


def _ask(request: dict[str, Any], streams: list[int]) -> int:
    """The process id of a new program, which this process has adopted as its child."""
    with_torch = not TORCH.isdisjoint(request["words"])
    server = _server(with_torch=with_torch)
    adopt = ctypes.CDLL(None).prctl
    adopt(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        socket.send_fds(server, [json.dumps(request).encode()], streams)
        return int(server.recv(LIMIT))
    except BaseException:  # such as a test's timeout: its answer is nobody else's
        _drop(with_torch=with_torch)
        raise
    finally:
        adopt(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _server(*, with_torch: bool) -> socket.socket:
    """The connection to this process's server of such programs."""
    if with_torch in SERVERS and SERVERS[with_torch][0].poll() is None:
        return SERVERS[with_torch][1]
    _drop(with_torch=with_torch)  # a search within this process has ended what ran below it
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno()), *(["torch"] * with_torch)]
    env = {**os.environ, "JE_ARROW_MALLOC_CONF": "background_thread:false"}  # a fork has one thread
    process = subprocess.Popen(command, env=env, pass_fds=[theirs.fileno()], start_new_session=True)
    theirs.close()
    SERVERS[with_torch] = process, ours
    return ours


def _drop(*, with_torch: bool) -> None:
    """Ends a server, if there is one."""
    if with_torch in SERVERS:
        process, server = SERVERS.pop(with_torch)
        server.close()
        process.kill()
        process.wait()


def serve(door: socket.socket, *, with_torch: bool) -> None:
    """Forks a program for every request; returns in a program, and ends when nobody asks any more."""
    for module in IMPORTED:
        importlib.import_module(module)
    _read_once()
    if with_torch:
        importlib.import_module("trainers.stock").warm()
    gc.freeze()
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process with threads cannot be forked")
    while True:
        message, streams, _, _ = socket.recv_fds(door, LIMIT, 3)
        if not message:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            if program := os.fork():
                os.write(writing, str(program).encode())
                os._exit(0)
            door.close()
            os.close(reading)
            os.close(writing)
            _become(json.loads(message), streams)
            return
        os.close(writing)
        os.waitpid(between, 0)  # by then the program has been adopted
        door.send(os.read(reading, LIMIT))
        for number in (reading, *streams):
            os.close(number)


def _read_once() -> None:
    """Every search that ends reads the files of `conf/space/`; what they say is kept by process."""
    from search.config.compose import compose_experiment
    from search.config.compose_protocol import spaces_by_path

    spaces_by_path(compose_experiment("smoke", overrides=[], config_dir=None))


def _become(request: dict[str, object], streams: list[int]) -> None:
    """Makes this process the one that was asked for."""
    if request["new_session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0], sys.argv[1:] = os.getcwd(), request["words"]


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), with_torch="torch" in sys.argv)
    runpy.run_module("search", run_name="__main__", alter_sys=True)
