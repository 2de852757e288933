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

import psutil

from search.errors import refused
from search.execution.gpus import free_memory

GB = 10**9
MEMORY_LIMIT = "KNOBWISE_MEMORY"  # variable of a worker: the data that it may hold [bytes]

# Counts of this process's control group, or of its machine. Linux only.
GROUP = Path("/proc/self/cgroup")
COUNTERS = (  # by the controllers that a line of GROUP names: where the group's count lies
    ("", "/sys/fs/cgroup{group}/memory.events"),
    ("memory", "/sys/fs/cgroup/memory{group}/memory.oom_control"),
)
# Limit and use of the group of a container.
GROUP_MEMORY = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)
MACHINE = Path("/proc/vmstat")
COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def check_memory(slots: Mapping[str, int], *, memory_gb: float) -> None:
    """Slots that share a memory are not promised more than is free. `slots`: their number by label.

    Raises:
        UsageError: they are.
    """
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
    """Limit and use of the control group's memory, where it has a limit [bytes]."""
    groups = []
    for limit, used in GROUP_MEMORY:
        with suppress(OSError, ValueError):  # no such group, or "max"
            most = int(Path(limit).read_text(encoding="utf-8"))
            groups.append((most, int(Path(used).read_text(encoding="utf-8"))))
    return groups


def memory_kills() -> int:
    """How many processes of this control group the kernel has killed for want of memory; of the
    machine, where the group has no count; 0 where nobody counts.
    """
    for path in (*_group_counters(GROUP), MACHINE):
        try:
            found = COUNT.search(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


@cache  # a worker asks after every answer, and stays in its group
def _group_counters(group: Path) -> list[Path]:
    """Files that may hold the count, inside a container and outside; `group`: as GROUP."""
    try:
        lines = group.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    groups = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines if line.count(":") > 1}
    return [
        Path(path.format(group=group.rstrip("/")))
        for name, path in COUNTERS
        if name in groups
        for group in (groups[name], "")
    ]
