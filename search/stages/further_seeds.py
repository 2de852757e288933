"""Which values get further seeds, the same ones as the baseline: where they decide, and only there.

A race looks after every round of seeds, by the rules of `racing`. Arrays as in `noise`.
"""

from functools import lru_cache

import numpy as np

from search.stages.breaking import breaking
from search.stages.noise import (
    Advantage,
    SeedStatistics,
    advantage,
    pooled_deviation,
    statistics_of,
)
from search.stages.racing import (
    CONTENDERS,
    HIDDEN,
    LEVEL,
    LOOK,
    MOST,
    STABLE,
    Race,
    is_better,
    lies_clear,
    worth_of,
)
from search.stages.scores import ROUNDING, Bools, Counts, Floats, are_identical, lying_apart, places

AHEAD = 1.0  # standard errors by which a contender is ahead of the baseline


def _contenders(
    stats: SeedStatistics, lead: Advantage, *, worth: Floats | float, least: int
) -> Bools:
    """Values that further seeds may yet show to be better than the baseline, or to break less.

    `least`: seeds without which a value has been dropped.
    """
    rank = np.where(np.isnan(lead.differences), -np.inf, lead.differences)
    clear = lies_clear(stats, reference=0)
    ahead = ((rank > np.asarray(worth)[..., None]) | clear) & (stats.trained >= least)
    with np.errstate(invalid="ignore", divide="ignore"):
        ahead &= ~(lead.differences <= AHEAD * lead.errors) | clear
        strength = np.where(ahead, lead.differences / lead.errors, -np.inf)
    racing = ahead & (places(np.nan_to_num(strength, nan=0.0)) < CONTENDERS)
    steadier = stats.broken_share[..., :1] - stats.broken_share > STABLE + 1e-9
    least_p = np.where(stats.broken_share[..., :1] > MOST, LOOK, LEVEL)
    open_still = breaking(stats, reference=0)[1] > least_p + ROUNDING
    best = np.where(steadier & open_still & (stats.trained >= least), stats.means, -np.inf)
    best[..., 0] = -np.inf
    racing |= (best > -np.inf) & (best == best.max(-1, keepdims=True))
    racing[..., 0] = False
    return racing


def _hidden_gain(scores: Floats, stats: SeedStatistics, race: Race, noise_floor: Floats) -> Bools:
    """The value that would lead the baseline clearly if the seeds that lie apart had collapsed,
    its own among them: further seeds tell whether they have. [sweeps, values].
    """
    apart, gains = lying_apart(scores, noise_floor=noise_floor), np.zeros(stats.counts.shape, bool)
    some = apart.any((-2, -1))
    if not some.any():
        return gains
    apart, floors = apart[some], noise_floor[some]
    kept = statistics_of(np.where(apart, -np.inf, scores[some]), noise_floor=floors)
    with np.errstate(invalid="ignore", divide="ignore"):
        seeds = np.sqrt(1 / kept.counts + 1 / kept.counts[..., :1])
        error = np.nan_to_num(pooled_deviation(kept), nan=np.inf)[..., None] * seeds
        lead = kept.means - kept.means[..., :1]
        ahead = (lead > HIDDEN * error) & (lead > _worth(kept, race, floors)[..., None])
    ahead &= apart.any(-1) & (stats.trained[some] >= race.first)
    lead = np.where(ahead, lead, -np.inf)
    gains[some] = ahead & (lead == lead.max(-1, keepdims=True))
    return gains


def _worth(stats: SeedStatistics, race: Race, noise_floor: Floats) -> Floats:
    """The gain that is worth further seeds in each sweep: the race's own, else `worth_of`."""
    if race.worth is not None:
        return np.full(stats.counts.shape[:-1], race.worth)
    return worth_of(stats, noise_floor=noise_floor)


def _racing(shown: Floats, asked: Bools, race: Race, floors: Floats) -> Bools:
    """The values that get one seed more after a round, and the baseline with them.

    `shown`: [sweeps, values, seeds], `asked`: of these, what is to be trained up to this round.
    """
    stats = statistics_of(shown, noise_floor=floors)
    lead = advantage(stats, reference=0, level=race.level, alone=race.alone)
    worth = _worth(stats, race, floors)
    racing = _contenders(stats, lead, worth=worth, least=race.first)
    racing |= _hidden_gain(shown, stats, race, floors)
    adopted = is_better(stats, lead, fewest=race.fewest, sound=race.sound)
    racing &= ~adopted.any(-1, keepdims=True)
    waits = np.any(np.isnan(shown) & asked, axis=(1, 2), keepdims=True)
    racing &= ~waits[..., 0]
    if shown.shape[-1] >= race.fewest:  # further seeds would say the same once more
        racing &= ~are_identical(shown)[..., None]
    racing[:, 0] = racing.any(-1)
    return racing


@lru_cache(maxsize=256)
def _kept(shown: bytes, asked: bytes, shape: tuple[int, ...], race: Race, floor: float) -> Bools:
    """The same of one sweep, which asks after each trial: what a round has shown is kept."""
    scores, places = np.frombuffer(shown).reshape(shape), np.frombuffer(asked, dtype=bool)
    return _racing(scores, places.reshape(shape), race, np.array([floor]))


def seeds_needed(scores: Floats, race: Race, *, noise_floor: Floats | float = 0.0) -> Counts:
    """How many seeds each value needs, as far as the scores that are there tell.

    Args:
        scores: [..., values, seeds], the baseline first; NaN, or no column, where a seed has not
            been trained.
        race: its rules.
        noise_floor: [...] least standard deviation between seeds that is believed.

    Returns:
        [..., values] numbers of seeds. While a score of the last round is missing, the race waits.
    """
    room = np.full((*scores.shape[:-1], max(race.most - scores.shape[-1], 0)), np.nan)
    padded = np.concatenate([scores, room], axis=-1)
    sweeps = padded.reshape(-1, *padded.shape[-2:])
    floors = np.broadcast_to(np.asarray(noise_floor, dtype=float), scores.shape[:-2]).reshape(-1)
    counts = np.full(sweeps.shape[:-1], race.first)
    if race.halved:  # what was dropped waits for nothing
        counts = np.minimum(counts, np.maximum((~np.isnan(sweeps)).sum(-1), race.halved))
    seed, alive = np.arange(padded.shape[-1]), np.arange(len(sweeps))
    for seeds in range(race.first, race.most if race.on else race.first):
        asked = seed[:seeds] < counts[alive, :, None]
        shown = np.where(asked, sweeps[alive, :, :seeds], np.nan)
        racing = (
            _kept(shown.tobytes(), asked.tobytes(), shown.shape, race, float(floors[alive[0]]))
            if len(alive) == 1
            else _racing(shown, asked, race, floors[alive])
        )
        counts[alive] = np.where(racing, seeds + 1, counts[alive])
        alive = alive[racing[:, 0]]
        if not len(alive):
            break
    return counts.reshape(scores.shape[:-1])
