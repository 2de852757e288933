"""What a cluster must offer before a search begins there, whatever its engine.

GPUs that the settings ask for, room for one slot, and a folder that all nodes share.
"""

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from search.config.counted import count
from search.config.settings import PlacementSettings
from search.errors import UsageError, refused
from search.execution.gpus import VISIBLE_DEVICES
from search.execution.module_process import ROOT

LONGEST = 2**20  # of a Dask scheduler's first message [bytes]
PATIENCE = 10.0  # time that a cluster's head has to take a connection [s]


def gpu_share(settings: PlacementSettings, *, engine: str, has_gpus: bool) -> float:
    """The GPUs of one slot, or its share of one, where its other keys agree with that.

    `has_gpus`: whether the cluster has any.

    Raises:
        UsageError: keys that do not go together.
    """
    if settings.gpus is not None:
        raise refused(
            "placement.gpus",
            code="cluster-chooses-gpus",
            rule=f"must be null with placement={engine}: GPUs are chosen on each node",
            got=", ".join(settings.gpus),
            remedy=f"set {VISIBLE_DEVICES} where the nodes of the cluster are started",
        )
    gpus = int(has_gpus) if settings.gpus_per_trial is None else settings.gpus_per_trial
    if gpus > 1 and settings.slots_per_gpu > 1:
        raise refused(
            "placement.slots_per_gpu",
            code="gpus-shared-and-joined",
            rule="must be 1 where placement.gpus_per_trial is above 1",
            got=settings.slots_per_gpu,
            remedy="say placement.slots_per_gpu=1 or placement.gpus_per_trial=1",
        )
    if gpus and settings.memory_gb is not None:
        raise refused(
            "placement.memory_gb",
            code="gpu-memory-not-counted",
            rule=f"must be null where slots have GPUs with placement={engine}: it would be "
            "memory of a GPU, which a cluster does not count",
            got=f"{settings.memory_gb:g}",
            remedy="share GPUs by placement.slots_per_gpu, or say placement.gpus_per_trial=0",
        )
    return gpus / settings.slots_per_gpu


def no_room(settings: PlacementSettings, *, gpus: float, nodes: Sequence[str]) -> UsageError:
    """No node has room for one slot. `nodes`: what each has, in words."""
    memory = "" if settings.memory_gb is None else f", {settings.memory_gb:g} GB of memory"
    lower = "" if settings.memory_gb is None else ", placement.memory_gb"
    return refused(
        "placement",
        code="no-node-has-room",
        rule="a node must have room for one slot "
        f"({count(settings.threads, 'CPU')} for placement.threads, {count(gpus, 'GPU')}{memory})",
        got=f"nodes with {'; '.join(nodes) or 'nothing'}",
        remedy=f"lower placement.threads{lower} or placement.gpus_per_trial, or add a node",
    )


def check_shared(folder: Path, *, leave_marks: Callable[[str], Mapping[str, str]]) -> None:
    """Every node writes a file that is read here: the search's folder must be one for all.

    Args:
        folder: of the search; what it needs is tried in the nearest folder above it that exists.
        leave_marks: calls `leave_mark` on every node for the folder given; by node, what is wrong
            there, empty for nothing.
    """
    place = next(path for path in (folder, *folder.parents) if path.is_dir())
    try:
        shared = tempfile.TemporaryDirectory(prefix=".shared-", dir=place)
    except OSError as error:
        remedy = "mend it or choose another results_root="
        raise UsageError(
            f"{place}: {error.strerror}; {remedy}", code="shared-folder-not-writable"
        ) from error
    with shared as probe:
        answers = leave_marks(probe)
        wrong = [
            reason or ("" if (Path(probe) / node).is_file() else f"no file of node {node}")
            for node, reason in answers.items()
        ]
    wrong = [reason for reason in wrong if reason]
    if wrong:
        raise refused(
            "results_root",
            code="results-root-not-shared",
            rule="must lie on a file system that every node of the cluster shares, as must "
            "the folder where the search is started",
            got=f"{place}: {wrong[0]}",
            remedy="choose a shared results_root=, install what a node lacks, or choose "
            "placement=local",
        )


def check_scheduler(address: str) -> None:
    """A Dask scheduler must answer: Dask itself takes any program's words for a message's length.

    Raises:
        OSError, ValueError: nobody answers, or no scheduler does.
    """
    with connected(address) as connection:
        if address.startswith("tcp://"):
            size = connection.recv(8, socket.MSG_WAITALL)  # of the first message
            if len(size) < 8 or int.from_bytes(size, sys.byteorder) > LONGEST:
                raise ValueError("no Dask scheduler answers there")


def connected(address: str) -> socket.socket:
    """A connection to an engine's address. The engine itself would wait for a minute, end this
    process, or leave a traceback.

    Raises:
        OSError: nobody listens there.
        ValueError: it is no address.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("no HOST:PORT")
    bare = host.removeprefix("[").removesuffix("]")  # IPv6
    return socket.create_connection((bare, int(port)), timeout=PATIENCE)


def own_host(node: str) -> str:
    """The address of this machine by which a node, an address too, reaches it."""
    family, kind, _, _, place = socket.getaddrinfo(node, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(place)  # sends nothing; the system chooses the way there
        return str(probe.getsockname()[0])


def module_path() -> str:
    """Where nodes find the modules of this search: as here, and this clone where it is one."""
    clone = [] if ROOT.name == "site-packages" else [str(ROOT)]
    return os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *clone])


def first_line(error: Exception) -> str:
    """What an error says first; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def last_line(error: Exception) -> str:
    """An engine puts the traceback of a node before what was raised there."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
