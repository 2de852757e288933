"""What a protocol itself costs: processor time of the functions that decide, without any training.

    python tests/benchmarks/tune_cost.py [--trials 1000]

A protocol of so many trials is carried out with simulated values. Counted: which stage is next, its
plan, the trials that it borrows or learns from, its findings, and what follows from them.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
import simulated

RATE = "optimizer.lr"
DECIDING = (
    "next_stage",
    "stage_plan",
    "borrowed",
    "past_trials",
    "find",
    "conclude",
    "with_all_knobs",
)


def main() -> None:
    """Reads the words of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    spent: Counter[str] = Counter()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **options: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*values, **options)
            finally:
                spent[name] += time.process_time() - begun

        return call

    for name in DECIDING:
        setattr(simulated, name, timed(name, getattr(simulated, name)))

    def value(knobs: Any, seed: int) -> float:
        noise = np.random.default_rng([seed, *repr(sorted(knobs.items())).encode()]).normal()
        return float(0.9 - 0.02 * np.log10(knobs.get(RATE, 0.1) / 0.01) ** 2 + 0.004 * noise)

    plan = simulated.tune_plan(f"budget_trials={trials}", "protocol.idle=null")
    history, rows = simulated.carried_out(plan, value, lambda knobs: "overconfident")
    total = sum(spent.values())
    print(f"{len(history.steps)} stages, {len(rows)} trials")
    for name, seconds in spent.most_common():
        print(f"{name:12} {1e3 * seconds:8.0f} ms")
    stages = 1e3 * total / len(history.steps)
    print(f"{stages:.1f} ms a stage, {1e3 * total / len(rows):.2f} ms a trial")


if __name__ == "__main__":
    main()
