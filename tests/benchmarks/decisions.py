"""Do a sweep's decisions hold under real noise? Simulated sweeps whose truth is known.

    python tests/benchmarks/decisions.py [--sweeps 1000] [--cells 8x3x10 13x3x10 …]

Every sweep runs through the functions that decide (`search.stages`): its first seeds, the race, the
decision. A cell is VALUESxSEEDSxMOST. Columns, all shares of sweeps but the trainings:

- kept: nothing differs, and the baseline stays; `worse`: an equal value is called worse then;
- +3, +5: one value is better by so many deviations of ordinary noise, and wins;
- trainings: those of the whole sweep over those of its first seeds, where nothing differs and at +3;
- covers: the intervals that hold the true mean of the seeds that do not collapse, where nothing
  differs: the least of all values; winner: of winners, where all values but the baseline are +5.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from simulated_sweeps import LAWS, OTHER_LAWS, simulate

from search.stages.racing import Race

CELLS = (
    "2x3x10",
    "3x3x10",
    "8x2x10",
    "8x3x10",
    "13x3x10",
    "17x2x10",
    "17x3x10",
    "2x3x3",
    "8x3x3",
    "13x3x3",
    "2x10x10",
    "13x10x10",
)


def row(law: str, *, values: int, race: Race, sweeps: int) -> list[str]:
    """One line of the table."""
    flat = simulate(law, sweeps=sweeps, values=values, race=race, seed=1)
    place = min(2, values - 1)  # a value of ordinary noise, where there is one
    planted = np.eye(values)[place]
    found = [
        simulate(law, sweeps=sweeps, values=values, race=race, truth=gain * planted, seed=seed)
        for seed, gain in ((2, 3.0), (3, 5.0))
    ]
    all_better = np.where(np.arange(values) > 0, 5.0, 0.0)
    chosen = simulate(law, sweeps=sweeps, values=values, race=race, truth=all_better, seed=4)
    shares = [
        (flat.winners == 0).mean(),
        flat.calls_an_equal_value_worse(),
        *((one.winners == place).mean() for one in found),
        flat.trainings.mean(),
        found[0].trainings.mean(),
        flat.covered(np.zeros(values)).min(),
        chosen.winner_covered(all_better),
    ]
    return [law, *(f"{share:.3f}" for share in shares)]


def main() -> None:
    """Prints a table per cell, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--laws", nargs="+", default=tuple(LAWS), choices=(*LAWS, *OTHER_LAWS))
    arguments = parser.parse_args()
    columns = ("noise", "kept", "worse", "+3", "+5", "trainings", "at +3", "covers", "winner")
    for cell in arguments.cells:
        values, first, most = map(int, cell.split("x"))
        print(f"\n{values} values, {first} seeds, at most {most}, {arguments.sweeps} sweeps\n")
        print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
        for law in arguments.laws:
            race = Race(first=first, most=most)
            line = row(law, values=values, race=race, sweeps=arguments.sweeps)
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
