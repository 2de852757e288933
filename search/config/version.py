"""The version, as `pyproject.toml` has it, and which code decides numbers on this machine.

A clone that is not installed has no other place for its version. Never imports torch.
"""

import hashlib
import importlib.util
import re
from pathlib import Path

__version__ = "0.1.0"
ROOT = Path(__file__).resolve().parents[2]
OUR_ROOMS = (ROOT / "search", ROOT / "trainers")
KNOBWISE, SOURCES, TORCH = "Knobwise", "sources of Knobwise", "torch"


def code_here() -> dict[str, str]:
    """What decides a trial's numbers on this machine, beside the user's code and the device.

    Two clones of one version may differ, so there is a checksum of all sources.
    """
    files = sorted(file for room in OUR_ROOMS for file in room.rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(b"%b\0%b\0" % (file.relative_to(ROOT).as_posix().encode(), file.read_bytes()))
    return {KNOBWISE: __version__, SOURCES: digest.hexdigest()[:12], TORCH: torch_version()}


def torch_version() -> str:
    """The version of torch that is installed here."""
    found = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", torch_file(), re.MULTILINE)
    return found[1] if found else "a version that does not say"


def torch_file() -> str:
    """What torch has written of itself; empty where it is not installed."""
    spec = importlib.util.find_spec("torch")
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0]) / "version.py" if folders else Path()
    return path.read_text(encoding="utf-8") if path.is_file() else ""
