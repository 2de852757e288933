"""Workers on Ray and Dask beside local ones: trials per second, and how long a report waits for its answer.

    python tests/benchmarks/placements.py pace [--trials 400] [--rounds 3] [--placements local dask ray]
    python tests/benchmarks/placements.py wait [--workers 16] [--pause 0.05]
    python tests/benchmarks/placements.py lanes [--rounds 3]
    python tests/benchmarks/placements.py tune [--rounds 1]

pace: trials of five epochs of 5 ms, two workers, start-up left out (from the first trial's end to the last one's); medians,
and the ratio to local in the same run. wait: time from a report to its answer, in worker processes of a trainer that does
nothing but sleep so many seconds an epoch, connected by TCP without an engine; 50th and 99th percentile. lanes: 64 trainings of
20 epochs in lanes on each placement, whose tables must be equal. tune: the same on a Ray cluster of this machine, and Ray Tune's
on the same cluster. Clusters are those of the tests, of two nodes.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import pandas as pd
from other_tools import Way, compare, ours, ray_tune

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
sys.path.insert(0, str(SUPPORT))
# For searches, workers and nodes: this clone, and the toys.
os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, SUPPORT)))
from kit import environment, steady

PLACEMENTS = ("local", "dask", "ray")
HERE = ["placement=ray", "placement._target_=here.Here"]
EPOCHS = 100
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
    lines = [(time.perf_counter(), line) for line in process.stdout]
    assert process.wait() == 0, "".join(line for _, line in lines[-20:])
    return [came_at for came_at, line in lines if ENDED.match(line)]


@contextmanager
def cluster(engine: str, *, pause: float = 0.0) -> Iterator[list[str]]:
    """Words of a search on a cluster of two nodes with a CPU each; none for local placement.

    `pause`: of the toys [s]: workers get the environment of their node.
    """
    if engine == "local":
        yield ["placement=local"]
        return
    process = subprocess.Popen(
        [sys.executable, str(SUPPORT / f"{engine}_nodes.py")],
        env=environment(TOY_PAUSE=str(pause)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    address = process.stdout.readline().strip()
    key = {"ray": "address", "dask": "scheduler"}[engine]
    yield [f"placement={engine}", f"placement.{key}={address}", "placement.gpus_per_trial=0"]
    process.communicate()


def pace(trials: int, rounds: int, placements: list[str]) -> None:
    rates: dict[str, list[float]] = {name: [] for name in placements}
    with ExitStack() as stack:
        words = {name: stack.enter_context(cluster(name, pause=0.005)) for name in placements}
        for _ in range(rounds):
            for name in placements:
                with tempfile.TemporaryDirectory() as folder:
                    ends = search(
                        Path(folder),
                        *words[name],
                        "trainer._target_=toys.quiet",
                        "trainer.epochs=5",
                        "placement.slots=2",
                        "space.optimizer.lr.points=4",
                        f"seeds={trials // 4}",
                        pause=0.005,
                    )
                rates[name].append((len(ends) - 1) / (ends[-1] - ends[0]))
                print(f"  {name:6} {rates[name][-1]:7.1f} trials/s", flush=True)
    base = median(rates[placements[0]])
    for name, found in rates.items():
        share = f"{median(found) / base:.0%} of {placements[0]}"
        print(f"{name:6} {median(found):7.1f} trials/s  {share}  {[round(rate) for rate in found]}")


def wait(workers: int, pause: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        search(
            Path(folder),
            *HERE,
            "trainer._target_=toys.clocked",
            f"trainer.epochs={EPOCHS}",
            f"placement.slots={workers}",
            "space.optimizer.lr.points=4",
            f"seeds={workers // 4}",
            pause=pause,
        )
        logs = Path(folder).glob("results/*/logs/[0-9]*.log")
        times = sorted(float(time) for log in logs for time in log.read_text().split())
    fiftieth, last = times[len(times) // 2], times[int(len(times) * 0.99)]
    print(f"{workers} workers, {len(times)} reports: {fiftieth * 1000:.2f} ms (50 %), ", end="")
    print(f"{last * 1000:.2f} ms (99 %)")


def lanes(rounds: int, placements: list[str]) -> None:
    """Seconds of each placement, and whether trials and curves are the same."""
    tables: dict[str, pd.DataFrame] = {}

    def way(words: list[str]) -> Way:
        def run(folder: str) -> tuple[float, float]:
            seconds = ours(folder, *words, "lanes=16")
            table = steady(pd.read_csv(Path(folder) / "results/lr_sweep/trials.csv"))
            pd.testing.assert_frame_equal(table, tables.setdefault("first", table))
            return seconds

        return run

    with ExitStack() as stack:
        words = {name: stack.enter_context(cluster(name)) for name in placements}
        compare({name: way(words[name]) for name in placements}, rounds)


def tune(rounds: int) -> None:
    with cluster("ray") as words:
        os.environ["RAY_ADDRESS"] = words[1].partition("=")[2]
        ways = {
            "knobwise, placement=ray": lambda folder: ours(folder, *words),
            "the same, lanes=off": lambda folder: ours(folder, *words, "lanes=off"),
            "Ray Tune": ray_tune(sys.executable),
        }
        compare(ways, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pace", "wait", "lanes", "tune"))
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--placements", nargs="+", choices=PLACEMENTS, default=[*PLACEMENTS])
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--pause", type=float, default=0.05)
    options = parser.parse_args()
    if options.what == "pace":
        pace(options.trials, options.rounds, options.placements)
    elif options.what == "lanes":
        lanes(options.rounds, options.placements)
    elif options.what == "tune":
        tune(options.rounds)
    else:
        wait(options.workers, options.pause)


if __name__ == "__main__":
    main()
