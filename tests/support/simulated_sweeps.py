"""Sweeps whose truth is known, thousands at once: laws of seed noise, and what the rules make of them.

Scores are in standard deviations of ordinary seed noise; every law has mean 0 where nothing is planted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.stages.decision import level_of_each
from search.stages.further_seeds import seeds_needed
from search.stages.noise import SeedStatistics, advantage, statistics_of
from search.stages.racing import Race, interval_widths, is_better

Shape = tuple[int, int, int]  # sweeps, values, seeds; the baseline is value 0
Law = Callable[[np.random.Generator, Shape], np.ndarray]
ROWS, ACCURACY = 80, 0.97  # rows of a small validation set, and what is got right of them
ROWS_DEVIATION = (ROWS * ACCURACY * (1 - ACCURACY)) ** 0.5
DEPTH = 40.0  # deviations by which a collapsed seed falls


def _scaled(factor: float, which: slice) -> Law:
    def law(dice: np.random.Generator, shape: Shape) -> np.ndarray:
        noise = dice.normal(size=shape)
        noise[:, which] *= factor
        return noise

    return law


def _mixed(dice: np.random.Generator, shape: Shape) -> np.ndarray:
    """Every value has noise of its own, over a decade."""
    return dice.normal(size=shape) * 10 ** dice.uniform(-0.5, 0.5, (*shape[:2], 1))


def _paired(share: float) -> Law:
    """So much of the variance belongs to the seed, and moves all values alike."""

    def law(dice: np.random.Generator, shape: Shape) -> np.ndarray:
        common = dice.normal(size=(shape[0], 1, shape[2]))
        return (1 - share) ** 0.5 * dice.normal(size=shape) + share**0.5 * common

    return law


def _mixture(dice: np.random.Generator, shape: Shape) -> np.ndarray:
    """One seed in ten comes from noise five times as large."""
    return dice.normal(size=shape) * np.where(dice.random(shape) < 0.1, 5, 1) / 3.4**0.5


def _drifting(dice: np.random.Generator, shape: Shape) -> np.ndarray:
    """Every seed is better than the one before, by 0.3 deviations."""
    return dice.normal(size=shape) + 0.3 * (np.arange(shape[2]) - (shape[2] - 1) / 2)


def _collapsing(chance: float) -> Law:
    def law(dice: np.random.Generator, shape: Shape) -> np.ndarray:
        return np.where(dice.random(shape) < chance, -DEPTH, 0.0) + dice.normal(size=shape)

    return law


def _log_normal(size: float) -> Law:
    """Losses whose logarithm is normal, with a standard deviation of `size`; higher is better."""
    square = size**2
    mean, deviation = np.exp(square / 2), (np.exp(square) * (np.exp(square) - 1)) ** 0.5
    return lambda dice, shape: (mean - np.exp(size * dice.normal(size=shape))) / deviation


def _two_modes(share: float, jump: float) -> Law:
    """So many seeds reach another mode, `jump` deviations of the first one away."""
    deviation = (1 + share * (1 - share) * jump**2) ** 0.5
    return lambda dice, shape: (
        (dice.normal(size=shape) + jump * ((dice.random(shape) < share) - share)) / deviation
    )


def _opposed(which: slice) -> Law:
    """Seeds move these values against the others: a correlation of -0.8, within them of 0.8."""

    def law(dice: np.random.Generator, shape: Shape) -> np.ndarray:
        common = np.repeat(dice.normal(size=(shape[0], 1, shape[2])), shape[1], axis=1)
        common[:, which] *= -1
        return 0.2**0.5 * dice.normal(size=shape) + 0.8**0.5 * common

    return law


def _in_a_row(correlation: float) -> Law:
    """Each seed of a value resembles the one before (autoregressive)."""

    def law(dice: np.random.Generator, shape: Shape) -> np.ndarray:
        noise = dice.normal(size=shape)
        for seed in range(1, shape[2]):
            new = (1 - correlation**2) ** 0.5 * noise[..., seed]
            noise[..., seed] = correlation * noise[..., seed - 1] + new
        return noise

    return law


LAWS: dict[str, Law] = {
    "normal": lambda dice, shape: dice.normal(size=shape),
    "baseline x2": _scaled(2, slice(0, 1)),
    "baseline x5": _scaled(5, slice(0, 1)),
    "one x5": _scaled(5, slice(1, 2)),
    "half x5": _scaled(5, slice(1, None, 2)),
    "a decade": _mixed,
    "skewed": lambda dice, shape: 1 - dice.exponential(size=shape),
    "skewed right": lambda dice, shape: dice.exponential(size=shape) - 1,
    "uniform": lambda dice, shape: dice.uniform(-(3**0.5), 3**0.5, shape),
    "Laplace": lambda dice, shape: dice.laplace(size=shape) / 2**0.5,
    "mixture": _mixture,
    "heavy, t3": lambda dice, shape: dice.standard_t(3, shape) / 3**0.5,
    "heavy, t2": lambda dice, shape: dice.standard_t(2, shape) / 2,
    "80 rows": lambda dice, shape: (
        (dice.binomial(ROWS, ACCURACY, shape) - ROWS * ACCURACY) / ROWS_DEVIATION
    ),
    "collapse 0.05": _collapsing(0.05),
    "collapse 0.1": _collapsing(0.1),
    "collapse 0.2": _collapsing(0.2),
    "paired": _paired(0.5),
    "paired, 0.95": _paired(0.95),
    "drift": _drifting,
}
OTHER_LAWS: dict[str, Law] = {  # beside those by which the rules were chosen
    "log-normal, 0.5": _log_normal(0.5),
    "log-normal, 1": _log_normal(1.0),
    "gamma, 2": lambda dice, shape: (2 - dice.gamma(2.0, size=shape)) / 2**0.5,
    "gamma, 0.5": lambda dice, shape: (0.5 - dice.gamma(0.5, size=shape)) / 0.5**0.5,
    "counts": lambda dice, shape: (2.0 - dice.poisson(2.0, shape)) / 2**0.5,
    "good seeds, 0.1": _two_modes(0.1, 6.0),
    "bad seeds, 0.2": _two_modes(0.2, -6.0),
    "two modes": _two_modes(0.5, 6.0),
    "rising noise": lambda dice, shape: (
        dice.normal(size=shape) * np.linspace(0.5, 3.0, shape[1])[:, None]
    ),
    "half opposed": _opposed(slice(1, None, 2)),
    "baseline opposed": _opposed(slice(0, 1)),
    "in a row, -0.5": _in_a_row(-0.5),
    "in a row, 0.2": _in_a_row(0.2),
    "in a row, 0.5": _in_a_row(0.5),
}
NOISE_FLOORS = {"80 rows": 0.5 / ROWS_DEVIATION, "counts": 0.5 / 2**0.5}  # half a row, half a count


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Sweeps that have ended: `winners` [sweeps], `trainings` of each over those without a race,
    `half_widths` and `means` [sweeps, values], `worse` [sweeps]: an equal value is called worse.
    """

    winners: np.ndarray
    trainings: np.ndarray
    means: np.ndarray
    half_widths: np.ndarray
    statistics: SeedStatistics

    def covered(self, truth: np.ndarray) -> np.ndarray:
        """Share of each value's intervals that hold its true mean, of those there are."""
        there = ~np.isnan(self.half_widths)
        return ((np.abs(self.means - truth) <= self.half_widths) & there).sum(0) / there.sum(0)

    def winner_covered(self, truth: np.ndarray) -> float:
        """The same for winners that were adopted."""
        sweeps = np.flatnonzero(self.winners > 0)
        places = self.winners[sweeps]
        away = np.abs(self.means[sweeps, places] - truth[places])
        return float(np.mean(away <= self.half_widths[sweeps, places]))

    def calls_an_equal_value_worse(self) -> float:
        """Share of sweeps in which a value, the baseline left out, is called worse."""
        values = self.means.shape[1]
        called = np.zeros(len(self.means), dtype=bool)
        for index in range(1, values):
            edge = advantage(
                self.statistics, reference=index, level=level_of_each(values), own_noise=False
            )
            called |= edge.is_beyond_chance.any(1)
        return float(called.mean())


def simulate(
    law: str,
    *,
    sweeps: int,
    values: int,
    race: Race,
    truth: np.ndarray | float = 0.0,
    seed: int = 0,
) -> Simulated:
    """Sweeps by the rules of the program, from the first seeds to the end of the race."""
    dice = np.random.default_rng(seed)
    noise = (LAWS | OTHER_LAWS)[law](dice, (sweeps, values, race.most))
    scores = noise + np.broadcast_to(truth, values)[:, None]
    return decided(scores, race=race, noise_floor=NOISE_FLOORS.get(law, 0.0))


def decided(scores: np.ndarray, *, race: Race, noise_floor: float = 0.0) -> Simulated:
    """The same of given scores [sweeps, values, seeds], as many seeds as a race may give."""
    seeds = seeds_needed(scores, race, noise_floor=noise_floor)
    shown = np.where(np.arange(race.most) < seeds[..., None], scores, np.nan)
    statistics = statistics_of(shown, noise_floor=noise_floor)
    edge = advantage(statistics, reference=0, level=race.level)
    better = is_better(statistics, edge, fewest=race.fewest, sound=race.sound)
    best = np.where(better, statistics.means, -np.inf).argmax(1)
    winners = np.where(better.any(1), best, 0)
    return Simulated(
        winners=winners,
        trainings=seeds.sum(1) / (scores.shape[1] * race.first),
        means=statistics.means,
        half_widths=interval_widths(statistics, winners=winners, race=race),
        statistics=statistics,
    )
