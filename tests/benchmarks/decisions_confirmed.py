"""Does a level of its own for the sweeps' incumbent pay? Confirmations whose truth is known.

    python tests/benchmarks/decisions_confirmed.py [--confirmations 2000] [--most 5 10] [--laws …]

A baseline, the incumbent of the sweeps and three leaders of a joint search, on fresh seeds, by the
functions that decide; both rules judge the same draws. Cells are shares of confirmations with all in
one level (before) and with two levels (after), each with the 95 % interval of their difference:

- false: nothing differs, and something is adopted;
- +1 … +4: the incumbent alone is better by so many deviations of ordinary noise, and something is
  adopted;
- leader: one leader is better by 2.5, the incumbent is equal;
- both: the incumbent is better by 1.5, one leader by 2.5, the others by 1.5;
- lost: how much worse than the incumbent the answer is there, in deviations, in the mean.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from simulated_confirmations import confirmed
from simulated_sweeps import LAWS, NOISE_FLOORS, OTHER_LAWS

ALL = LAWS | OTHER_LAWS | {"rounded": lambda dice, shape: np.round(dice.normal(size=shape))}
STEPS = NOISE_FLOORS | {"rounded": 0.5}  # scores in steps of one deviation: most of them tie
TRUTHS = {
    "false": (0.0, 0.0, 0.0, 0.0, 0.0),
    **{f"+{gain}": (0.0, float(gain), 0.0, 0.0, 0.0) for gain in (1, 2, 3, 4)},
    "leader": (0.0, 0.0, 2.5, 0.0, 0.0),
    "both": (0.0, 1.5, 2.5, 1.5, 1.5),
}


def cells(law: str, *, most: int, confirmations: int) -> list[str]:
    """One line of the table."""
    line = []
    for place, truth in enumerate(TRUTHS.values()):
        gains = np.array(truth)
        noise = ALL[law](np.random.default_rng(place), (confirmations, len(gains), most))
        before, after = (
            confirmed(
                noise + gains[:, None], own_level=own, noise_floor=STEPS.get(law, 0.0)
            ).winners
            for own in (False, True)
        )
        change = (after > 0).astype(float) - (before > 0)
        half = 1.96 * change.std() / confirmations**0.5
        line.append(f"{(before > 0).mean():.3f} {(after > 0).mean():.3f} ±{half:.3f}")
    worse = (np.maximum(gains[1] - gains[chosen], 0).mean() for chosen in (before, after))
    return [law, *line, " ".join(f"{each:.2f}" for each in worse)]


def main() -> None:
    """Prints a table per number of seeds, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--confirmations", type=int, default=2000)
    parser.add_argument("--most", nargs="+", type=int, default=(5, 10))
    parser.add_argument("--laws", nargs="+", default=tuple(ALL), choices=tuple(ALL))
    options = parser.parse_args()
    columns = ("noise", *TRUTHS, "lost")
    for most in options.most:
        print(f"\nat most {most} fresh seeds, {options.confirmations} confirmations\n")
        print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
        for law in options.laws:
            line = cells(law, most=most, confirmations=options.confirmations)
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
