"""A Ray cluster: connecting to it, what it has room for, whether files of its nodes arrive.

Ray is imported here and not at the top, since most searches run without it.
"""

import logging
import os
import ssl
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from search.config.counted import count
from search.config.settings import PlacementSettings
from search.errors import refused
from search.execution.encryption import encrypted
from search.execution.memory import GB
from search.execution.placement.cluster_checks import connected, last_line, module_path
from search.execution.placement.node import leave_mark, ray_certificates

SHORT = 12  # characters by which a node is shown
MOST = 400  # characters that are shown of an error of Ray's
PROBE = 120.0  # time that all nodes have to write a file [s]; Ray may have to start processes


def connect_cluster(settings: PlacementSettings) -> None:
    """Connects to the cluster at `placement.address`; a connection that is there stays.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """
    # Ray would report this use to its makers, and warn of a variable that a slot sets itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Of a cluster that begins here: Ray's workers would otherwise yield to every other program.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise refused(
            "placement",
            code="ray-not-installed",
            rule="placement=ray needs the package ray",
            got=str(error),
            remedy="pip install 'knobwise[ray]', or choose placement=local",
        ) from error
    if ray.is_initialized():
        return
    options: dict[str, Any] = {
        "address": settings.address,
        "runtime_env": {"env_vars": {"PYTHONPATH": module_path()}},
    }
    if settings.address == "local":
        options["include_dashboard"] = False
        if settings.slots != "auto":
            options["num_cpus"] = int(settings.slots) * settings.threads
    try:
        if settings.address not in ("auto", "local"):
            _check_encryption(settings.address)
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise refused(
            "placement.address",
            code="no-ray-cluster",
            rule="must lead to a Ray cluster: auto (the one on this machine), local (a new "
            "one), HOST:6379 or ray://HOST:10001",
            got=f"{settings.address!r}: {' '.join(str(error).split())[:MOST]}",
            remedy="start one (ray start --head), correct the address, or set "
            "RAY_AUTH_MODE=token for one that asks for its token, as `ray start` makes it",
        ) from error


def _check_encryption(address: str) -> None:
    """Ray itself would wait for minutes where only one side has TLS, or another certificate.

    Raises:
        ValueError: so it is.
    """
    own = ray_certificates()
    with connected(address) as connection:
        try:
            if own is None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.wrap_socket(connection).close()
            else:
                encrypted(connection, certificates=own, as_server=False).close()
        except OSError as error:
            if own is not None:
                names = "RAY_TLS_CA_CERT, RAY_TLS_SERVER_CERT and RAY_TLS_SERVER_KEY"
                raise ValueError(f"no TLS with the certificates of {names}: {error}") from error
            return
    if own is None:
        raise ValueError("it speaks TLS only, but RAY_USE_TLS=1 is not set here")


def any_gpus() -> bool:
    """Whether a node of the cluster has a GPU."""
    return any(resources.get("GPU", 0) for resources in _nodes().values())


def places_for(threads: int, *, gpus: float, memory: int) -> dict[str, int]:
    """Nodes that have room for a slot, and for how many.

    `memory`: of one slot [bytes]; 0: not counted.
    """
    places = {name: _room(each, threads, gpus, memory) for name, each in _nodes().items()}
    return {name: number for name, number in places.items() if number}


def contents() -> list[str]:
    """What each node has, in words."""
    return [
        f"{count(each.get('CPU', 0), 'CPU')} and {count(each.get('GPU', 0), 'GPU')}, "
        f"{each.get('memory', 0) / GB:.1f} GB of memory"
        for each in _nodes().values()
    ]


def nodes_named(names: Collection[str]) -> list[str]:
    """The ids of nodes by their ids' first characters, or by their hosts' names or addresses."""
    import ray

    return [
        each["NodeID"]
        for each in ray.nodes()
        if {each["NodeManagerHostname"], each["NodeManagerAddress"], each["NodeID"][:SHORT]}
        & {*names}
    ]


def leave_marks(probe: str, nodes: Sequence[str]) -> dict[str, str]:
    """Has each node write a file; by node, what is wrong there. `nodes`: Ray's ids."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(leave_mark)
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
        return {"": last_line(error)}
    marks = {node: _wrong_with(answer, node) for node, answer in answers.items()}
    return {node: reason for node, reason in marks.items() if reason is not None}


def _wrong_with(answer: Any, node: str) -> str | None:
    """What is wrong with a node's file; empty if nothing is, None if the node has left by now."""
    import ray

    try:
        return str(ray.get(answer, timeout=PROBE))
    except Exception as error:  # noqa: BLE001  # of Ray's own kinds, or of an import on the node
        return last_line(error) if node in _nodes() else None


def node_address() -> str:
    """The address of a node of the cluster."""
    import ray

    return str(next(each["NodeManagerAddress"] for each in ray.nodes() if each["Alive"]))


def head_address() -> str:
    """HOST:PORT of the cluster's head."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _nodes() -> dict[str, Mapping[str, float]]:
    """Resources of the nodes that are alive, by their ids."""
    import ray

    return {each["NodeID"]: each["Resources"] for each in ray.nodes() if each["Alive"]}


def _room(resources: Mapping[str, float], threads: int, gpus: float, memory: int) -> int:
    """How many slots a node has room for."""
    by_cpu = resources.get("CPU", 0.0) // threads
    by_gpu = resources.get("GPU", 0.0) / gpus if gpus else by_cpu
    by_memory = resources.get("memory", 0.0) / memory if memory else by_cpu
    return int(min(by_cpu, by_gpu, by_memory))
