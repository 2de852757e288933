"""A gain beside seeds that break: what the rule finds, and the most that any rule could.

    python tests/benchmarks/decisions_breaking.py [--sweeps 2000]

One value of each sweep is better by five deviations, and every seed of every value collapses with a
chance of 0.2. Columns, shares of sweeps:

- found: that value wins; known: the same if it were known which seeds collapsed;
- steady: the same where nothing collapses: the most that the means allow;
- frail: that value breaks in half of its seeds, and is adopted all the same;
- most: the most that a rule could find which saw all seeds of the race, knew the baseline's share
  and adopted the frail value as rarely (the test of Neyman and Pearson, randomised), times steady.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from scipy import stats
from simulated_sweeps import DEPTH, LAWS, decided

from search.stages.racing import Race

CELLS = ("2x3x10", "8x2x10", "8x3x10", "17x3x10", "2x3x3", "13x3x3")
CHANCE, FRAIL, GAIN = 0.2, 0.5, 5.0


def winners(chances: np.ndarray, *, sweeps: int, race: Race, known: bool) -> float:
    """Share of sweeps that the last value wins, better by `GAIN`; `chances` of breaking, by value."""
    dice = np.random.default_rng(7)
    shape = (sweeps, len(chances), race.most)
    gain = GAIN * (np.arange(len(chances)) == len(chances) - 1)[:, None]
    scores = LAWS["normal"](dice, shape) + gain
    breaks = dice.random(shape) < chances[:, None]
    scores = np.where(breaks, -np.inf if known else scores - DEPTH, scores)
    return float(np.mean(decided(scores, race=race).winners == len(chances) - 1))


def most_found(frail: float, *, seeds: int) -> float:
    """The share found by the best test that adopts a frail value in a share of `frail`."""
    broken = np.arange(seeds + 1)
    ordinary, often = (stats.binom.pmf(broken, seeds, chance) for chance in (CHANCE, FRAIL))
    room = np.concatenate([[0.0], np.cumsum(often)])
    found = np.concatenate([[0.0], np.cumsum(ordinary)])
    return float(np.interp(frail, room, found))


def main() -> None:
    """Prints the table, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", type=int, default=2000)
    parser.add_argument("--cells", nargs="+", default=CELLS)
    arguments = parser.parse_args()
    columns = ("values", "seeds", "found", "known", "steady", "frail", "most")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for cell in arguments.cells:
        values, first, most = map(int, cell.split("x"))
        race = Race(first=first, most=most)
        alike = np.full(values, CHANCE)
        frail = np.where(np.arange(values) == values - 1, FRAIL, CHANCE)
        found, known, steady, adopted = (
            winners(chances, sweeps=arguments.sweeps, race=race, known=is_known)
            for chances, is_known in (
                (alike, False),
                (alike, True),
                (0 * alike, True),
                (frail, True),
            )
        )
        bound = steady * most_found(adopted / max(steady, 1e-9), seeds=most)
        line = [f"{share:.2f}" for share in (found, known, steady, adopted, bound)]
        print(f"| {values} | {first}, at most {most} | {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
