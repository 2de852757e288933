"""A Ray cluster of two nodes on this machine, the second with two pretended GPUs.

Prints its address; obeys lines: kill (the second node), add (another), stranger
(another node, of another user), part (kills such nodes), behead (kills all), head (starts them again).
Nodes are processes of their own: Ray ends every process that loses its head, this one too.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"  # another user has no token
# By default 15: on a machine that has other work, a worker's start would take minutes.
os.environ.setdefault("RAY_worker_niceness", "0")

from ray._raylet import GcsClient
from ray.exceptions import RayError
from strangers import end_processes, start_stranger

START = [
    *("-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"),
    *("--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={80 * 2**20}"),
]
NODE = ["--num-gpus=2", f"--memory={3 * 10**9}"]
STRANGER = ["--temp-dir={own}/ray", f"--memory={10**9}"]


def main() -> None:
    host = next(
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family == socket.AF_INET and not each.address.startswith("127.")
    )
    port, client_port = _free_port(), _free_port()
    address = f"{host}:{port}"

    def head() -> "subprocess.Popen[bytes]":
        ports = [f"--port={port}", f"--ray-client-server-port={client_port}"]
        return _start("--head", "--include-dashboard=false", f"--memory={10**9}", *ports)

    def node() -> "subprocess.Popen[bytes]":
        return _start(f"--address={address}", *NODE)

    nodes = [_joined(head, address, number=1)]
    nodes.append(_joined(node, address, number=2))
    print(address, flush=True)
    strangers: list[subprocess.Popen[bytes]] = []

    def stranger() -> "subprocess.Popen[bytes]":
        return start_stranger(*START, *STRANGER, f"--address={address}")

    for line in sys.stdin:
        number = len(nodes) + len(strangers)
        match line.strip():
            case "kill":
                end_processes(nodes.pop())
            case "add":
                nodes.append(_joined(node, address, number=number + 1))
            case "stranger":
                strangers.append(_joined(stranger, address, number=number + 1))
            case "part":
                while strangers:
                    end_processes(strangers.pop())
            case "behead":
                while nodes:
                    end_processes(nodes.pop())
            case "head":
                nodes.append(_joined(head, address, number=1))
                nodes.append(_joined(node, address, number=2))
        if nodes:
            _wait_for(address, number=len(nodes) + len(strangers))
        print("done", flush=True)
    for process in nodes + strangers:
        end_processes(process)


def _start(*words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, *START, *words], stdout=subprocess.DEVNULL, stderr=sys.stderr
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _joined(
    start: Callable[[], "subprocess.Popen[bytes]"], address: str, *, number: int
) -> "subprocess.Popen[bytes]":
    """A node that Ray counts; on a busy machine, Ray gives a start up after 30 s."""
    while True:
        process = start()
        _wait_for(address, number=number, process=process)
        if process.poll() is None:
            return process


def _wait_for(
    address: str, *, number: int, process: "subprocess.Popen[bytes] | None" = None
) -> None:
    """Until Ray has noticed all that have come and gone, or the process has ended."""
    while _alive(address) != number and (process is None or process.poll() is None):
        time.sleep(0.2)


def _alive(address: str) -> int:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        nodes = GcsClient(address=address).get_all_node_info(timeout=10)
    except (OSError, RuntimeError, RayError):
        return 0
    return sum(node.state == 0 for node in nodes.values())  # ALIVE


main()
