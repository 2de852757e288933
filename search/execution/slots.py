"""The slots of this machine: GPUs or cores, and a worker's environment. Never imports torch."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from search.config.counted import count
from search.config.settings import PlacementSettings
from search.errors import refused
from search.execution.gpus import VISIBLE_DEVICES, visible_gpus
from search.execution.memory import GB, MEMORY_LIMIT, check_memory

# Intel's library then gives the same bits wherever in memory an operand lies, at no measurable
# price: a lane's bits must not depend on its place.
STEADY = {"MKL_CBWR": "AUTO,STRICT"}
# The C library then keeps the memory of one step for the next, where it would return every large
# tensor to the kernel and take new pages: a small CNN's evaluation in lanes takes half the time
# (mallopt(3); the second in bytes).
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**30)}
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Room for one worker. `gpu`: nvidia-smi's number or a UUID; None on a CPU.

    `memory_gb`: that a worker has on its device [10^9 bytes]; None: whatever is there.
    """

    number: int
    gpu: str | None
    threads: int
    memory_gb: float | None = None

    @property
    def device(self) -> str:
        """The trainer's device: a worker sees one GPU, which is its first."""
        return "cpu" if self.gpu is None else "cuda"

    @property
    def label(self) -> str:
        """The device for tables."""
        return "cpu" if self.gpu is None else f"cuda:{self.gpu}"

    @property
    def log(self) -> str:
        """The name of its workers' log, for output that belongs to no trial."""
        return f"worker-{self.number}.log"

    def environment(self) -> dict[str, str]:
        """Variables of the worker, `CUDA_VISIBLE_DEVICES` first, set before torch is imported; a
        user's own for memory hold.
        """
        memory = {name: os.environ.get(name, value) for name, value in KEPT.items()}
        if self.memory_gb is not None and self.gpu is None:
            memory[MEMORY_LIMIT] = str(round(self.memory_gb * GB))
        return {
            VISIBLE_DEVICES: self.gpu or "",
            # As nvidia-smi numbers GPUs, where CUDA would begin with the fastest.
            "CUDA_DEVICE_ORDER": os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
            # Sets of texts then have one order: classes numbered by a set keep their numbers.
            "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),
            **memory,
            **self.arithmetic(),
        }

    def arithmetic(self) -> dict[str, str]:
        """Variables on which results depend bit for bit; libraries read them when imported."""
        return {**STEADY, **dict.fromkeys(POOLS, str(self.threads))}


def find_slots(settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
    """The slots of this machine: as many as `slots` says; of auto one for every GPU ×
    `slots_per_gpu`, else for `threads` of the cores that cgroup and affinity allow.

    `by_torch`: whether it is torch that must be able to use the GPUs.

    Raises:
        UsageError: a GPU is asked for that is not there, or that torch cannot use, or more memory
            than is free.
    """
    visible = visible_gpus(by_torch=by_torch)
    chosen = list(settings.gpus) if settings.gpus is not None else visible
    missing = [gpu for gpu in chosen if gpu not in visible]
    if missing:
        raise refused(
            "placement.gpus",
            code="gpu-not-visible",
            rule=f"must be among the visible GPUs ({', '.join(visible) or 'none'})",
            got=", ".join(missing),
            remedy="name visible ones, or leave it out",
        )
    shared = settings.slots_per_gpu
    groups = _groups(chosen, size=settings.gpus_per_trial or 1, slots_per_gpu=shared)
    places: list[str | None] = [*groups] * shared
    if not places:
        from joblib import cpu_count  # a tenth of a second, and most commands ask for no slots

        places = [None] * max(1, cpu_count() // settings.threads)
    if settings.slots != "auto":
        places = [places[index % len(places)] for index in range(int(settings.slots))]
    memory_gb = settings.memory_gb
    found = tuple(
        Slot(number=number, gpu=gpu, threads=settings.threads, memory_gb=memory_gb)
        for number, gpu in enumerate(places)
    )
    if memory_gb is not None:
        check_memory(Counter(slot.label for slot in found), memory_gb=memory_gb)
    return found


def left_idle(settings: PlacementSettings, slots: Sequence[Slot], *, by_torch: bool) -> str:
    """That groups of `placement.gpus_per_trial` do not use up all GPUs; empty where they do."""
    used = {gpu for slot in slots if slot.gpu for gpu in slot.gpu.split(",")}
    if (settings.gpus_per_trial or 1) == 1 or not used or settings.slots != "auto":
        return ""
    there = settings.gpus or visible_gpus(by_torch=by_torch)
    idle = [gpu for gpu in there if gpu not in used]
    if not idle:
        return ""
    each = f"placement.gpus_per_trial={settings.gpus_per_trial}"
    return f"idle: {', '.join(idle)}, since {each} does not divide {count(len(there), 'GPU')}"


def _groups(gpus: Sequence[str], *, size: int, slots_per_gpu: int) -> list[str]:
    """GPUs in groups of one worker each, as CUDA_VISIBLE_DEVICES names them."""
    if size > 1 and (slots_per_gpu > 1 or len(gpus) < size):
        got = f"{slots_per_gpu} slots per GPU" if slots_per_gpu > 1 else count(len(gpus), "GPU")
        raise refused(
            "placement.gpus_per_trial",
            code="gpus-not-enough-for-trial",
            rule=f"a trial with {size} GPUs needs as many for itself",
            got=got,
            remedy="lower it, or leave placement.slots_per_gpu at 1"
            if gpus
            else "leave it out to train on CPUs",
        )
    return [",".join(gpus[at : at + size]) for at in range(0, len(gpus) - size + 1, size)]
