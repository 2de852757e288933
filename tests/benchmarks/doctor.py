"""How long the doctor takes over many trials: a search of a trainer that draws curves by a formula, 20 epochs each.

    python tests/benchmarks/doctor.py [--trials 10000]

The search itself is a real one (its time is told too). Aim: 10 000 trials in 10 s, whole command.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def seconds(*words: str, cwd: Path) -> float:
    """Of a whole `python -m search`."""
    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests/support"}
    done = subprocess.run(
        [sys.executable, "-m", "search", *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - begun


def main() -> None:
    """Prints seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials
    words = [
        "own_trainer",
        "trainer._target_=toys.curve",
        "trainer.epochs=20",
        "trainer.patience=null",
        f"seeds={trials // 10}",
    ]
    grid = [
        "space.optimizer.lr.points=10",
        "optimizer.lr=0.01",
        "placement.slots=2",
        "protocol.extend=0",
        "protocol.refine=0",
    ]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        searched = seconds(*words, *grid, "name=many", cwd=place)
        print(
            f"{trials} trials: search {searched:.1f} s, doctor {seconds('doctor', 'many', cwd=place):.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
