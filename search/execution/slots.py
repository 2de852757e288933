"""Which slots this machine has: GPUs or cores, and what a worker finds in its environment. Never imports torch."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import joblib

from search.errors import UsageError, broken_rule

# Intel's library then gives the same bits wherever in memory an operand lies, at no measurable price: a lane's bits must not
# depend on its place.
STEADY = {"MKL_CBWR": "AUTO,STRICT"}
# The C library then keeps the memory of one step for the next, where it would hand every large tensor back to the kernel and
# take fresh pages for it: a small CNN's evaluation in lanes takes half the time (mallopt(3); the second in bytes).
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**30)}


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Room for one worker. `gpu`: nvidia-smi's number (or a UUID), None on a CPU."""

    number: int
    gpu: str | None
    threads: int

    @property
    def device(self) -> str:
        """What the trainer is told: the one GPU that it sees is always its first."""
        return "cpu" if self.gpu is None else "cuda"

    @property
    def label(self) -> str:
        """The device for tables."""
        return "cpu" if self.gpu is None else f"cuda:{self.gpu}"

    @property
    def log(self) -> str:
        """The name of its workers' log, for what belongs to no trial."""
        return f"worker-{self.number}.log"

    def environment(self) -> dict[str, str]:
        """Variables of the worker, set before it starts, hence before torch is imported. A user's own word on memory holds."""
        threads = str(self.threads)
        pools = (
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
        )
        memory = {name: os.environ.get(name, value) for name, value in KEPT.items()}
        return {
            "CUDA_VISIBLE_DEVICES": self.gpu or "",
            **STEADY,
            **memory,
            **dict.fromkeys(pools, threads),
        }


def find_slots(
    *, slots: int | str, slots_per_gpu: int, gpus: Sequence[str] | None, threads: int
) -> tuple[Slot, ...]:
    """The slots of this machine.

    `slots`: a number, or auto: every GPU × `slots_per_gpu`, else cores / `threads` (cores as cgroup and affinity allow them).

    Raises:
        UsageError: a GPU is asked for that is not there.
    """
    visible = visible_gpus()
    chosen = list(gpus) if gpus is not None else visible
    missing = [gpu for gpu in chosen if gpu not in visible]
    if missing:
        raise UsageError(
            broken_rule(
                "placement.gpus",
                rule=f"must be among the visible GPUs ({', '.join(visible) or 'none'})",
                got=", ".join(missing),
                remedy="name visible ones, or leave it out",
            )
        )
    places: list[str | None] = [gpu for _ in range(slots_per_gpu) for gpu in chosen]
    if not places:
        places = [None] * max(1, joblib.cpu_count() // threads)
    if slots != "auto":
        places = [places[index % len(places)] for index in range(int(slots))]
    return tuple(Slot(number=number, gpu=gpu, threads=threads) for number, gpu in enumerate(places))


def visible_gpus() -> list[str]:
    """GPUs that a process of ours may use: those of CUDA_VISIBLE_DEVICES where it is set, else all that nvidia-smi lists."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [gpu.strip() for gpu in given.split(",") if gpu.strip() and gpu.strip() != "-1"]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return listed.stdout.split() if listed.returncode == 0 else []
