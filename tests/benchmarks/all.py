"""Every figure of speed that the pages name, measured in one go on one machine.

    python tests/benchmarks/all.py [overhead throughput lanes decisions proposals]

Prints date, machine, versions and commit, then the output of each benchmark with its seconds.
Needs a quiet machine: it says how busy the processors were before the first one.
"""

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PARTS: dict[str, Sequence[str]] = {
    "overhead": ("overhead.py",),
    "throughput": ("throughput.py",),
    "lanes": ("lanes.py", "tools"),
    "decisions": ("decisions.py", "--sweeps", "400", "--cells", "8x3x10", "2x3x3"),
    "proposals": ("joint.py", "cost"),
}
PACKAGES = ("torch", "optuna", "numpy", "pandas", "scipy", "hydra-core")
BUSY = 0.25  # processes per core that wait or run, above which times are not to be trusted


def machine() -> list[str]:
    """What the figures depend on, a line each."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        f"date     {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"machine  {_processor()}, {cores} cores, {platform.system()} {platform.release()}",
        f"python   {platform.python_version()}, {versions}",
        f"commit   {_commit()}",
        f"load     {_load()}",
    ]


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip()

    return f"{git('rev-parse', '--short', 'HEAD')}{', with changes' if git('status', '-s') else ''}"


def _load() -> str:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = ": busy, do not trust the times" if load / cores > BUSY else ""
    return f"{load:.2f} on {cores} cores{busy}"


def main() -> int:
    """Runs the parts that are named, or all.

    Returns:
        1 where a part has failed.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none is named")
    chosen = parser.parse_args().parts or PARTS
    print("\n".join(machine()), flush=True)
    failed = False
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests/support"}
    for part in chosen:
        file, *words = PARTS[part]
        print(f"\n== {part}: python tests/benchmarks/{' '.join((file, *words))}", flush=True)
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, HERE / file, *words], cwd=ROOT, env=environment)
        failed |= done.returncode != 0
        ending = "done" if done.returncode == 0 else f"failed with exit code {done.returncode}"
        print(f"-- {ending} in {time.perf_counter() - begun:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
