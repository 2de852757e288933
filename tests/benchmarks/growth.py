"""What a search costs by the number of its trials, of a trainer that does nothing: processor time and memory of the conductor.

    python tests/benchmarks/growth.py [--trials 1000 3000 10000] [--sampler qmc]

A joint search of two knobs with one epoch a trial, its tables, figures and page included; then the verbs on its folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATHS = [str(ROOT), str(ROOT / "tests" / "support")]
# The command in a process that then says what it has used, its workers left out.
MEASURED = """
import json, resource, sys
from search.__main__ import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
seconds, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 1000
print(json.dumps([code, seconds, memory]), file=sys.stderr)
"""
WORDS = [
    *("own_trainer", "protocol=joint", "space=[lr,weight_decay]", "trainer._target_=toys.idle"),
    *("trainer.epochs=1", "trainer.patience=null", "seeds=1", "preflight=off", "placement.slots=2"),
]


def used(folder: Path, *words: str) -> tuple[float, float]:
    """Seconds of a processor, and megabytes at most, of a command without its workers."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    code, seconds, memory = json.loads(done.stderr.splitlines()[-1])
    if code:
        sys.exit(done.stderr)
    return seconds, memory


def main() -> None:
    """A line per number of trials, and one per verb."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 3000, 10000])
    parser.add_argument("--sampler", default="qmc")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for trials in options.trials:
            search = [*WORDS, f"sampler={options.sampler}", f"n_trials={trials}", f"name=n{trials}"]
            seconds, memory = used(folder, *search)
            page = (folder / "results" / f"n{trials}" / "report.html").stat().st_size / 1e6
            print(f"{trials} trials: {seconds:.1f} s, {memory:.0f} MB, page {page:.1f} MB")
            onward = [*WORDS, "sampler=qmc", "n_trials=12", "protocol.confirm=0"]
            for what, words in {
                "the same command again": search,
                **{verb: [verb, f"n{trials}"] for verb in ("table", "status", "report")},
                "from= it": [*onward, f"from=n{trials}", f"name=from{trials}"],
            }.items():
                seconds, memory = used(folder, *words)
                print(f"  {what}: {seconds:.1f} s, {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
