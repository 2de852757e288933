"""Starts our programs as forks of a process that has imported what they import, most of their time.

`python -m search …`, a script that calls it, and what a search starts in turn (workers, dry runs, probes), each run
from their first line in a process of their own: a child of the one that starts it, with its own words,
folder, variables and streams. Only its imports are done already, and at its end they are not taken
apart. A program starts as a user's does where a variable may act on imports, and where it is
started `anew`; so does all that it starts.
"""

import atexit
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from search.execution.module_process import START
from search.execution.slots import Slot

LINUX = sys.platform == "linux"
SERVE = str(Path(__file__).with_name("forking.py"))
PR_SET_CHILD_SUBREAPER = 36
LIMIT = 2**16  # of a request [bytes]
ROOM = {"words": 4000, "variables": 32000}  # for those of a fork, in a server's own place [bytes]
PAD, ARROW = SERVERS_OWN = "KNOBWISE_TEST_PAD", "JE_ARROW_MALLOC_CONF"
STOCK, DRY_RUN = "trainers.stock", "search.execution.worker.dry_run"
EARLY = {
    STOCK: True,
    "trainers.command": False,
    "": False,
}  # what workers import: with torch or not
SLOT = Slot(number=0, gpu=None, threads=1)  # whose variables a server has
# Variables that no import reads: those of a search's own, of a test, and which GPU is seen.
FREE = {"KNOBWISE_WORKER", "KNOBWISE_TEST", "TOY_PAUSE", "COLUMNS", "PYTEST_CURRENT_TEST"}
FREE |= {"CUDA_VISIBLE_DEVICES"}
FREE |= {"KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK"}  # scikit-learn sets them for others
SAFE = {"TMPDIR", "HOME", "PATH", "MY_KEY", "PG_URL"}  # such that a test may set for a fork
WITHIN = "KNOBWISE_TEST_WITHIN"  # a process whose mount namespace a program is to run in
FREE |= SAFE
# Words of a search whose workers have no need of torch; `train` and inline train by themselves.
LIGHT = ("own_trainer", "own_command", "trainer._target_=toys.")
HEAVY = ("trainer._target_=patching.",)  # own trainers that import it
TRAINING = {
    "placement=inline",
    "train",
    "preflight",
    "lr_range",
}  # by themselves, or in a process that does
READING = {"completion", "dashboard", "doctor", "export", "help", "list", "report", "schema"}
READING |= {"status", "table", "workers"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A process that forks, and the way to it.

    `torch`: whether it has imported torch. `variables`: those that its imports may have read.
    `process`: None for the one of a program, with which it ends; `number` is its process id then.
    """

    connection: socket.socket
    torch: bool
    variables: Mapping[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    number: int = 0

    def lives(self) -> bool:
        return self.process is None or self.process.poll() is None

    def end(self) -> None:
        self.connection.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        elif self.number:
            with suppress(ProcessLookupError, ChildProcessError):  # its end was seen already
                os.kill(self.number, signal.SIGKILL)
                os.waitpid(self.number, 0)


SERVERS: dict[bool, Server] = {}  # by whether they have imported torch
OWN: list[Server] = []  # in a program that is a fork: the one that it has got for what it starts
LOCK = threading.RLock()  # a server may be the fork of another


class Forked(subprocess.Popen):
    """As `Popen`, for the programs that a server can fork."""

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest):
        variables = dict(os.environ if env is None else env)
        with LOCK:
            server = _server_for(args, variables)
            if server is not None:
                streams, new_session = rest[3:9], rest[-2]
                ends = (streams[0], streams[3], streams[5])
                ends = [number if end == -1 else end for number, end in enumerate(ends)]
                request = {
                    "words": list(args),
                    "cwd": str(cwd or os.getcwd()),
                    "env": variables,
                    "new_session": new_session,
                    "numbers": [0, 1, 2, *pass_fds],
                }
                if pid := _ask(server, request, [*ends, *pass_fds]):
                    self.pid, self._child_created = pid, True
                    self._close_pipe_fds(*streams)
                    return
        super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest)


# In place of `subprocess` in `search.execution.process_guard`: guarded children are forks.
FORKING = SimpleNamespace(**{**vars(subprocess), "Popen": Forked})


def needs_torch(words: Sequence[str]) -> bool | None:
    """Whether what words start imports torch; None where no server has done its imports."""
    if words[1:3] == ["-m", "search"]:
        if not TRAINING.isdisjoint(words) or any(word.startswith(HEAVY) for word in words):
            return True
        return READING.isdisjoint(words) and not any(word.startswith(LIGHT) for word in words)
    if words[1:3] != ["-c", START]:  # a script
        return True
    if words[4] == "search.execution.worker.process":
        return EARLY.get(words[-1])
    return OWN[0].torch if OWN and words[4] == DRY_RUN else True


def starts_workers(words: Sequence[str]) -> bool:
    """Whether a program may start processes of ours."""
    return START not in words and {"placement=inline", *READING}.isdisjoint(words)


def _server_for(words: Sequence[str], variables: Mapping[str, str]) -> Server | None:
    if words[1:2] == [SERVE]:
        return _server(torch=False) if words[3] == "torch" else None
    torch = needs_torch(list(words))
    if torch is None or not LINUX:
        return None
    server = next(iter(OWN), None) or _server(torch=torch)
    if torch and not server.torch:
        return None
    names = {*variables, *server.variables} - FREE
    if DRY_RUN in words:  # nothing is trained in it
        names -= set(SLOT.environment())
    same = all(variables.get(name) == server.variables.get(name) for name in names)
    return server if same or START not in words else None


def _ask(server: Server, request: Mapping[str, object], descriptors: Sequence[int]) -> int:
    """The process id of a new program, which this process has adopted as its child; 0 for none."""
    adopt = ctypes.CDLL(None).prctl
    ready, go = os.pipe()  # it begins once this process adopts nothing more
    adopt(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        message = json.dumps(request).encode()
        socket.send_fds(server.connection, [message], [ready, *descriptors])
        return int(server.connection.recv(LIMIT) or 0)
    except OSError:  # the server has been killed
        return 0
    except BaseException:  # such as a test's timeout: its answer is nobody else's
        _drop(server)
        raise
    finally:
        adopt(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        os.close(go)
        os.close(ready)


def _server(*, torch: bool) -> Server:
    """This process's server of such programs."""
    if torch in SERVERS and SERVERS[torch].lives():
        return SERVERS[torch]
    if torch in SERVERS:  # a search within this process has ended what ran below it
        _drop(SERVERS[torch])
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    variables = {**os.environ, **SLOT.environment()}
    env = {**variables, PAD: " " * ROOM["variables"]}
    env[ARROW] = "background_thread:false"  # a fork has one thread
    words = [sys.executable, SERVE, f"{theirs.fileno():3}", "torch" if torch else " "]
    words.append(" " * (ROOM["words"] - len(words[-1])))  # as long as another server's
    process = Forked(words, env=env, pass_fds=[theirs.fileno()], start_new_session=True)
    theirs.close()
    if not SERVERS:  # Python would warn of one that still runs at its own end
        atexit.register(_end_all)
    SERVERS[torch] = Server(connection=ours, torch=torch, variables=variables, process=process)
    return SERVERS[torch]


def _end_all() -> None:
    """In the process that started them, which may have forked."""
    for server in SERVERS.values():
        server.end()
    SERVERS.clear()


def _drop(server: Server) -> None:
    server.end()
    for torch, other in list(SERVERS.items()):
        if other is server:
            del SERVERS[torch]
