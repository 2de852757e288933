"""A Dask cluster of two nodes on this machine, the second with two pretended GPUs.

Prints its address; obeys lines: kill (the second node), add (another), stranger
(another node, of another user), part (kills such nodes), behead (kills all), head (starts them again).
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from distributed import Client
from strangers import end_processes, start_stranger

GPUS = "GPU 0: NVIDIA X (UUID: GPU-aa11)\\nGPU 1: NVIDIA X (UUID: GPU-bb22)\\n"
QUIET = ["--no-dashboard"]
NODE = ["--no-nanny", "--nthreads=1", "--local-directory"]


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    driver = Path(tempfile.mkdtemp()) / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\nprintf '{GPUS}'\n")
    driver.chmod(0o755)

    def scheduler() -> "subprocess.Popen[bytes]":
        return _start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port))

    def node(*, gpus: bool) -> "subprocess.Popen[bytes]":
        path = f"{driver.parent}:{os.environ['PATH']}" if gpus else os.environ["PATH"]
        place = tempfile.mkdtemp()
        return _start("dask_worker", address, *NODE, place, PATH=path)

    conductor_of_tasks = scheduler()
    nodes = [node(gpus=False), node(gpus=True)]
    client = Client(address)
    client.wait_for_workers(2)
    print(address, flush=True)
    strangers: list[subprocess.Popen[bytes]] = []
    for line in sys.stdin:
        nodes = [each for each in nodes if each.poll() is None]  # a test may have killed one
        match line.strip():
            case "kill":
                nodes[-1].kill()
                nodes.pop().wait()
            case "add":
                nodes.append(node(gpus=True))
                client.wait_for_workers(2)
            case "stranger":
                words = ["-m", "distributed.cli.dask_worker", address, *NODE, "{own}"]
                strangers.append(start_stranger(*words))
                client.wait_for_workers(len(nodes) + len(strangers))
            case "part":
                while strangers:
                    end_processes(strangers.pop())
            case "behead":
                conductor_of_tasks.kill()
                conductor_of_tasks.wait()
                for each in nodes:
                    each.kill()
            case "head":
                conductor_of_tasks = scheduler()
                nodes = [node(gpus=False), node(gpus=True)]
                client = Client(address)
                client.wait_for_workers(2)
        print("done", flush=True)
    for process in (*nodes, conductor_of_tasks):
        process.kill()
        process.wait()


def _start(program: str, *words: str, **variables: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{program}", *words, *QUIET],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=sys.stderr,
    )


main()
