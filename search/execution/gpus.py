"""Which GPUs a worker can use: the driver is asked, and a variable is never believed by itself.

`Slot.environment` in `slots.py` sets the variable for a worker. Never imports torch: whether it
was built for CUDA stands in its file `version.py`.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.config.version import torch_file, torch_version
from search.errors import refused

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
PATIENCE = 30  # seconds that the driver has for its answer
NAMES = re.compile(r"\d+|GPU-.+|MIG-.+")  # words of the variable that mean a device
LISTED = re.compile(r"^GPU (?P<index>\d+):.*\(UUID: (?P<uuid>[^)]+)\)")
SLICE = re.compile(r"^\s+MIG .*\(UUID: (?P<uuid>[^)]+)\)")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A device of the driver. `slices`: the UUIDs of its MIG devices, where it is divided."""

    index: str
    uuid: str
    slices: tuple[str, ...] = ()


def visible_gpus(*, by_torch: bool) -> list[str]:
    """The names of the GPUs that can be used here: numbers of nvidia-smi, or UUIDs.

    `by_torch`: whether torch is to use them; a user's trainer may have another library. As CUDA
    does, reads CUDA_VISIBLE_DEVICES up to its first word that is no device (`-1`, `none`).

    Raises:
        UsageError: the variable names a GPU that the driver does not list, the driver does not
            answer, or torch was built without CUDA.
    """
    words = _named()
    if words == []:
        return []
    gpus = driver_gpus()
    if words is None:
        names = [name for gpu in gpus for name in gpu.slices or (gpu.index,)]
    else:
        names = words
        _check_listed(words, gpus)
    if by_torch and names and not _torch_has_cuda():
        listed = ", ".join(names)
        raise refused(
            "torch",
            code="torch-without-cuda",
            rule=f"must be built with CUDA to use the GPUs of this machine ({listed})",
            got=f"{torch_version()}, which is not",
            remedy=f"install torch with CUDA, or train on the CPU with {VISIBLE_DEVICES}=''",
        )
    return names


def driver_gpus() -> list[Gpu]:
    """The GPUs that `nvidia-smi -L` lists; none where there is no such program.

    Raises:
        UsageError: it does not answer.
    """
    try:
        return _parse(_answer("-L"))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise refused(
            "nvidia-smi",
            code="driver-does-not-list-gpus",
            rule=f"must list the GPUs within {PATIENCE} s",
            got=type(error).__name__,
            remedy=f"repair the driver, or train on the CPU with {VISIBLE_DEVICES}=''",
        ) from error


def _answer(*words: str) -> str:
    """What `nvidia-smi` prints; empty where there is no such program, or it refuses."""
    if shutil.which("nvidia-smi") is None:
        return ""
    completed = subprocess.run(
        ["nvidia-smi", *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return completed.stdout if completed.returncode == 0 else ""


def uuids_of(names: Sequence[str]) -> dict[str, str]:
    """By name, the UUID of a GPU, which may be named by its number or the first part of its UUID.

    Raises:
        UsageError: as `driver_gpus`.
    """
    gpus = driver_gpus()
    by_index = {gpu.index: gpu.uuid for gpu in gpus}
    uuids = [uuid for gpu in gpus for uuid in (gpu.uuid, *gpu.slices)]
    return {
        name: by_index.get(name) or next((uuid for uuid in uuids if uuid.startswith(name)), name)
        for name in names
    }


def free_memory(gpu: str) -> int | None:
    """Free memory of a GPU [bytes]; None where the driver does not say, as of a MIG device."""
    if not re.fullmatch(r"\d+|GPU-.+", gpu):
        return None
    try:
        free = _answer("-i", gpu, "--query-gpu=memory.free", "--format=csv,noheader,nounits")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return int(free) * 2**20 if free.strip().isdecimal() else None


def _parse(text: str) -> list[Gpu]:
    """GPUs from lines `GPU 0: NAME (UUID: GPU-…)`, each with its indented MIG devices below."""
    gpus: list[Gpu] = []
    for line in text.splitlines():
        if found := LISTED.match(line):
            gpus.append(Gpu(index=found["index"], uuid=found["uuid"]))
        elif gpus and (found := SLICE.match(line)):
            gpus[-1] = replace(gpus[-1], slices=(*gpus[-1].slices, found["uuid"]))
    return gpus


def _named() -> list[str] | None:
    """The devices of the variable, up to the first word that is none; no device where one stands
    twice. None where the variable is not set.
    """
    value = os.environ.get(VISIBLE_DEVICES)
    if value is None:
        return None
    words: list[str] = []
    for word in (part.strip() for part in value.split(",")):
        if not NAMES.fullmatch(word):
            break
        if word in words:
            return []
        words.append(word)
    return words


def _check_listed(words: Sequence[str], gpus: Sequence[Gpu]) -> None:
    """A number must be one of nvidia-smi's; a UUID may be shortened to its first characters."""
    listed = [name for gpu in gpus for name in (gpu.index, gpu.uuid, *gpu.slices)]
    unknown = [
        word
        for word in words
        if word not in listed
        and not (word.startswith(("GPU-", "MIG-")) and any(n.startswith(word) for n in listed))
    ]
    if unknown:
        raise refused(
            VISIBLE_DEVICES,
            code="gpu-not-listed",
            rule=f"must name GPUs that the driver lists ({', '.join(listed) or 'none'})",
            got=", ".join(unknown),
            remedy=f"correct it, or train on the CPU with {VISIBLE_DEVICES}=''",
        )


def _torch_has_cuda() -> bool:
    """Whether torch was built for CUDA (or for ROCm, which takes its place)."""
    return re.search(r"^(?:cuda|hip)\b.*=\s*['\"]", torch_file(), re.MULTILINE) is not None
