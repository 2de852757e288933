"""Does the joint search find as much as plain Optuna where every knob is a choice?

    python tests/benchmarks/choices.py [--tables 6] [--seeds 2] [--trials 60]

Nine knobs of two to six options: 51 840 configurations, whose values are drawn: an effect per
option, and one per pair of options of a few pairs of knobs. Every search begins at a random
baseline. Printed is the normalised regret (0 the best of the table, 1 its median) of our joint
search with `sampler=gp` and of plain Optuna's GPSampler, with the difference, paired by table and
seed, and its 95 % interval by bootstrap.
"""

import argparse
import itertools
import os
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import optuna
from joint import ours, plain
from numpy.typing import NDArray

from search.config.compose import compose_experiment
from search.config.plan import Plan, read_plan

SIZES = (3, 4, 2, 5, 3, 2, 4, 6, 3)
PAIRS = ((0, 1), (1, 3), (3, 7), (2, 7), (4, 8), (5, 6))
DECAY = 0.8  # of the effects, from knob to knob
JOINT = 0.6  # size of what pairs do, beside what their knobs do


class ChoiceTable:
    """A value for every configuration."""

    def __init__(self, seed: int) -> None:
        dice = np.random.default_rng(seed)
        scales = dice.permutation(DECAY ** np.arange(len(SIZES)))
        self._single = [dice.normal(0, s, n) for s, n in zip(scales, SIZES, strict=True)]
        self._paired = {
            (a, b): dice.normal(0, JOINT * (scales[a] * scales[b]) ** 0.5, (SIZES[a], SIZES[b]))
            for a, b in PAIRS
        }
        every = np.array(list(itertools.product(*map(range, SIZES))))
        values = self._of(every)
        self.best, self.middle = float(values.max()), float(np.median(values))

    def __call__(self, point: dict[str, object]) -> float:
        return float(self._of(np.array([[int(str(value)[1:]) for value in point.values()]]))[0])

    def regret(self, values: list[float]) -> float:
        """Of the best of them."""
        return (self.best - max(values)) / (self.best - self.middle)

    def _of(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        total = sum(effect[indices[:, knob]] for knob, effect in enumerate(self._single))
        pairs = sum(effect[indices[:, a], indices[:, b]] for (a, b), effect in self._paired.items())
        return np.asarray(total + pairs)


def plan_of(seed: int, trials: int) -> Plan:
    """The joint search over the nine choices."""
    dice = np.random.default_rng(seed)
    names = [f"k{number}" for number in range(len(SIZES))]
    keys = ", ".join(
        f"{name}: o{dice.integers(size)}" for name, size in zip(names, SIZES, strict=True)
    )
    knobs = [
        f"+space.bench.{name}={{choices: [{', '.join(f'o{option}' for option in range(size))}]}}"
        for name, size in zip(names, SIZES, strict=True)
    ]
    words = [
        "space=[]", "trainer=own", "trainer._target_=tables.train", "metric=accuracy",
        f"+bench={{{keys}}}", *knobs, "sampler=gp", f"n_trials={trials}", f"seed={seed}",
        "protocol.confirm=0", "pruner=none",
    ]  # fmt: skip
    return read_plan(compose_experiment("joint", overrides=words, config_dir=None), root=Path("/r"))


def main() -> None:
    """Prints a line per table, then means and the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=60)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    regrets = np.zeros((3, options.tables, options.seeds))
    seconds = np.zeros(2)
    for table, seed in itertools.product(range(options.tables), range(options.seeds)):
        truth, plan = ChoiceTable(table), plan_of(seed, options.trials)
        begun = time.process_time()
        regrets[0, table, seed] = truth.regret(ours(truth, plan))
        between = time.process_time()
        gp = optuna.samplers.GPSampler(seed=seed)
        regrets[1, table, seed] = truth.regret(plain(truth, plan, gp))
        seconds += between - begun, time.process_time() - between
        random = optuna.samplers.RandomSampler(seed=seed)
        regrets[2, table, seed] = truth.regret(plain(truth, plan, random))
        print(table, seed, np.round(regrets[:, table, seed], 3), flush=True)
    dice, flat = np.random.default_rng(0), (regrets[0] - regrets[1]).ravel()
    means = dice.choice(flat, (4000, len(flat))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    named = zip(("ours", "plain GPSampler", "random"), regrets.mean((1, 2)), strict=True)
    print("; ".join(f"{name} {regret:.3f}" for name, regret in named))
    print(f"ours less plain {flat.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
    print(f"processor seconds: ours {seconds[0]:.0f}, plain {seconds[1]:.0f}")


if __name__ == "__main__":
    main()
