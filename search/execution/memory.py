"""Memory of this machine and its GPUs: what is free, what a worker may take, and how often the
kernel has killed a process for want of it.
"""

import os
import re
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil

from search.errors import refused
from search.execution.gpus import free_memory

GB = 10**9
MEMORY_LIMIT = "KNOBWISE_MEMORY"  # variable of a worker: the data that it may hold [bytes]


class GroupFiles(NamedTuple):
    """Files of a control group: how many processes were killed for want of memory, its limit, its
    use. `droppable`: in memory.stat, pages of files, which the kernel takes back for whoever asks.
    """

    root: str
    kills: str
    limit: str
    used: str
    droppable: tuple[str, str]


GROUP = Path("/proc/self/cgroup")  # of this process; Linux only
GROUP_FILES = {  # by the controllers that a line of GROUP names
    "": GroupFiles(
        "/sys/fs/cgroup", "memory.events", "memory.max", "memory.current",
        ("inactive_file", "active_file"),
    ),
    "memory": GroupFiles(
        "/sys/fs/cgroup/memory", "memory.oom_control", "memory.limit_in_bytes",
        "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"),
    ),
}  # fmt: skip
MACHINE = Path("/proc/vmstat")


def check_memory(slots: Mapping[str, int], *, memory_gb: float) -> None:
    """Slots that share a memory are not promised more than is free. `slots`: number by label."""
    for label, number in slots.items():
        free = free_memory(label.partition(":")[2]) if label != "cpu" else _free_here()
        if free is not None and number * memory_gb * GB > free:
            fits = int(free / (memory_gb * GB))
            less = f"placement.slots={fits}, or " if fits else ""
            raise refused(
                "placement.memory_gb",
                code="slots-exceed-gpu-memory",
                rule=f"{number} slots of {memory_gb:g} GB must fit into the free memory of {label}",
                got=f"{free / GB:.1f} GB free",
                remedy=f"say {less}placement.memory_gb={free / GB / number:.1f} or less",
            )


def memory_of(memory_gb: float | None) -> int:
    """What a slot is promised [bytes]; 0 for nothing."""
    return round((memory_gb or 0) * GB)


def limit_memory() -> None:
    """Keeps this process, a worker, to the data that its slot has: beyond, it gets a MemoryError.

    Linux only.
    """
    limit = os.environ.get(MEMORY_LIMIT)
    if limit and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))


def memory_here() -> int:
    """Memory of this machine, or of its control group where that has less [bytes]."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in _of_groups())])


def _free_here() -> int:
    """Free memory of this machine, or of its control group where that has less."""
    free = [psutil.virtual_memory().available, *(limit - used for limit, used in _of_groups())]
    return max(0, min(free))


def _of_groups() -> list[tuple[int, int]]:
    """Limit and use of this process's control group, and of those that hold it, as a job of Slurm
    or a container does; where they have limits [bytes].
    """
    groups = []
    for place, files in _groups(GROUP):
        with suppress(OSError, ValueError):  # no such group, or "max"
            most = int((place / files.limit).read_text(encoding="utf-8"))
            used = int((place / files.used).read_text(encoding="utf-8"))
            pages = [_entry(place / "memory.stat", name) or 0 for name in files.droppable]
            groups.append((most, used - sum(pages)))
    return groups


def memory_kills() -> int:
    """How many processes of this control group the kernel has killed for want of memory; of the
    machine, where the group has no count; 0 where nobody counts.
    """
    paths = (*(place / files.kills for place, files in _groups(GROUP)), MACHINE)
    counts = (_entry(path, "oom_kill") for path in paths)
    return next((number for number in counts if number is not None), 0)


@cache  # a worker asks after every answer, and stays in its group
def _groups(group: Path) -> list[tuple[Path, GroupFiles]]:
    """Where a control group may lie, and then those that hold it; inside a container, which sees
    its own group alone, the last of them is that. `group`: as GROUP.
    """
    places: list[tuple[Path, GroupFiles]] = []
    with suppress(OSError):
        for line in group.read_text(encoding="utf-8").splitlines():
            controllers, path = line.split(":", 2)[1:]
            if files := GROUP_FILES.get(controllers):
                own = Path(files.root, path.lstrip("/"))
                above = [place for place in own.parents if place.is_relative_to(files.root)]
                places += [(place, files) for place in (own, *above)]
    return places


def _entry(path: Path, name: str) -> int | None:
    """The number behind a name in a file of such lines; None where it is not there."""
    with suppress(OSError):
        text = path.read_text(encoding="utf-8")
        found = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
        return int(found[1]) if found else None
    return None
