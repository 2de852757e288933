"""Workers on Ray and Dask beside local ones: trials per second, and how long a report waits for its answer.

    python tests/benchmarks/placements.py pace [--trials 400] [--rounds 3] [--placements local dask ray]
    python tests/benchmarks/placements.py wait [--workers 16]

pace: trials of five epochs of 5 ms, two workers, start-up left out (from the first trial's end to the last one's); medians,
and the ratio to local in the same run. wait: time from a report to its answer, in workers of a trainer that does nothing but
sleep 50 ms an epoch; 50th and 99th percentile.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
from kit import environment

PLACES = {
    "local": ["placement=local"],
    "dask": ["placement=dask", "placement.scheduler=local"],
    "ray": ["placement=ray", "placement.address=local"],
}
ENDED = re.compile(r"\[(\d+)/\d+\] trial ")


def search(folder: Path, *words: str, pause: float) -> list[float]:
    """Runs a search; when each of its trials ended, by the clock of this process [s]."""
    command = [
        *(sys.executable, "-m", "search", "own_trainer", "trainer.patience=null", "lanes=off"),
        *("protocol.extend=0", "protocol.refine=0", "rehearse=false", *words),
    ]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(TOY_PAUSE=str(pause)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ends = [time.perf_counter() for line in process.stdout if ENDED.match(line)]
    assert process.wait() == 0, f"{command} failed in {folder}"
    return ends


def pace(trials: int, rounds: int, placements: list[str]) -> None:
    rates: dict[str, list[float]] = {name: [] for name in placements}
    for _ in range(rounds):
        for name in placements:
            with tempfile.TemporaryDirectory() as folder:
                ends = search(
                    Path(folder),
                    *PLACES[name],
                    "trainer._target_=toys.quiet",
                    "trainer.epochs=5",
                    "placement.slots=2",
                    "space.optimizer.lr.points=4",
                    f"seeds={trials // 4}",
                    pause=0.005,
                )
            rates[name].append((len(ends) - 1) / (ends[-1] - ends[0]))
    base = median(rates[placements[0]])
    for name, found in rates.items():
        share = f"{median(found) / base:.0%} of {placements[0]}"
        print(f"{name:6} {median(found):7.1f} trials/s  {share}  {[round(rate) for rate in found]}")


def wait(workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        search(
            Path(folder),
            "placement=ray",
            "placement._target_=here.Here",
            "trainer._target_=toys.clocked",
            "trainer.epochs=100",
            f"placement.slots={workers}",
            "space.optimizer.lr.points=4",
            f"seeds={workers // 4}",
            pause=0.05,
        )
        logs = Path(folder).glob("results/*/logs/[0-9]*.log")
        times = sorted(float(time) for log in logs for time in log.read_text().split())
    fiftieth, last = times[len(times) // 2], times[int(len(times) * 0.99)]
    print(f"{workers} workers, {len(times)} reports: {fiftieth * 1000:.2f} ms (50 %), ", end="")
    print(f"{last * 1000:.2f} ms (99 %)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pace", "wait"))
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--placements", nargs="+", choices=PLACES, default=[*PLACES])
    parser.add_argument("--workers", type=int, default=16)
    options = parser.parse_args()
    if options.what == "pace":
        pace(options.trials, options.rounds, options.placements)
    else:
        wait(options.workers)


if __name__ == "__main__":
    main()
