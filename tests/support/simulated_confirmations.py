"""Confirmations whose truth is known, thousands at once, by the functions that decide.

The baseline is configuration 0, the incumbent of the sweeps 1; the others are leaders of a joint
search, which turn more knobs. As `search.stages.confirm` does it: two seeds of all, the better half
three, then five and more where these have not decided. `tests/stages/test_confirm.py` shows that
both decide alike.
"""

from dataclasses import dataclass

import numpy as np

from search.stages.further_seeds import seeds_needed
from search.stages.noise import advantage, statistics_of
from search.stages.racing import Race, goes_on, is_better, still_open

HALVED, EARLY, FEWEST = 2, 3, 5  # fresh seeds by the guide


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """`winners`, `trainings` [confirmations]."""

    winners: np.ndarray
    trainings: np.ndarray


def confirmed(scores: np.ndarray, *, own_level: bool, noise_floor: float = 0.0) -> Confirmed:
    """Of scores [confirmations, configurations, seeds], as many seeds as the budget pays."""
    most = scores.shape[-1]
    opening = Race(first=EARLY, most=EARLY + 1, halved=HALVED, own_level=own_level)
    race = Race(first=FEWEST, most=most, halved=HALVED, own_level=own_level)
    kept = goes_on(scores, seeds=HALVED, ties=False)
    seed = np.arange(most)
    shown = np.where(seed < np.where(kept, EARLY, HALVED)[..., None], scores, np.nan)
    on = kept & still_open(shown[..., :EARLY], opening, noise_floor=noise_floor)
    on[:, 0] = on[:, 1:].any(1)
    shown = np.where((seed < EARLY) & ~on[..., None], shown, np.nan)
    shown = np.where(on[..., None], scores, shown)
    open_still = on[:, 0]
    counts = np.where(on, FEWEST, np.where(kept, EARLY, HALVED))
    if open_still.any():
        counts[open_still] = seeds_needed(shown[open_still], race, noise_floor=noise_floor)
    shown = np.where(seed < counts[..., None], shown, np.nan)
    early, late = (_chosen(shown, each, noise_floor=noise_floor) for each in (opening, race))
    return Confirmed(winners=np.where(open_still, late, early), trainings=counts.sum(1))


def _chosen(shown: np.ndarray, race: Race, *, noise_floor: float) -> np.ndarray:
    """The places of the winners; the incumbent stays within one standard error of the best."""
    of = statistics_of(shown, noise_floor=noise_floor)
    edge = advantage(of, reference=0, level=race.level, alone=race.alone)
    better = is_better(of, edge, fewest=race.fewest, sound=race.sound) & (of.trained >= race.first)
    means = np.where(better, of.means, -np.inf)
    winners = np.where(better.any(1), means.argmax(1), 0)
    every = np.arange(len(winners))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(of.variances[every, winners] / of.counts[every, winners])
        near = of.means[every, winners] - of.means[:, 1] <= error
    return np.where((winners > 1) & better[:, 1] & near, 1, winners)
