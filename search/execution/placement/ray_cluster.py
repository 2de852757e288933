"""A Ray cluster: connecting to it, what it has room for, whether files of its nodes arrive.

Ray is imported here and not at the top, since most searches run without it.
"""

import logging
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.config.settings import PlacementSettings
from search.errors import UsageError, broken_rule
from search.execution.module_process import ROOT
from search.execution.placement.ray_node import leave_mark

PATIENCE = 10.0  # time that the cluster's head has to take a connection [s]
PROBE = 120.0  # time that all nodes have to write a file [s]; Ray may have to start processes


def connect_cluster(settings: PlacementSettings) -> None:
    """Connects to the cluster at `placement.address`; a connection that is there stays.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """
    # Ray would report this use to its makers, and warn of a variable that a slot sets itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            broken_rule(
                "placement",
                rule="placement=ray needs the package ray",
                got=str(error),
                remedy="pip install 'knobwise[ray]', or choose placement=local",
            )
        ) from error
    if ray.is_initialized():
        return
    options: dict[str, Any] = {
        "address": settings.address,
        "runtime_env": {"env_vars": {"PYTHONPATH": _module_path()}},
    }
    if settings.address == "local":
        options["include_dashboard"] = False
        if settings.slots != "auto":
            options["num_cpus"] = int(settings.slots) * settings.threads
    try:
        if settings.address not in ("auto", "local"):
            _check_reachable(settings.address)
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            broken_rule(
                "placement.address",
                rule="must lead to a Ray cluster: auto (the one on this machine), local (a new "
                "one), HOST:6379 or ray://HOST:10001",
                got=f"{settings.address!r}: {str(error).splitlines()[0]}",
                remedy="start one (ray start --head), or correct the address",
            )
        ) from error


def shares(settings: PlacementSettings) -> float:
    """The GPUs of one slot, or its share of one.

    Raises:
        UsageError: keys that do not go together.
    """
    if settings.gpus is not None:
        raise UsageError(
            broken_rule(
                "placement.gpus",
                rule="must be null with placement=ray, which chooses GPUs by itself",
                got=", ".join(settings.gpus),
                remedy="set CUDA_VISIBLE_DEVICES where `ray start` is given",
            )
        )
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = int(any(resources.get("GPU", 0) for resources in _nodes().values()))
    if gpus > 1 and settings.slots_per_gpu > 1:
        raise UsageError(
            broken_rule(
                "placement.slots_per_gpu",
                rule="must be 1 where placement.gpus_per_trial is above 1",
                got=settings.slots_per_gpu,
                remedy="give up one of them",
            )
        )
    return gpus / settings.slots_per_gpu


def places_for(settings: PlacementSettings, *, gpus: float) -> dict[str, int]:
    """Nodes that have room for a slot, and for how many. `gpus`: of one slot.

    Raises:
        UsageError: there is none.
    """
    nodes = _nodes()
    places = {name: _room(each, settings.threads, gpus) for name, each in nodes.items()}
    places = {name: number for name, number in places.items() if number}
    if not places:
        listed = "; ".join(
            f"{each.get('CPU', 0):g} CPUs and {each.get('GPU', 0):g} GPUs"
            for each in nodes.values()
        )
        raise UsageError(
            broken_rule(
                "placement",
                rule="a node must have room for one slot "
                f"({settings.threads} CPUs for placement.threads, {gpus:g} GPUs)",
                got=f"nodes with {listed or 'nothing'}",
                remedy="lower placement.threads or placement.gpus_per_trial, or add a node",
            )
        )
    return places


def check_shared(folder: Path, *, nodes: Sequence[str]) -> None:
    """Every node writes a file that is read here: the search's folder must be one for all.

    Args:
        folder: of the search; what it needs is tried in the nearest folder above it that exists.
        nodes: Ray's ids.

    Raises:
        UsageError: a node's file does not arrive.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    place = next(path for path in (folder, *folder.parents) if path.is_dir())
    task = ray.remote(leave_mark)
    try:
        shared = tempfile.TemporaryDirectory(prefix=".shared-", dir=place)
    except OSError as error:
        remedy = "mend it or choose another results_root="
        raise UsageError(f"{place}: {error.strerror}; {remedy}") from error
    with shared as probe:
        try:
            answers = {
                node: task.options(
                    num_cpus=0,
                    max_retries=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                ).remote(probe, name=node, start=os.getcwd())
                for node in nodes
            }
        except Exception as error:  # noqa: BLE001  # through ray://, what the cluster lacks
            wrong = [_last_line(error)]
        else:
            wrong = [_wrong_with(answer, node, Path(probe)) for node, answer in answers.items()]
    wrong = [reason for reason in wrong if reason]
    if wrong:
        raise UsageError(
            broken_rule(
                "results_root",
                rule="must lie on a file system that every node of the cluster shares, as must "
                "the folder where the search is started",
                got=f"{place}: {wrong[0]}",
                remedy="choose a shared results_root=, install what a node lacks, or choose "
                "placement=local",
            )
        )


def _wrong_with(answer: Any, node: str, probe: Path) -> str:
    """What is wrong with a node's file; empty if nothing is, or if the node has left by now."""
    import ray

    try:
        reason = str(ray.get(answer, timeout=PROBE))
    except Exception as error:  # noqa: BLE001  # of Ray's own kinds, or of an import on the node
        return _last_line(error) if node in _nodes() else ""
    return reason or ("" if (probe / node).is_file() else f"no file of node {node}")


def _last_line(error: Exception) -> str:
    """Ray puts the traceback of a node before what was raised there."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def own_host() -> str:
    """The address of this machine by which nodes of the cluster reach it."""
    import ray

    node = next(each["NodeManagerAddress"] for each in ray.nodes() if each["Alive"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((node, 9))  # sends nothing; the system chooses the way there
        return str(probe.getsockname()[0])


def _module_path() -> str:
    """Where nodes find the modules of this search: as here, and this clone where it is one."""
    clone = [] if ROOT.name == "site-packages" else [str(ROOT)]
    return os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *clone])


def _nodes() -> dict[str, Mapping[str, float]]:
    """Resources of the nodes that are alive, by their ids."""
    import ray

    return {each["NodeID"]: each["Resources"] for each in ray.nodes() if each["Alive"]}


def _room(resources: Mapping[str, float], threads: int, gpus: float) -> int:
    """How many slots a node has room for."""
    by_cpu = resources.get("CPU", 0.0) // threads
    by_gpu = resources.get("GPU", 0.0) / gpus if gpus else by_cpu
    return int(min(by_cpu, by_gpu))


def _check_reachable(address: str) -> None:
    """Ray itself would wait a minute, or end this process. Raises OSError or ValueError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("no HOST:PORT")
    socket.create_connection((host, int(port)), timeout=PATIENCE).close()
